"""Stage 2 of address translation: Sv39x4 page tables in machine RAM (Privileged ISA, "Guest Physical Address
Translation")."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from shyper_tui.engine.board.memory import Memory
from shyper_tui.engine.hypervisor.layout import PAGE
from shyper_tui.engine.hypervisor.pool import OutOfMemoryError, PageAllocator

PTE_V, PTE_R, PTE_W, PTE_X, PTE_U, PTE_A, PTE_D = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 6, 1 << 7
GUEST_LEAF = PTE_V | PTE_R | PTE_W | PTE_X | PTE_U | PTE_A | PTE_D
"""A leaf for RAM and passthrough alike; U because the G-stage always translates as for user mode."""

LEVELS = 3
ROOT_PAGES = 4
MODE_SV39X4 = 8
IPA_BITS = 41


class MappingError(Exception):
    """A mapping that cannot be made; the message says why."""


class Translation(NamedTuple):
    """Result of a walk: machine-physical address and the size of the leaf that maps it."""

    physical: int
    leaf_size: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """One range of intermediate physical addresses and where it lies in the machine."""

    ipa: int
    physical: int
    length: int
    name: str


def leaf_size(level: int) -> int:
    """Bytes one leaf maps: 4 KiB at level 0, 2 MiB at 1, 1 GiB at 2."""
    return PAGE << 9 * level


class Stage2:
    """The G-stage tables of one VM. `vmid` goes into hgatp; tables are taken from `pages` and written through
    `memory`."""

    def __init__(self, memory: Memory, pages: PageAllocator, vmid: int) -> None:
        self._memory = memory
        self._pages = pages
        self.vmid = vmid
        self.root = pages.pages(ROOT_PAGES)
        memory.write(self.root, bytes(ROOT_PAGES * PAGE))
        self._tables: list[int] = []
        self.mappings: list[Mapping] = []

    @property
    def hgatp(self) -> int:
        """Value of hgatp that selects these tables."""
        return MODE_SV39X4 << 60 | self.vmid << 44 | self.root >> 12

    def map(self, ipa: int, physical: int, length: int, name: str) -> None:
        """Map `length` bytes with the largest leaves that fit. All must be multiples of 4 KiB; nothing may be mapped
        there yet."""
        if (ipa | physical | length) % PAGE or length <= 0:
            raise MappingError(f"{name} ({ipa:#x}, {length:#x} bytes) is not made of whole pages of 4 KiB")
        if ipa + length > 1 << IPA_BITS:
            raise MappingError(
                f"{name} ends at {ipa + length:#x}, beyond the {IPA_BITS} bits of a guest-physical address"
            )
        for other in self.mappings:
            if ipa < other.ipa + other.length and other.ipa < ipa + length:
                raise MappingError(f"{name} at {ipa:#x}..{ipa + length:#x} overlaps {other.name} at {other.ipa:#x}")
        try:
            self._fill(self.root, LEVELS - 1, ipa, physical, length)
        except OutOfMemoryError as error:
            raise MappingError(f"{name}: {error}") from None
        self.mappings.append(Mapping(ipa, physical, length, name))

    def translate(self, ipa: int) -> Translation | None:
        """Walk the tables in memory for `ipa`; None when no leaf maps it."""
        level, pte = self._last_entry(ipa)
        if not pte & (PTE_R | PTE_X):
            return None
        size = leaf_size(level)
        return Translation(((pte >> 10 & (1 << 44) - 1) << 12) + ipa % size, size)

    def last_level(self, ipa: int) -> int:
        """Level of the entry at which the walk of `ipa` ends: a leaf, or the first that is not valid."""
        return self._last_entry(ipa)[0]

    def _last_entry(self, ipa: int) -> tuple[int, int]:
        """(level, entry) that ends the walk of `ipa`; an address that is too long ends it before the first read."""
        if ipa >> IPA_BITS:
            return LEVELS - 1, 0
        table = self.root
        for level in reversed(range(LEVELS)):
            index = ipa >> 12 + 9 * level & (0x7FF if level == LEVELS - 1 else 0x1FF)
            pte = self._read(table, index)
            if not pte & PTE_V or pte & (PTE_R | PTE_X) or level == 0:
                break
            table = (pte >> 10 & (1 << 44) - 1) << 12
        return level, pte if pte & PTE_V else 0

    def free(self) -> None:
        """Give all tables back; the VM must not run any more."""
        for table in self._tables:
            self._pages.free(table)
        self._pages.free(self.root, ROOT_PAGES)
        self._tables.clear()
        self.mappings.clear()

    def _fill(self, table: int, level: int, ipa: int, physical: int, length: int) -> None:
        """Map a range inside one table: runs of leaves in one write each, the rest through tables of the next level."""
        size = leaf_size(level)
        while length > 0:
            index = ipa // size % (0x800 if level == LEVELS - 1 else 0x200)
            if (ipa | physical) % size == 0 and length >= size:
                count = min(length // size, (0x800 if level == LEVELS - 1 else 0x200) - index)
                entries = [(physical + n * size) >> 2 | GUEST_LEAF for n in range(count)]
                self._memory.write(table + 8 * index, struct.pack(f"<{count}Q", *entries))
                done = count * size
            else:
                done = min(length, size - ipa % size)
                self._fill(self._next_table(table, index), level - 1, ipa, physical, done)
            ipa, physical, length = ipa + done, physical + done, length - done

    def _next_table(self, table: int, index: int) -> int:
        pte = self._read(table, index)
        if pte & PTE_V:
            return (pte >> 10) << 12
        page = self._pages.page()
        self._memory.write(page, bytes(PAGE))
        self._tables.append(page)
        self._memory.write(table + 8 * index, struct.pack("<Q", page >> 2 | PTE_V))
        return page

    def _read(self, table: int, index: int) -> int:
        value: int = struct.unpack("<Q", self._memory.read(table + 8 * index, 8))[0]
        return value
