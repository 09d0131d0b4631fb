"""Bounds how much work of the host one driver can ask for: a leaky bucket of machine time."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.device import TICKS_PER_SECOND, Timebase

BURST = 3 * TICKS_PER_SECOND // 1000
"""Ticks of work that may be done ahead of time: 3 ms."""
DESCRIPTOR_TICKS = 5
"""Price of each descriptor of a chain: a driver may make chains of hundreds that carry nothing."""


class Pace:
    """A device serves one driver no faster than the machine's time goes by.

    Work has a price in ticks, about what it costs the host. A device may be `BURST` ticks of work ahead; then it rests,
    and `go_on` is called when it is even again. Without a timebase it never rests.

    `ahead`: the device may have to rest. While it is False, nobody need call `must_rest`.
    """

    def __init__(self, timebase: Timebase | None, go_on: Callable[[], None]) -> None:
        self._timebase = timebase
        self._go_on = go_on
        self._even_at = 0  # the tick at which all work done so far is paid for
        self._seen = 0  # a tick that has been
        self._resting = False
        self.ahead = False

    def spend(self, ticks: int) -> None:
        """Some work was done."""
        if self._timebase is not None:
            self._seen = now = self._timebase.now()
            self._even_at = even_at = (self._even_at if self._even_at > now else now) + ticks
            self.ahead = self._resting or even_at - now > BURST

    def spend_more(self, ticks: int) -> None:
        """More work was done, at the same tick as what was spent last."""
        if self._timebase is not None:
            self._even_at = even_at = self._even_at + ticks
            self.ahead = self._resting or even_at - self._seen > BURST

    def must_rest(self) -> bool:
        """Whether to stop working until `go_on` is called."""
        timebase = self._timebase
        if timebase is None or not self.ahead:
            return False
        if not self._resting:
            self._seen = now = timebase.now()
            self.ahead = self._resting = self._even_at - now > BURST
            if self._resting:
                timebase.call_at(self._even_at, self._wake)
        return self._resting

    def _wake(self) -> None:
        self._resting = False
        self._go_on()
