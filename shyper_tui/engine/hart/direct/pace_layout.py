"""Where a device keeps how much work it has done ahead of time: byte offsets into host memory, all words 64 bits."""

from __future__ import annotations

EVEN_AT, AHEAD, RESTING = 0, 8, 16
"""The tick at which all work done so far is paid for; whether the device may have to rest; whether it does."""
SIZE = 24

BURST = 30_000
"""Ticks of work that may be done ahead of time: 3 ms."""
DESCRIPTOR_TICKS = 5
"""Price of each descriptor of a chain: a driver may make chains of hundreds that carry nothing."""
