"""A flush request of a VM while the host's disk is at work in another thread.

With a clock that repeats (`post` is None) the answer comes `SYNC_TICKS` after the request, however fast the host is: if
its disk is slower than that, the machine waits for it at that tick. Otherwise nothing waits, and the answer is posted
to the machine's thread.
"""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.device import Timebase
from shyper_tui.engine.board.virtio.block import BlockRequest
from shyper_tui.engine.board.virtio.disk_sync import DiskSync

SYNC_TICKS = 10_000
"""1 ms: what a good disk takes."""

Post = Callable[[Callable[[], None]], None]
"""Has a call performed in the machine's thread, between turns. Any thread may use it."""


class Flush:
    """Begins a sync for `request`; `then` is called in the machine's thread with the error, if any.

    It is not called for a request that has become stale, nor after `cancel`. Raises OSError when it cannot begin.
    """

    def __init__(
        self,
        request: BlockRequest,
        syncs: DiskSync,
        timebase: Timebase,
        post: Post | None,
        then: Callable[[OSError | None], None],
    ) -> None:
        self._request, self._syncs, self._timebase, self._then = request, syncs, timebase, then
        self._cancelled = False
        if post is None:
            self._sync = syncs.begin()
            timebase.call_at(timebase.now() + SYNC_TICKS, self._due)
        else:
            self._sync = syncs.begin(lambda: post(self._end))

    def cancel(self) -> None:
        """Nobody waits for it any more; a sync that the host is at work on goes on."""
        self._cancelled = True
        self._syncs.forget(self._sync)

    def _due(self) -> None:
        if self._cancelled or self._request.stale or self._syncs.wait(self._sync):
            self._end()
        else:  # the machine is to stop; should it run again, it waits again
            self._timebase.call_at(self._timebase.now() + 1, self._due)

    def _end(self) -> None:
        if self._request.stale:
            self.cancel()
        if not self._cancelled:
            self._then(self._syncs.result(self._sync))
