"""Block device (VIRTIO 1.2, section 5.2)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Protocol

from shyper_tui.engine.board.device import Timebase
from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.board.virtio.pace import DESCRIPTOR_TICKS, Pace
from shyper_tui.engine.board.virtio.queue import Chain, QueueError, VirtQueue, cut

SECTOR = 512

VIRTIO_BLK_F_SIZE_MAX = 1 << 1
VIRTIO_BLK_F_SEG_MAX = 1 << 2
VIRTIO_BLK_F_RO = 1 << 5
VIRTIO_BLK_F_BLK_SIZE = 1 << 6
VIRTIO_BLK_F_FLUSH = 1 << 9
VIRTIO_BLK_F_DISCARD = 1 << 13
VIRTIO_BLK_F_WRITE_ZEROES = 1 << 14
BASIC = VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH
"""What every server of requests can do."""
ALL = BASIC | VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES

SIZE_MAX = 512 * 1024
SEG_MAX = 254
MAX_SECTORS_AT_ONCE = 1 << 16  # of one discard or write-zeroes segment: 32 MiB
_MAX_DATA = SIZE_MAX * SEG_MAX  # of one request

_REQUEST_TICKS = 100  # what taking a request costs the host, besides its descriptors

_HEADER = struct.Struct("<IIQ")


class RequestType(IntEnum):
    IN = 0
    OUT = 1
    FLUSH = 4
    GET_ID = 8
    DISCARD = 11
    WRITE_ZEROES = 13


class BlockStatus(IntEnum):
    OK = 0
    IOERR = 1
    UNSUPP = 2


class BlockRequest:
    """One request of the driver. Whoever serves it calls `complete` once, at once or later.

    `size` is the number of data bytes: to be read into the guest's buffers for IN, coming from them otherwise.
    The data methods raise `BadAddress` for a buffer outside the guest's memory; who serves a request later than
    `submit` then calls `fail`.
    """

    def __init__(self, device: Block, queue: VirtQueue, chain: Chain) -> None:
        header = chain.read(0, _HEADER.size)
        if len(header) < _HEADER.size or not chain.writable_size:
            raise QueueError("a block request without a header or without a status byte")
        kind, _, self.sector = _HEADER.unpack(header)
        self.type: int = kind
        self._device, self._queue, self._chain = device, queue, chain
        self._room = chain.writable_size - 1  # the status byte is the last one
        self.size = self._room if kind in (RequestType.IN, RequestType.GET_ID) else chain.readable_size - _HEADER.size

    @property
    def stale(self) -> bool:
        """The driver has reset the device or the queue since: nobody waits for this request any more, and its buffers
        must not be touched."""
        return self._chain.stale

    @property
    def segments(self) -> list[tuple[int, int]]:
        """Guest addresses and lengths of the data."""
        if self.type in (RequestType.IN, RequestType.GET_ID):
            return cut(self._chain.writable, 0, self.size)
        return cut(self._chain.readable, _HEADER.size, self.size)

    def read_data(self, offset: int, size: int) -> bytes:
        """Data that the guest sends (OUT, DISCARD, WRITE_ZEROES)."""
        return self._chain.read(_HEADER.size + offset, size)

    def write_data(self, offset: int, data: bytes) -> None:
        """Data that the guest receives (IN, GET_ID)."""
        self._chain.write(offset, data[: max(0, self._room - offset)])

    def fail(self, reason: str) -> None:
        """The request itself is nonsense: the device needs a reset."""
        if not self.stale and self._device.transport is not None:
            self._device.transport.fail(reason)

    def complete(self, status: BlockStatus) -> None:
        """Stores the status byte and returns the request to the driver. Harmless after a reset of the device."""
        if self.stale:
            return
        try:
            self._chain.write(self._room, bytes((status,)))
        except BadAddress as error:
            self.fail(f"status byte: {error}")
            return
        data = self.size if status == BlockStatus.OK and self.type in (RequestType.IN, RequestType.GET_ID) else 0
        self._device.completed(self._queue, self._chain, status, data + 1)


class BlockServer(Protocol):
    """Who executes the requests of one block device.

    * `size`: bytes of the disk; `read_only`: it refuses changes
    * `features`: those feature bits of the device that it can fulfil
    * `depth`: how many requests it takes at a time, None for all; the others wait in the virtqueue
    """

    @property
    def size(self) -> int: ...

    @property
    def read_only(self) -> bool: ...

    @property
    def features(self) -> int: ...

    @property
    def depth(self) -> int | None: ...

    def submit(self, request: BlockRequest) -> None:
        """Executes the request and ends it with `complete` (or `fail`), now or later. IN and OUT lie inside of the
        disk."""

    def close(self) -> None:
        """The device is gone."""


class Block(Backend):
    """One request queue, served by `server`. `features` limits what is offered, `timebase` how fast requests are taken.

    `requests` counts by type what was asked for, `errors` what did not end with OK.
    """

    device_id = 2

    def __init__(
        self,
        server: BlockServer,
        serial: str = "",
        *,
        features: int = ALL,
        queue_size: int = 256,
        timebase: Timebase | None = None,
    ) -> None:
        self.server = server
        self.capacity = server.size // SECTOR  # in sectors
        self.features = features & server.features & ALL | (VIRTIO_BLK_F_RO if server.read_only else 0)
        self.queue_sizes = (queue_size,)
        self._serial = serial.encode("ascii", "replace")[:20].ljust(20, b"\0")
        self.requests = dict.fromkeys(RequestType, 0)
        self.errors = 0
        self._taking = False
        self._pace = Pace(timebase, lambda: self.kick(0))

    def close(self) -> None:
        self.server.close()

    def config(self) -> bytes:
        many = MAX_SECTORS_AT_ONCE
        return struct.pack("<QII", self.capacity, SIZE_MAX, SEG_MAX) + struct.pack(
            "<HBBIBBHIBBHIIIIIB3x",
            0, 0, 0,  # geometry
            SECTOR,  # blk_size
            0, 0, 1, 0,  # topology
            1, 0, 1,  # writeback, unused, num_queues
            many, 1, 1,  # discard: sectors, segments, alignment
            many, 1, 0,  # write zeroes: sectors, segments, may unmap
        )  # fmt: skip

    def process(self, index: int) -> None:
        if self._taking:
            return  # a request was completed while it was submitted: the loop below goes on
        queue, depth = self.queue(index), self.server.depth
        self._taking = True
        try:
            for _ in range(queue.size):
                if (depth is not None and queue.in_flight >= depth) or self._pace.must_rest():
                    break
                chain = queue.pop()
                if chain is None:
                    break
                self._pace.spend(_REQUEST_TICKS + DESCRIPTOR_TICKS * chain.descriptors)
                self._start(BlockRequest(self, queue, chain))
        finally:
            self._taking = False

    def completed(self, queue: VirtQueue, chain: Chain, status: BlockStatus, written: int) -> None:
        """A request has its status byte (called by `BlockRequest.complete`): the next one may be taken."""
        self.errors += status != BlockStatus.OK
        self.finish(queue, chain, written)
        if not self._taking and self.server.depth is not None:
            self.kick(queue.index)

    def _start(self, request: BlockRequest) -> None:
        kind = request.type
        if kind not in self.requests or not self._offered(kind):
            request.complete(BlockStatus.UNSUPP)
            return
        self.requests[RequestType(kind)] += 1
        outside = kind in (RequestType.IN, RequestType.OUT) and not self._inside(request.sector, request.size)
        changes = kind in (RequestType.OUT, RequestType.DISCARD, RequestType.WRITE_ZEROES)
        if outside or (changes and self.server.read_only):
            request.complete(BlockStatus.IOERR)
        elif kind == RequestType.GET_ID:
            request.write_data(0, self._serial)
            request.complete(BlockStatus.OK)
        else:
            self.server.submit(request)

    def _offered(self, kind: int) -> bool:
        needs = {
            RequestType.FLUSH: VIRTIO_BLK_F_FLUSH,
            RequestType.DISCARD: VIRTIO_BLK_F_DISCARD,
            RequestType.WRITE_ZEROES: VIRTIO_BLK_F_WRITE_ZEROES,
        }
        return kind not in needs or bool(self.features & needs[RequestType(kind)])

    def _inside(self, sector: int, size: int) -> bool:
        return size % SECTOR == 0 and size <= _MAX_DATA and sector + size // SECTOR <= self.capacity
