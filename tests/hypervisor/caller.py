"""A guest program that makes environment calls from a table in its memory: what a test wants a guest to ask for."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from shyper_tui.engine.hypervisor.definition import EmulatedDevice, MemoryRegion
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.station import Station, guest

ENTRY = 80
"""Bytes of a table entry: a0..a7, then the results a0 and a1."""
S0, S1 = 8, 9
UNTOUCHED = 0x5555_5555_5555_5555


def _i(opcode: int, funct3: int, rd: int, rs1: int, imm: int) -> int:
    return (imm & 0xFFF) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def _s(funct3: int, rs2: int, rs1: int, imm: int) -> int:
    return (imm >> 5 & 0x7F) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (imm & 31) << 7 | 0x23


def ld(rd: int, rs1: int, imm: int) -> int:
    return _i(0x03, 3, rd, rs1, imm)


def sd(rs2: int, rs1: int, imm: int) -> int:
    return _s(3, rs2, rs1, imm)


def addi(rd: int, rs1: int, imm: int) -> int:
    return _i(0x13, 0, rd, rs1, imm)


def bnez(rs1: int, offset: int) -> int:
    imm = (offset >> 12 & 1) << 31 | (offset >> 5 & 0x3F) << 25 | (offset >> 1 & 15) << 8 | (offset >> 11 & 1) << 7
    return imm | rs1 << 15 | 1 << 12 | 0x63


def auipc(rd: int, upper: int) -> int:
    return upper << 12 | rd << 7 | 0x17


ECALL, WFI, JUMP_TO_SELF = 0x0000_0073, 0x1050_0073, 0x0000_006F

TABLE_OFFSET = 0x1000
_LOOP = [ld(10 + index, S0, 8 * index) for index in range(8)]
_LOOP += [ECALL, sd(10, S0, 64), sd(11, S0, 72), addi(S0, S0, ENTRY), addi(S1, S1, -1)]
_LOOP.append(bnez(S1, -4 * len(_LOOP)))
PROGRAM = struct.pack(
    f"<{5 + len(_LOOP)}I",
    auipc(S0, 1),  # the table begins one page behind the program
    ld(S1, S0, 0),
    addi(S0, S0, 8),
    *_LOOP,
    WFI,
    JUMP_TO_SELF,
)


@dataclass(frozen=True)
class Call:
    """One environment call: extension or hypercall number, function (a6), arguments a0..a5."""

    a7: int
    a6: int = 0
    args: tuple[int, ...] = ()

    def registers(self) -> list[int]:
        args = [*self.args, *[0] * (6 - len(self.args))]
        return [value & (1 << 64) - 1 for value in (*args, self.a6, self.a7)]


class Caller:
    """VM `vm_id` running the program. VM 0 has 64 MiB at 0x9000_0000, a guest 16 MiB at 0x8000_0000."""

    def __init__(
        self, station: Station, vm_id: int = 0, cores: int = 0b0010, more: Sequence[EmulatedDevice] = ()
    ) -> None:
        self.station = station
        self.vm_id = vm_id
        if vm_id == 0:
            definition = mvm_definition()
            definition.memory = [MemoryRegion(0x9000_0000, 64 << 20)]
            definition.device_tree_load_ipa = 0x9100_0000
        else:
            definition = guest(vm_id, cores)
        definition.devices.extend(more)
        self.base = definition.kernel_load_ipa
        self.vm = station.manager.add(definition, PROGRAM)

    def prepare(self, calls: Sequence[Call]) -> None:
        """Boot the VM with this table."""
        table = struct.pack("<Q", len(calls))
        for call in calls:
            table += struct.pack("<10Q", *call.registers(), UNTOUCHED, UNTOUCHED)
        kernel = PROGRAM.ljust(TABLE_OFFSET, b"\0") + table
        self.station.manager.entry(self.vm_id).images.kernel = bytearray(kernel)

    def results(self, count: int) -> list[tuple[int, int]]:
        """(a0, a1) after each call, signed; UNTOUCHED for calls that were not made."""
        at = self.base + TABLE_OFFSET + 8
        return [struct.unpack("<qq", self.vm.memory.read(at + index * ENTRY + 64, 16)) for index in range(count)]

    def perform(self, *calls: Call) -> list[tuple[int, int]]:
        """Start the VM, let it make the calls, and return (a0, a1) of each. The VM stays in WFI afterwards."""
        self.prepare(calls)
        manager = self.station.manager
        if manager.state(self.vm_id) is VmState.ACTIVE:
            manager.stop(self.vm_id)
            self.station.until(lambda: manager.state(self.vm_id) is not VmState.ACTIVE)
        manager.boot(self.vm_id)
        last = self.base + TABLE_OFFSET + 8 + (len(calls) - 1) * ENTRY + 72
        self.station.until(lambda: self.vm.memory.read_u64(last) != UNTOUCHED)
        return self.results(len(calls))
