"""The machine's clock: how virtual cycles become ticks of mtime (10 MHz).

ticks = base_tick + (cycle - base_cycle) / divider. The virtual clock never changes this; the wall clock adjusts it
between turns so that guest time follows the host's: it jumps forward when it is behind, and runs slower, never back,
until a lead is paid back.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

TICKS_PER_SECOND = 10_000_000
NEVER = (1 << 64) - 1
VIRTUAL_DIVIDER = 10
"""Cycles per tick of the virtual clock: 100 million instructions a second."""
LONGEST_WAIT = 1.0
"""Seconds of host time after which a machine that waits looks around."""


class Waiting(Protocol):
    """What ends a wait of the machine, such as `Wake` or a `threading.Event`."""

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it has come within `timeout` seconds."""


class Clock(ABC):
    name: str
    follows_host = False
    """Time follows the host's clock, and runs do not repeat."""
    calendar: Callable[[], int] | None = None
    """Nanoseconds since 1970 for the real-time clock; None: the machine's own time, from 1970 on."""

    def __init__(self) -> None:
        self.base_tick = 0
        self.base_cycle = 0
        self.divider = VIRTUAL_DIVIDER
        self.outside: Callable[[], bool] = lambda: False
        """Whether software is talking to something outside of the machine, which takes the host's time to answer."""

    def ticks(self, cycle: int) -> int:
        return self.base_tick + (cycle - self.base_cycle) // self.divider

    def cycle_of(self, tick: int) -> int:
        """The first cycle at which `ticks` is at least `tick`."""
        return self.base_cycle + max(tick - self.base_tick, 0) * self.divider

    @abstractmethod
    def adjust(self, cycle: int, furthest: int) -> bool:
        """Called between turns; True when the mapping has changed. No hart is behind `cycle` or ahead of `furthest`."""

    @abstractmethod
    def look_again(self) -> int:
        """The time of the host's monotonic clock (nanoseconds) from which on `adjust` should be called."""

    @abstractmethod
    def sleep_until(self, cycle: int, target: int, wake: Waiting) -> int:
        """Every hart waits at `cycle`; the cycle to go on at: `target`, or earlier when `wake` is set."""

    @abstractmethod
    def restart(self, cycle: int) -> None:
        """The machine was paused: the time that passed does not count."""


class VirtualClock(Clock):
    """Time follows executed instructions; waiting takes no host time. Every run repeats exactly.

    While something outside of the machine may be about to answer, waiting takes as long on the host as in the machine.

    `divider` cycles are a tick: with fewer the harts are slower, and the same time costs the host less.
    """

    name = "virtual"

    def __init__(self, divider: int = VIRTUAL_DIVIDER) -> None:
        super().__init__()
        self.divider = divider

    def adjust(self, cycle: int, furthest: int) -> bool:
        return False

    def look_again(self) -> int:
        return NEVER

    def sleep_until(self, cycle: int, target: int, wake: Waiting) -> int:
        if not self.outside():
            return target
        rate = self.divider * TICKS_PER_SECOND
        begin = time.monotonic()
        woken = wake.wait(min((target - cycle) / rate, LONGEST_WAIT))
        passed = int((time.monotonic() - begin) * rate)
        return min(target, cycle + passed) if woken else min(target, cycle + max(passed, 1))

    def restart(self, cycle: int) -> None:
        return


class ExecutionRate:
    """How many cycles pass in a second of host time while the machine executes; what it skips while idle is left out.

    It is estimated over windows, whose ends `end_window` marks.
    """

    SPAN = 0.01
    """Seconds of execution that count in the smooth estimate."""
    LONGEST = 0.004
    """Seconds that a single turn can count: the host may have stopped the process meanwhile, and what comes after that
    is as fast as what was before."""

    def __init__(self, now: float) -> None:
        self.smooth = self.last = float(VIRTUAL_DIVIDER * TICKS_PER_SECOND)
        """Cycles a second, of about SPAN and of the last window alone."""
        self._cycles, self._seconds = self.smooth * self.SPAN, self.SPAN
        self._window_cycles, self._window_seconds = 0, 0.0
        self._cycle, self._now = 0, now

    def executed(self, cycle: int, now: float) -> None:
        """The machine has executed until `cycle`, at host time `now`."""
        cycles, seconds = cycle - self._cycle, now - self._now
        self._cycle, self._now = cycle, now
        if cycles > 0:  # else it only waited
            self._window_cycles += cycles
            self._window_seconds += min(seconds, self.LONGEST)

    def skipped(self, cycle: int, now: float) -> None:
        """The machine has come to `cycle`, at host time `now`, without executing."""
        self._cycle, self._now = cycle, now

    def end_window(self) -> None:
        """Takes what was executed since the last call into the estimates."""
        if not self._window_seconds:
            return
        kept = self.SPAN / (self.SPAN + self._window_seconds)
        self._cycles = self._cycles * kept + self._window_cycles
        self._seconds = self._seconds * kept + self._window_seconds
        self.smooth, self.last = self._cycles / self._seconds, self._window_cycles / self._window_seconds
        self._window_cycles, self._window_seconds = 0, 0.0


class WallClock(Clock):
    """Time follows the host's monotonic clock, `host` (seconds).

    The divider of a window (the time between two adjustments) is chosen so that guest time will be even with the
    host's at its end, if the machine goes on as fast as it did.
    """

    name = "wall"
    follows_host = True
    calendar = staticmethod(time.time_ns)
    INTERVAL = 0.002
    """Seconds of a window, …"""
    TOLERANCE = 0.000_25
    """… which ends earlier when guest time is behind by more than this, or leads by so much more than at its begin."""
    SLOWEST = 0.5
    """Guest seconds per host second while a big lead is paid back: time does not stand still for it."""

    def __init__(self, host: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._host = host
        self._origin = self._adjusted = host()
        self._lead = 0.0  # seconds, when the window began
        self._rate = ExecutionRate(self._origin)

    def _wall(self, now: float) -> int:
        return int((now - self._origin) * TICKS_PER_SECOND)

    def adjust(self, cycle: int, furthest: int) -> bool:
        now = self._host()
        self._rate.executed(cycle, now)
        wall = self._wall(now)
        lead = (self.ticks(cycle) - wall) / TICKS_PER_SECOND
        if now - self._adjusted < self.INTERVAL and -self.TOLERANCE < lead < self._lead + self.TOLERANCE:
            return False
        self._rate.end_window()
        self._move(cycle, furthest, self._divider(lead), wall)
        self._adjusted, self._lead = now, (self.base_tick - wall) / TICKS_PER_SECOND
        return True

    def look_again(self) -> int:
        return time.monotonic_ns() + int(self.INTERVAL / 2 * 1e9)

    def _divider(self, lead: float) -> int:
        """Cycles per tick for the next window, which begins `lead` seconds before the host's time or even with it."""
        rate, speed = self._rate.smooth, 1.0
        if lead > 0:  # the machine may have become faster
            rate, speed = max(rate, self._rate.last), max(1 - lead / self.INTERVAL, self.SLOWEST)
        # rounded up: what is behind is put right at once, a lead only slowly
        divider = math.ceil(rate / TICKS_PER_SECOND / speed)
        return max(min(divider, self.divider * 4), self.divider // 2, 1)

    def _move(self, cycle: int, furthest: int, divider: int, wall: int) -> None:
        # no hart's time may go backwards: not at `cycle`, where a part of a tick is lost, and not for a hart that ran
        # ahead of its turn and has read a later time already
        seen = self.ticks(furthest) + 1 - (furthest - cycle) // divider
        self.base_tick = max(self.ticks(cycle) + 1, seen, wall)
        self.base_cycle = cycle
        self.divider = divider

    def sleep_until(self, cycle: int, target: int, wake: Waiting) -> int:
        now = self._host()
        self._rate.executed(cycle, now)
        wall = self._wall(now)
        tick = self.ticks(target) if target < 1 << 62 else wall + TICKS_PER_SECOND
        delay = (tick - wall) / TICKS_PER_SECOND
        if delay > 0:
            wake.wait(min(delay, 1.0))
            now = self._host()
        reached = min(max(self._wall(now), self.base_tick), tick)
        reached_cycle = max(cycle, min(self.cycle_of(reached), target))
        self._rate.skipped(reached_cycle, now)
        return reached_cycle

    def restart(self, cycle: int) -> None:
        now = self._host()
        self._origin = now - self.ticks(cycle) / TICKS_PER_SECOND
        self._rate.skipped(cycle, now)
