"""Where a ramdisk comes to lie whose address is 0: "where it fits"."""

from __future__ import annotations

from collections.abc import Iterable

from shyper_tui.engine.hypervisor.definition import MemoryRegion

ALIGNMENT = 2 << 20
"""Of a ramdisk, in bytes: kernels map memory in such pieces."""


def place(regions: Iterable[MemoryRegion], taken: Iterable[tuple[int, int]], size: int) -> int | None:
    """Guest-physical address for `size` bytes at the end of the largest gap between the ranges `taken` (start, end) in
    the VM's RAM; None when no gap is large enough."""
    used = sorted(taken)
    best: tuple[int, int] | None = None  # start, end
    for region in regions:
        at, end = region.ipa_start, region.ipa_start + region.length
        for start, stop in [*used, (end, end)]:
            gap = (at, min(start, end))
            if gap[1] - gap[0] > (best[1] - best[0] if best else 0):
                best = gap
            if stop > at and start < end:
                at = max(at, min(stop, end))
    if best is None:
        return None
    address = (best[1] - size) // ALIGNMENT * ALIGNMENT
    return address if address >= best[0] else None
