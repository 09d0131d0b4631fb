"""Small guest programs for tests: instructions by name, labels, and places to leave results."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.core.encoding import assemble, load_constant, word

RA, SP, T0, T1, T2, S0, S1, A0, A1, A2, A3, A6, A7, S2, S3 = 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 19
SSTATUS, SIE, STVEC, SSCRATCH, SEPC, SCAUSE, STVAL, SIP, STIMECMP, SATP = (
    0x100, 0x104, 0x105, 0x140, 0x141, 0x142, 0x143, 0x144, 0x14D, 0x180,
)  # fmt: skip
TIME = 0xC01


class Program:
    """Bytes of a program that begins at `base`. Each method appends; jumps to labels are resolved in `code`."""

    def __init__(self, base: int) -> None:
        self.base = base
        self._parts: list[bytes | tuple[int, Callable[[int], int]]] = []
        self._labels: dict[str, int] = {}
        self.here = base

    def op(self, name: str, **operands: int) -> Program:
        """One instruction; `imm` is the CSR number of CSR instructions."""
        return self.raw(word(name, **operands))

    def raw(self, *words: int) -> Program:
        for instruction in words:
            self.data(assemble(instruction))
        return self

    def data(self, data: bytes) -> Program:
        self._parts.append(data)
        self.here += len(data)
        return self

    def at(self, address: int) -> Program:
        """Zeros up to `address`."""
        assert address >= self.here, f"{address:#x} is behind {self.here:#x}"
        return self.data(bytes(address - self.here))

    def label(self, name: str) -> Program:
        self._labels[name] = self.here
        return self

    def li(self, rd: int, value: int) -> Program:
        if -2048 <= value < 2048:
            return self.op("addi", rd=rd, rs1=0, imm=value)
        return self.raw(*load_constant(rd, value))

    def la(self, rd: int, label: str) -> Program:
        """The address of a label that is known already."""
        return self.li(rd, self._labels[label])

    def branch(self, name: str, rs1: int, rs2: int, label: str) -> Program:
        return self._later(label, lambda offset: word(name, rs1=rs1, rs2=rs2, imm=offset))

    def jump(self, label: str) -> Program:
        return self._later(label, lambda offset: word("jal", rd=0, imm=offset))

    def csrw(self, csr: int, rs1: int) -> Program:
        return self.op("csrrw", rd=0, rs1=rs1, imm=csr)

    def csrr(self, rd: int, csr: int) -> Program:
        return self.op("csrrs", rd=rd, rs1=0, imm=csr)

    def ecall(self, a7: int, a6: int = 0, *args: int) -> Program:
        """An environment call with constant arguments."""
        for register, value in zip(range(A0, A0 + len(args)), args, strict=True):
            self.li(register, value)
        return self.li(A7, a7).li(A6, a6).op("ecall")

    def code(self) -> bytes:
        at, code = self.base, b""
        for part in self._parts:
            if isinstance(part, tuple):
                part = struct.pack("<I", part[1](at))
            code += part
            at += len(part)
        return code

    def address(self, label: str) -> int:
        return self._labels[label]

    def _later(self, label: str, make: Callable[[int], int]) -> Program:
        self._parts.append((4, lambda at: make(self._labels[label] - at)))
        self.here += 4
        return self
