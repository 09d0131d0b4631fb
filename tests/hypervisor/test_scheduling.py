"""vCPUs of several VMs on one core: shares, timers, waiting and waking, measured by the guests themselves."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable

import pytest

from shyper_tui.engine.hypervisor.core import Core
from shyper_tui.engine.hypervisor.definition import CpuSpec
from shyper_tui.engine.hypervisor.layout import SLICE
from shyper_tui.engine.hypervisor.vcpu import VcpuState
from tests.hypervisor.programs import A0, A6, A7, S0, SIE, STVEC, T0, T1, TIME, Program
from tests.hypervisor.station import Station, guest
from tests.hypervisor.workloads import (
    BASE,
    CYCLES_PER_TICK,
    RESULTS,
    Shares,
    boot,
    exiter,
    sleeper,
    spinner,
    words,
)

MILLISECOND = 10_000
SECOND = 100_000_000
"""Ticks and cycles: the virtual clock has 10 cycles to a tick."""
LATE = 500
"""Ticks (50 µs) that a timer's interrupt may come late: two traps and a world switch."""
TIME_EXTENSION, IPI, HSM = 0x54494D45, 0x735049, 0x48534D


@pytest.fixture
def station() -> Station:
    return Station(ram=1 << 30)


def core(station: Station, number: int = 1) -> Core:
    return station.hypervisor.cores[number]


@pytest.mark.parametrize(
    ("spec", "cores"),
    [
        (CpuSpec(3, 0b1110, 2), [2, 1, 3]),
        (CpuSpec(3, 0b1110, None), [1, 2, 3]),
        (CpuSpec(2, 0b1010, 3), [3, 1]),
        (CpuSpec(1, 0b0100, 2), [2]),
    ],
)
def test_vcpus_go_to_the_master_core_first_and_then_to_the_others_in_order(spec: CpuSpec, cores: list[int]) -> None:
    assert spec.cores() == cores
    definition = guest(cores=spec.allocate_bitmap)
    definition.cpu = spec
    vm = Station(ram=1 << 30).manager.add(definition, spinner())
    assert [vcpu.core.hart_id for vcpu in vm.vcpus] == cores


@pytest.mark.parametrize("count", [2, 3])
def test_spinning_vcpus_get_equal_shares(station: Station, count: int) -> None:
    vms = [boot(station, vm_id, spinner()) for vm_id in range(1, count + 1)]
    station.run(SECOND // 10)
    shares = Shares(station, *vms)
    station.run(SECOND // 2)
    for share in shares.read():
        assert share == pytest.approx(1 / count, rel=0.05)


def test_spinning_vcpus_take_turns_of_10_ms(station: Station) -> None:
    for vm_id in (1, 2):
        boot(station, vm_id, spinner())
    station.run(SECOND // 10)
    shown: list[int] = []
    for _ in range(80):  # every millisecond
        current = core(station).current
        assert current is not None
        shown.append(current.vm.id)
        station.run(MILLISECOND * CYCLES_PER_TICK)
    runs = [len(run) for run in "".join(map(str, shown)).replace("12", "1 2").replace("21", "2 1").split()]
    assert runs[1:-1] == [10] * len(runs[1:-1])
    assert SLICE == 10 * MILLISECOND


@pytest.mark.parametrize("spinners", [1, 2])
def test_a_vcpu_that_exits_all_the_time_gets_its_share_and_no_more(station: Station, spinners: int) -> None:
    vms = [boot(station, vm_id, spinner()) for vm_id in range(1, spinners + 1)]
    calls = boot(station, 7, exiter())
    station.run(SECOND // 10)
    shares, before = Shares(station, *vms), words(calls, 1)[0]
    station.run(SECOND // 2)
    for share in shares.read():
        assert share == pytest.approx(1 / (spinners + 1), rel=0.1)
    used = (words(calls, 1)[0] - before) * (1000 + 4) / (SECOND // 2)  # a trap takes 1000 cycles
    assert used == pytest.approx(1 / (spinners + 1), rel=0.1)


@pytest.mark.parametrize("work", [0, 3])
def test_the_timer_of_a_vcpu_that_waits_is_exact_beside_one_that_spins(station: Station, work: int) -> None:
    """Pauses of 1 ms, with 0 or 0.3 ms of work between them, for half a second."""
    spinning = boot(station, 1, spinner())
    sleeping = boot(station, 2, sleeper(MILLISECOND, work * MILLISECOND // 10))
    station.run(SECOND // 20)
    shares = Shares(station, spinning)
    station.run(SECOND // 2)
    woken, worst, _ = words(sleeping)
    assert woken > 350
    assert worst < LATE
    assert shares.read()[0] > 0.93 - work / (10 + work)


def test_two_vcpus_that_wait_and_one_that_spins(station: Station) -> None:
    spinning = boot(station, 1, spinner())
    sleeping = [boot(station, vm_id, sleeper(pause)) for vm_id, pause in ((2, 7_000), (3, 11_000))]
    station.run(SECOND // 20)
    shares = Shares(station, spinning)
    station.run(SECOND // 2)
    assert [words(vm)[1] < LATE for vm in sleeping] == [True, True]
    assert shares.read()[0] > 0.9


@pytest.mark.parametrize("burst", [4, 15])
def test_a_vcpu_that_sleeps_a_moment_between_bursts_takes_no_more_than_its_share(station: Station, burst: int) -> None:
    """Some milliseconds of work, 0.1 ms of sleep: it would like nearly all of the core."""
    spinning = boot(station, 1, spinner())
    greedy = boot(station, 2, sleeper(1_000, burst * MILLISECOND)).vcpus[0]
    station.run(SECOND // 10)
    shares, before, begin = Shares(station, spinning), core(station).time_on_core(greedy), station.machine.now()
    station.run(SECOND)
    assert shares.read()[0] == pytest.approx(0.5, rel=0.1)
    used = core(station).time_on_core(greedy) - before
    assert used / (station.machine.now() - begin) == pytest.approx(0.5, rel=0.1), "and it gets what it is due"


def test_a_vcpu_that_wakes_as_often_as_it_can_does_not_slow_its_neighbour(station: Station) -> None:
    """A timer every 20 µs: the interrupts that wake it are counted as its own time."""
    spinning = boot(station, 1, spinner())
    boot(station, 2, sleeper(200))
    station.run(SECOND // 20)
    shares = Shares(station, spinning)
    station.run(SECOND // 5)
    assert shares.read()[0] > 0.45


def storm(target: int, answers: bool) -> bytes:
    """vCPU 0 sends IPIs to vCPU `target` for ever, which takes each of them or has stopped."""
    body = Program(BASE).ecall(HSM, 0, target, BASE + 0x800, 0)
    body.li(10, 1 << target).li(11, 0).li(17, IPI).li(16, 0).label("send").op("ecall").li(10, 1 << target).li(11, 0)
    body.jump("send").at(BASE + 0x800)
    if not answers:
        body.ecall(HSM, 1)
    body.li(T0, BASE + 0xC00).csrw(STVEC, T0).li(T0, 2).csrw(SIE, T0).op("csrrsi", rd=0, rs1=2, imm=0x100)
    body.label("wait").op("wfi").jump("wait").at(BASE + 0xC00).op("csrrci", rd=0, rs1=2, imm=0x144)
    body.li(S0, RESULTS).op("ld", rd=A0, rs1=S0, imm=0).op("addi", rd=A0, rs1=A0, imm=1).op("sd", rs1=S0, rs2=A0, imm=0)
    return body.op("sret").code()


@pytest.mark.parametrize(("answers", "share"), [(True, 0.45), (False, 0.99)])
def test_a_storm_of_ipis_to_a_vcpu_is_paid_by_its_own_vm(station: Station, answers: bool, share: float) -> None:
    """Core 2 is shared by the target and a spinner of another VM. A target that has stopped costs it nothing."""
    spinning = boot(station, 1, spinner(), 0b0100)
    stormy = boot(station, 2, storm(1, answers), 0b0110)
    station.run(SECOND // 20)
    shares = Shares(station, spinning)
    station.run(SECOND // 5)
    assert shares.read()[0] > share
    assert (words(stormy, 1)[0] > 100) is answers
    assert stormy.vcpus[1].hsm.name == ("STARTED" if answers else "STOPPED")


def test_a_vcpu_that_starts_on_a_busy_core_runs_at_once(station: Station) -> None:
    boot(station, 1, spinner())
    station.run(SECOND // 10)
    body = Program(BASE).li(S0, RESULTS).csrr(A0, TIME).op("sd", rs1=S0, rs2=A0, imm=0)
    body.label("end").op("wfi").jump("end")
    begin = station.machine.now()
    vm = boot(station, 2, body.code())
    station.until(lambda: words(vm, 1)[0] != 0)
    assert words(vm, 1)[0] - begin < MILLISECOND


def test_an_interrupt_wakes_a_vcpu_beside_one_that_spins(station: Station) -> None:
    """Every event of a device wakes it within a turn of the machine, 0.2 ms."""
    source, claim = 19, 0x0C20_1004
    body = Program(BASE).li(S0, RESULTS).li(T0, 0x0C00_0000 + 4 * source).li(T1, 1).op("sw", rs1=T0, rs2=T1, imm=0)
    body.li(T0, 0x0C00_2080).li(T1, 1 << source).op("sw", rs1=T0, rs2=T1, imm=0).li(T0, 1 << 9).csrw(SIE, T0)
    body.li(S0, RESULTS).li(T0, claim).label("wait").op("wfi").op("lw", rd=T1, rs1=T0, imm=0)
    body.op("sw", rs1=T0, rs2=T1, imm=0).csrr(A0, TIME).op("sd", rs1=S0, rs2=A0, imm=0).jump("wait")
    boot(station, 1, spinner())
    vm = boot(station, 2, body.code())
    station.run(SECOND // 20)
    assert vm.vplic is not None
    for _ in range(20):
        assert vm.vcpus[0].state is VcpuState.SLEEP
        begin, completed = station.machine.now(), vm.vplic.statistics.get(source)
        vm.vplic.plic.pulse(source)
        station.run(500_000)
        assert words(vm, 1)[0] - begin < 3_000
        assert vm.vplic.statistics[source] != completed


def test_wfi_with_an_interrupt_pending_keeps_the_core(station: Station) -> None:
    """WFI is then no reason to wait: between two of its slices, the spinner gets no more than its own."""
    spinning = boot(station, 1, spinner())
    body = Program(BASE).li(T0, 2).csrw(SIE, T0).op("csrrsi", rd=0, rs1=2, imm=0x144).ecall(IPI, 0, 1, 0)
    body.li(S0, RESULTS).label("wait").op("wfi").op("addi", rd=A0, rs1=A0, imm=1).op("sd", rs1=S0, rs2=A0, imm=0)
    vm = boot(station, 2, body.jump("wait").code())
    station.run(SECOND // 10)
    shares = Shares(station, spinning)
    station.run(SECOND // 2)
    assert shares.read()[0] == pytest.approx(0.5, rel=0.1)
    assert words(vm, 1)[0] > 10_000


def test_the_timers_of_a_vm_go_on_when_its_neighbour_is_removed(station: Station) -> None:
    for vm_id in (1, 2):
        boot(station, vm_id, sleeper(3_000))
    boot(station, 3, spinner())
    station.run(SECOND // 10)
    station.manager.remove(1)
    station.run(SECOND // 10)
    station.manager.remove(3)
    left = station.manager.vm(2)
    before = words(left)[0]
    station.run(SECOND // 5)
    woken, worst, _ = words(left)
    assert woken - before == pytest.approx(SECOND / 5 / 30_000, rel=0.05)
    assert worst < LATE


def test_a_core_whose_vcpus_all_wait_sleeps(station: Station) -> None:
    for vm_id in (1, 2):
        boot(station, vm_id, Program(BASE).label("wait").op("wfi").jump("wait").code())
    station.run(SECOND // 10)
    assert core(station).current is None
    assert station.machine.harts[1].waiting
    before = station.machine.instructions
    exits = [station.manager.vm(vm_id).exits.total for vm_id in (1, 2)]
    station.run(SECOND)
    assert station.machine.instructions == before
    assert [station.manager.vm(vm_id).exits.total for vm_id in (1, 2)] == exits


def test_a_single_vcpu_waits_in_the_hart_without_exits(station: Station) -> None:
    vm = boot(station, 1, sleeper(MILLISECOND))
    station.run(SECOND // 10)
    before = vm.exits.total
    station.run(SECOND // 2)
    assert vm.exits.total == before
    assert words(vm)[0] > 500
    assert words(vm)[1] < LATE


def floats(seed: int) -> bytes:
    """Fills all FP registers and fcsr, works on without a rest, and counts rounds in which any of them was lost."""
    body = Program(BASE).li(T0, 3 << 13).op("csrrs", rd=0, rs1=T0, imm=0x100).li(S0, RESULTS).li(T1, 0x1234)
    body.li(T1, seed).op("csrrw", rd=0, rs1=T1, imm=3)
    for index in range(32):
        body.li(T0, seed << 8 | index).op("fmv.d.x", rd=index, rs1=T0)
    body.label("round").csrr(11, 3).branch("bne", 11, T1, "lost")
    for index in range(32):
        body.li(T0, seed << 8 | index).op("fmv.x.d", rd=10, rs1=index).branch("bne", 10, T0, "lost")
    body.op("ld", rd=10, rs1=S0, imm=0).op("addi", rd=10, rs1=10, imm=1).op("sd", rs1=S0, rs2=10, imm=0).jump("round")
    body.label("lost").li(T0, 1).op("sd", rs1=S0, rs2=T0, imm=8).label("end").op("wfi").jump("end")
    return body.code()


def test_fp_registers_and_fcsr_belong_to_each_vcpu(station: Station) -> None:
    """Two VMs that use FP and one that does not, on one core."""
    vms = [boot(station, vm_id, floats(seed)) for vm_id, seed in ((1, 0x15), (2, 0x6A))]
    boot(station, 3, sleeper(2_500))
    station.run(SECOND // 2)
    for vm in vms:
        rounds, lost = struct.unpack("<2Q", vm.memory.read(RESULTS, 16))
        assert (rounds > 1000, lost) == (True, 0)


def test_what_a_modest_vcpu_leaves_is_shared_by_those_that_want_more(station: Station) -> None:
    """One that works 0.2 ms and pauses 0.8 ms, and two that spin."""
    spinning = [boot(station, vm_id, spinner()) for vm_id in (1, 2)]
    modest = boot(station, 3, sleeper(8_000, 2_000))
    station.run(SECOND // 10)
    shares, before = Shares(station, *spinning), words(modest)[0]
    station.run(SECOND // 2)
    assert words(modest)[0] - before == pytest.approx(500, rel=0.05)
    assert words(modest)[1] < LATE
    for share in shares.read():
        assert share == pytest.approx(0.39, rel=0.06)


def test_a_vcpu_that_traps_all_the_time_is_counted_for_its_traps_and_for_what_lies_between(station: Station) -> None:
    """Where the host's time is what vCPUs share: all of the core's is on somebody's account."""
    shared = core(station)
    shared._host_time = lambda hart: station.machine.harts[hart].time
    calls = Program(BASE).li(A7, 0x10).li(A6, 0).label("call").op("ecall").jump("call").code()
    vcpus = [boot(station, 1, spinner()).vcpus[0], boot(station, 2, calls).vcpus[0]]
    station.run(SECOND // 10)
    before, begun = [vcpu.runtime for vcpu in vcpus], station.machine.now()
    station.run(SECOND // 2)
    used = [vcpu.runtime - then for vcpu, then in zip(vcpus, before, strict=True)]
    assert sum(used) == pytest.approx(station.machine.now() - begun, rel=0.05)
    assert used[1] == pytest.approx(used[0], rel=0.1)


def _counting(counted: Counter[str], name: str, do: Callable[[Core], None]) -> Callable[[Core], None]:
    def count(each: Core) -> None:
        counted[name] += 1
        do(each)

    return count


def test_every_trap_whose_time_begins_to_count_is_counted_to_its_end(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the lists of waiting and ready vCPUs change meanwhile."""
    shared = core(station)
    shared._host_time = lambda hart: station.machine.harts[hart].time
    counted: Counter[str] = Counter()
    for name in ("begin_trap", "end_trap"):
        monkeypatch.setattr(Core, name, _counting(counted, name, getattr(Core, name)))
    for vm_id, program in ((1, spinner()), (2, sleeper(MILLISECOND // 10))):
        boot(station, vm_id, program)
    station.run(SECOND // 10)
    assert counted["begin_trap"] == counted["end_trap"] > 50
