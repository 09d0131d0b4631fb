"""All harts of a machine: their turns, and what the machine asks of them together."""

from __future__ import annotations

import time
from collections.abc import Sequence

from . import group_layout as at
from .hart import Hart
from .host_memory import Block


class HartGroup:
    """Sets of harts are bit masks: bit n is hart n."""

    def __init__(self, harts: Sequence[Hart], alarm: int) -> None:
        """`alarm`: host address of a word with a tick that no turn may go past, even if native code sets it."""
        if not 1 <= len(harts) <= at.MOST_HARTS:
            raise ValueError(f"a machine has 1 to {at.MOST_HARTS} harts, not {len(harts)}")
        self.harts = list(harts)
        self.all = (1 << len(harts)) - 1
        self._block = Block(at.SIZE)
        self._address = self._block.address
        self._words = self._block.bytes.cast("Q")
        self._words[at.HARTS // 8] = len(harts)
        for hart in harts:
            self._words[at.STATES // 8 + hart.hart_id] = hart.address
        native = harts[0].native
        self._survey, self._sleep = native["group_survey"], native["group_sleep"]
        self._begin, self._run, self._end_turn = native["group_begin"], native["group_run"], native["group_end_turn"]
        self._finish = native["group_finish"]
        self._words[at.ALARM // 8] = alarm
        self._words[at.STRETCH // 8], self._words[_CURRENT] = 1, at.NOBODY
        for place in range(len(harts)):
            self._words[_PACE + place] = at.FASTEST_PACE

    def count_time(self) -> None:
        """From now on, what turns take of the host's time counts, too (`hart.turn_time`)."""
        self._words[_BY_TIME] = 1

    def charge(self, hart: int, nanoseconds: int) -> None:
        """Hart `hart` is the reason for as much of the host's time that was spent outside of its turns."""
        self._words[_USED + hart] += nanoseconds

    def spent(self, hart: int) -> int:
        """Nanoseconds of the host that turns of hart `hart` have taken, with the present one."""
        words = self._words
        present = time.monotonic_ns() - words[_TURN_AT] if words[_CURRENT] == hart else 0
        return words[_SPENT + hart] + present

    def used(self, hart: int) -> int:
        """Nanoseconds of the host that are counted for hart `hart`; a hart that sleeps is level with the least."""
        return self._words[_USED + hart]

    def pace(self, hart: int) -> int:
        """The most cycles that a turn of hart `hart` may have beside others' now."""
        return self._words[_PACE + hart]

    def idle(self) -> int:
        """Those that wait, with nothing pending that ends it."""
        found: int = self._survey(0, self._address)
        return found

    @property
    def soonest(self) -> int:
        """The cycle of the next timer of those that were idle when last asked; all ones when none is set."""
        return self._words[at.SOONEST // 8]

    def sleep_until(self, idle: int, cycle: int) -> None:
        """Time passes for the harts in `idle`, without an instruction."""
        self._sleep(0, self._address, idle, cycle)

    def begin(self, cycle: int, event_at: int, limit: int, clock_at: int) -> bool:
        """Begins a round of turns at `cycle`; False when all harts are idle.

        No turn goes past the cycles `event_at` and `limit`. Rounds that answer an interrupt between harts may follow,
        until the host's monotonic clock shows `clock_at` (nanoseconds).
        """
        words = self._words
        words[_CYCLE], words[_EVENT_AT], words[_LIMIT], words[_CLOCK_AT] = cycle, event_at, limit, clock_at
        words[_HANDOVERS] = at.MOST_HANDOVERS
        return self._begin(0, self._address) != 0

    def run(self) -> Hart | None:
        """Goes on until a hart stops for Python, which is returned, or until the round is over."""
        stopped: int = self._run(0, self._address)
        return self.harts[stopped - 1] if stopped else None

    def end_turn(self, hart: Hart) -> None:
        """The turns end where `hart` is now."""
        self._end_turn(0, self._address, hart.hart_id)

    def end_turns_at(self, cycle: int) -> None:
        """No turn of this round goes past `cycle`."""
        words = self._words
        words[_END] = max(min(words[_END], cycle), words[_CYCLE] + 1)

    def break_off(self) -> None:
        """The round is over."""
        self._finish(0, self._address)

    @property
    def cycle(self) -> int:
        """The cycle at which the last round ended."""
        return self._words[_CYCLE]


_CYCLE, _EVENT_AT, _LIMIT, _CLOCK_AT = at.CYCLE // 8, at.EVENT_AT // 8, at.LIMIT // 8, at.CLOCK_AT // 8
_END = at.END // 8
_HANDOVERS = at.HANDOVERS // 8
_BY_TIME, _USED, _PACE = at.BY_TIME // 8, at.USED // 8, at.PACE // 8
_SPENT, _TURN_AT, _CURRENT = at.SPENT // 8, at.TURN_AT // 8, at.CURRENT // 8
"""Indices of words."""
