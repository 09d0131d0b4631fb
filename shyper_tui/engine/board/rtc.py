"""Goldfish real-time clock (`google,goldfish-rtc`): nanoseconds since 1970 and one alarm."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.device import TICKS_PER_SECOND, AccessFault, Line, Timebase, Timer

TIME_LOW, TIME_HIGH, ALARM_LOW, ALARM_HIGH, IRQ_ENABLED, CLEAR_ALARM, ALARM_STATUS, CLEAR_INTERRUPT = range(0, 0x20, 4)

_NANOSECONDS_PER_TICK = 1_000_000_000 // TICKS_PER_SECOND
_U32 = 0xFFFF_FFFF


class GoldfishRtc:
    """`clock()` gives nanoseconds since the epoch; the guest may shift it, which lasts until the next power-on.

    Reading TIME_LOW latches TIME_HIGH; writing ALARM_LOW arms the alarm with ALARM_HIGH, writing TIME_LOW sets the
    time with TIME_HIGH.
    """

    def __init__(self, clock: Callable[[], int], timebase: Timebase, line: Line) -> None:
        self._clock = clock
        self._timebase = timebase
        self._line = line
        self._offset = 0
        self._latched = 0  # TIME_HIGH of the last TIME_LOW read, and its value for the next write
        self._alarm = 0
        self._timer: Timer | None = None
        self._irq_enabled = False
        self._interrupt = False

    def reset(self) -> None:
        """No alarm and no interrupt; the time goes on."""
        self._disarm()
        self._alarm = 0
        self._irq_enabled = self._interrupt = False
        self._update()

    def _now(self) -> int:
        return self._clock() + self._offset

    def read(self, offset: int, width: int) -> int:
        if width != 4:
            raise AccessFault(offset, width, "goldfish RTC registers are 32 bits wide")
        if offset == TIME_LOW:
            now = self._now()
            self._latched = now >> 32 & _U32
            return now & _U32
        if offset == TIME_HIGH:
            return self._latched
        if offset == ALARM_LOW:
            return self._alarm & _U32
        if offset == ALARM_HIGH:
            return self._alarm >> 32
        if offset == IRQ_ENABLED:
            return int(self._irq_enabled)
        if offset == ALARM_STATUS:
            return int(self._timer is not None)
        return 0

    def write(self, offset: int, width: int, value: int) -> None:
        if width != 4:
            raise AccessFault(offset, width, "goldfish RTC registers are 32 bits wide")
        if offset == TIME_LOW:
            self._offset += (self._latched << 32 | value) - self._now()
        elif offset == TIME_HIGH:
            self._latched = value
        elif offset == ALARM_LOW:
            self._alarm = self._alarm & ~_U32 | value
            self._arm()
        elif offset == ALARM_HIGH:
            self._alarm = value << 32 | self._alarm & _U32
        elif offset == IRQ_ENABLED:
            self._irq_enabled = bool(value & 1)
            self._update()
        elif offset == CLEAR_ALARM:
            self._disarm()
        elif offset == CLEAR_INTERRUPT:
            self._interrupt = False
            self._update()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._disarm()
        ahead = self._alarm - self._now()
        if ahead <= 0:
            self._ring()
        else:
            tick = self._timebase.now() + -(-ahead // _NANOSECONDS_PER_TICK)
            self._timer = self._timebase.call_at(tick, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._interrupt = True
        self._update()

    def _update(self) -> None:
        self._line(self._interrupt and self._irq_enabled)
