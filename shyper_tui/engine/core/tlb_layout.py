"""Layout of a TLB context: three direct-mapped tables and a header.

An entry is {tag, addend}. Read and write entries: tag = virtual page, host address = virtual address + addend.
Execute entries: addend = address of the page's records. An invalid tag is all ones.
"""

from __future__ import annotations

ENTRIES = 1024
ENTRY_SIZE = 16
INDEX_MASK = (ENTRIES - 1) << 4
"""Applied to address >> 8: the byte offset of the page's entry."""

TABLE_SIZE = ENTRIES * ENTRY_SIZE
READ, WRITE, EXECUTE = 0, TABLE_SIZE, 2 * TABLE_SIZE
TABLES_SIZE = 3 * TABLE_SIZE

DIRTY = TABLES_SIZE
"""Something was filled since the last flush."""
NON_GLOBAL = DIRTY + 8
"""A non-global mapping was filled."""
KIND, KEY_A, KEY_B = DIRTY + 16, DIRTY + 24, DIRTY + 32
CONTEXT_SIZE = TABLES_SIZE + 64 * 5
"""The odd size spreads contexts over the cache's sets."""

FIXED_CONTEXTS = 4
"""machine, mprv, bare, s: one each; the others share a pool keyed by address space."""
CONTEXTS = 18
