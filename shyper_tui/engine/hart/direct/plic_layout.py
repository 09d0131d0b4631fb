"""Where a PLIC keeps its state: byte offsets into a block of host memory, all words 64 bits.

A set of sources is `SET_WORDS` words, bit n of the set is source n, as in the controller's own registers.
"""

from __future__ import annotations

MOST_SOURCES = 1023
MOST_CONTEXTS = 64
SET_WORDS = 16
SET_SIZE = 8 * SET_WORDS
_BY_SOURCE = 8 * (MOST_SOURCES + 1)

# how much there is
SOURCES, CONTEXTS, USED = 0, 8, 16
"""Numbers of sources and contexts; USED: bytes of a set that the sources take, a multiple of 8."""

# sets
PENDING = 24
CLAIMED = PENDING + SET_SIZE
LEVEL = CLAIMED + SET_SIZE
"""Input lines that are high."""
QUEUED = LEVEL + SET_SIZE
"""Sources with edges that wait for their gateway."""
ACTIVE = QUEUED + SET_SIZE
"""Sources of a priority above 0."""
WATCHED = ACTIVE + SET_SIZE
"""Sources whose claim and completion the device's owner wants to see."""

# a word for each source
PRIORITY = WATCHED + SET_SIZE
RAISED = PRIORITY + _BY_SOURCE
COUNT = RAISED + _BY_SOURCE
"""Claims."""
COMPLETED = COUNT + _BY_SOURCE

# for each context, `CONTEXT_SIZE` bytes from ROWS on
ROWS = COMPLETED + _BY_SOURCE
ENABLE = 0
EFFECTIVE = SET_SIZE
"""Enabled, and of a priority above the threshold."""
THRESHOLD = 2 * SET_SIZE
OUTPUT = THRESHOLD + 8
TARGET, TARGET_BITS = OUTPUT + 8, OUTPUT + 16
"""Host address of the word whose bits the output drives, 0 when only Python knows what to do about a change."""
CONTEXT_SIZE = TARGET_BITS + 8


def size(contexts: int) -> int:
    """Bytes of the block of a controller."""
    return ROWS + contexts * CONTEXT_SIZE


# registers (PLIC specification, "Memory Map")
PENDING_REGISTERS = 0x1000
ENABLE_REGISTERS, ENABLE_STRIDE = 0x2000, 0x80
CONTEXT_REGISTERS, CONTEXT_STRIDE = 0x20_0000, 0x1000
CLAIM_COMPLETE = 4
"""In a context's registers; the threshold is at 0."""
