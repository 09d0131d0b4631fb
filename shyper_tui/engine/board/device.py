"""What a device is, and the few things it may use: interrupt lines and time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol

from shyper_tui.engine.board.alarm import NEVER, Alarm
from shyper_tui.engine.hart.bus_port import BusFault

Line = Callable[[bool], None]
"""A level-sensitive interrupt line: True raises it, False lowers it. Repeating a level has no effect."""

TICKS_PER_SECOND = 10_000_000
"""Frequency of `time` and `mtime` on the `virt` board."""


class AccessFault(BusFault):
    """A load or store that nothing answers, or that the device refuses; the hart takes an access fault."""

    def __init__(self, address: int, width: int, reason: str) -> None:
        super().__init__(f"{reason} ({width} byte(s) at {address:#x})")
        self.address = address
        self.width = width
        self.reason = reason


class Device(Protocol):
    """A block of registers. Offsets count from its base; `width` is 1, 2, 4 or 8 bytes; values are unsigned.

    Both methods raise `AccessFault` for an access that the device refuses.
    """

    def read(self, offset: int, width: int) -> int: ...

    def write(self, offset: int, width: int, value: int) -> None: ...


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None: ...


class Timebase(Protocol):
    """The machine's time, in ticks of 100 ns (10 MHz)."""

    @property
    def alarm(self) -> Alarm: ...

    def now(self) -> int: ...

    def call_at(self, tick: int, callback: Callable[[], None]) -> Timer: ...


class ManualTimer:
    """A call planned on a `ManualTimebase`."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    @property
    def pending(self) -> bool:
        return self._callback is not None

    def fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class ManualTimebase:
    """Time that moves only when told to: for tests, and for a machine whose clock follows retired instructions.

    Callbacks of the same tick run in the order of their `call_at`.
    """

    def __init__(self, tick: int = 0) -> None:
        self._now = tick
        self._order = 0
        self._queue: list[tuple[int, int, ManualTimer]] = []
        self.alarm = Alarm()

    def now(self) -> int:
        return self._now

    def call_at(self, tick: int, callback: Callable[[], None]) -> ManualTimer:
        """Calls `callback` as soon as time reaches `tick`; never from inside `call_at`, even if that is past."""
        timer = ManualTimer(callback)
        self._order += 1
        heapq.heappush(self._queue, (tick, self._order, timer))
        return timer

    def next_tick(self) -> int | None:
        """The tick of the earliest call still to come."""
        while self._queue and not self._queue[0][2].pending:
            heapq.heappop(self._queue)
        tick = min(self._queue[0][0] if self._queue else NEVER, self.alarm.tick)
        return tick if tick != NEVER else None

    def advance_to(self, tick: int) -> None:
        """Moves time forward to `tick` and runs what is due on the way, each call at its own tick."""
        while (due := self.next_tick()) is not None and due <= tick:
            self._now = max(self._now, due)
            if due == self.alarm.tick:
                self.alarm.ring(self._now)
            else:
                heapq.heappop(self._queue)[2].fire()
        self._now = max(self._now, tick)

    def advance(self, ticks: int) -> None:
        self.advance_to(self._now + ticks)
