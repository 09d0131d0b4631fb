"""Turns of the harts of a machine, in native code (`HartGroup`).

A round is one turn of each hart that has something to do. Where a turn ends because native code has let one hart
interrupt another, the next round follows without a look into Python: whoever waits for the answer waits for no more
than the harts need.
"""

from __future__ import annotations

from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.isa.value import Value

from . import group_layout as at
from .exits import Reason
from .native import native
from .state import LAYOUT, NEVER


def state_of(b: LlvmBuilder, group: Value, number: Value) -> Value:
    """Host address of a hart's state."""
    return b.host_load(group + (number << 3), at.STATES)


def _minimum(a: Value, b: Value) -> Value:
    return a.ult(b).select(a, b)


def _more_than_one(mask: Value) -> Value:
    return (mask & (mask - 1)) != 0


@native("group tick")
def group_cycle_of(b: LlvmBuilder, group: Value, tick: Value) -> None:
    """The first cycle at which the time is at least `tick`; NEVER stays what it is."""
    with b.if_(tick == NEVER):
        b.ret(NEVER)
    hart = state_of(b, group, b.const(0))
    base, cycle = b.host_load(hart, LAYOUT.offset("time_base")), b.host_load(hart, LAYOUT.offset("time_cycle"))
    with b.if_(tick.ult(base)):
        b.ret(cycle)
    b.ret(cycle + (tick - base) * b.host_load(hart, LAYOUT.offset("time_divider")))


@native("group")
def group_begin(b: LlvmBuilder, group: Value) -> None:
    """Begins a round at CYCLE. How many harts have a turn: none when all are idle.

    A hart that runs alone has a long turn, but nobody's timer and no event waits. One that another has just
    interrupted has the first turn.
    """
    idle = b.call("group_survey", group)
    all_harts = (b.const(1) << b.host_load(group, at.HARTS)) - 1
    awake = all_harts & ~idle
    held = b.call("group_held", group, awake)
    running = awake & ~held
    cycle, called = b.host_load(group, at.CYCLE), b.host_load(group, at.CALLED)
    length = (called != 0).select(b.const(at.TURN_CALLED), b.const(at.TURN))
    b.host_store(group, _more_than_one(awake).select(b.const(1), b.const(at.ALONE)), at.STRETCH)
    end = cycle + _more_than_one(awake).select(length, b.const(at.TURN_ALONE))
    alarm = b.call("group_cycle_of", group, b.host_load(b.host_load(group, at.ALARM)))
    end = _minimum(_minimum(end, alarm), _minimum(b.host_load(group, at.EVENT_AT), b.host_load(group, at.SOONEST)))
    end = end.ult(cycle + 1).select(cycle + 1, end)
    first = b.variable(0)
    with b.if_(called != 0):
        first.value = running & (b.const(1) << (called - 1))
    b.host_store(group, _minimum(end, b.host_load(group, at.LIMIT)), at.END)
    b.host_store(group, idle | held, at.IDLE)
    b.host_store(group, running, at.RUNNING)
    b.host_store(group, first.value, at.FIRST)
    b.host_store(group, 0, at.CALLED)
    b.host_store(group, at.NOBODY, at.CURRENT)
    b.ret(running)


@native("group number")
def group_end_turn(b: LlvmBuilder, group: Value, number: Value) -> None:
    """The turns end where hart `number` is now, if that is earlier."""
    hart = state_of(b, group, number)
    reached, least = b.host_load(hart, LAYOUT.offset("deadline")), b.host_load(group, at.CYCLE) + 1
    reached = reached.ult(least).select(least, reached)
    b.host_store(group, _minimum(b.host_load(group, at.END), reached), at.END)


@native("group number")
def group_turn(b: LlvmBuilder, group: Value, number: Value) -> None:
    """The rest of hart `number`'s turn. 1: it is over; 0: the hart has stopped, and Python must see to it."""
    hart = state_of(b, group, number)
    with b.loop() as running:
        end = b.host_load(group, at.END)
        with b.if_(b.host_load(hart, LAYOUT.offset("deadline")).uge(end)):
            running.leave()
        with b.if_(b.call("group_time_is_up", group) != 0):
            b.call("group_end_turn", group, number)
            running.leave()
        b.host_store(hart, end, LAYOUT.offset("slice_end"))
        reason = b.define(f"call i64 @enter(ptr {b.pointer(hart)})")
        b.emit(f"call i64 @settle(ptr {b.pointer(hart)})")
        with b.if_(reason == int(Reason.SLICE)):
            running.leave()
        with b.if_(reason == int(Reason.OWES)):
            running.again()
        with b.if_(reason != int(Reason.CALLED)):
            b.ret(0)
        with b.if_(b.call("group_answer", group, number) != 0):
            running.leave()
    b.ret(1)


@native("group number")
def group_answer(b: LlvmBuilder, group: Value, number: Value) -> None:
    """1 when hart `number` has interrupted another one: the turns end here."""
    called = b.call("group_interrupted", group, number)
    with b.if_(called == 0):
        b.ret(0)
    b.host_store(group, called, at.CALLED)
    b.call("group_end_turn", group, number)
    b.ret(1)


@native("group")
def group_finish(b: LlvmBuilder, group: Value) -> None:
    """All turns are over: for the harts that had none time passes until then."""
    end = b.host_load(group, at.END)
    b.call("group_sleep", group, b.host_load(group, at.IDLE), end)
    b.host_store(group, end, at.CYCLE)


@native("group")
def group_goes_on(b: LlvmBuilder, group: Value) -> None:
    """Whether another round may follow at once: one that answers, while nothing else is due."""
    handovers, cycle = b.host_load(group, at.HANDOVERS), b.host_load(group, at.CYCLE)
    with b.if_((handovers == 0) | (b.host_load(group, at.CALLED) == 0)):
        b.ret(0)
    b.host_store(group, handovers - 1, at.HANDOVERS)
    alarm = b.call("group_cycle_of", group, b.host_load(b.host_load(group, at.ALARM)))
    due = _minimum(_minimum(b.host_load(group, at.EVENT_AT), b.host_load(group, at.LIMIT)), alarm)
    with b.if_(cycle.uge(due)):
        b.ret(0)
    clock = b.host_load(group, at.CLOCK_AT)
    with b.if_(clock != NEVER):
        with b.if_(b.call("host_nanoseconds").uge(clock)):
            b.ret(0)
    b.ret(1)


@native("group")
def group_run(b: LlvmBuilder, group: Value) -> None:
    """Goes on with the round. One more than the number of the hart that has stopped for Python; 0: the round is
    over."""
    with b.loop() as turns:
        number = b.variable(b.host_load(group, at.CURRENT))
        with b.if_(number.value == at.NOBODY):
            left, first = b.host_load(group, at.RUNNING), b.host_load(group, at.FIRST)
            with b.if_(left == 0):
                b.call("group_finish", group)
                with b.if_(b.call("group_goes_on", group) == 0):
                    b.ret(0)
                with b.if_(b.call("group_begin", group) == 0):
                    b.ret(0)
                turns.again()
            number.value = b.trailing_zeros((first != 0).select(first, left))
            b.host_store(group, number.value, at.CURRENT)
            b.host_store(group, 0, at.FIRST)
            b.call("group_note_inputs", group)
            b.call("group_begin_timing", group, number.value)
        with b.else_():
            # Python has seen to the hart
            b.host_store(group, 0, at.HANDOVERS)
            with b.if_(b.call("group_answer", group, number.value) != 0):
                b.call("group_next", group)
                turns.again()
        with b.if_(b.call("group_turn", group, number.value) == 0):
            b.ret(number.value + 1)
        b.call("group_next", group)
        turns.again()


@native("group")
def group_next(b: LlvmBuilder, group: Value) -> None:
    """The current hart has had its turn."""
    b.call("group_end_timing", group, b.host_load(group, at.CURRENT))
    done = b.const(1) << b.host_load(group, at.CURRENT)
    b.host_store(group, b.host_load(group, at.RUNNING) & ~done, at.RUNNING)
    b.host_store(group, at.NOBODY, at.CURRENT)
