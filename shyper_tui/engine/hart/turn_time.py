"""What turns take of the host's time, in native code (`HartGroup`): the measure that no guest can get around.

Cycles say what a guest has executed; prices (`hart.debt`, `TRAP_CYCLES`) bring them close to what that cost the host,
but no closer. With the wall clock each turn is measured, too. A turn that took long makes the hart's next ones shorter,
and a hart of one VM that has used more than one of another waits until it has caught up. Harts of one VM never wait
for each other: one of them may hold what the others spin for.
"""

from __future__ import annotations

from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.isa.value import Value

from . import group_layout as at
from .group_functions import each_hart
from .native import native
from .state import LAYOUT

HS_SOFTWARE = 2
"""Bit of `python_modes`: VMs of one hypervisor share the machine."""


def _used(number: Value) -> Value:
    return number << 3


def _has(hart_set: Value, number: Value) -> Value:
    return ((hart_set >> number) & 1) != 0


@native("group awake")
def group_held(b: LlvmBuilder, group: Value, awake: Value) -> None:
    """Those of the harts in `awake` that wait because another VM's has used much less; the others are level with the
    least."""
    with b.if_(b.host_load(group, at.BY_TIME) == 0):
        b.ret(0)
    first = b.host_load(group, at.STATES)
    with b.if_((b.host_load(first, LAYOUT.offset("python_modes")) & HS_SOFTWARE) == 0):
        b.ret(0)
    least = b.variable((1 << 64) - 1)

    def find_least(number: Value, hart: Value) -> None:
        with b.if_(_has(awake, number)):
            used = b.host_load(group + _used(number), at.USED)
            least.value = used.ult(least.value).select(used, least.value)

    each_hart(b, group, find_least)
    held = b.variable(0)

    def look(number: Value, hart: Value) -> None:
        used = b.host_load(group + _used(number), at.USED)
        with b.if_(_has(awake, number)):
            with b.if_((least.value + at.AHEAD).ult(used)):
                with b.if_(b.call("group_others_behind", group, awake, number) != 0):
                    held.value = held.value | (b.const(1) << number)
        with b.else_():
            # who sleeps saves nothing up
            with b.if_((awake != 0) & used.ult(least.value)):
                b.host_store(group + _used(number), least.value, at.USED)

    each_hart(b, group, look)
    b.ret(held.value)


@native("group awake own")
def group_others_behind(b: LlvmBuilder, group: Value, awake: Value, own: Value) -> None:
    """Whether a hart in `awake` that runs another VM than hart `own` has used less by more than AHEAD."""
    whose = b.host_load(b.host_load(group + (own << 3), at.STATES), LAYOUT.offset("hgatp"))
    used = b.host_load(group + _used(own), at.USED)

    def compare(number: Value, hart: Value) -> None:
        other = b.host_load(hart, LAYOUT.offset("hgatp")) != whose
        behind = (b.host_load(group + _used(number), at.USED) + at.AHEAD).ult(used)
        with b.if_(_has(awake, number) & other & behind):
            b.ret(1)

    each_hart(b, group, compare)
    b.ret(0)


@native("group number")
def group_begin_timing(b: LlvmBuilder, group: Value, number: Value) -> None:
    """Hart `number`'s turn begins: it ends no later than the hart's pace allows, and with it the round."""
    with b.if_(b.host_load(group, at.BY_TIME) == 0):
        b.ret(0)
    now, cycle = b.host_load(b.host_load(group + (number << 3), at.STATES), LAYOUT.offset("deadline")), b.variable(0)
    cycle.value = b.host_load(group, at.CYCLE)
    begin = now.ult(cycle.value).select(cycle.value, now)
    b.host_store(group, b.call("host_nanoseconds"), at.TURN_AT)
    b.host_store(group, now, at.TURN_FROM)
    end, paced = b.host_load(group, at.END), begin + b.call("group_pace", group, number)
    b.host_store(group, paced.ult(end).select(paced, end), at.END)


@native("group number")
def group_pace(b: LlvmBuilder, group: Value, number: Value) -> None:
    """The most cycles that hart `number`'s turn may have."""
    b.ret(b.host_load(group + (number << 3), at.PACE) * b.host_load(group, at.STRETCH))


@native("group")
def group_time_is_up(b: LlvmBuilder, group: Value) -> None:
    """Whether the current turn has taken what a turn should take at most, whatever cycles it has left."""
    with b.if_(b.host_load(group, at.BY_TIME) == 0):
        b.ret(0)
    passed = b.call("host_nanoseconds") - b.host_load(group, at.TURN_AT)
    b.ret((b.host_load(group, at.STRETCH) * at.MOST_TIME).ult(passed).zext())


@native("group number")
def group_end_timing(b: LlvmBuilder, group: Value, number: Value) -> None:
    """Hart `number`'s turn is over: what it took, and what pace follows from that."""
    with b.if_(b.host_load(group, at.BY_TIME) == 0):
        b.ret(0)
    passed = b.call("host_nanoseconds") - b.host_load(group, at.TURN_AT)
    counted = passed.ult(at.MOST_COUNTED).select(passed, b.const(at.MOST_COUNTED))
    place = group + (number << 3)
    for total in (at.USED, at.SPENT):
        b.host_store(place, b.host_load(place, total) + counted, total)
    reached = b.host_load(b.host_load(place, at.STATES), LAYOUT.offset("deadline"))
    cycles, most = reached - b.host_load(group, at.TURN_FROM), b.host_load(group, at.STRETCH) * at.MOST_TIME
    pace = b.variable(b.host_load(place, at.PACE))
    with b.if_(most.ult(passed)):
        pace.value = (cycles * at.MOST_TIME).udiv(passed)
        pace.value = pace.value.ult(at.SLOWEST_PACE).select(b.const(at.SLOWEST_PACE), pace.value)
    with b.else_():
        with b.if_((passed << 1).ult(most)):
            pace.value = pace.value << 1
    pace.value = pace.value.ult(at.FASTEST_PACE).select(pace.value, b.const(at.FASTEST_PACE))
    b.host_store(place, pace.value, at.PACE)
