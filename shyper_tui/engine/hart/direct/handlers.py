"""Where loads and stores of device registers go before Python is asked."""

from __future__ import annotations

from shyper_tui.engine.core import records
from shyper_tui.engine.core.interpreter import LOAD_RESERVED, LOAD_SIGNED, LOAD_TO_F, HandlerBuilder
from shyper_tui.engine.core.operands import RD
from shyper_tui.engine.hart.code_handlers import instruction_length
from shyper_tui.engine.hart.exits import Reason
from shyper_tui.engine.isa.value import Value

from .windows_layout import CALLED, CYCLES, UNANSWERED

REGISTER = 4
"""Bytes; other accesses are the device's to refuse."""


def guest_fault_is_direct(b: HandlerBuilder, result: Value, cause: int, width: Value) -> Value:
    """Whether `translate`'s failure is that stage 2 maps nothing at an address that may be a register's, for software
    in Python that has named registers."""
    plain = (b.s.fault_inst == 0) & (width == REGISTER) & ((b.s.fault_gpa & (REGISTER - 1)) == 0)
    return (b.s.direct_guest != 0) & (b.s.virt != 0) & (result == -cause) & plain


def load(b: HandlerBuilder, table: Value, address: Value, flags: Value) -> None:
    """Ends the handler when the load is answered; otherwise goes on."""
    with b.if_((flags & (0xFF | LOAD_TO_F | LOAD_RESERVED)) == REGISTER):
        value = b.call("direct_read", table, address)
        with b.if_(value != UNANSWERED):
            signed = (flags & LOAD_SIGNED) != 0
            register = b.peek(b.gep("%rec", RD), 8).zext()
            b.set("x", signed.select(value.trunc(32).sext(), value), register)
            record, budget = _next(b, b.const(CYCLES))
            b.dispatch(record, budget)


def store(b: HandlerBuilder, table: Value, address: Value, size: Value, value: Value) -> None:
    """Ends the handler when the store is done; otherwise goes on."""
    with b.if_(size == REGISTER):
        done = b.call("direct_write", table, address, value, b.s.deadline - Value(b, "%bud"))
        with b.if_(done != 0):
            record, budget = _next(b, done & (CALLED - 1))
            with b.if_(done.uge(CALLED)):
                b.tail("@exit_pc", int(Reason.CALLED), b.record_pc(record), budget=budget)
            b.dispatch(record, budget)


def _next(b: HandlerBuilder, cycles: Value) -> tuple[str, Value]:
    """The following instruction's record, and the budget that is left; interrupts of the hart have at most gone
    away."""
    b.s.skipped = b.s.skipped + cycles
    length = instruction_length(b, b.address("%rec"))
    return b.gep("%rec", length << records.SCALE), Value(b, "%bud") - (cycles + 1)
