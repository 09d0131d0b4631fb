"""Block device (VIRTIO 1.2, section 5.2)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.board.virtio.disk import Disk
from shyper_tui.engine.board.virtio.queue import Chain, QueueError, VirtQueue, cut

SECTOR = 512

VIRTIO_BLK_F_SIZE_MAX = 1 << 1
VIRTIO_BLK_F_SEG_MAX = 1 << 2
VIRTIO_BLK_F_RO = 1 << 5
VIRTIO_BLK_F_BLK_SIZE = 1 << 6
VIRTIO_BLK_F_FLUSH = 1 << 9
VIRTIO_BLK_F_DISCARD = 1 << 13
VIRTIO_BLK_F_WRITE_ZEROES = 1 << 14
_ALL = (
    VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH
    | VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES
)  # fmt: skip

SIZE_MAX = 512 * 1024
SEG_MAX = 254
MAX_SECTORS_AT_ONCE = 1 << 16  # of one discard or write-zeroes segment: 32 MiB
_MAX_DATA = SIZE_MAX * SEG_MAX  # of one request
_CHUNK = 1 << 20

_HEADER = struct.Struct("<IIQ")
_RANGE = struct.Struct("<QII")


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
        if self._device.transport is not None:
            self._device.transport.fail(reason)

    def complete(self, status: BlockStatus) -> None:
        """Stores the status byte and returns the request to the driver. Harmless after a reset of the device."""
        if self._chain.generation != self._queue.generation:
            return
        try:
            self._chain.write(self._room, bytes((status,)))
        except BadAddress as error:
            self.fail(f"status byte: {error}")
            return
        self._device.errors += status != BlockStatus.OK
        data = self.size if status == BlockStatus.OK and self.type in (RequestType.IN, RequestType.GET_ID) else 0
        self._device.finish(self._queue, self._chain, data + 1)


class Block(Backend):
    """One request queue over a `Disk`.

    `features` limits what is offered. `submit` replaces the immediate execution: it gets every request of a type that
    is on offer and later ends it with `complete` (the hypervisor's mediated disks); `perform` does it here and now.
    """

    device_id = 2

    def __init__(
        self,
        disk: Disk,
        serial: str = "",
        *,
        features: int = _ALL,
        queue_size: int = 256,
        submit: Callable[[BlockRequest], None] | None = None,
    ) -> None:
        self.disk = disk
        self.capacity = disk.size // SECTOR  # in sectors
        self.features = features & _ALL | (VIRTIO_BLK_F_RO if disk.read_only else 0)
        self.queue_sizes = (queue_size,)
        self._serial = serial.encode("ascii", "replace")[:20].ljust(20, b"\0")
        self._submit = submit if submit is not None else self.perform
        self.requests = dict.fromkeys(RequestType, 0)
        self.errors = 0

    def close(self) -> None:
        self.disk.close()

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
        queue = self.queue(index)
        for _ in range(queue.size):
            chain = queue.pop()
            if chain is None:
                break
            self._start(BlockRequest(self, queue, chain))

    def _start(self, request: BlockRequest) -> None:
        kind = request.type
        if kind not in self.requests or not self._offered(kind):
            request.complete(BlockStatus.UNSUPP)
            return
        self.requests[RequestType(kind)] += 1
        outside = kind in (RequestType.IN, RequestType.OUT) and not self._inside(request.sector, request.size)
        changes = kind in (RequestType.OUT, RequestType.DISCARD, RequestType.WRITE_ZEROES)
        if outside or (changes and self.disk.read_only):
            request.complete(BlockStatus.IOERR)
        else:
            self._submit(request)

    def _offered(self, kind: int) -> bool:
        needs = {
            RequestType.FLUSH: VIRTIO_BLK_F_FLUSH,
            RequestType.DISCARD: VIRTIO_BLK_F_DISCARD,
            RequestType.WRITE_ZEROES: VIRTIO_BLK_F_WRITE_ZEROES,
        }
        return kind not in needs or bool(self.features & needs[RequestType(kind)])

    def _inside(self, sector: int, size: int) -> bool:
        return size % SECTOR == 0 and size <= _MAX_DATA and sector + size // SECTOR <= self.capacity

    def perform(self, request: BlockRequest) -> None:
        """Serves a request from the disk and completes it. A host error becomes IOERR."""
        try:
            status = self._execute(request)
        except OSError:
            status = BlockStatus.IOERR
        request.complete(status)

    def _execute(self, request: BlockRequest) -> BlockStatus:
        start = request.sector * SECTOR
        if request.type == RequestType.IN:
            for offset in range(0, request.size, _CHUNK):
                size = min(_CHUNK, request.size - offset)
                request.write_data(offset, self.disk.read(start + offset, size))
        elif request.type == RequestType.OUT:
            for offset in range(0, request.size, _CHUNK):
                self.disk.write(start + offset, request.read_data(offset, min(_CHUNK, request.size - offset)))
        elif request.type == RequestType.FLUSH:
            self.disk.flush()
        elif request.type == RequestType.GET_ID:
            request.write_data(0, self._serial)
        else:
            return self._execute_range(request)
        return BlockStatus.OK

    def _execute_range(self, request: BlockRequest) -> BlockStatus:
        """DISCARD and WRITE_ZEROES carry one segment: sector, number of sectors, flags (bit 0: unmap)."""
        if request.size != _RANGE.size:
            return BlockStatus.IOERR
        sector, count, flags = _RANGE.unpack(request.read_data(0, _RANGE.size))
        if flags & ~1 or (flags and request.type == RequestType.DISCARD):
            return BlockStatus.UNSUPP
        if count > MAX_SECTORS_AT_ONCE or sector + count > self.capacity:
            return BlockStatus.IOERR
        if request.type == RequestType.DISCARD:
            self.disk.discard(sector * SECTOR, count * SECTOR)
        else:
            self.disk.write_zeroes(sector * SECTOR, count * SECTOR)
        return BlockStatus.OK
