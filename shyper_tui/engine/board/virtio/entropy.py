"""Entropy device (VIRTIO 1.2, section 5.4)."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.virtio.backend import Backend

_MOST = 4096  # bytes for one request; the driver asks again if it wants more


class Entropy(Backend):
    """Fills buffers from `source(size)`, which a machine with a virtual clock makes repeatable."""

    device_id = 4
    queue_sizes = (64,)

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source

    def process(self, index: int) -> None:
        queue = self.queue(index)
        for _ in range(queue.size):
            chain = queue.pop()
            if chain is None:
                break
            self.finish(queue, chain, chain.write(0, self._source(min(chain.writable_size, _MOST))))
