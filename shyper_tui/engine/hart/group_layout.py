"""Where a group of harts keeps what native code needs of them all: byte offsets, all words 64 bits."""

from __future__ import annotations

MOST_HARTS = 8
HARTS, SOONEST = 0, 8
"""How many there are; the next timer of those that wait."""
STATES = 16
"""Host address of each hart's state."""
SEEN = STATES + 8 * MOST_HARTS
"""For each hart, what others change in order to interrupt or start it, when it was last looked at."""
INPUTS = ("lines", "mip_soft", "hvip", "waiting")
SEEN_SIZE = 8 * len(INPUTS)
SIZE = SEEN + SEEN_SIZE * MOST_HARTS
