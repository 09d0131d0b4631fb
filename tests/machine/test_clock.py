"""How cycles become ticks."""

from __future__ import annotations

import threading

import pytest

from shyper_tui.engine import clock
from shyper_tui.engine.clock import VIRTUAL_DIVIDER, VirtualClock, WallClock


def test_the_virtual_clock_is_a_constant() -> None:
    virtual = VirtualClock()
    assert virtual.ticks(12_345) == 12_345 // VIRTUAL_DIVIDER
    assert virtual.cycle_of(virtual.ticks(777_000)) == 777_000
    assert not virtual.adjust(1 << 40, 1 << 40)
    assert virtual.sleep_until(5, 99, threading.Event()) == 99


class HostTime:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> HostTime:
    host = HostTime()
    monkeypatch.setattr("shyper_tui.engine.clock.time.monotonic", host.monotonic)
    return host


@pytest.mark.parametrize("mips", [1, 40, 300, 900])
def test_the_wall_clock_follows_the_host_and_never_goes_back(host: HostTime, mips: int) -> None:
    wall = WallClock()
    cycle = previous = 0
    for _ in range(2000):
        host.now += 0.001
        cycle += mips * 1000
        wall.adjust(cycle, cycle)
        ticks = wall.ticks(cycle)
        assert ticks >= previous
        previous = ticks
    assert previous == pytest.approx(2.0 * clock.TICKS_PER_SECOND, rel=0.01)


def test_no_time_goes_backwards_for_a_hart_that_ran_ahead_of_its_turn(host: HostTime) -> None:
    wall = WallClock()
    cycle = 0
    for turn in range(500):
        host.now += 0.002 + turn % 7 * 0.004  # the divider rises and falls
        cycle += 20_000
        overrun = turn * 37 % 4000
        seen = [wall.ticks(cycle + ahead) for ahead in range(0, overrun + 1, 50)]
        wall.adjust(cycle, cycle + overrun)
        now = [wall.ticks(cycle + ahead) for ahead in range(0, overrun + 1, 50)]
        assert all(after >= before for before, after in zip(seen, now, strict=True))


def test_a_pause_does_not_count(host: HostTime) -> None:
    wall = WallClock()
    host.now += 1.0
    wall.adjust(1_000_000, 1_000_000)
    before = wall.ticks(1_000_000)
    host.now += 3600
    wall.restart(1_000_000)
    wall.adjust(1_000_001, 1_000_001)
    host.now += 0.01
    wall.adjust(1_001_000, 1_001_000)
    assert wall.ticks(1_001_000) - before < clock.TICKS_PER_SECOND // 10
