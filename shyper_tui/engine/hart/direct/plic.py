"""Claims and completions of a PLIC in native code (RISC-V PLIC Specification 1.0.0), on the state of `plic_layout`.

`plic_claim`, `plic_complete` and `plic_changed` are the model's own; `plic_read` and `plic_write` are what a hart may
do without its device's Python.
"""

from __future__ import annotations

from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.hart.native import native
from shyper_tui.engine.hart.state import LAYOUT
from shyper_tui.engine.isa.value import Value

from . import plic_layout as at
from .windows_layout import CYCLES, UNANSWERED


def _row(plic: Value, context: Value) -> Value:
    return plic + (context * at.CONTEXT_SIZE + at.ROWS)


def _bit(b: LlvmBuilder, source: Value) -> Value:
    return b.const(1) << (source & 63)


def _word(base: Value, source: Value) -> Value:
    """Where the word of a set lies that has the source's bit, without the set's own offset."""
    return base + ((source >> 6) << 3)


def _has(b: LlvmBuilder, base: Value, set_: int, source: Value) -> Value:
    return (b.host_load(_word(base, source), set_) & _bit(b, source)) != 0


def _put(b: LlvmBuilder, plic: Value, set_: int, source: Value, present: bool) -> None:
    word, bit = _word(plic, source), _bit(b, source)
    old = b.host_load(word, set_)
    b.host_store(word, old | bit if present else old & ~bit, set_)


def _count(b: LlvmBuilder, plic: Value, counter: int, source: Value) -> None:
    place = plic + (source << 3)
    b.host_store(place, b.host_load(place, counter) + 1, counter)


@native("plic context")
def plic_best(b: LlvmBuilder, plic: Value, context: Value) -> None:
    """The source that a claim would return: the enabled pending one of the highest priority, of equals the lowest, or
    0. A claim ignores the threshold."""
    row = _row(plic, context)
    end = b.host_load(plic, at.USED)
    best, highest, cursor = b.variable(0), b.variable(0), b.variable(0)
    with b.loop() as words:
        with b.if_(cursor.value.uge(end)):
            words.leave()
        here = plic + cursor.value
        candidates = b.variable(
            b.host_load(here, at.PENDING) & b.host_load(here, at.ACTIVE) & b.host_load(row + cursor.value, at.ENABLE)
        )
        with b.loop() as bits:
            with b.if_(candidates.value == 0):
                bits.leave()
            source = (cursor.value << 3) + b.trailing_zeros(candidates.value)
            candidates.value = candidates.value & (candidates.value - 1)
            priority = b.host_load(plic + (source << 3), at.PRIORITY)
            with b.if_(highest.value.ult(priority)):
                highest.value = priority
                best.value = source
        cursor.value = cursor.value + 8
    b.ret(best.value)


@native("plic source")
def plic_take(b: LlvmBuilder, plic: Value, source: Value) -> None:
    """A claim returns `source`: it stops being pending. The outputs are not looked at."""
    _put(b, plic, at.PENDING, source, False)
    _put(b, plic, at.CLAIMED, source, True)
    _count(b, plic, at.COUNT, source)


@native("plic context")
def plic_claim(b: LlvmBuilder, plic: Value, context: Value) -> None:
    """Claims; the source, or 0. The outputs are not looked at."""
    source = b.call("plic_best", plic, context)
    with b.if_(source != 0):
        b.call("plic_take", plic, source)
    b.ret(source)


@native("plic context source")
def plic_complete(b: LlvmBuilder, plic: Value, context: Value, source: Value) -> None:
    """A completion after which nothing more is to be delivered. 1: done; 0: it is another one, and nothing was done."""
    with b.if_((source == 0) | b.host_load(plic, at.SOURCES).ult(source)):
        b.ret(0)
    owned = _has(b, plic, at.CLAIMED, source) & _has(b, _row(plic, context), at.ENABLE, source)
    more = _has(b, plic, at.LEVEL, source) | _has(b, plic, at.QUEUED, source)
    with b.if_(~owned | more):
        b.ret(0)
    _put(b, plic, at.CLAIMED, source, False)
    _count(b, plic, at.COMPLETED, source)
    b.ret(1)


@native("plic")
def plic_changed(b: LlvmBuilder, plic: Value) -> None:
    """The contexts (bit n: context n) whose output is not what it should be now."""
    changed, context = b.variable(0), b.variable(0)
    end = b.host_load(plic, at.USED)
    with b.loop() as contexts:
        with b.if_(context.value.uge(b.host_load(plic, at.CONTEXTS))):
            contexts.leave()
        row = _row(plic, context.value)
        level, cursor = b.variable(0), b.variable(0)
        with b.loop() as words:
            with b.if_(cursor.value.uge(end)):
                words.leave()
            pending = b.host_load(plic + cursor.value, at.PENDING)
            with b.if_((pending & b.host_load(row + cursor.value, at.EFFECTIVE)) != 0):
                level.value = 1
                words.leave()
            cursor.value = cursor.value + 8
        differs = (b.host_load(row, at.OUTPUT) != level.value).zext()
        changed.value = changed.value | (differs << context.value)
        context.value = context.value + 1
    b.ret(changed.value)


# --- a hart's own accesses ---


@native("plic source")
def plic_is_own(b: LlvmBuilder, plic: Value, source: Value) -> None:
    """1 when every context that `source` interrupts drives a word of this hart."""
    context = b.variable(0)
    with b.loop() as contexts:
        with b.if_(context.value.uge(b.host_load(plic, at.CONTEXTS))):
            contexts.leave()
        row = _row(plic, context.value)
        elsewhere = (b.host_load(row, at.TARGET) - b.address("%st")).uge(LAYOUT.size)
        with b.if_(_has(b, row, at.EFFECTIVE, source) & elsewhere):
            b.ret(0)
        context.value = context.value + 1
    b.ret(1)


@native("plic changed")
def plic_drive(b: LlvmBuilder, plic: Value, changed: Value) -> None:
    """Switches the outputs of the contexts in `changed`, all of which drive words."""
    left = b.variable(changed)
    with b.loop() as contexts:
        with b.if_(left.value == 0):
            contexts.leave()
        row = _row(plic, b.trailing_zeros(left.value))
        left.value = left.value & (left.value - 1)
        level = b.host_load(row, at.OUTPUT) ^ 1
        b.host_store(row, level, at.OUTPUT)
        word, bits = b.host_load(row, at.TARGET), b.host_load(row, at.TARGET_BITS)
        old = b.host_load(word)
        b.host_store(word, (level != 0).select(old | bits, old & ~bits))


@native("plic source")
def plic_reaches(b: LlvmBuilder, plic: Value, source: Value) -> None:
    """1 when every context that `source` interrupts drives a word of another hart: native code may raise it, and this
    hart need not look whether it is interrupted."""
    context = b.variable(0)
    with b.loop() as contexts:
        with b.if_(context.value.uge(b.host_load(plic, at.CONTEXTS))):
            contexts.leave()
        row = _row(plic, context.value)
        target = b.host_load(row, at.TARGET)
        here = (target - b.address("%st")).ult(LAYOUT.size)
        with b.if_(_has(b, row, at.EFFECTIVE, source) & (here | (target == 0))):
            b.ret(0)
        context.value = context.value + 1
    b.ret(1)


@native("plic source")
def plic_raise(b: LlvmBuilder, plic: Value, source: Value) -> None:
    """The line of `source` rises, which `plic_reaches` allows. The contexts whose output has changed, as bits."""
    with b.if_(~_has(b, plic, at.LEVEL, source)):
        _count(b, plic, at.RAISED, source)
        _put(b, plic, at.LEVEL, source, True)
    with b.if_(_has(b, plic, at.PENDING, source) | _has(b, plic, at.CLAIMED, source)):
        b.ret(0)
    _put(b, plic, at.PENDING, source, True)
    changed = b.call("plic_changed", plic)
    b.call("plic_drive", plic, changed)
    b.ret(changed)


@native("plic context")
def plic_direct_claim(b: LlvmBuilder, plic: Value, context: Value) -> None:
    """A claim of which nobody but this hart has to hear; UNANSWERED when somebody has."""
    source = b.call("plic_best", plic, context)
    with b.if_(source != 0):
        with b.if_(_has(b, plic, at.WATCHED, source) | (b.call("plic_is_own", plic, source) == 0)):
            b.ret(UNANSWERED)
        b.call("plic_take", plic, source)
        b.call("plic_drive", plic, b.call("plic_changed", plic))
    b.ret(source)


@native("plic offset")
def plic_read(b: LlvmBuilder, plic: Value, offset: Value) -> None:
    """The register of 32 bits at `offset`, or UNANSWERED."""
    contexts = b.host_load(plic, at.CONTEXTS)
    with b.if_(offset.uge(at.CONTEXT_REGISTERS)):
        beyond = offset - at.CONTEXT_REGISTERS
        context, register = beyond.udiv(at.CONTEXT_STRIDE), beyond & (at.CONTEXT_STRIDE - 1)
        with b.if_(contexts.ult(context + 1)):
            b.ret(UNANSWERED)
        with b.if_(register == at.CLAIM_COMPLETE):
            b.ret(b.call("plic_direct_claim", plic, context))
        with b.if_(register == 0):
            b.ret(b.host_load(_row(plic, context), at.THRESHOLD))
        b.ret(UNANSWERED)
    with b.if_(offset.uge(at.ENABLE_REGISTERS)):
        beyond = offset - at.ENABLE_REGISTERS
        context, place = beyond.udiv(at.ENABLE_STRIDE), beyond & (at.ENABLE_STRIDE - 1)
        with b.if_(contexts.ult(context + 1)):
            b.ret(UNANSWERED)
        b.ret(b.host_load(_row(plic, context) + place, at.ENABLE, 32).zext())
    with b.if_(offset.uge(at.PENDING_REGISTERS)):
        place = offset - at.PENDING_REGISTERS
        with b.if_(place.uge(at.SET_SIZE)):
            b.ret(0)
        b.ret(b.host_load(plic + place, at.PENDING, 32).zext())
    source = offset >> 2
    with b.if_(b.host_load(plic, at.SOURCES).ult(source)):
        b.ret(0)
    b.ret(b.host_load(plic + (source << 3), at.PRIORITY))


@native("plic offset value")
def plic_write(b: LlvmBuilder, plic: Value, offset: Value, value: Value) -> None:
    """Stores `value` into the register of 32 bits at `offset`: see `direct_write`."""
    with b.if_(offset.ult(at.CONTEXT_REGISTERS)):
        b.ret(0)
    beyond = offset - at.CONTEXT_REGISTERS
    context = beyond.udiv(at.CONTEXT_STRIDE)
    complete = (beyond & (at.CONTEXT_STRIDE - 1)) == at.CLAIM_COMPLETE
    with b.if_(~complete | b.host_load(plic, at.CONTEXTS).ult(context + 1) | value.uge(at.MOST_SOURCES + 1)):
        b.ret(0)
    with b.if_(_has(b, plic, at.WATCHED, value)):
        b.ret(0)
    with b.if_(b.call("plic_complete", plic, context, value) == 0):
        b.ret(0)
    b.ret(CYCLES)
