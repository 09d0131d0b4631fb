"""Descriptor tables, and the chains of descriptors in them (VIRTIO 1.2, section 2.7.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from shyper_tui.engine.board.memory import BadAddress, Memory
from shyper_tui.engine.board.virtio.areas import TABLE_ENTRY, DistantWords, Words

VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE, VIRTQ_DESC_F_INDIRECT = 1, 2, 4
MAX_CHAIN = 512  # descriptors; more than any driver uses, little enough to walk

# the second word of a descriptor: its length in the lower half, then flags and next
_U32 = 0xFFFF_FFFF
_CHAINED, _WRITE, _INDIRECT = VIRTQ_DESC_F_NEXT << 32, VIRTQ_DESC_F_WRITE << 32, VIRTQ_DESC_F_INDIRECT << 32
_LINKED = _CHAINED | _INDIRECT
_NEXT = 48

Segment = tuple[int, int]
"""Address and length of one piece of a buffer."""


class Segments(Protocol):
    """Pieces in their order."""

    def __iter__(self) -> Iterator[Segment]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Segment: ...


Pieces = tuple[int, Segments, int, Segments, int]
"""What a chain is made of: how many descriptors, the pieces that the device may read and their bytes, those that it may
write and theirs."""


class QueueError(Exception):
    """The driver's ring or request breaks the specification."""


class _Shape(NamedTuple):
    """An indirect table without its addresses: the second words of its descriptors, and what they come to."""

    words: bytes
    readable: list[int]
    """The lengths of the pieces that the device may read."""
    readable_size: int
    writable: list[int]
    writable_size: int


class _Ordered:
    """Segments whose addresses and lengths are at hand in order; of many the device mostly wants the first ones."""

    __slots__ = ("_addresses", "_lengths")

    def __init__(self, addresses: memoryview[int], lengths: list[int]) -> None:
        self._addresses = addresses
        self._lengths = lengths

    def __iter__(self) -> Iterator[Segment]:
        return zip(self._addresses, self._lengths, strict=False)

    def __len__(self) -> int:
        return len(self._lengths)

    def __getitem__(self, index: int, /) -> Segment:
        return self._addresses[index], self._lengths[index]


class Walker:
    """Follows the chains of one virtqueue.

    A driver mostly lays its indirect tables out in order, and the next one like the last but for the addresses. What
    the last one looked like is kept, so that such a table need not be followed from descriptor to descriptor.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._shape: _Shape | None = None

    def walk(self, table: Words, size: int, head: int, indirect: bool) -> Pieces:
        """The chain that begins at `head` of a table of `size`; `indirect` tables may be allowed. Raises QueueError for
        a chain that must not be, and BadAddress for a table outside of memory."""
        if head >= size:
            raise QueueError(f"descriptor {head} is outside of a table of {size}")
        word = table[2 * head + 1]
        linked = word & _LINKED
        if not linked:
            piece = (table[2 * head], word & _U32)
            return (1, [], 0, [piece], piece[1]) if word & _WRITE else (1, [piece], piece[1], [], 0)
        if linked == _INDIRECT and indirect:
            pieces = self._in_order(table[2 * head], word & _U32)
            if pieces is not None:
                return pieces
        return self._follow(table, size, head, indirect)

    def _in_order(self, address: int, length: int) -> Pieces | None:
        """The chain in an indirect table that is laid out in order; None if it is not, or something else is wrong."""
        if length % TABLE_ENTRY or length >= TABLE_ENTRY * MAX_CHAIN:
            return None
        try:
            table = memoryview(self._memory.read(address, length)).cast("Q")
        except BadAddress:
            return None
        words = table[1::2].tobytes()
        shape = self._shape
        if shape is None or shape.words != words:
            shape = _shape(words)
            if shape is None:
                return None
            self._shape = shape
        _, readable, readable_size, writable, writable_size = shape
        return (
            len(readable) + len(writable),
            _Ordered(table[::2], readable) if readable else [],
            readable_size,
            _Ordered(table[2 * len(readable) :: 2], writable) if writable else [],
            writable_size,
        )

    def _follow(self, table: Words, size: int, head: int, indirect: bool) -> Pieces:
        """The chain, followed from descriptor to descriptor."""
        readable: list[Segment] = []
        writable: list[Segment] = []
        limit, index = size, head
        left = limit  # descriptors that this table can still contribute
        for _ in range(MAX_CHAIN):
            if index >= limit:
                raise QueueError(f"descriptor {index} is outside of a table of {limit}")
            address, word = table[2 * index], table[2 * index + 1]
            length = word & _U32
            if word & _INDIRECT:
                if word & _CHAINED or not indirect:
                    raise QueueError("an indirect descriptor is not allowed here")
                if length % TABLE_ENTRY or not length:
                    raise QueueError(f"an indirect table has {length} bytes, no multiple of {TABLE_ENTRY}")
                table, limit, index, indirect = DistantWords(self._memory, address, 8), length // TABLE_ENTRY, 0, False
                left = limit
                continue
            if word & _WRITE:
                writable.append((address, length))
            elif writable:
                raise QueueError("a readable descriptor follows a writable one")
            else:
                readable.append((address, length))
            if not word & _CHAINED:
                return len(readable) + len(writable), readable, _size(readable), writable, _size(writable)
            left -= 1
            if not left:
                raise QueueError("the descriptor chain is a loop")
            index = word >> _NEXT
        raise QueueError(f"a chain has more than {MAX_CHAIN} descriptors")


def _shape(words: bytes) -> _Shape | None:
    """What an indirect table with these second words is; None unless each descriptor of its chain follows the one
    before, and all are as they must be."""
    readable: list[int] = []
    writable: list[int] = []
    for index, word in enumerate(memoryview(words).cast("Q")):
        if word & _INDIRECT:
            return None
        if word & _WRITE:
            writable.append(word & _U32)
        elif writable:
            return None
        else:
            readable.append(word & _U32)
        if not word & _CHAINED:
            return _Shape(words, readable, sum(readable), writable, sum(writable))
        if word >> _NEXT != index + 1:
            return None
    return None


def _size(pieces: list[Segment]) -> int:
    return sum([length for _, length in pieces])
