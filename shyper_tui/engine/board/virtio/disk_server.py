"""Executes the requests of a block device on a `Disk` (VIRTIO 1.2, section 5.2.6)."""

from __future__ import annotations

import struct
from collections.abc import Callable

from shyper_tui.engine.board.virtio.block import (
    ALL,
    MAX_SECTORS_AT_ONCE,
    SECTOR,
    BlockRequest,
    BlockStatus,
    RequestType,
)
from shyper_tui.engine.board.virtio.disk import Disk

CHUNK = 1 << 20
"""Bytes copied at a time."""

_RANGE = struct.Struct("<QII")


def quiet(line: str) -> None:
    """Nobody wants to know."""


class DiskServer:
    """Executes every request at once and completely. A host error becomes IOERR; `report` hears of the first."""

    features = ALL
    depth: int | None = None

    def __init__(self, disk: Disk, report: Callable[[str], None] = quiet) -> None:
        self.disk = disk
        self._report = report
        self._reported = False

    @property
    def size(self) -> int:
        return self.disk.size

    @property
    def read_only(self) -> bool:
        return self.disk.read_only

    def close(self) -> None:
        self.disk.close()

    def submit(self, request: BlockRequest) -> None:
        if request.type in (RequestType.IN, RequestType.OUT):
            for offset in range(0, request.size, CHUNK):
                status = self.transfer(request, offset, min(CHUNK, request.size - offset))
                if status != BlockStatus.OK:
                    break
            else:
                status = BlockStatus.OK
        else:
            status = self.execute(request)
        request.complete(status)

    def transfer(self, request: BlockRequest, offset: int, size: int) -> BlockStatus:
        """`size` bytes from `offset` of the data of an IN or OUT request."""
        at = request.sector * SECTOR + offset
        try:
            if request.type == RequestType.IN:
                request.write_data(offset, self.disk.read(at, size))
            else:
                self.disk.write(at, request.read_data(offset, size))
        except OSError as error:
            return self._error(request, error)
        return BlockStatus.OK

    def execute(self, request: BlockRequest) -> BlockStatus:
        """A request of another type."""
        try:
            if request.type == RequestType.FLUSH:
                self.disk.flush()
                return BlockStatus.OK
            return self._execute_range(request)
        except OSError as error:
            return self._error(request, error)

    def range_size(self, request: BlockRequest) -> int:
        """Bytes that a DISCARD or WRITE_ZEROES concerns."""
        piece = request.read_data(0, _RANGE.size)
        return int(_RANGE.unpack(piece)[1]) * SECTOR if len(piece) == _RANGE.size else 0

    def _execute_range(self, request: BlockRequest) -> BlockStatus:
        """DISCARD and WRITE_ZEROES carry one segment: sector, number of sectors, flags (bit 0: unmap)."""
        if request.size != _RANGE.size:
            return BlockStatus.IOERR
        sector, count, flags = _RANGE.unpack(request.read_data(0, _RANGE.size))
        if flags & ~1 or (flags and request.type == RequestType.DISCARD):
            return BlockStatus.UNSUPP
        if count > MAX_SECTORS_AT_ONCE or (sector + count) * SECTOR > self.size:
            return BlockStatus.IOERR
        if request.type == RequestType.DISCARD:
            self.disk.discard(sector * SECTOR, count * SECTOR)
        else:
            self.disk.write_zeroes(sector * SECTOR, count * SECTOR)
        return BlockStatus.OK

    def _error(self, request: BlockRequest, error: OSError) -> BlockStatus:
        if not self._reported:
            self._reported = True
            what = RequestType(request.type).name
            why = error.strerror or error
            self._report(f"{what} at sector {request.sector} failed: {why} (later errors are only counted)")
        return BlockStatus.IOERR
