"""What the machine asks of all its harts between turns, in native code."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.isa.value import Value

from . import group_layout as at
from .exits import IN_PYTHON
from .native import native
from .state import LAYOUT, NEVER


def each_hart(b: LlvmBuilder, group: Value, do: Callable[[Value, Value], None]) -> None:
    """Runs `do(number, address of the state)` for every hart."""
    number = b.variable(0)
    with b.loop() as harts:
        with b.if_(number.value.uge(b.host_load(group, at.HARTS))):
            harts.leave()
        do(number.value, b.host_load(group + (number.value << 3), at.STATES))
        number.value = number.value + 1


def _field(b: LlvmBuilder, hart: Value, name: str) -> Value:
    return b.host_load(hart, LAYOUT.offset(name))


def _of(b: LlvmBuilder, hart: Value, function: str, *arguments: Value) -> Value:
    """Calls a value function on another hart's state."""
    passed = "".join(f", i64 {b.text(a)}" for a in arguments)
    return b.define(f"call i64 @{function}(ptr {b.pointer(hart)}{passed})")


@native("group")
def group_survey(b: LlvmBuilder, group: Value) -> None:
    """The harts (bit n: hart n) that wait, with nothing pending that ends it; SOONEST becomes the cycle of the next
    timer of one of them."""
    idle, soonest = b.variable(0), b.variable(NEVER)

    def look(number: Value, hart: Value) -> None:
        waiting, now = _field(b, hart, "waiting"), _field(b, hart, "deadline")
        with b.if_(waiting != 0):
            wake = b.variable(_of(b, hart, "pending_interrupts", now) & _field(b, hart, "mie"))
            with b.if_(waiting == IN_PYTHON):
                wake.value = _of(b, hart, "interrupt_to_take", now)
            with b.if_(wake.value == 0):
                idle.value = idle.value | (b.const(1) << number)
                timer = _of(b, hart, "next_timer", now)
                soonest.value = timer.ult(soonest.value).select(timer, soonest.value)

    each_hart(b, group, look)
    b.host_store(group, soonest.value, at.SOONEST)
    b.ret(idle.value)


@native("group idle cycle")
def group_sleep(b: LlvmBuilder, group: Value, idle: Value, cycle: Value) -> None:
    """Time passes for the harts in `idle` until `cycle`, without an instruction."""

    def sleep(number: Value, hart: Value) -> None:
        now, skipped = _field(b, hart, "deadline"), _field(b, hart, "skipped")
        with b.if_((((idle >> number) & 1) != 0) & now.ult(cycle)):
            b.host_store(hart, cycle, LAYOUT.offset("deadline"))
            b.host_store(hart, skipped + (cycle - now), LAYOUT.offset("skipped"))

    each_hart(b, group, sleep)


@native("group")
def group_note_inputs(b: LlvmBuilder, group: Value) -> None:
    """Remembers the inputs of all harts."""

    def note(number: Value, hart: Value) -> None:
        for place, name in enumerate(at.INPUTS):
            b.host_store(group + number * at.SEEN_SIZE, _field(b, hart, name), at.SEEN + 8 * place)

    each_hart(b, group, note)


@native("group own")
def group_interrupted(b: LlvmBuilder, group: Value, own: Value) -> None:
    """One more than the number of the first hart, other than `own`, whose inputs have changed since; 0 for none."""

    def compare(number: Value, hart: Value) -> None:
        different = number.like(0)
        for place, name in enumerate(at.INPUTS):
            seen = b.host_load(group + number * at.SEEN_SIZE, at.SEEN + 8 * place)
            different = different | (seen ^ _field(b, hart, name))
        with b.if_((different != 0) & (number != own)):
            b.ret(number + 1)

    each_hart(b, group, compare)
    b.ret(0)
