"""How cycles become ticks."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shyper_tui.engine.clock import TICKS_PER_SECOND, VIRTUAL_DIVIDER, VirtualClock, WallClock

NO_TARGET = (1 << 64) - 1


def test_the_virtual_clock_is_a_constant() -> None:
    virtual = VirtualClock()
    assert virtual.ticks(12_345) == 12_345 // VIRTUAL_DIVIDER
    assert virtual.cycle_of(virtual.ticks(777_000)) == 777_000
    assert not virtual.adjust(1 << 40, 1 << 40)
    assert virtual.sleep_until(5, 99, threading.Event()) == 99


def test_the_virtual_clock_waits_with_the_host_while_something_outside_may_answer() -> None:
    virtual, outside, wake = VirtualClock(), True, threading.Event()
    virtual.outside = lambda: outside
    rate = VIRTUAL_DIVIDER * TICKS_PER_SECOND
    cycle, target, begun = 0, rate // 200, time.monotonic()
    while cycle < target:
        before, cycle = cycle, virtual.sleep_until(cycle, target, wake)
        assert before < cycle <= target
    assert time.monotonic() - begun >= 0.005
    wake.set()
    assert virtual.sleep_until(0, 60 * rate, wake) < 30 * rate, "the answer has come"
    outside = False
    assert virtual.sleep_until(0, 60 * rate, wake) == 60 * rate


class Alarm(threading.Event):
    """Waiting lets the host's time pass: as long as asked for and `oversleep` more, or until something wakes after
    `wakes_after` seconds."""

    def __init__(self, simulation: Simulation, oversleep: float, wakes_after: float) -> None:
        super().__init__()
        self.simulation, self.oversleep, self.wakes_after = simulation, oversleep, wakes_after
        self.woke = False

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert timeout > 0
        self.woke = self.wakes_after < timeout
        self.simulation.host += self.wakes_after if self.woke else timeout + self.oversleep
        return self.woke


class Simulation:
    """A machine of three harts with a wall clock, as `Machine` uses it, on a host whose time is told."""

    def __init__(self) -> None:
        self.host = 1000.0
        self.wall = WallClock(lambda: self.host)
        self.cycle = 0
        self.harts = [0, 0, 0]
        """How far the harts have come; some are ahead of the machine."""
        self.seen = [0, 0, 0]
        """The last time that each has read."""
        self.worst_lead = self.worst_lag = 0.0
        self.slowest = 1.0

    @property
    def guest(self) -> float:
        """Seconds of guest time."""
        return self.wall.ticks(self.cycle) / TICKS_PER_SECOND

    @property
    def error(self) -> float:
        """Seconds that guest time is ahead of the host's."""
        return self.guest - (self.host - 1000.0)

    def read(self) -> None:
        """Every hart reads the time."""
        now = [self.wall.ticks(cycle) for cycle in self.harts]
        assert all(new >= old for new, old in zip(now, self.seen, strict=True)), "time went backwards"
        self.seen = now

    def turn(self, cycles: int, mips: float, ahead: tuple[int, int] = (0, 0), stall: float = 0.0) -> None:
        """A round of turns at `mips` million cycles a second; two of the harts go `ahead` further, as a turn does
        whose end came earlier than told. The host takes the processor away for `stall` seconds."""
        started, host = self.guest, self.host
        self.read()
        self.cycle += cycles
        self.harts = [max(self.cycle + more, hart) for more, hart in zip((0, *ahead), self.harts, strict=True)]
        self.read()
        self.host += cycles / (mips * 1e6) + stall
        self.slowest = min(self.slowest, (self.guest - started) / (self.host - host))
        self.worst_lead, self.worst_lag = max(self.worst_lead, self.error), max(self.worst_lag, -self.error)
        self.wall.adjust(self.cycle, max(self.harts))
        self.read()

    def run(self, seconds: float, mips: float, cycles: int = 20_000) -> None:
        """Turns for that much host time."""
        end = self.host + seconds
        while self.host < end:
            self.turn(cycles, mips)

    def idle(self, seconds: float, oversleep: float = 0.0, wakes_after: float = 1e9) -> None:
        """All harts wait for a timer in so many seconds of guest time."""
        target = self.wall.cycle_of(self.wall.ticks(self.cycle) + round(seconds * TICKS_PER_SECOND))
        while self.cycle < target:
            alarm = Alarm(self, oversleep, wakes_after)
            reached = self.wall.sleep_until(self.cycle, target, alarm)
            assert self.cycle <= reached <= target
            self.cycle = reached
            self.harts = [max(self.cycle, hart) for hart in self.harts]
            self.read()
            if alarm.woke:
                return

    def begin_to_measure(self) -> None:
        self.worst_lead = self.worst_lag = 0.0
        self.slowest = 1.0


@pytest.mark.parametrize("mips", [1, 40, 300, 900])
def test_the_wall_clock_follows_the_host(mips: int) -> None:
    machine = Simulation()
    machine.run(2.0, mips, cycles=mips * 1000)  # turns of a millisecond
    assert machine.guest == pytest.approx(2.0, abs=0.003)


@pytest.mark.parametrize("mips", [40, 300, 900])
def test_a_steady_machine_is_followed_closely(mips: int) -> None:
    machine = Simulation()
    machine.run(0.1, mips)
    machine.begin_to_measure()
    machine.run(1.0, mips)
    assert machine.worst_lead < 0.000_2
    assert machine.worst_lag < 0.000_6 + 20_000 / mips / 1e6


@pytest.mark.parametrize("period", [0.000_3, 0.001, 0.002, 0.005, 0.02])
@pytest.mark.parametrize("ratio", [1.3, 3, 10])
def test_a_fluctuating_rate_adds_no_time(period: float, ratio: float) -> None:
    """What a window gains because it is faster than the one before it is paid back, so nothing adds up."""
    machine = Simulation()
    for _ in range(int(1.0 / (2 * period))):
        machine.run(period, 100)
        machine.run(period, 100 * ratio)
    assert machine.guest == pytest.approx(machine.host - 1000.0, rel=0.003)
    assert machine.worst_lead < 0.002
    assert machine.worst_lag < 0.002


def test_a_lead_is_paid_back_while_time_goes_on() -> None:
    machine = Simulation()
    machine.run(0.1, 100)
    machine.turn(200_000, 1500)  # a long turn, suddenly fast
    lead = machine.error
    assert lead > 0.001
    machine.begin_to_measure()
    machine.run(0.01, 1500)
    assert machine.error < 0.000_2
    assert 0.3 < machine.slowest < 0.8


def test_idle_time_is_no_execution() -> None:
    """Short bursts between waits: guest time is the host's, and the divider is that of the bursts."""
    machine = Simulation()
    machine.run(0.05, 400)
    machine.begin_to_measure()
    for burst in range(400):
        machine.run(0.000_1 + burst % 7 * 0.000_1, 400)
        machine.idle(0.001 + burst % 5 * 0.003, oversleep=0.000_06)
        assert 30 <= machine.wall.divider <= 90
    assert machine.error == pytest.approx(0, abs=0.000_5)
    assert machine.worst_lead < 0.000_3


def test_a_sleep_pays_a_lead_back() -> None:
    machine = Simulation()
    machine.run(0.1, 100)
    machine.turn(200_000, 1500)
    assert machine.error > 0.001
    machine.idle(0.01)
    assert machine.error == pytest.approx(0, abs=1e-6)


def test_who_is_woken_early_reads_the_hosts_time() -> None:
    machine = Simulation()
    machine.run(0.05, 200)
    machine.idle(5.0, wakes_after=0.3)
    assert machine.error == pytest.approx(0, abs=0.000_3)


def test_without_a_timer_a_sleep_ends_after_a_second() -> None:
    machine = Simulation()
    machine.run(0.05, 200)
    reached = machine.wall.sleep_until(machine.cycle, NO_TARGET, Alarm(machine, 0.0, 1e9))
    assert machine.wall.ticks(reached) == pytest.approx(1.05 * TICKS_PER_SECOND, rel=0.001)


def test_a_wait_that_the_clock_is_not_told_of_is_no_execution() -> None:
    machine = Simulation()
    machine.run(0.05, 200)
    machine.host += 30
    machine.wall.adjust(machine.cycle, machine.cycle)
    assert machine.error == pytest.approx(0, abs=0.000_1)
    machine.begin_to_measure()
    machine.run(0.1, 200)
    assert machine.worst_lead < 0.000_3


@pytest.mark.parametrize("stall", [0.005, 0.1, 20])
def test_after_a_stall_of_the_host_time_does_not_run_away(stall: float) -> None:
    machine = Simulation()
    machine.run(0.05, 200)
    machine.turn(20_000, 200, stall=stall)
    assert machine.error == pytest.approx(0, abs=0.000_1)
    machine.begin_to_measure()
    machine.run(0.1, 200, cycles=200_000)
    assert machine.worst_lead < 0.001


def test_a_pause_does_not_count() -> None:
    machine = Simulation()
    machine.run(0.05, 200)
    before = machine.guest
    machine.host += 3600
    machine.wall.restart(machine.cycle)
    machine.run(0.01, 200)
    assert machine.guest - before == pytest.approx(0.01, abs=0.001)


def test_no_time_goes_backwards_for_a_hart_that_ran_ahead_of_its_turn() -> None:
    machine = Simulation()
    for turn in range(2000):
        machine.turn(20_000, 20 + turn % 7 * 80, ahead=(turn * 37 % 60_000, turn * 4391 % 1000))
    assert machine.guest == pytest.approx(machine.host - 1000.0, rel=0.01)


@given(
    st.lists(
        st.tuples(st.integers(0, 50_000), st.integers(0, 20_000), st.integers(0, 20_000), st.floats(1e-6, 0.01)),
        max_size=60,
    )
)
def test_no_hart_ever_sees_time_go_back(turns: list[tuple[int, int, int, float]]) -> None:
    """Harts anywhere between the machine's cycle and the furthest, at any change of the divider."""
    machine = Simulation()
    for cycles, first, second, seconds in turns:
        machine.turn(cycles + 1, (cycles + 1) / seconds / 1e6, ahead=(first, second))


PHASES = st.one_of(
    st.tuples(st.just("run"), st.floats(0.000_1, 0.03), st.floats(50, 1000)),
    st.tuples(st.just("idle"), st.floats(0.000_01, 0.02), st.floats(0, 0.000_2)),
    st.tuples(st.just("woken"), st.floats(0.000_01, 0.02), st.floats(0, 0.01)),
    st.tuples(st.just("stall"), st.floats(0, 0.05), st.floats(50, 1000)),
)


@given(st.lists(PHASES, max_size=40))
def test_whatever_the_machine_does_guest_time_stays_at_the_hosts(phases: list[tuple[str, float, float]]) -> None:
    machine = Simulation()
    for kind, seconds, value in phases:
        if kind == "run":
            machine.run(seconds, value)
        elif kind == "stall":
            machine.turn(20_000, value, stall=seconds)
        else:
            machine.idle(seconds, *((value,) if kind == "idle" else (0.0, value)))
        assert abs(machine.error) < 0.002
    assert machine.worst_lead < 0.002
