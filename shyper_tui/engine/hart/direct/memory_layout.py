"""How native code finds what a VM's addresses mean: byte offsets into a block of host memory, all words 64 bits."""

from __future__ import annotations

REGIONS = 0
"""How many there are."""
ENTRIES = 8
IPA, LENGTH, HOST, CODE = 0, 8, 16, 24
"""Guest-physical address and bytes of a region; host addresses of the region, and of a word for each of its pages
that is not 0 while decoded code lies in the page."""
ENTRY_SIZE = 32


def size(regions: int) -> int:
    """Bytes of the block."""
    return ENTRIES + regions * ENTRY_SIZE
