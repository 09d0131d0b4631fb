"""The areas of a split virtqueue as arrays of words, in place where possible (VIRTIO 1.2, sections 2.7.5 to 2.7.8).

The host is taken to be little-endian like the guest, as in all native code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from shyper_tui.engine.board.memory import BadAddress, Mapping, Memory
from shyper_tui.engine.hart.host_memory import address_of

TABLE_ENTRY, USED_ELEMENT = 16, 8
"""Sizes in bytes of a descriptor and of an element of the used ring."""
_RING = 4
"""Offset of the ring itself in the driver area and in the device area, behind flags and idx."""


class Words(Protocol):
    """Unsigned words of one width. Those that are not in place raise `BadAddress` outside of memory."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...


class DistantWords:
    """Words of `width` bytes from `address` on that are read and written through memory."""

    def __init__(self, memory: Memory, address: int, width: int) -> None:
        self._memory = memory
        self._address = address
        self._width = width

    def __getitem__(self, index: int, /) -> int:
        return int.from_bytes(self._memory.read(self._address + self._width * index, self._width), "little")

    def __setitem__(self, index: int, value: int, /) -> None:
        self._memory.write(self._address + self._width * index, value.to_bytes(self._width, "little"))


class Areas(NamedTuple):
    """Where a virtqueue is. Valid until its addresses mean something else."""

    table: Words
    """64 bits; two for each descriptor: addr, then len, flags (from bit 32), next (from bit 48)."""
    available: Words
    """16 bits: flags, idx, the ring, used_event."""
    used: Words
    """16 bits: flags, idx, the ring, avail_event."""
    elements: Words
    """64 bits; one for each element of the used ring: id, then len (from bit 32)."""
    code: Sequence[int]
    """Of the first and the last page of the device area. While one is not 0, decoded code lies there, and only
    `through_memory` may be used for stores."""
    addresses: tuple[int, int, int, int, int] | None
    """Host addresses of table, driver area, device area and of the first and the last word of `code`; None when one of
    them is not in place."""


def sizes(size: int) -> tuple[int, int, int]:
    """Bytes of the descriptor table, the driver area and the device area of a queue of `size`, event indices
    included."""
    return TABLE_ENTRY * size, 6 + 2 * size, 6 + USED_ELEMENT * size


def through_memory(memory: Memory, device: int) -> tuple[Words, Words]:
    """`used` and `elements` of a device area at `device`, not in place."""
    return DistantWords(memory, device, 2), DistantWords(memory, device + _RING, USED_ELEMENT)


def find(memory: Memory, size: int, desc: int, driver: int, device: int, lost: Callable[[], None]) -> Areas:
    """The areas of a queue of `size` at these addresses, each in place if it can be. See `Memory.map` for `lost`."""

    def place(address: int, length: int) -> Mapping | None:
        try:
            return memory.map(address, length, lost)
        except BadAddress:
            return None  # each access will say so

    table, available, used = map(place, (desc, driver, device), sizes(size))
    used_words, elements = through_memory(memory, device)
    code: Sequence[int] = (0,)
    addresses = None
    if used is not None and len(used.code) <= 2:
        used_words = used.bytes.cast("H")
        elements = used.bytes[_RING : _RING + USED_ELEMENT * size].cast("Q")
        code = used.code
        if table is not None and available is not None and isinstance(code, memoryview):
            places = (table.bytes, available.bytes, used.bytes, code, code[-1:])
            first, second, third, fourth, fifth = map(address_of, places)
            addresses = first, second, third, fourth, fifth
    return Areas(
        table.bytes.cast("Q") if table is not None else DistantWords(memory, desc, 8),
        available.bytes.cast("H") if available is not None else DistantWords(memory, driver, 2),
        used_words,
        elements,
        code,
        addresses,
    )
