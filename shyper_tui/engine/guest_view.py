"""Reading a guest's memory by its virtual addresses, without side effects: for panes and debuggers.

The walk is the first stage alone (Privileged ISA, "Virtual Address Translation Process"); the guest's physical
memory is read through the VM. No accessed bits are set, no permissions are checked, no TLB is used.
"""

from __future__ import annotations

from typing import Protocol

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


def translate(memory: Readable, satp: int, address: int) -> int:
    """Guest-physical address of a guest-virtual one under `satp` (or vsatp). Raises UnmappedError."""
    levels = LEVELS.get(satp >> 60)
    if levels is None:
        return address
    top = 12 + 9 * levels
    if (address >> (top - 1)) not in (0, (1 << (65 - top)) - 1):
        raise UnmappedError(f"{address:#x} is not canonical")
    table = (satp & PPN_MASK) * PAGE
    for level in reversed(range(levels)):
        shift = 12 + 9 * level
        entry = _entry(memory, table + (address >> shift & 0x1FF) * 8)
        if not entry & PTE_V:
            break
        frame = (entry >> 10 & PPN_MASK) * PAGE
        if entry & PTE_LEAF:
            offset = address & (1 << shift) - 1
            return frame & -(1 << shift) | offset
        table = frame
    raise UnmappedError(f"{address:#x} is not mapped")


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


def _entry(memory: Readable, address: int) -> int:
    return int.from_bytes(memory.read(address, 8), "little")
