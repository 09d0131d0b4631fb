"""One console stream on its way to one client.

Nothing is queued: the pump reads the stream's own bounded ring when the client can take more. A client that is too slow
therefore costs no memory; it finds a gap in the offsets and builds its screen anew from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shyper_tui.ipc.frames import Frame
from shyper_tui.ipc.service import ConsoleSource

COALESCE_SECONDS = 0.016
"""Output is collected for this long, about one screen refresh, …"""
CHUNK = 64 * 1024
"""… or until this many bytes wait."""


class ConsolePump:
    """Sends a console's bytes as `console` events, never more ahead than the client's credit (bytes)."""

    def __init__(
        self, number: int, vm: int, source: ConsoleSource, offset: int, credit: int,
        send: Callable[[Frame], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._number, self._vm, self._source = number, vm, source
        self._offset, self._credit, self._send = max(0, offset), credit, send
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._notified = False

    def acknowledge(self, count: int) -> None:
        """The client has consumed `count` bytes more."""
        self._credit += max(0, count)
        self._wake.set()

    async def run(self) -> None:
        """Sends until the stream is closed or the task is cancelled."""
        stop_listening = self._source.listen(self._written)
        try:
            while True:
                self._notified = False  # before looking: a write after this wakes the pump again
                self._wake.clear()
                if self._credit > 0 and self._source.end > self._offset:
                    await self._send_some()
                elif self._source.closed and self._source.end <= self._offset:
                    await self._send({"k": "ev", "m": "console.end", "a": {"stream": self._number}})
                    return
                else:
                    await self._wake.wait()
        finally:
            stop_listening()

    async def _send_some(self) -> None:
        offset, data = self._source.read(self._offset, min(CHUNK, self._credit))
        if data:
            arguments = {"stream": self._number, "vm": self._vm, "offset": offset, "data": data}
            await self._send({"k": "ev", "m": "console", "a": arguments})
        self._offset = offset + len(data)
        self._credit -= len(data)
        if self._source.end - self._offset < CHUNK:
            await asyncio.sleep(COALESCE_SECONDS)  # the first byte went at once; collect what follows it

    def _written(self) -> None:
        """Called in the writer's thread: wakes the loop once, however many writes come before the pump looks again."""
        if not self._notified:
            self._notified = True
            try:
                self._loop.call_soon_threadsafe(self._wake.set)
            except RuntimeError:
                return  # the loop is closed: the worker is ending
