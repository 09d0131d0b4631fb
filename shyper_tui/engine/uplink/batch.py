"""When the card looks at what its driver has sent: at once, or a little later, for several frames together.

A notification takes the host as long as some thousand instructions of the guest. While a guest sends a stream, its
driver may as well go on; what TCP cannot send meanwhile becomes fewer and larger packets.
"""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.device import Timer
from shyper_tui.engine.uplink.host import Host

WAIT_TICKS = 5000
"""How long frames of a stream wait at most: 200 µs."""
STREAM_TICKS = 10_000
"""So long after its last frame a stream goes on."""


class Batch:
    """`send` has the card send what there is."""

    def __init__(self, host: Host, send: Callable[[], None]) -> None:
        self._host, self._send = host, send
        self._timer: Timer | None = None
        self._sending = False
        self._stream = False
        self._ended = 0

    def waits(self) -> bool:
        """The driver has sent something; True when the card looks at it later."""
        if self._sending:
            return False
        if self._timer is None:
            now = self._host.now()
            if not self._stream or now > self._ended + STREAM_TICKS:
                self._stream = True
                return False
            self._timer = self._host.call_promptly(now + WAIT_TICKS, self._go)
        return True

    def add(self, *, stream: bool) -> None:
        """A frame was sent, as a part of a stream or for another reason."""
        self._stream = self._stream and stream

    def end(self) -> None:
        """All that there was has been sent."""
        self._ended = self._host.now()

    def hurry(self) -> bool:
        """Nobody sends anything just now. True when the card has waited."""
        if self._timer is None:
            return False
        self._timer.cancel()
        self._go()
        return True

    def _go(self) -> None:
        self._timer = None
        self._sending = True
        self._stream = True
        self._send()
        self._sending = False
