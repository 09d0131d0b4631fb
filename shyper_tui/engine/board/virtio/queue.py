"""Split virtqueues, the device's side (VIRTIO 1.2, section 2.7)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from shyper_tui.engine.board.memory import BadAddress, Memory

VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE, VIRTQ_DESC_F_INDIRECT = 1, 2, 4
VIRTQ_AVAIL_F_NO_INTERRUPT = 1
MAX_CHAIN = 512  # descriptors; more than any driver uses, little enough to walk

_DESCRIPTOR = struct.Struct("<QIHH")
_U16 = struct.Struct("<H")
_USED_ELEMENT = struct.Struct("<II")

Segment = tuple[int, int]
"""Address and length of one piece of a buffer."""


class QueueError(Exception):
    """The driver's ring or request breaks the specification."""


@dataclass(slots=True)
class Chain:
    """One buffer: the pieces the device may read, then the pieces it may write. Raises `BadAddress` outside memory."""

    head: int
    queue: VirtQueue
    generation: int
    readable: list[Segment] = field(default_factory=list)
    writable: list[Segment] = field(default_factory=list)

    @property
    def memory(self) -> Memory:
        return self.queue.memory

    @property
    def stale(self) -> bool:
        """Its queue was reset: the buffer is the driver's again, and the device must leave it alone."""
        return self.generation != self.queue.generation

    @property
    def descriptors(self) -> int:
        """How many descriptors were walked."""
        return len(self.readable) + len(self.writable)

    @property
    def readable_size(self) -> int:
        return sum(length for _, length in self.readable)

    @property
    def writable_size(self) -> int:
        return sum(length for _, length in self.writable)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the readable part; fewer than `size` where it ends. The caller bounds `size`."""
        memory = self.queue.memory
        return b"".join([memory.read(at, n) for at, n in cut(self.readable, offset, size)])

    def write(self, offset: int, data: bytes) -> int:
        """Stores `data` at `offset` of the writable part; returns how many bytes fitted, none once it is stale."""
        if self.stale:
            return 0
        memory, done = self.queue.memory, 0
        for address, length in cut(self.writable, offset, len(data)):
            memory.write(address, data[done : done + length])
            done += length
        return done


def cut(segments: list[Segment], offset: int, size: int) -> list[Segment]:
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
    """

    def __init__(self, memory: Memory, index: int, max_size: int) -> None:
        self.memory = memory
        self.index = index
        self.max_size = max_size
        self.generation = 0
        self.reset()

    def reset(self) -> None:
        """As after power-on; chains popped before are stale from now on."""
        self.generation += 1
        self.size = self.max_size
        self.ready = False
        self.broken = False
        self.desc = self.driver = self.device = 0  # addresses of descriptor table, available ring, used ring
        self.event_idx = False
        self.indirect = False
        self.last_avail = 0  # index of the next available entry to take
        self.used_idx = 0
        self.in_flight = 0
        self._signalled: int | None = None  # used_idx at the last decision about an interrupt

    def check(self) -> None:
        """Raises QueueError if size or addresses cannot be a virtqueue's, or one of its areas is not in memory."""
        if not 0 < self.size <= self.max_size or self.size & (self.size - 1):
            raise QueueError(f"queue {self.index}: size {self.size} is no power of 2 up to {self.max_size}")
        if self.desc % 16 or self.driver % 2 or self.device % 4:
            raise QueueError(f"queue {self.index}: descriptor table, driver or device area is not aligned")
        areas = {
            "descriptor table": (self.desc, 16 * self.size),
            "driver area": (self.driver, 6 + 2 * self.size),
            "device area": (self.device, 6 + 8 * self.size),
        }
        for name, (address, size) in areas.items():
            try:
                self.memory.read(address, size)
            except BadAddress as error:
                raise QueueError(f"queue {self.index}: its {name} is not in memory: {error}") from None

    def _u16(self, address: int) -> int:
        value: int = _U16.unpack(self.memory.read(address, 2))[0]
        return value

    def available(self) -> int:
        """How many chains the driver has made available and the device has not taken."""
        count = (self._u16(self.driver + 2) - self.last_avail) & 0xFFFF
        if count > self.size:
            self.broken = True
            raise QueueError(f"available index is {count} ahead in a queue of {self.size}")
        return count

    def pop(self) -> Chain | None:
        """Takes the next available chain, or None. Asks for a notification when nothing is left."""
        if not self.ready or self.broken:
            return None
        try:
            if not self.available():
                if self.event_idx:
                    self.memory.write(self.device + 4 + 8 * self.size, _U16.pack(self.last_avail))
                if not self.event_idx or not self.available():  # the driver may have added one in between
                    return None
            if self.in_flight >= self.size:
                raise QueueError("more chains than descriptors are in use")
            head = self._u16(self.driver + 4 + 2 * (self.last_avail & (self.size - 1)))
            chain = self._walk(head)
        except Exception:
            self.broken = True
            raise
        self.last_avail = (self.last_avail + 1) & 0xFFFF
        self.in_flight += 1
        return chain

    def put_back(self, chain: Chain) -> None:
        """Undoes the last `pop`: the chain is available again."""
        if not chain.stale:
            self.last_avail = (self.last_avail - 1) & 0xFFFF
            self.in_flight -= 1

    def _walk(self, head: int) -> Chain:
        chain = Chain(head, self, self.generation)
        table, limit, index = self.desc, self.size, head
        left = limit  # descriptors that this table can still contribute
        indirect = False
        for _ in range(MAX_CHAIN):
            if index >= limit:
                raise QueueError(f"descriptor {index} is outside of a table of {limit}")
            address, length, flags, following = _DESCRIPTOR.unpack(self.memory.read(table + 16 * index, 16))
            if flags & VIRTQ_DESC_F_INDIRECT:
                if indirect or flags & VIRTQ_DESC_F_NEXT or not self.indirect:
                    raise QueueError("an indirect descriptor is not allowed here")
                if length % 16 or not length:
                    raise QueueError(f"an indirect table has {length} bytes, no multiple of 16")
                table, limit, index, indirect = address, length // 16, 0, True
                left = limit
                continue
            if flags & VIRTQ_DESC_F_WRITE:
                chain.writable.append((address, length))
            elif chain.writable:
                raise QueueError("a readable descriptor follows a writable one")
            else:
                chain.readable.append((address, length))
            if not flags & VIRTQ_DESC_F_NEXT:
                return chain
            left -= 1
            if not left:
                raise QueueError("the descriptor chain is a loop")
            index = following
        raise QueueError(f"a chain has more than {MAX_CHAIN} descriptors")

    def push(self, chain: Chain, written: int) -> bool:
        """Returns a chain of which the device wrote `written` bytes. False if a reset made the chain stale."""
        if chain.stale or self.broken:
            return False
        slot = self.device + 4 + 8 * (self.used_idx & (self.size - 1))
        self.memory.write(slot, _USED_ELEMENT.pack(chain.head, written & 0xFFFF_FFFF))
        self.used_idx = (self.used_idx + 1) & 0xFFFF
        self.memory.write(self.device + 2, _U16.pack(self.used_idx))
        self.in_flight -= 1
        return True

    def wants_interrupt(self) -> bool:
        """Whether the driver asked for an interrupt for what was pushed since the last call (section 2.7.7)."""
        if not self.event_idx:
            return not self._u16(self.driver) & VIRTQ_AVAIL_F_NO_INTERRUPT
        old, self._signalled = self._signalled, self.used_idx
        if old is None:
            return True
        used_event = self._u16(self.driver + 4 + 2 * self.size)
        return (self.used_idx - used_event - 1) & 0xFFFF < (self.used_idx - old) & 0xFFFF
