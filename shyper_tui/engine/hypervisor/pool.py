"""Allocators of machine-physical memory: the first-fit pool of VM memory and the hypervisor's own pages."""

from __future__ import annotations

from dataclasses import dataclass

from shyper_tui.engine.hypervisor.layout import PAGE

MIB2, GIB = 2 << 20, 1 << 30
"""What a leaf of stage 2 maps at levels 1 and 2."""


class OutOfMemoryError(Exception):
    """Nothing large enough is free."""


@dataclass(slots=True)
class FreeRegion:
    """A free range; `length` in bytes, a multiple of the page size."""

    base: int
    length: int

    @property
    def end(self) -> int:
        return self.base + self.length


class Pool:
    """First fit over a list of free regions, sizes in whole pages rounded down.

    A larger region is split: its front is handed out and the rest goes to the end of the list. Freed ranges merge
    with free neighbours. Memory for a guest-physical range is taken where stage 2 can map it with large leaves.
    """

    def __init__(self, base: int, length: int) -> None:
        self.base = base
        self.length = length - length % PAGE
        self._free = [FreeRegion(base, self.length)] if self.length > 0 else []

    @property
    def free_bytes(self) -> int:
        return sum(region.length for region in self._free)

    @property
    def regions(self) -> list[tuple[int, int]]:
        """Free ranges as (base, length), in the order in which they are tried."""
        return [(region.base, region.length) for region in self._free]

    def allocate(self, length: int, ipa: int | None = None) -> int:
        """Base of `length` bytes; raises OutOfMemoryError.

        With `ipa`, the base is congruent to that guest-physical address: modulo 1 GiB when that takes the front or
        the end of a free region, so that it costs no larger VM its place; else modulo 2 MiB; else not.
        """
        size = length - length % PAGE
        if size <= 0:
            raise OutOfMemoryError(f"{length:#x} bytes are less than one page of VM memory")
        base = self._find(size, ipa)
        if base is None or not self.allocate_at(base, size):
            raise OutOfMemoryError(
                f"{size >> 20} MiB of VM memory are wanted and {self.free_bytes >> 20} MiB are free, "
                f"the largest piece {max((region.length for region in self._free), default=0) >> 20} MiB"
            )
        return base

    def _find(self, size: int, ipa: int | None) -> int | None:
        fitting = [region for region in self._free if region.length >= size]
        if ipa is not None and size >= GIB:
            for region in fitting:
                for base in (region.base, region.end - size):
                    if (base - ipa) % GIB == 0:
                        return base
        if ipa is not None and size >= MIB2:
            for region in fitting:
                base = region.base + (ipa - region.base) % MIB2
                if base + size <= region.end:
                    return base
        return fitting[0].base if fitting else None

    def allocate_at(self, base: int, length: int) -> bool:
        """Take exactly this range, if all of it is free."""
        size = length - length % PAGE
        for index, region in enumerate(self._free):
            if region.base <= base and base + size <= region.end and size > 0:
                del self._free[index]
                if region.base < base:
                    self._free.append(FreeRegion(region.base, base - region.base))
                if base + size < region.end:
                    self._free.append(FreeRegion(base + size, region.end - base - size))
                return True
        return False

    def release(self, base: int, length: int) -> None:
        """Give back what `allocate` returned. ValueError for memory that is free already or not the pool's."""
        freed = FreeRegion(base, length - length % PAGE)
        if base < self.base or freed.end > self.base + self.length:
            raise ValueError(f"{base:#x}..{freed.end:#x} is not memory of this pool")
        if any(base < region.end and region.base < freed.end for region in self._free):
            raise ValueError(f"{base:#x}..{freed.end:#x} is free already")
        for region in [region for region in self._free if region.end == freed.base or region.base == freed.end]:
            self._free.remove(region)
            freed = FreeRegion(min(freed.base, region.base), freed.length + region.length)
        self._free.append(freed)


class PageAllocator:
    """Pages of the hypervisor's own memory between `base` and `end`; freed pages are used again, last freed first."""

    def __init__(self, base: int, end: int) -> None:
        self._next = base
        self._end = end
        self._freed: list[int] = []
        self.in_use = 0

    def page(self) -> int:
        """One 4 KiB page, contents undefined."""
        if self._freed:
            address = self._freed.pop()
        else:
            address = self._carve(PAGE, PAGE)
        self.in_use += 1
        return address

    def pages(self, count: int) -> int:
        """`count` (a power of two) contiguous pages aligned to their total size, as a stage-2 root needs."""
        size = count * PAGE
        run = self._aligned_run(count)
        if run is None:
            run = self._carve(size, size)
        else:
            kept = set(range(run, run + size, PAGE))
            self._freed = [page for page in self._freed if page not in kept]
        self.in_use += count
        return run

    def free(self, address: int, count: int = 1) -> None:
        self._freed.extend(range(address + (count - 1) * PAGE, address - 1, -PAGE))
        self.in_use -= count

    def _aligned_run(self, count: int) -> int | None:
        freed = set(self._freed)
        for page in sorted(freed):
            if page % (count * PAGE) == 0 and all(page + index * PAGE in freed for index in range(count)):
                return page
        return None

    def _carve(self, size: int, alignment: int) -> int:
        base = (self._next + alignment - 1) & ~(alignment - 1)
        if base + size > self._end:
            raise OutOfMemoryError("the hypervisor's own memory for page tables is used up")
        self._freed.extend(range(self._next, base, PAGE))
        self._next = base + size
        return base
