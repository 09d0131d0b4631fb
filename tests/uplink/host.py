"""A machine that is nothing but its clock, and a guest's driver for the network card."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from shyper_tui.engine.board.device import ManualTimebase, ManualTimer
from shyper_tui.engine.board.virtio import net
from shyper_tui.engine.uplink.link import Uplink
from tests.board.driver import Driver

PLAIN = bytes(10) + b"\1\0"
"""The header of a frame with nothing left to do."""


class QuietHost(ManualTimebase):
    """Time moves when a test says so; the host's sockets are looked at in `go_on`."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts: list[Any] = []
        self._watched: int | None = None
        self._look: Callable[[], None] = lambda: None

    def call_promptly(self, tick: int, callback: Callable[[], None]) -> ManualTimer:
        return self.call_at(tick, callback)

    def watch(self, descriptor: int, look: Callable[[], None]) -> None:
        self._watched, self._look = descriptor, look

    def ignore(self) -> None:
        self._watched = None

    def payer(self) -> Any:
        return "guest"

    def on_account(self, payer: Any, call: Callable[[], None]) -> None:
        self.accounts.append(payer)
        call()

    def go_on(self) -> None:
        """A millisecond passes, and what happens to the host's sockets is seen to, if it does so soon."""
        self.advance(10_000)
        if self._watched is not None and select.select([self._watched], [], [], 0.02)[0]:
            self._look()


class Guest(Driver):
    """A driver of the card with many large buffers."""

    def __init__(self, uplink: Uplink, *, without: int = 0, buffers: int = 64, size: int = 4096) -> None:
        super().__init__(uplink.net, size=64 << 20)
        self.start(without=without, sizes=[256, 256])
        self._size = size
        self._host = uplink.host
        self.give(buffers)

    def give(self, count: int) -> None:
        for _ in range(count):
            self.queues[net.RECEIVEQ].add(writable=[self._size])
        self.queues[net.RECEIVEQ].notify()

    def send(self, *frames: bytes, header: bytes = PLAIN) -> None:
        """Sends frames with one notification. Time passes when the card rests."""
        queue = self.queues[net.TRANSMITQ]
        while len(queue.free) < 2 * len(frames):
            assert isinstance(self._host, QuietHost)
            self._host.advance(10_000)
            queue.collect()
        for frame in frames:
            queue.add((header, frame))
        queue.notify()
        queue.collect()

    def frames(self) -> list[bytes]:
        """What has come since the last call, without the device's headers; the buffers are given again."""
        return [frame for _, frame in self.frames_with_headers()]

    def frames_with_headers(self) -> list[tuple[bytes, bytes]]:
        found, pieces, left = [], b"", 0
        collected = self.queues[net.RECEIVEQ].collect()
        for length, data in collected:
            if not left:
                left, pieces = int.from_bytes(data[10:12], "little"), b""
            pieces += data[:length]
            left -= 1
            if not left:
                found.append((pieces[:12], pieces[12:]))
        if collected:
            self.give(len(collected))
        return found
