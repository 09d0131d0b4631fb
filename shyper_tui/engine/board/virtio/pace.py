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
    """

    def __init__(self, timebase: Timebase | None, go_on: Callable[[], None]) -> None:
        self._timebase = timebase
        self._go_on = go_on
        self._even_at = 0  # the tick at which all work done so far is paid for
        self._resting = False

    def spend(self, ticks: int) -> None:
        """Some work was done."""
        if self._timebase is not None:
            self._even_at = max(self._even_at, self._timebase.now()) + ticks

    def must_rest(self) -> bool:
        """Whether to stop working until `go_on` is called."""
        timebase = self._timebase
        if timebase is None:
            return False
        if not self._resting and self._even_at - timebase.now() > BURST:
            self._resting = True
            timebase.call_at(self._even_at, self._wake)
        return self._resting

    def _wake(self) -> None:
        self._resting = False
        self._go_on()
