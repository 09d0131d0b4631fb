"""Reading a guest's memory by its virtual addresses, without side effects: for panes and debuggers.

The walk is the first stage alone (Privileged ISA, "Virtual Address Translation Process"); the guest's physical
memory is read through the VM. No accessed bits are set, no permissions are checked, no TLB is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from shyper_tui.engine.board.memory import BadAddress

PAGE = 4096
LEVELS = {8: 3, 9: 4, 10: 5}
"""Page table levels of Sv39, Sv48, Sv57 by the mode in satp."""
PTE_V, PTE_LEAF = 1, 0b1110
PPN_MASK = (1 << 44) - 1


class Readable(Protocol):
    """Physical memory, or a VM's guest-physical view of it."""

    def read(self, address: int, size: int, /) -> bytes: ...


class UnmappedError(LookupError):
    """The address leads nowhere."""


class Step(NamedTuple):
    """One step of a walk: the page-table entry of `level` at guest-physical `address`, None if that is no memory."""

    level: int
    address: int
    entry: int | None


def walk(memory: Readable, satp: int, address: int) -> Iterator[Step]:
    """Every page-table entry that the walk of a guest-virtual address reads, or tries to: the last one is a leaf, not
    valid, or cannot be read. None without translation."""
    levels = LEVELS.get(satp >> 60, 0)
    table = (satp & PPN_MASK) * PAGE
    for level in reversed(range(levels)):
        at = table + (address >> 12 + 9 * level & 0x1FF) * 8
        try:
            entry = int.from_bytes(memory.read(at, 8), "little")
        except BadAddress:
            yield Step(level, at, None)
            return
        yield Step(level, at, entry)
        if not entry & PTE_V or entry & PTE_LEAF:
            return
        table = (entry >> 10 & PPN_MASK) * PAGE


def translate(memory: Readable, satp: int, address: int) -> int:
    """Guest-physical address of a guest-virtual one under `satp` (or vsatp). Raises UnmappedError."""
    levels = LEVELS.get(satp >> 60)
    if levels is None:
        return address
    top = 12 + 9 * levels
    if (address >> (top - 1)) not in (0, (1 << (65 - top)) - 1):
        raise UnmappedError(f"{address:#x} is not canonical")
    *_, (level, _, entry) = walk(memory, satp, address)
    if entry is None or not entry & PTE_V or not entry & PTE_LEAF:
        raise UnmappedError(f"{address:#x} is not mapped")
    size = PAGE << 9 * level
    return (entry >> 10 & PPN_MASK) * PAGE & -size | address & size - 1


def read_code(memory: Readable, satp: int, address: int, size: int) -> bytes:
    """Up to `size` bytes at a guest-virtual address; fewer, or none, where it is not mapped."""
    data = bytearray()
    while len(data) < size:
        at = address + len(data)
        step = min(size - len(data), PAGE - at % PAGE)
        try:
            data += memory.read(translate(memory, satp, at), step)
        except (BadAddress, UnmappedError):
            break
    return bytes(data)
