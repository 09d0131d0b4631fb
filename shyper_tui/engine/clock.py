"""The machine's clock: how virtual cycles become ticks of mtime (10 MHz).

ticks = base_tick + (cycle - base_cycle) / divider. The virtual clock never changes this; the wall clock adjusts it
between turns so that guest time follows the host's, forward only.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

TICKS_PER_SECOND = 10_000_000
VIRTUAL_DIVIDER = 10
"""Cycles per tick of the virtual clock: 100 million instructions a second."""


class Clock(ABC):
    name: str
    calendar: Callable[[], int] | None = None
    """Nanoseconds since 1970 for the real-time clock; None: the machine's own time, from 1970 on."""

    def __init__(self) -> None:
        self.base_tick = 0
        self.base_cycle = 0
        self.divider = VIRTUAL_DIVIDER

    def ticks(self, cycle: int) -> int:
        return self.base_tick + (cycle - self.base_cycle) // self.divider

    def cycle_of(self, tick: int) -> int:
        """The first cycle at which `ticks` is at least `tick`."""
        return self.base_cycle + max(tick - self.base_tick, 0) * self.divider

    @abstractmethod
    def adjust(self, cycle: int, furthest: int) -> bool:
        """Called between turns; True when the mapping has changed. No hart is behind `cycle` or ahead of `furthest`."""

    @abstractmethod
    def sleep_until(self, cycle: int, target: int, wake: threading.Event) -> int:
        """Every hart waits at `cycle`; the cycle to go on at: `target`, or earlier when `wake` is set."""

    @abstractmethod
    def restart(self, cycle: int) -> None:
        """The machine was paused: the time that passed does not count."""


class VirtualClock(Clock):
    """Time follows executed instructions; waiting takes no host time. Every run repeats exactly.

    `divider` cycles are a tick: with fewer the harts are slower, and the same time costs the host less.
    """

    name = "virtual"

    def __init__(self, divider: int = VIRTUAL_DIVIDER) -> None:
        super().__init__()
        self.divider = divider

    def adjust(self, cycle: int, furthest: int) -> bool:
        return False

    def sleep_until(self, cycle: int, target: int, wake: threading.Event) -> int:
        return target

    def restart(self, cycle: int) -> None:
        return


class WallClock(Clock):
    """Time follows the host's monotonic clock."""

    name = "wall"
    calendar = staticmethod(time.time_ns)
    INTERVAL = 0.002
    """Seconds between adjustments."""

    def __init__(self) -> None:
        super().__init__()
        self._origin = time.monotonic()
        self._last = self._origin
        self._last_cycle = 0

    def _wall(self) -> int:
        return int((time.monotonic() - self._origin) * TICKS_PER_SECOND)

    def adjust(self, cycle: int, furthest: int) -> bool:
        now = time.monotonic()
        passed = now - self._last
        if passed < self.INTERVAL:
            return False
        # slightly slower than measured, so that guest time is mostly behind and is moved forward, never held back
        rate = (cycle - self._last_cycle) / (passed * TICKS_PER_SECOND)
        self._move(cycle, furthest, max(self.divider // 2, min(round(rate * 1.1), self.divider * 2), 1))
        self._last, self._last_cycle = now, cycle
        return True

    def _move(self, cycle: int, furthest: int, divider: int) -> None:
        # a hart that ran ahead of its turn has read a later time already: no hart's time may go backwards
        seen = self.ticks(furthest) + 1 - (furthest - cycle) // divider
        self.base_tick = max(self.ticks(cycle), seen, self._wall())
        self.base_cycle = cycle
        self.divider = divider

    def sleep_until(self, cycle: int, target: int, wake: threading.Event) -> int:
        tick = self.ticks(target) if target < 1 << 62 else self._wall() + TICKS_PER_SECOND
        delay = (tick - self._wall()) / TICKS_PER_SECOND
        if delay > 0:
            wake.wait(min(delay, 1.0))
        self._last, self._last_cycle = time.monotonic(), cycle
        reached = min(max(self._wall(), self.base_tick), tick)
        return max(cycle, min(self.cycle_of(reached), target))

    def restart(self, cycle: int) -> None:
        self._origin = time.monotonic() - self.ticks(cycle) / TICKS_PER_SECOND
        self._last, self._last_cycle = time.monotonic(), cycle
