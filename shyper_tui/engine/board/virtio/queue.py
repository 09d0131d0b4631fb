"""Split virtqueues, the device's side (VIRTIO 1.2, section 2.7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shyper_tui.engine.board.memory import BadAddress, Memory
from shyper_tui.engine.board.virtio import areas
from shyper_tui.engine.board.virtio.areas import Areas
from shyper_tui.engine.board.virtio.descriptors import QueueError, Segment, Segments, Walker
from shyper_tui.engine.hart.direct import queue_layout as at
from shyper_tui.engine.hart.host_memory import Block, Flag, Word

__all__ = ["Chain", "QueueError", "Segment", "VirtQueue", "cut"]


@dataclass(slots=True)
class Chain:
    """One buffer: the pieces the device may read, then the pieces it may write. Raises `BadAddress` outside memory.

    `descriptors` is how many were walked; the sizes are the bytes of all pieces.
    """

    head: int
    queue: VirtQueue
    generation: int
    descriptors: int
    readable: Segments
    readable_size: int
    writable: Segments
    writable_size: int

    @property
    def stale(self) -> bool:
        """Its queue was reset: the buffer is the driver's again, and the device must leave it alone."""
        return self.generation != self.queue.generation

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the readable part; fewer than `size` where it ends. The caller bounds `size`."""
        memory, pieces = self.queue.memory, self.readable
        if pieces and 0 < size <= pieces[0][1] - offset:
            return memory.read(pieces[0][0] + offset, size)
        return b"".join([memory.read(at, n) for at, n in cut(pieces, offset, size)])

    def write(self, offset: int, data: bytes) -> int:
        """Stores `data` at `offset` of the writable part; returns how many bytes fitted, none once it is stale."""
        if self.generation != self.queue.generation:
            return 0
        write, size, done = self.queue.memory.write, len(data), 0
        for address, length in self.writable:
            if done >= size:
                break
            if offset >= length:
                offset -= length
                continue
            piece = data[done : done + length - offset]
            write(address + offset, piece)
            done += len(piece)
            offset = 0
        return done


def cut(segments: Iterable[Segment], offset: int, size: int) -> list[Segment]:
    """The pieces of `segments` that make up `size` bytes from `offset`; fewer where they end."""
    pieces = []
    for address, length in segments:
        if size <= 0:
            break
        if offset >= length:
            offset -= length
            continue
        take = min(length - offset, size)
        pieces.append((address + offset, take))
        offset = 0
        size -= take
    return pieces


class VirtQueue:
    """One split virtqueue. The transport sets size and addresses and then `ready`; a backend pops and pushes.

    `pop` and `push` raise `QueueError` or `BadAddress` for a corrupt ring. The queue then stays `broken` until reset.
    The state lies in host memory (`queue_layout`): native code takes and returns chains, too.
    """

    size, ready, broken = Word(at.ENTRIES), Flag(at.READY), Flag(at.BROKEN)
    event_idx, indirect = Flag(at.EVENT_IDX), Flag(at.INDIRECT)
    last_avail, used_idx = Word(at.LAST_AVAIL), Word(at.USED_IDX)
    """Indices of the next available entry to take, and of the next used one."""
    in_flight = Word(at.IN_FLIGHT)

    def __init__(self, memory: Memory, index: int, max_size: int) -> None:
        self.memory = memory
        self.index = index
        self.max_size = max_size
        self.state = Block(at.SIZE)
        self.words = self.state.bytes.cast("Q")
        self._walker = Walker(memory)
        self.generation = 0
        self.reset()

    def reset(self) -> None:
        """As after power-on; chains popped before are stale from now on."""
        self.generation += 1
        self.desc = self.driver = self.device = 0  # addresses of descriptor table, available ring, used ring
        for index in range(at.SIZE // 8):
            self.words[index] = 0
        self.size = self.max_size
        self.words[_SIGNALLED] = at.NOTHING
        self._lose_areas()

    def _lose_areas(self) -> None:
        """The addresses mean something else, or nothing: the areas are found again when they are used next."""
        self._areas: Areas | None = None
        self.words[_TABLE] = 0

    def _find_areas(self) -> Areas:
        found = areas.find(self.memory, self.size, self.desc, self.driver, self.device, self._lose_areas)
        if self.ready:
            self._areas = found
            if found.addresses is not None:
                for word, address in zip(_ADDRESSES, found.addresses, strict=True):
                    self.words[word] = address
        return found

    def check(self) -> None:
        """Raises QueueError if size or addresses cannot be a virtqueue's, or one of its areas is not in memory."""
        size = self.size
        if not 0 < size <= self.max_size or size & (size - 1):
            raise QueueError(f"queue {self.index}: size {size} is no power of 2 up to {self.max_size}")
        if self.desc % 16 or self.driver % 2 or self.device % 4:
            raise QueueError(f"queue {self.index}: descriptor table, driver or device area is not aligned")
        names = ("descriptor table", "driver area", "device area")
        places = zip(names, (self.desc, self.driver, self.device), areas.sizes(size), strict=True)
        for name, address, length in places:
            try:
                self.memory.map(address, length, self._lose_areas)
            except BadAddress as error:
                raise QueueError(f"queue {self.index}: its {name} is not in memory: {error}") from None

    def start(self, *, event_idx: bool, indirect: bool) -> None:
        """It is ready, with these features, after `check`."""
        self.event_idx, self.indirect, self.ready = event_idx, indirect, True
        self._find_areas()

    def pop(self) -> Chain | None:
        """Takes the next available chain, or None. Asks for a notification when nothing is left."""
        words = self.words
        if not words[_READY] or words[_BROKEN]:
            return None
        try:
            table, available, used, _, code, _ = self._areas or self._find_areas()
            last, size = words[_LAST_AVAIL], words[_ENTRIES]
            count = available[1] - last & 0xFFFF
            if not count:
                if not words[_EVENT_IDX]:
                    return None
                if code[0] or code[-1]:
                    used, _ = areas.through_memory(self.memory, self.device)
                used[2 + 4 * size] = last
                count = available[1] - last & 0xFFFF  # the driver may have added one in between
                if not count:
                    return None
            if count > size:
                raise QueueError(f"available index is {count} ahead in a queue of {size}")
            if words[_IN_FLIGHT] >= size:
                raise QueueError("more chains than descriptors are in use")
            head = available[2 + (last & size - 1)]
            chain = Chain(head, self, self.generation, *self._walker.walk(table, size, head, words[_INDIRECT] != 0))
        except Exception:
            self.broken = True
            raise
        words[_LAST_AVAIL] = last + 1 & 0xFFFF
        words[_IN_FLIGHT] += 1
        return chain

    def put_back(self, chain: Chain) -> None:
        """Undoes the last `pop`: the chain is available again."""
        if not chain.stale:
            self.last_avail = (self.last_avail - 1) & 0xFFFF
            self.in_flight -= 1

    def push(self, chain: Chain, written: int) -> bool:
        """Returns a chain of which the device wrote `written` bytes. False if a reset made the chain stale."""
        words = self.words
        if chain.generation != self.generation or words[_BROKEN]:
            return False
        _, _, used, elements, code, _ = self._areas or self._find_areas()
        if code[0] or code[-1]:
            used, elements = areas.through_memory(self.memory, self.device)
        index = words[_USED_IDX]
        elements[index & words[_ENTRIES] - 1] = chain.head | (written & 0xFFFF_FFFF) << 32
        words[_USED_IDX] = index = index + 1 & 0xFFFF
        used[1] = index
        words[_IN_FLIGHT] -= 1
        return True

    def wants_interrupt(self) -> bool:
        """Whether the driver asked for an interrupt for what was pushed since the last call (section 2.7.7)."""
        words = self.words
        available = (self._areas or self._find_areas()).available
        if not words[_EVENT_IDX]:
            return not available[0] & at.VIRTQ_AVAIL_F_NO_INTERRUPT
        old, used = words[_SIGNALLED], words[_USED_IDX]
        words[_SIGNALLED] = used
        if old == at.NOTHING:
            return True
        return used - available[2 + words[_ENTRIES]] - 1 & 0xFFFF < used - old & 0xFFFF


_ADDRESSES = tuple(offset // 8 for offset in (at.TABLE, at.AVAILABLE, at.USED, at.CODE_FIRST, at.CODE_LAST))
_TABLE, _ENTRIES, _READY, _BROKEN = at.TABLE // 8, at.ENTRIES // 8, at.READY // 8, at.BROKEN // 8
_EVENT_IDX, _INDIRECT, _LAST_AVAIL = at.EVENT_IDX // 8, at.INDIRECT // 8, at.LAST_AVAIL // 8
_USED_IDX, _IN_FLIGHT, _SIGNALLED = at.USED_IDX // 8, at.IN_FLIGHT // 8, at.SIGNALLED // 8
"""Indices of words."""
