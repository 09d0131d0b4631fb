"""The table of windows that native code answers: byte offsets, all words 64 bits."""

from __future__ import annotations

WINDOWS, LOADS, STORES = 0, 8, 16
"""How many windows there are; how many loads and stores were answered."""
LOAD_TIME, STORE_TIME = 24, 32
"""Nanoseconds of the host that they took."""
ENTRIES = 40
BASE, LENGTH, KIND, STATE = 0, 8, 16, 24
ENTRY_SIZE = 32
MOST = 31
SIZE = ENTRIES + MOST * ENTRY_SIZE

PLIC, VIRTIO = 1, 2
"""Kinds: the layout of the state."""

UNANSWERED = (1 << 64) - 1
"""What a read returns that the device's Python has to do; no register has 64 bits."""
CYCLES = 50
"""What an answered access takes besides its instruction: a guest that does nothing else has no more of the host."""
CALLED = 1 << 32
"""Added to the cycles of a store that has interrupted another hart."""
