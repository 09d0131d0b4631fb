"""Console device with one port (VIRTIO 1.2, section 5.3)."""

from __future__ import annotations

import struct
from collections.abc import Callable

from shyper_tui.engine.board.virtio.backend import Backend

VIRTIO_CONSOLE_F_SIZE = 1 << 0
RECEIVEQ, TRANSMITQ = 0, 1
_CHUNK = 4096
_MOST = 1 << 20  # bytes taken from one transmit buffer


class Console(Backend):
    """What the guest transmits goes to `on_output`; `receive` brings input, which waits (bounded) for buffers."""

    device_id = 3
    features = VIRTIO_CONSOLE_F_SIZE

    def __init__(
        self,
        on_output: Callable[[bytes], None],
        columns: int = 80,
        rows: int = 25,
        *,
        capacity: int = 1 << 20,
        queue_size: int = 64,
    ) -> None:
        self._on_output = on_output
        self._size = (columns, rows)
        self._capacity = capacity
        self._waiting = bytearray()
        self.queue_sizes = (queue_size, queue_size)

    def config(self) -> bytes:
        return struct.pack("<HHII", *self._size, 1, 0)

    def resize(self, columns: int, rows: int) -> None:
        """Tells the guest a new terminal size (in character cells)."""
        size = (columns & 0xFFFF, rows & 0xFFFF)
        if size != self._size:
            self._size = size
            if self.transport is not None:
                self.transport.config_changed()

    def receive(self, data: bytes) -> int:
        """Input for the guest. Returns how many bytes were taken: less than given when `capacity` is reached."""
        taken = data[: max(0, self._capacity - len(self._waiting))]
        self._waiting += taken
        self.kick(RECEIVEQ)
        return len(taken)

    @property
    def waiting(self) -> int:
        """Bytes of input for which the guest has not given buffers yet."""
        return len(self._waiting)

    def activated(self) -> None:
        self.kick(RECEIVEQ)

    def process(self, index: int) -> None:
        if index == RECEIVEQ:
            self._fill()
        else:
            self._drain()

    def _fill(self) -> None:
        queue = self.queue(RECEIVEQ)
        for _ in range(queue.size):
            if not self._waiting:
                break
            chain = queue.pop()
            if chain is None:
                break
            written = chain.write(0, bytes(self._waiting[:_CHUNK]))
            del self._waiting[:written]
            self.finish(queue, chain, written)

    def _drain(self) -> None:
        queue = self.queue(TRANSMITQ)
        for _ in range(queue.size):
            chain = queue.pop()
            if chain is None:
                break
            size = min(chain.readable_size, _MOST)
            for offset in range(0, size, _CHUNK):
                self._on_output(chain.read(offset, min(_CHUNK, size - offset)))
            self.finish(queue, chain, 0)
