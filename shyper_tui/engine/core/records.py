"""Decoded code: one record per halfword of a physical page.

A record is 8 bytes: the handler as a 32-bit distance from the first one (`interpreter.FIRST_HANDLER`), and four bytes
of operands (`core.operands`). They are small because guest kernels wait for the host's caches. Records hold no virtual
address: `pc = (record >> SCALE) + bias`.
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
STRIDE = 64 * 259
"""Whole cache lines, and an odd number of them: pages of records spread over the cache's sets."""

STORES_BEFORE_DROP = 64
"""A page written this often without being executed holds data now: its records go."""

# words shared by all harts
SHARED_NEXT, SHARED_END, SHARED_FREE, SHARED_RETIRED = 0, 8, 16, 24
SHARED_TIME = 32
"""The latest time that a hart has read (`hart.shared_time`)."""
SHARED_SIZE = 64

REACH = 24
"""A fused sequence that contains a stored byte begins at most this many bytes before it: six instructions of four."""
