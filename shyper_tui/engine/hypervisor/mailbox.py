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
    """Sender's side of the ring. There are no indices in the page: the receiver moves on by one slot for each
    interrupt that it claims, so the sender counts claims.

    No more than seven messages are in the page at a time, the rest wait here, so none is overwritten before it is
    read. Only one interrupt is under way at a time, so none merges with another.
    """

    def __init__(self, memory: GuestMemory, interrupt: Callable[[], None]) -> None:
        self._memory = memory
        self._interrupt = interrupt
        self._waiting: deque[bytes] = deque()
        self._page: int | None = None
        self._slot = -1  # of the latest message in the page
        self._in_flight = 0  # messages in the page whose interrupt has not been claimed
        self._raised = False  # an interrupt has been sent and not been claimed

    @property
    def ready(self) -> bool:
        """Whether the VM has named the page of its ring."""
        return self._page is not None

    def prepare(self, page: int) -> bool:
        """The VM names the page of the ring; False when it is not RAM. The first message goes to offset 0, and those
        that waited follow. What was in an earlier page is not sent again."""
        if not self._memory.contains(page, SLOT * SLOTS):
            return False
        self._page, self._slot, self._in_flight = page, -1, 0
        self._flush()
        return True

    def reset(self) -> None:
        """The VM starts again with an interrupt controller that has forgotten everything: it has to prepare the ring
        anew."""
        self._page = None
        self._raised = False
        self._in_flight = 0
        self._waiting.clear()

    def send(self, *words: int) -> bool:
        """Queue a message of u64 fields; False when the VM has no ring or does not read it."""
        if self._page is None or len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(struct.pack(f"<{len(words)}Q", *words))
        self._flush()
        return True

    def claimed(self) -> None:
        """The VM has claimed an interrupt of the ring: it reads one slot and goes on to the next."""
        self._raised = False
        if self._in_flight:
            self._in_flight -= 1
        else:  # the interrupt was of a message in an earlier page: this slot is skipped by both sides
            self._slot = (self._slot + 1) % SLOTS
        self._flush()

    def _flush(self) -> None:
        while self._page is not None and self._waiting and self._in_flight < SLOTS - 1:
            slot = (self._slot + 1) % SLOTS
            try:
                self._memory.write(self._page + SLOT * slot, self._waiting.popleft())
            except BadAddress:
                self.reset()
                return
            self._slot = slot
            self._in_flight += 1
        if self._in_flight and not self._raised:
            self._raised = True
            self._interrupt()
