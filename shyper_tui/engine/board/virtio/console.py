"""Console device with one port (VIRTIO 1.2, section 5.3)."""

from __future__ import annotations

import struct
from collections.abc import Callable

from shyper_tui.engine.board.device import Timebase
from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.board.virtio.pace import DESCRIPTOR_TICKS, Pace
from shyper_tui.engine.board.virtio.queue import Chain, VirtQueue

VIRTIO_CONSOLE_F_SIZE = 1 << 0
VIRTIO_CONSOLE_F_EMERG_WRITE = 1 << 2
RECEIVEQ, TRANSMITQ = 0, 1
_EMERG_WR = 8  # offset of emerg_wr in the configuration space
_CHUNK = 4096
_MOST = 1 << 20  # bytes taken from one transmit buffer
_CHUNK_TICKS, _BYTES_PER_TICK = 100, 16  # what the host's work costs: for each piece of output, and for its bytes


class Output:
    """A transmit buffer on its way out: `offset` bytes of it are read, of which `held` found no room further on."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.size = min(chain.readable_size, _MOST)
        self.offset = 0
        self.held = b""


class Console(Backend):
    """What the guest transmits goes to `on_output`; `receive` brings input, which waits (bounded) for buffers.

    * `forward`, too, gets what the guest transmits, and says how many bytes it took. What it did not take is held, and
      the buffer with it, until `resume_output`: so the guest waits for a slow reader. `on_output` is never held up.
    * `on_room` is called when the guest's driver begins, and whenever it has taken input.
    * `timebase` bounds how fast the guest can make the host work (`Pace`).

    `received_` counters are bytes that reached the guest, `sent_` those it transmitted.
    """

    device_id = 3
    features = VIRTIO_CONSOLE_F_SIZE | VIRTIO_CONSOLE_F_EMERG_WRITE

    def __init__(
        self,
        on_output: Callable[[bytes], None],
        columns: int = 80,
        rows: int = 25,
        *,
        capacity: int = 1 << 20,
        queue_size: int = 64,
        forward: Callable[[bytes], int] = len,
        timebase: Timebase | None = None,
    ) -> None:
        self._on_output = on_output
        self._forward = forward
        self._size = (columns, rows)
        self.capacity = capacity
        self.queue_sizes = (queue_size, queue_size)
        self.on_room: Callable[[], None] = lambda: None
        self.received_bytes = self.received_dropped = 0
        self.sent_bytes = self.sent_dropped = 0
        self._pace = Pace(timebase, self.resume_output)
        self._input_pace = Pace(timebase, lambda: self.kick(RECEIVEQ))
        self._waiting = bytearray()
        self._output: Output | None = None
        self._draining = False

    def config(self) -> bytes:
        return struct.pack("<HHII", *self._size, 1, 0)

    def config_write(self, offset: int, data: bytes) -> None:
        """emerg_wr: a character for the terminal, in whatever state the device is."""
        if offset == _EMERG_WR:
            self._on_output(data[:1])
            self.sent_bytes += 1
            self.sent_dropped += 1 - self._forward(data[:1])

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, in character cells."""
        return self._size

    def resize(self, columns: int, rows: int) -> None:
        """Tells the guest a new terminal size, in character cells (1 to 65535)."""
        size = (min(max(columns, 1), 0xFFFF), min(max(rows, 1), 0xFFFF))
        if size != self._size:
            self._size = size
            if self.transport is not None:
                self.transport.config_changed()

    # Input

    @property
    def ready(self) -> bool:
        """Whether a driver of the guest uses the device."""
        return self.transport is not None and self.transport.active

    @property
    def waiting(self) -> int:
        """Bytes of input for which the guest has not given buffers yet."""
        return len(self._waiting)

    @property
    def room(self) -> int:
        """Bytes of input that may still come."""
        return self.capacity - len(self._waiting)

    def receive(self, data: bytes) -> int:
        """Input for the guest. Returns how many bytes were taken: less than given when `capacity` is reached."""
        taken = data[: max(0, self.room)]
        self._waiting += taken
        self.kick(RECEIVEQ)
        return len(taken)

    def push(self, data: bytes) -> None:
        """Input for a guest that does not read: the oldest bytes make room, and are counted as dropped."""
        self._waiting += data
        excess = max(0, -self.room)
        self.received_dropped += excess
        del self._waiting[:excess]
        self.kick(RECEIVEQ)

    # Output

    @property
    def holding(self) -> bool:
        """Whether a transmit buffer waits because `forward` did not take all of it."""
        return self._output is not None and bool(self._output.held)

    def resume_output(self) -> None:
        """There is room again for what the guest transmits."""
        self.kick(TRANSMITQ)

    # The driver's side

    def activated(self) -> None:
        self.kick(RECEIVEQ)
        self.on_room()

    def reset(self) -> None:
        self._output = None

    def process(self, index: int) -> None:
        if index == RECEIVEQ:
            self._fill()
        elif not self._draining:  # else the reader of this very output made room while it was handed over
            self._draining = True
            try:
                self._drain()
            finally:
                self._draining = False

    def _fill(self) -> None:
        queue = self.queue(RECEIVEQ)
        before = self.received_bytes
        for _ in range(queue.size):
            if not self._waiting or self._input_pace.must_rest():
                break
            chain = queue.pop()
            if chain is None:
                break
            self._input_pace.spend(DESCRIPTOR_TICKS * chain.descriptors)
            written = chain.write(0, bytes(self._waiting[:_CHUNK]))
            del self._waiting[:written]
            self.received_bytes += written
            self.finish(queue, chain, written)
        if self.received_bytes != before:
            self.on_room()

    def _drain(self) -> None:
        queue = self.queue(TRANSMITQ)
        for _ in range(queue.size):
            output = self._next(queue)
            if output is None or not self._transmit(output):
                break
            self._output = None
            self.finish(queue, output.chain, 0)

    def _next(self, queue: VirtQueue) -> Output | None:
        """The buffer that is being sent, or the next one as soon as it may be taken."""
        if self._output is not None and self._output.chain.stale:
            self._output = None
        if self._output is None and not self._pace.must_rest():
            chain = queue.pop()
            if chain is not None:
                self._output = Output(chain)
                self._pace.spend(DESCRIPTOR_TICKS * chain.descriptors)
                self.sent_dropped += chain.readable_size - self._output.size
        return self._output

    def _transmit(self, output: Output) -> bool:
        """Sends what can be sent of a buffer; False if it has to wait."""
        while True:
            if output.held:
                output.held = output.held[self._forward(output.held) :]
                if output.held:
                    return False
            if output.offset >= output.size:
                return True
            if self._pace.must_rest():
                return False
            data = output.chain.read(output.offset, min(_CHUNK, output.size - output.offset))
            output.offset += len(data)
            output.held = data
            self.sent_bytes += len(data)
            self._on_output(data)
            self._pace.spend(_CHUNK_TICKS + len(data) // _BYTES_PER_TICK)
