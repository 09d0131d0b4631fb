"""Exits are counted by cause, with the host's time they took."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hart.direct.windows import DirectWindows
from shyper_tui.engine.hypervisor.exits.statistics import ExitRow, ExitStatistics
from tests.hypervisor.programs import A0, A1, S0, T0, T1, Program
from tests.hypervisor.station import Station
from tests.hypervisor.workloads import BASE, RESULTS, boot, spinner, words

INTERRUPT = 1 << 63
BASE_EXTENSION = 0x10


def test_counts_and_times_add_up_and_the_most_frequent_cause_is_first() -> None:
    statistics = ExitStatistics(DirectWindows())
    for cause, nanoseconds in ((21, 100), (INTERRUPT | 5, 7), (21, 50), (10, 1), (INTERRUPT | 5, 8), (21, 1)):
        statistics.add(cause, nanoseconds)
    assert statistics.rows() == [
        ExitRow(21, "load guest-page fault", 3, 151),
        ExitRow(INTERRUPT | 5, "supervisor timer interrupt", 2, 15),
        ExitRow(10, "environment call from VS-mode", 1, 1),
    ]
    assert statistics.total == 6
    assert (statistics.count(21), statistics.count(INTERRUPT | 5), statistics.count(2)) == (3, 2, 0)


def test_nothing_has_been_counted_at_first() -> None:
    assert (ExitStatistics(DirectWindows()).rows(), ExitStatistics(DirectWindows()).total) == ([], 0)


def test_a_guests_exits_are_counted_exactly() -> None:
    """Seven SBI calls, five register reads, three stores, and a virtual instruction."""
    body = Program(BASE).li(A1, 0x0C00_0000)
    for _ in range(7):
        body.ecall(BASE_EXTENSION, 0)
    body.li(A1, 0x0C00_0000)
    for offset in (4, 8, 12):
        body.op("lw", rd=A0, rs1=A1, imm=offset).op("sw", rs1=A1, rs2=A0, imm=offset)
    body.op("lw", rd=A0, rs1=A1, imm=4).op("lw", rd=A0, rs1=A1, imm=4)
    body.li(T0, BASE + 0x800).csrw(0x105, T0).op("hfence.gvma").at(BASE + 0x800)
    body.li(S0, RESULTS).li(T1, 1).op("sd", rs1=S0, rs2=T1, imm=0).label("end").op("wfi").jump("end")
    station = Station(ram=1 << 30)
    vm = boot(station, 1, body.code())
    station.until(lambda: words(vm, 1)[0] == 1)
    assert {row.cause: row.count for row in vm.exits.rows()} == {10: 7, 21: 5, 23: 3, 22: 1}
    assert all(row.time_ns > 0 for row in vm.exits.rows())


@pytest.mark.parametrize("count", [1, 2])
def test_interrupts_of_the_core_are_counted_for_the_vm_they_interrupt(count: int) -> None:
    station = Station(ram=1 << 30)
    vms = [boot(station, vm_id, spinner()) for vm_id in range(1, count + 1)]
    station.run(20_000_000)
    timers = [vm.exits.count(INTERRUPT | 5) for vm in vms]
    assert timers == [0] if count == 1 else sum(timers) == pytest.approx(20, abs=2)  # one each 10 ms
