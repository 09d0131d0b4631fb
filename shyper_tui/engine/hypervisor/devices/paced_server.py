"""Executes the block requests of one driver on a `Disk`, and no more of them at a time than its neighbours can bear."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.device import Timebase
from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.board.virtio.block import (
    MAX_SECTORS_AT_ONCE,
    SECTOR,
    BlockRequest,
    BlockStatus,
    RequestType,
)
from shyper_tui.engine.board.virtio.disk import Disk
from shyper_tui.engine.board.virtio.disk_server import CHUNK, DiskServer, quiet
from shyper_tui.engine.board.virtio.disk_sync import DiskSync
from shyper_tui.engine.board.virtio.pace import Pace
from shyper_tui.engine.hypervisor.devices.flush import Flush, Post

GUEST_SPEED = 64
"""Bytes a tick: 640 MB/s, about four times what they cost the host, so that a guest takes a part of its time alone."""
BOARD_SPEED = 256
"""2.56 GB/s, what they cost the host (0.4 ms for 1 MiB): the board's disk is not slowed down, but has its breaks."""
_FLUSH_TICKS, _SYNC_TICKS = 4000, 10_000  # one that is done at once; one with another thread and the host's disk


class PacedServer(DiskServer):
    """One request at a time, in pieces, as fast as the device may; then the rest waits for its time.

    The work is done in the trap of the VM that asks, while the whole machine stands still: one guest could hold up all
    others with requests of 127 MiB. `speed` is in bytes a tick. A flush is done in another thread when the disk has
    `syncs`; nothing more is taken until it has ended.
    """

    depth = 1

    def __init__(
        self,
        disk: Disk,
        timebase: Timebase | None = None,
        report: Callable[[str], None] = quiet,
        *,
        speed: int = GUEST_SPEED,
        syncs: DiskSync | None = None,
        post: Post | None = None,
    ) -> None:
        super().__init__(disk, report)
        self._speed = speed
        self._timebase, self._syncs, self._post = timebase, syncs, post
        self._flush: Flush | None = None
        self._pace = Pace(timebase, self._go_on)
        self._request: BlockRequest | None = None
        self._offset = 0

    def submit(self, request: BlockRequest) -> None:
        """Begins with `request`; one that is still under way has become stale by a reset."""
        self._cancel_flush()
        self._request, self._offset = request, 0
        self._go_on()

    def close(self) -> None:
        self._cancel_flush()
        self._request = None
        super().close()

    def _go_on(self) -> None:
        request = self._request
        if request is None or request.stale:
            self._request = None
            return
        try:
            while not self._pace.must_rest() and self._flush is None:
                status = self._piece(request)
                if status is not None:
                    self._request = None
                    request.complete(status)  # which may submit the next one
                    return
        except BadAddress as error:
            self._request = None
            request.fail(str(error))

    def _piece(self, request: BlockRequest) -> BlockStatus | None:
        """The next piece; None when it was not the last one."""
        if request.type == RequestType.FLUSH:
            return self._begin_flush(request)
        if request.type not in (RequestType.IN, RequestType.OUT):
            self._pace.spend(min(self.range_size(request), MAX_SECTORS_AT_ONCE * SECTOR) // self._speed)
            return self.execute(request)
        size = min(CHUNK, request.size - self._offset)
        self._pace.spend(size // self._speed)
        status = self.transfer(request, self._offset, size)
        self._offset += size
        return status if status != BlockStatus.OK or self._offset >= request.size else None

    # Flushing

    def _begin_flush(self, request: BlockRequest) -> BlockStatus | None:
        self._pace.spend(_FLUSH_TICKS if self._syncs is None else _SYNC_TICKS)
        if self._syncs is None or self._timebase is None:
            return self.execute(request)

        def ended(error: OSError | None) -> None:
            self._flush = self._request = None
            request.complete(BlockStatus.OK if error is None else self._error(request, error))

        try:
            self._flush = Flush(request, self._syncs, self._timebase, self._post, ended)
        except OSError as error:
            return self._error(request, error)
        return None

    def _cancel_flush(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
