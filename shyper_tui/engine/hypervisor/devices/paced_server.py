"""Executes a VM's block requests on a `Disk`, and no more of them at a time than its neighbours can bear."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.device import Timebase, Timer
from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.board.virtio.block import MAX_SECTORS_AT_ONCE, SECTOR, BlockRequest, BlockStatus, RequestType
from shyper_tui.engine.board.virtio.disk import Disk
from shyper_tui.engine.board.virtio.disk_server import CHUNK, DiskServer, quiet

BURST = 4 << 20
"""Bytes that are moved at once."""
RATE = 54
"""Bytes for each tick of 100 ns afterwards: about 500 MiB/s."""
LEAST = 4096
"""What a request costs however little it moves."""
FLUSH = 256 << 10
"""What waiting for the host's disk costs."""


class PacedServer(DiskServer):
    """One request at a time, in pieces, as long as the device's allowance lasts; then the rest waits for its time.

    The work is done in the trap of the VM that asks, while the whole machine stands still: one guest could hold up all
    others with requests of 127 MiB. Without a `timebase` nothing is limited.
    """

    depth = 1

    def __init__(
        self, disk: Disk, timebase: Timebase | None = None, report: Callable[[str], None] = quiet
    ) -> None:
        super().__init__(disk, report)
        self._timebase = timebase
        self._allowance = BURST
        self._counted = timebase.now() if timebase is not None else 0  # when the allowance was up to date
        self._request: BlockRequest | None = None
        self._offset = 0
        self._timer: Timer | None = None

    def submit(self, request: BlockRequest) -> None:
        """Begins with `request`; one that is still under way has become stale by a reset."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._request, self._offset = request, 0
        self._go_on()

    def _resume(self) -> None:
        self._timer = None
        self._go_on()

    def _go_on(self) -> None:
        request = self._request
        if request is None or request.stale:
            self._request = None
            return
        try:
            while not self._wait():
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
        if request.type not in (RequestType.IN, RequestType.OUT):
            self._allowance -= max(self._cost(request), LEAST)
            return self.execute(request)
        size = min(CHUNK, request.size - self._offset)
        self._allowance -= max(size, LEAST)
        status = self.transfer(request, self._offset, size)
        self._offset += size
        return status if status != BlockStatus.OK or self._offset >= request.size else None

    def _cost(self, request: BlockRequest) -> int:
        if request.type == RequestType.FLUSH:
            return FLUSH
        if request.type != RequestType.WRITE_ZEROES:
            return 0
        return min(self.range_size(request), MAX_SECTORS_AT_ONCE * SECTOR)

    def _wait(self) -> bool:
        """Whether the allowance is used up; a timer goes on then."""
        if self._timebase is None or self._allowance > 0:
            return False
        now = self._timebase.now()
        self._allowance = min(BURST, self._allowance + (now - self._counted) * RATE)
        self._counted = now
        if self._allowance > 0:
            return False
        self._timer = self._timebase.call_at(now + (CHUNK - self._allowance) // RATE, self._resume)
        return True
