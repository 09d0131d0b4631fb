"""Guest programs that load a core in a known way, and what they have measured."""

from __future__ import annotations

import struct

from shyper_tui.engine.hypervisor.vm import Vm
from tests.hypervisor.programs import A0, A1, A2, A3, S0, S1, S2, S3, SIE, STIMECMP, T0, T1, TIME, Program
from tests.hypervisor.station import Station, guest

BASE = guest().kernel_load_ipa
RESULTS = BASE + 0x4000
CYCLES_PER_TICK = 10
SPIN_CYCLES = 3
"""Cycles of one round of `spinner`."""


def spinner() -> bytes:
    """Counts rounds for ever."""
    body = Program(BASE).li(S0, RESULTS).label("count").op("addi", rd=A0, rs1=A0, imm=1)
    return body.op("sd", rs1=S0, rs2=A0, imm=0).jump("count").code()


def exiter() -> bytes:
    """Makes SBI calls for ever, and counts them."""
    body = Program(BASE).li(S0, RESULTS).li(17, 0x10).li(16, 0).label("call").op("ecall")
    return body.op("addi", rd=S1, rs1=S1, imm=1).op("sd", rs1=S0, rs2=S1, imm=0).jump("call").code()


def sleeper(pause: int, work: int = 0) -> bytes:
    """Works until `work` ticks have passed, then waits `pause` ticks with WFI; for ever.

    Leaves how often it woke, and the greatest and the summed lateness in ticks.
    """
    body = Program(BASE).li(S0, RESULTS).li(T0, 1 << 5).csrw(SIE, T0).li(S1, pause).li(S2, work)
    body.li(A0, 0).li(A1, 0).li(A2, 0).csrr(S3, TIME).label("again").op("add", rd=S3, rs1=S3, rs2=S1).csrw(STIMECMP, S3)
    body.label("wait").op("wfi").csrr(T0, TIME).branch("bltu", T0, S3, "wait")
    body.op("sub", rd=T1, rs1=T0, rs2=S3).op("addi", rd=A0, rs1=A0, imm=1).op("add", rd=A2, rs1=A2, rs2=T1)
    body.branch("bltu", T1, A1, "smaller").op("addi", rd=A1, rs1=T1, imm=0).label("smaller")
    for index, register in enumerate((A0, A1, A2)):
        body.op("sd", rs1=S0, rs2=register, imm=8 * index)
    body.op("add", rd=A3, rs1=T0, rs2=S2).label("work").csrr(S3, TIME).branch("bltu", S3, A3, "work")
    return body.jump("again").code()


def boot(station: Station, vm_id: int, kernel: bytes, cores: int = 0b0010) -> Vm:
    """VM `vm_id` with this program on vCPU 0, and results in the memory that its file has filled."""
    vm = station.manager.add(guest(vm_id, cores), kernel.ljust(RESULTS + 64 - BASE, b"\0"))
    station.manager.boot(vm_id)
    return vm


def words(vm: Vm, count: int = 3) -> tuple[int, ...]:
    return struct.unpack(f"<{count}Q", vm.memory.read(RESULTS, 8 * count))


class Shares:
    """What part of a core spinners have got since this was made."""

    def __init__(self, station: Station, *vms: Vm) -> None:
        self._station = station
        self._begin = station.machine.cycle
        self._rounds = [(vm, words(vm, 1)[0]) for vm in vms]

    def read(self) -> list[float]:
        passed = self._station.machine.cycle - self._begin
        return [SPIN_CYCLES * (words(vm, 1)[0] - before) / passed for vm, before in self._rounds]
