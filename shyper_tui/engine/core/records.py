"""Decoded code: one record per halfword of a physical page.

A record is 16 bytes: the handler's address, then rd, rs1, rs2, length (one byte each) and a 32-bit immediate. Records
hold no virtual address: `pc = (record >> 3) + bias`. A branch inside the page holds its displacement scaled to
records.
"""

from __future__ import annotations

RECORD_SIZE = 16
RD, RS1, RS2, LENGTH, IMM = 8, 9, 10, 11, 12
RECORDS = 2048
SENTINELS = 2
"""After the last halfword: `h_cross` goes on at the next page."""

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
STRIDE = HEADER + 64 * 3
"""Not a power of two: pages of records spread over the cache's sets."""

STORES_BEFORE_DROP = 64
"""A page written this often without being executed holds data now: its records go."""

# words shared by all harts
SHARED_NEXT, SHARED_END, SHARED_FREE, SHARED_RETIRED = 0, 8, 16, 24
SHARED_TIME = 32
"""The latest time that a hart has read (`hart.shared_time`)."""
SHARED_SIZE = 64

REACH = 24
"""A fused sequence that contains a stored byte begins at most this many bytes before it: six instructions of four."""
