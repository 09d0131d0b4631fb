"""The tick that native code may set, too."""

from __future__ import annotations

from functools import partial

from shyper_tui.engine.board.alarm import NEVER, Alarm
from shyper_tui.engine.board.device import ManualTimebase


class Sleeper:
    """Wants to be called at some ticks."""

    def __init__(self, alarm: Alarm, *ticks: int) -> None:
        self.alarm = alarm
        self.ticks = list(ticks)
        self.called: list[int] = []
        alarm.listen(self.ring)
        alarm.set(min(ticks))

    def ring(self, now: int) -> None:
        self.called += [tick for tick in self.ticks if tick <= now]
        self.ticks = [tick for tick in self.ticks if tick > now]
        for tick in self.ticks:
            self.alarm.set(tick)


def test_all_are_called_at_the_earliest_tick_and_say_when_next() -> None:
    timebase = ManualTimebase()
    first, second = Sleeper(timebase.alarm, 30, 10), Sleeper(timebase.alarm, 20)
    assert timebase.next_tick() == 10
    timebase.advance_to(15)
    assert (first.called, second.called, timebase.alarm.tick) == ([10], [], 20)
    timebase.advance_to(100)
    assert (first.called, second.called, timebase.alarm.tick) == ([10, 30], [20], NEVER)


def test_it_is_set_earlier_and_never_later() -> None:
    alarm = Alarm()
    for tick, expected in ((50, 50), (70, 50), (40, 40)):
        alarm.set(tick)
        assert alarm.tick == expected


def test_who_no_longer_listens_is_not_called() -> None:
    timebase = ManualTimebase()
    sleeper = Sleeper(timebase.alarm, 10)
    timebase.alarm.ignore(sleeper.ring)
    timebase.advance_to(20)
    assert (sleeper.called, timebase.next_tick()) == ([], None)


def test_the_alarm_and_planned_calls_come_in_the_order_of_their_ticks() -> None:
    timebase = ManualTimebase()
    seen: list[str] = []
    timebase.alarm.listen(lambda now: seen.append("alarm"))
    timebase.alarm.set(20)
    for tick in (10, 30):
        timebase.call_at(tick, partial(seen.append, str(tick)))
    timebase.advance_to(40)
    assert seen == ["10", "alarm", "30"]
