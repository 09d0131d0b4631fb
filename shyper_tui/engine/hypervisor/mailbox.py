"""Messages from the hypervisor to a VM: a ring of eight slots in one guest page, one interrupt per message."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.hypervisor.guest_memory import GuestMemory

SLOT = 512
SLOTS = 8
MAX_WAITING = 256


class Mailbox:
    """Sender's side of the ring; the receiver advances one slot for each interrupt it claims.

    No more than seven messages are in the page at a time, the rest wait here, so none is overwritten before it is read.
    """

    def __init__(self, memory: GuestMemory, interrupt: Callable[[], None]) -> None:
        self._memory = memory
        self._interrupt = interrupt
        self._waiting: deque[bytes] = deque()
        self._page: int | None = None
        self._slot = -1
        self._in_flight = 0

    def prepare(self, page: int) -> bool:
        """The VM names the page of the ring; False when it is not RAM. The first message goes to offset 0."""
        if not self._memory.contains(page, SLOT * SLOTS):
            return False
        self._page, self._slot, self._in_flight = page, -1, 0
        return True

    def reset(self) -> None:
        """The VM starts again: it has to prepare the ring anew."""
        self._page = None
        self._waiting.clear()

    def send(self, *words: int) -> bool:
        """Queue a message of u64 fields; False when the VM has no ring or does not read it."""
        if self._page is None or len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(struct.pack(f"<{len(words)}Q", *words))
        self._flush()
        return True

    def claimed(self) -> None:
        """The VM has claimed one interrupt of the ring."""
        if self._in_flight:
            self._in_flight -= 1
            self._flush()

    def _flush(self) -> None:
        while self._page is not None and self._waiting and self._in_flight < SLOTS - 1:
            self._slot = (self._slot + 1) % SLOTS
            message = self._waiting.popleft()
            try:
                self._memory.write(self._page + SLOT * self._slot, message)
            except BadAddress:
                self.reset()
                return
            self._in_flight += 1
            self._interrupt()
