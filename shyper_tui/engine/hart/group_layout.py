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

# a round of turns
CYCLE = SEEN + SEEN_SIZE * MOST_HARTS
"""Where the round began: no hart is behind."""
END = CYCLE + 8
"""Where its turns end."""
EVENT_AT, LIMIT = END + 8, END + 16
"""Cycles of the next event, and at which Python wants the machine back; NEVER without."""
CLOCK_AT = LIMIT + 8
"""Nanoseconds of the host at which the clock wants to be looked at, or NEVER."""
ALARM = CLOCK_AT + 8
"""Host address of a word with a tick at which a round must end, too."""
IDLE, RUNNING, FIRST = ALARM + 8, ALARM + 16, ALARM + 24
"""Sets of harts: those without a turn, those whose turn is not over, and the one of them that is next, if that is
settled."""
CURRENT, CALLED = FIRST + 8, FIRST + 16
"""The number of the hart whose turn it is, or NOBODY; one more than that of the hart that another has interrupted."""
HANDOVERS = CALLED + 8
"""How many more rounds may follow before Python is asked."""

# turns counted in the host's time (nanoseconds)
BY_TIME = HANDOVERS + 8
"""Not 0: what a turn takes of the host's time counts, not only its cycles."""
TURN_AT, TURN_FROM = BY_TIME + 8, BY_TIME + 16
"""When the current hart's turn began: the host's time, and the hart's cycle."""
USED = TURN_FROM + 8
"""For each hart, the host's time that its turns took; one that sleeps falls behind nobody."""
PACE = USED + 8 * MOST_HARTS
"""For each hart, the most cycles that a turn of MOST_TIME may have, from what its last turns took."""
STRETCH = PACE + 8 * MOST_HARTS
"""ALONE in a round of one hart, otherwise 1."""
SPENT = STRETCH + 8
"""For each hart, the host's time that its turns took in all."""
SIZE = SPENT + 8 * MOST_HARTS
NOBODY = (1 << 64) - 1

TURN = 20_000
"""Cycles of a hart's turn when several run."""
TURN_CALLED = 3 * TURN
"""Cycles of a turn after one hart has interrupted another: room for the answer."""
TURN_ALONE = 200_000
"""Cycles of a turn while all other harts sleep; it ends early when one of them is woken."""
MOST_HANDOVERS = 8

MOST_TIME = 1_000_000
"""Nanoseconds that a turn should take at most."""
ALONE = 4
"""How many times as long a hart may go on that runs alone."""
MOST_COUNTED = 10 * MOST_TIME
"""Nanoseconds of one turn that count: the host may have stopped the process meanwhile."""
AHEAD = 500_000
"""Nanoseconds that a hart may have used more than one of another VM before it has to wait."""
SLOWEST_PACE, FASTEST_PACE = 500, TURN_ALONE // ALONE
"""Bounds of PACE."""
