"""Bounds how much work of the host one driver can ask for: a leaky bucket of machine time."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.device import Timebase
from shyper_tui.engine.hart.direct import pace_layout as at
from shyper_tui.engine.hart.host_memory import Flag, Word

BURST, DESCRIPTOR_TICKS = at.BURST, at.DESCRIPTOR_TICKS


class Pace:
    """A device serves one driver no faster than the machine's time goes by.

    Work has a price in ticks, about what it costs the host. A device may be `BURST` ticks of work ahead; then it rests,
    and `go_on` is called when it is even again. Without a timebase it never rests.

    `ahead`: the device may have to rest. While it is False, nobody need call `must_rest`. `words` are where this is
    kept (`pace_layout`), if native code does some of the work.
    """

    ahead, _resting = Flag(at.AHEAD), Flag(at.RESTING)
    _even_at = Word(at.EVEN_AT)

    def __init__(
        self, timebase: Timebase | None, go_on: Callable[[], None], words: memoryview[int] | None = None
    ) -> None:
        self.words = words if words is not None else memoryview(bytearray(at.SIZE)).cast("Q")
        self._timebase = timebase
        self._go_on = go_on
        self._seen = 0  # a tick that has been

    def spend(self, ticks: int) -> None:
        """Some work was done."""
        if self._timebase is not None:
            words = self.words
            self._seen = now = self._timebase.now()
            even_at = words[_EVEN_AT]
            words[_EVEN_AT] = even_at = (even_at if even_at > now else now) + ticks
            words[_AHEAD] = words[_RESTING] or even_at - now > BURST

    def spend_more(self, ticks: int) -> None:
        """More work was done, at the same tick as what was spent last."""
        if self._timebase is not None:
            words = self.words
            words[_EVEN_AT] = even_at = words[_EVEN_AT] + ticks
            words[_AHEAD] = words[_RESTING] or even_at - self._seen > BURST

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


_EVEN_AT, _AHEAD, _RESTING = at.EVEN_AT // 8, at.AHEAD // 8, at.RESTING // 8
"""Indices of words."""
