"""Executes single instructions in Python: the reference of the lockstep tests, and the slow path of native harts.

The same generated code serves both; they differ in who translates addresses and reads CSRs (`functions`): the Python
forms, or the native ones.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from typing import Any, Protocol

from shyper_tui.engine.core.reference import Trapped, build
from shyper_tui.engine.isa.decode import decode, length_of
from shyper_tui.engine.isa.instruction import Instruction
from shyper_tui.engine.isa.value import signed

from .fields import FETCH, LOAD, LOAD_EXECUTABLE, STORE, Cause
from .state import LAYOUT

MASK64 = (1 << 64) - 1
PC, DEADLINE, PRV, VIRT, RESERVATION, RESERVED, RAM_ADDEND = (
    LAYOUT.index(name) for name in ("pc", "deadline", "prv", "virt", "reservation", "reserved_value", "ram_addend")
)
FAULT_GVA, HSTATUS = LAYOUT.index("fault_gva"), LAYOUT.index("hstatus")

Words = MutableSequence[int]
"""A hart's state: 64-bit words."""


class PhysicalAccess(Protocol):
    """Physical memory and devices. `AccessFault`-like failures are reported by returning None / False."""

    def load(self, pa: int, size: int) -> int | None: ...
    def store(self, pa: int, size: int, value: int) -> bool: ...
    def is_ram(self, pa: int) -> bool: ...


_AMO: dict[str, Callable[[int, int, int], int]] = {
    "xchg": lambda old, new, width: new,
    "add": lambda old, new, width: old + new,
    "and": lambda old, new, width: old & new,
    "or": lambda old, new, width: old | new,
    "xor": lambda old, new, width: old ^ new,
    "min": lambda old, new, width: min(old, new, key=lambda v: signed(v, width)),
    "max": lambda old, new, width: max(old, new, key=lambda v: signed(v, width)),
    "umin": lambda old, new, width: min(old, new),
    "umax": lambda old, new, width: max(old, new),
}


def _fault(s: Words, cause: int, va: int, virt: int) -> Trapped:
    """An access that failed. With effective V=1 (also HLV, or MPRV with MPV) its address is a guest virtual one."""
    s[FAULT_GVA] = virt
    return Trapped(cause, va)


class Evaluator:
    """Executes instructions on a state. `functions` are the hart's functions by name."""

    def __init__(self, functions: dict[str, Any], memory: PhysicalAccess) -> None:
        self._functions = functions
        self._translate: Callable[..., int] = functions["translate"]
        self._memory = memory
        self._operations: dict[str, Callable[..., int]] = {}
        self._environment = {
            **functions,
            "load": self._load,
            "store": self._store,
            "load_reserved": self._load_reserved,
            "store_conditional": self._store_conditional,
            "amo": self._amo,
            "hypervisor_load": self._hypervisor_load,
            "hypervisor_store": self._hypervisor_store,
        }

    def step(self, s: Words) -> bool:
        """Executes the instruction at pc; True when a trap entered a mode whose software is Python."""
        pc = s[PC]
        try:
            word = self.fetch(s, pc)
            decoded = decode(word)
            if decoded is None:
                raise Trapped(Cause.ILLEGAL_INSTRUCTION, word)
            s[PC] = self._operation(decoded.instruction)(
                s, decoded.rd, decoded.rs1, decoded.rs2, decoded.imm, pc, decoded.length, word
            )
        except Trapped as trap:
            python = bool(self._functions["exception"](s, trap.cause, trap.tval, pc))
            s[DEADLINE] += 1
            return python
        s[DEADLINE] += 1
        return False

    def fetch(self, s: Words, pc: int) -> int:
        """The instruction at a virtual address; raises Trapped."""
        low = self._fetch_parcel(s, pc)
        if length_of(low) == 2:
            return low
        return low | self._fetch_parcel(s, pc + 2 & MASK64) << 16

    def _fetch_parcel(self, s: Words, va: int) -> int:
        pa = self._checked(s, va, FETCH, s[PRV], s[VIRT])
        value = self._memory.load(pa, 2) if self._memory.is_ram(pa) else None
        if value is None:
            raise Trapped(Cause.INSTRUCTION_ACCESS, va)
        return value

    def _operation(self, instruction: Instruction) -> Callable[..., int]:
        operation = self._operations.get(instruction.name)
        if operation is None:
            operation = self._operations[instruction.name] = build(LAYOUT, instruction, self._environment)
        return operation

    # translation
    def _checked(self, s: Words, va: int, access: int, prv: int, virt: int) -> int:
        pa = signed(self._translate(s, va, access, prv, virt), 64)
        if -64 < pa < 0:
            raise _fault(s, -pa, va, virt)
        return pa & MASK64

    def _pieces(self, s: Words, va: int, size: int, access: int, prv: int, virt: int) -> list[tuple[int, int]]:
        """(pa, bytes) of an access, in two when it crosses a page. Both are translated before anything happens."""
        room = 4096 - (va & 4095)
        if size <= room:
            return [(self._checked(s, va, access, prv, virt), size)]
        return [
            (self._checked(s, va, access, prv, virt), room),
            (self._checked(s, va + room & MASK64, access, prv, virt), size - room),
        ]

    def _data_mode(self, s: Words) -> tuple[int, int]:
        both = self._functions["data_privilege"](s)
        return both & 3, both >> 2

    def _read(self, s: Words, va: int, size: int, access: int, prv: int, virt: int) -> int:
        value = shift = 0
        for pa, count in self._pieces(s, va, size, access, prv, virt):
            part = self._bytes_in(pa, count)
            if part is None:
                raise _fault(s, Cause.LOAD_ACCESS, va, virt)
            value |= part << shift
            shift += 8 * count
        return value

    def _write(self, s: Words, va: int, size: int, value: int, prv: int, virt: int) -> None:
        for pa, count in self._pieces(s, va, size, STORE, prv, virt):
            if not self._bytes_out(pa, count, value & (1 << 8 * count) - 1):
                raise _fault(s, Cause.STORE_ACCESS, va, virt)
            value >>= 8 * count

    def _bytes_in(self, pa: int, count: int) -> int | None:
        if count in (1, 2, 4, 8):
            return self._memory.load(pa, count)
        value = 0
        for k in range(count):
            part = self._memory.load(pa + k, 1)
            if part is None:
                return None
            value |= part << 8 * k
        return value

    def _bytes_out(self, pa: int, count: int, value: int) -> bool:
        if count in (1, 2, 4, 8):
            return self._memory.store(pa, count, value)
        return all(self._memory.store(pa + k, 1, value >> 8 * k & 0xFF) for k in range(count))

    # what generated code calls
    def _load(self, s: Words, va: int, size: int) -> int:
        return self._read(s, va, size, LOAD, *self._data_mode(s))

    def _store(self, s: Words, va: int, size: int, value: int) -> None:
        self._write(s, va, size, value, *self._data_mode(s))

    def _aligned_ram(self, s: Words, va: int, size: int, access: int) -> int:
        load = access == LOAD
        prv, virt = self._data_mode(s)
        if va % size:
            raise _fault(s, Cause.LOAD_MISALIGNED if load else Cause.STORE_MISALIGNED, va, virt)
        pa = self._checked(s, va, access, prv, virt)
        if not self._memory.is_ram(pa):
            raise _fault(s, Cause.LOAD_ACCESS if load else Cause.STORE_ACCESS, va, virt)
        return pa

    def _ram(self, pa: int, size: int) -> int:
        value = self._memory.load(pa, size)
        assert value is not None
        return value

    def _load_reserved(self, s: Words, va: int, size: int) -> int:
        pa = self._aligned_ram(s, va, size, LOAD)
        value = self._ram(pa, size)
        s[RESERVATION], s[RESERVED] = pa + s[RAM_ADDEND] & MASK64, value
        return value

    def _store_conditional(self, s: Words, va: int, size: int, value: int) -> int:
        pa = self._aligned_ram(s, va, size, STORE)
        reserved = s[RESERVATION] == pa + s[RAM_ADDEND] & MASK64
        kept = reserved and self._ram(pa, size) == s[RESERVED] & (1 << 8 * size) - 1
        s[RESERVATION] = 0
        if kept:
            self._memory.store(pa, size, value)
        return 0 if kept else 1

    def _amo(self, s: Words, va: int, size: int, value: int, operation: str) -> int:
        pa = self._aligned_ram(s, va, size, STORE)
        old = self._ram(pa, size)
        self._memory.store(pa, size, _AMO[operation](old, value, 8 * size) & (1 << 8 * size) - 1)
        return old

    def _hypervisor_load(self, s: Words, va: int, size: int, execute: int) -> int:
        return self._read(s, va, size, LOAD_EXECUTABLE if execute else LOAD, s[HSTATUS] >> 8 & 1, 1)

    def _hypervisor_store(self, s: Words, va: int, size: int, value: int) -> None:
        self._write(s, va, size, value, s[HSTATUS] >> 8 & 1, 1)
