"""How fast the machine runs and how busy its harts are, between two looks."""

from __future__ import annotations

import time
from collections.abc import Sequence

INTERVAL = 0.25
"""Shortest measuring interval in seconds; within it every asker gets the same numbers."""

Counters = Sequence[tuple[int, int]]
"""(instructions, cycles) of each hart since power-on; a waiting hart's cycles go on."""


class Speedometer:
    """`mips`: million instructions per second of host time, all harts together. `busy`: share of its cycles in
    which each hart executed, 0.0 to 1.0."""

    def __init__(self, harts: int) -> None:
        self.mips = 0.0
        self.busy = [0.0] * harts
        self._last: list[tuple[int, int]] = [(0, 0)] * harts
        self._time = time.monotonic()

    def look(self, counters: Counters, rate: int = 0, now: float | None = None) -> None:
        """Measures since the last look, when that is long enough ago.

        `rate`: cycles a second that a hart has at least; given when all harts wait, because their cycles stand
        still while nothing is due. `now`: seconds, as of time.monotonic.
        """
        now = time.monotonic() if now is None else now
        seconds = now - self._time
        if seconds < INTERVAL:
            return
        done = [(new[0] - old[0], new[1] - old[1]) for new, old in zip(counters, self._last, strict=True)]
        self.mips = sum(instructions for instructions, _ in done) / seconds / 1e6
        least = rate * seconds
        self.busy = [min(1.0, instructions / max(cycles, least, 1)) for instructions, cycles in done]
        self._last, self._time = list(counters), now
