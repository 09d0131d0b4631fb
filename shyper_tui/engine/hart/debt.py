"""What a hart owes for work that the host does for it besides its instructions.

Decoding a page, filling a TLB, emptying one: such work takes the host longer than the one cycle that its instruction
counts. Native code adds its price to the hart's `debt`, in cycles of about a nanosecond of the host. When the debt
is due, the hart leaves native code (`Reason.OWES`), and the debt becomes time that passes for this hart alone, without
an instruction (`settle`): its turn is over that much sooner, and the other harts keep their share of the host. Until
then no guest can tell, and instructions count as the specification says.
"""

from __future__ import annotations

from shyper_tui.engine.core.interpreter import HandlerBuilder
from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.isa.value import Value

from .exits import Reason
from .native import native

DUE = 4000
"""Cycles: a fifth of a turn."""

# prices in cycles, from measurements of the native functions (a nanosecond each, rounded up)
NEW_PAGE = 900
"""Records for a page: 16 KiB are initialised."""
DECODE = 70
"""One instruction, with the search for sequences that begin there."""
RESET_RECORDS = 30
"""A store into a page of decoded code."""
DROP_PAGE = 800
SCAN_TABLE = 350
"""A look at all entries of a table of one TLB context, or its emptying: 16 KiB."""

EMPTY_CONTEXT = 3 * SCAN_TABLE
"""All three tables of a context in which something is."""
BACKING = 50_000
"""The first store into 2 MiB of RAM, which the host clears. Hosts need 0.1 ms to several for it; where it is more than
the price, the time that turns take says so (`hart.turn_time`)."""


def owe(b: LlvmBuilder, cycles: Value | int) -> None:
    """The hart owes `cycles` more."""
    b.s.debt = b.s.debt + cycles


def leave_if_due(b: HandlerBuilder, pc: Value, budget: Value | str = "%bud") -> None:
    """Leaves native code when the debt is due; the hart will go on at `pc`."""
    with b.if_(b.s.debt.uge(DUE), False):
        b.tail("@exit_pc", int(Reason.OWES), pc, budget=budget)


@native()
def settle(b: LlvmBuilder) -> None:
    """The debt is paid: as much time passes without an instruction. The hart is not in native code."""
    s = b.s
    owed = s.debt
    with b.if_(owed != 0, False):
        s.debt = 0
        s.deadline = s.deadline + owed
        s.skipped = s.skipped + owed
