"""Where a split virtqueue keeps its state, and what a chain of its descriptors is written down as: byte offsets into
blocks of host memory, all words 64 bits."""

from __future__ import annotations

TABLE, AVAILABLE, USED = 0, 8, 16
"""Host addresses of the descriptor table, the driver area and the device area; TABLE is 0 unless all three are used in
place."""
CODE_FIRST, CODE_LAST = 24, 32
"""Host addresses of the words that are not 0 while decoded code lies in the first and the last page of the device
area."""
ENTRIES, READY, BROKEN, EVENT_IDX, INDIRECT = 40, 48, 56, 64, 72
LAST_AVAIL, USED_IDX, IN_FLIGHT, SIGNALLED = 80, 88, 96, 104
"""SIGNALLED: used_idx at the last decision about an interrupt, NOTHING before the first one."""
SIZE = 112
NOTHING = (1 << 64) - 1

# a chain that was walked
HEAD, DESCRIPTORS, READABLE, READABLE_SIZE = 0, 8, 16, 24
"""Its head; how many descriptors; how many of them the device may read, and the bytes of these."""
SEGMENTS, SEGMENT_SIZE = 32, 16
"""Address and length of each, those that the device may read before the others."""
MOST_SEGMENTS = 64
CHAIN_SIZE = SEGMENTS + MOST_SEGMENTS * SEGMENT_SIZE

# the rings and tables themselves (VIRTIO 1.2, sections 2.7.5 to 2.7.8)
DESCRIPTOR_SIZE, ELEMENT_SIZE = 16, 8
RING_INDEX, RING = 2, 4
"""Offsets of idx and of the first element in the driver area and in the device area."""
VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE, VIRTQ_DESC_F_INDIRECT = 1, 2, 4
VIRTQ_AVAIL_F_NO_INTERRUPT = 1
FLAGS, NEXT = 32, 48
"""Bit positions in the second word of a descriptor, behind its length."""
