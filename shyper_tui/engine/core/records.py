"""Decoded code: one record per halfword of a physical page.

A record is 8 bytes: the handler as a 32-bit distance from the first one (`interpreter.FIRST_HANDLER`), and four bytes
of operands (`core.operands`). They are small because guest kernels wait for the host's caches. Records hold no virtual
address: `pc = (record >> SCALE) + bias`.

The records of a page and their header fill one *slot* of the arena (`hart.code_pages`).
"""

from __future__ import annotations

RECORD_SIZE = 8
SCALE = 2
"""log2 of a record's bytes for each byte of code."""
HANDLER, OPERANDS = 0, 4
RECORDS = 2048
SENTINELS = 2
"""After the last halfword: `cross_page` goes on at the next page."""

HEADER = (RECORDS + SENTINELS) * RECORD_SIZE
HOST = HEADER
"""Host address of the page."""
PAGE = HEADER + 8
"""Index of the page in RAM."""
STORES = HEADER + 16
"""Stores into the page since the last decode."""
STRADDLE_WORD = HEADER + 24
STRADDLE_HANDLER = HEADER + 32
LINK = HEADER + 40
"""The next slot of the free list, or of the retired ones."""
OWNER = HEADER + 48
"""Which owner's account the slot is on, while it holds a page."""
OLDER, NEWER = HEADER + 56, HEADER + 64
"""The owner's slots in the order in which their pages were first executed; 0 at the ends."""
STRIDE = 64 * 259
"""Whole cache lines, and an odd number of them: pages of records spread over the cache's sets."""
assert NEWER + 8 <= STRIDE

STORES_BEFORE_DROP = 64
"""A page written this often without being executed holds data now: its records go."""

BATCH = 64
"""Slots that are reclaimed together: it takes a look at the execute TLBs of all harts."""
OWNERS = 16
"""Accounts of slots: the VMID modulo this number, 0 for code that runs with V = 0."""
LEAST_SLOTS = 4 * BATCH
"""Slots of the smallest arena: the owner that has most always has some to give."""

# words shared by all harts
SHARED_NEXT, SHARED_END = 0, 8
"""Where the part of the arena begins that was never used, and the end of its last slot."""
SHARED_FREE, SHARED_RETIRED, SHARED_RETIRED_COUNT = 16, 24, 32
"""Slots without a page: those that nothing refers to, and those to which execute TLBs may still lead."""
SHARED_TIME = 40
"""The latest time that a hart has read (`hart.shared_time`)."""
OWNER_SLOTS = 64
"""How many slots each owner has."""
OWNER_OLDEST = OWNER_SLOTS + 8 * OWNERS
OWNER_NEWEST = OWNER_OLDEST + 8 * OWNERS
SHARED_SIZE = OWNER_NEWEST + 8 * OWNERS

REACH = 24
"""A fused sequence that contains a stored byte begins at most this many bytes before it: six instructions of four."""
