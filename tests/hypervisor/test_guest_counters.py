"""Counters as a guest reads them: all are there, and no read of them leaves the guest."""

from __future__ import annotations

import struct

import pytest

from tests.hypervisor.programs import A0, S0, T0, Program
from tests.hypervisor.station import Station
from tests.hypervisor.workloads import BASE, RESULTS, boot

CYCLE, TIME, INSTRET, HPMCOUNTER3, HPMCOUNTER31 = 0xC00, 0xC01, 0xC02, 0xC03, 0xC1F
VIRTUAL_INSTRUCTION, ILLEGAL_INSTRUCTION = 22, 2


@pytest.mark.parametrize("counter", [CYCLE, TIME, INSTRET, HPMCOUNTER3, HPMCOUNTER31])
def test_a_guest_reads_every_counter_and_those_of_zihpm_are_0(counter: int) -> None:
    station = Station(ram=1 << 30)
    body = Program(BASE).li(S0, RESULTS).csrr(A0, counter).op("sd", rs1=S0, rs2=A0, imm=0)
    body.li(T0, 1).op("sd", rs1=S0, rs2=T0, imm=8).label("end").op("wfi").jump("end")
    vm = boot(station, 1, body.code())
    station.run(100_000)
    value, finished = struct.unpack("<2Q", vm.memory.read(RESULTS, 16))
    assert finished == 1
    assert (value > 0) == (counter in (CYCLE, TIME, INSTRET))
    assert (vm.exits.count(VIRTUAL_INSTRUCTION), vm.exits.count(ILLEGAL_INSTRUCTION)) == (0, 0)
