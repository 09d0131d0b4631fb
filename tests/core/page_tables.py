"""Page tables of both stages, built entry by entry."""

from __future__ import annotations

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
FULL = V | R | W | X | A | D


class Tables:
    """Page tables of one address space in RAM. `stage2` has a root of 16 KiB."""

    def __init__(
        self, ram: dict[int, int], allocate: int, mode: int, *, stage2: bool = False, entry_offset: int = 0
    ) -> None:
        self._ram = ram
        self.root = allocate
        self.next = allocate + (0x4000 if stage2 else 0x1000)
        self.levels = mode - 5
        self._stage2 = stage2
        self._entry_offset = entry_offset
        """What non-leaf entries add to a table's address: VS tables hold guest-physical ones."""

    def map(self, va: int, pa: int, flags: int, level: int = 0) -> None:
        table = self.root
        for depth in range(self.levels - 1, level, -1):
            entry = table + 8 * self._index(va, depth)
            if entry not in self._ram:
                self._ram[entry] = (self.next + self._entry_offset) >> 12 << 10 | V
                self.next += 0x1000
            table = ((self._ram[entry] >> 10) << 12) - self._entry_offset
        self._ram[table + 8 * self._index(va, level)] = pa >> 12 << 10 | flags

    def _index(self, va: int, level: int) -> int:
        top = self._stage2 and level == self.levels - 1
        return va >> 12 + 9 * level & (0x7FF if top else 0x1FF)

    def entry_of(self, va: int, level: int = 0) -> int:
        """Physical address of the entry that maps `va` at a level; the tables above it exist."""
        table = self.root
        for depth in range(self.levels - 1, level, -1):
            table = ((self._ram[table + 8 * self._index(va, depth)] >> 10) << 12) - self._entry_offset
        return table + 8 * self._index(va, level)
