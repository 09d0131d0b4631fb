"""The pace of a device looks at the clock no more than it must, and rests exactly when it has to."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.board.virtio.pace import BURST, Pace

steps = st.lists(
    st.one_of(
        st.tuples(st.just("spend"), st.integers(0, 2 * BURST)),
        st.tuples(st.just("pass"), st.integers(0, 2 * BURST)),
        st.tuples(st.just("ask"), st.just(0)),
    ),
    max_size=40,
)


class LeakyBucket:
    """The rule itself: paid for until `even_at`; more than `BURST` ahead it rests until it is even."""

    def __init__(self) -> None:
        self.even_at = 0
        self.rests_until: int | None = None

    def spend(self, now: int, ticks: int) -> None:
        self.even_at = max(self.even_at, now) + ticks

    def must_rest(self, now: int) -> bool:
        if self.rests_until is not None and now >= self.rests_until:
            self.rests_until = None
        if self.rests_until is None and self.even_at - now > BURST:
            self.rests_until = self.even_at
        return self.rests_until is not None


@settings(max_examples=300, deadline=None)
@given(steps=steps, more=st.booleans())
@example(steps=[("spend", BURST - 10), ("ask", 0)], more=True)
@example(steps=[("spend", 2 * BURST), ("ask", 0), ("pass", BURST + 100), ("spend", 10), ("ask", 0)], more=False)
@example(steps=[("spend", 2 * BURST), ("ask", 0), ("pass", BURST + 100), ("spend", 30), ("ask", 0)], more=True)
def test_it_rests_exactly_when_it_is_too_far_ahead(steps: list[tuple[str, int]], more: bool) -> None:
    timebase, bucket = ManualTimebase(), LeakyBucket()
    woken: list[int] = []
    pace = Pace(timebase, lambda: woken.append(timebase.now()))
    for what, ticks in steps:
        now = timebase.now()
        if what == "spend":
            pace.spend(ticks)
            bucket.spend(now, ticks)
            if more:
                pace.spend_more(ticks // 3)
                bucket.spend(now, ticks // 3)
        elif what == "pass":
            timebase.advance(ticks)
        else:
            expected = bucket.must_rest(now)
            assert (pace.ahead and pace.must_rest()) == expected
            assert pace.must_rest() == expected
            assert not woken or woken[-1] <= now


def test_without_a_timebase_it_never_rests() -> None:
    pace = Pace(None, lambda: None)
    pace.spend(10 * BURST)
    pace.spend_more(10 * BURST)
    assert not pace.ahead
    assert not pace.must_rest()
