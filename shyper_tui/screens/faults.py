"""What the hypervisor recorded of a VM: its faults, newest first, and its exits by cause."""

from __future__ import annotations

import asyncio
import textwrap
from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from shyper_tui.ipc.messages import TICKS_PER_SECOND, EngineError
from shyper_tui.ipc.vm_messages import ExitCount, Fault, VmFaults, VmStatistics
from shyper_tui.plain_text import visible
from shyper_tui.session import Session
from shyper_tui.widgets.lines_view import LinesView, Row

ASK_SECONDS = 1.0
"""Between two questions while the screen is open."""
INTERRUPT = 1 << 63
"""This bit of a cause register tells an interrupt."""
LABEL = 13
"""Columns of a field's name."""


def fault_rows(fault: Fault, width: int) -> list[Row]:
    """All that is known of one fault, folded to `width` columns."""
    size = 4 if fault.instruction & 3 != 3 else 8  # digits: the two lowest bits tell a compressed instruction
    instruction = f"0x{fault.instruction:0{size}x}" if fault.instruction else "not known"
    times = f"{fault.count} times, last " if fault.count > 1 else ""
    head: Row = (
        (" ✖ ", "bad"),
        (fault.name, "strong"),
        (f"  cause {fault.cause}", "text"),
        (f"  vCPU {fault.vcpu}", "text"),
        (f"  {times}at {fault.time_ticks / TICKS_PER_SECOND:.6f} s", "label"),
    )
    rows: list[Row] = [
        head,
        *_field("reason", fault.reason, width),
        _pair("pc", f"0x{fault.pc:016x}", "instruction", instruction),
        _pair("GVA (stval)", f"0x{fault.guest_virtual:016x}", "GPA (htval)", f"0x{fault.guest_physical:016x}"),
    ]
    if fault.stage:
        level = f", at level {fault.level}" if fault.level >= 0 else ""
        rows += _field("translation", f"failed in the {fault.stage}{level}", width)
    if fault.expected:
        rows += _field("expected", fault.expected, width)
    return [*rows, ()]


def exit_rows(exits: list[ExitCount]) -> list[Row]:
    """Exits by cause, the most frequent first: how many, and the host's time that they took."""
    total = sum(row.count for row in exits)
    rows: list[Row] = [
        ((f" {f'{total:,} exits by cause':<38}", "head"), ("     count    time [ms]  each [µs]", "label"))
    ]
    for row in sorted(exits, key=lambda row: (-row.count, row.cause)):
        each = row.time_ns / 1e3 / max(1, row.count)
        cause = f"i{row.cause - INTERRUPT}" if row.cause >= INTERRUPT else str(row.cause)
        rows.append(
            (
                (f" {cause:>4} ", "label"),
                (f"{row.name[:31]:<31} ", "text"),
                (f"{row.count:>10,} {row.time_ns / 1e6:>12,.1f} {each:>10,.1f}", "value"),
            )
        )
    return rows


def all_rows(found: VmFaults, counters: VmStatistics, width: int) -> list[Row]:
    """The whole screen."""
    rows: list[Row] = [*_field("note", found.message, width), ()] if found.message else []
    rows += exit_rows(counters.exits)
    kinds = "1 fault" if len(found.faults) == 1 else f"{len(found.faults) or 'no'} faults"
    newest = ", newest first" if len(found.faults) > 1 else ""
    rows += [(), ((f" {kinds}{newest}", "head"),)]
    for fault in reversed(found.faults):
        rows += fault_rows(fault, width)
    if found.unrecorded:
        rows.append(((f" {found.unrecorded} more came too fast to be written down.", "label"),))
    return rows


def _pair(first: str, value: str, second: str, other: str) -> Row:
    return (
        (f"   {first:<{LABEL}}", "label"),
        (f"{value:<21}", "value"),
        (f"{second:<{LABEL}}", "label"),
        (other, "value"),
    )


def _field(name: str, value: str, width: int) -> list[Row]:
    lines = textwrap.wrap(visible(value), max(20, width - LABEL - 4)) or [""]
    names = [name] + [""] * (len(lines) - 1)
    return [((f"   {label:<{LABEL}}", "label"), (line, "text")) for label, line in zip(names, lines, strict=True)]


class Faults(ModalScreen[None]):
    """Closed by escape, f, q, or a click beside it."""

    DEFAULT_CSS = """
    Faults { align: center middle; background: $background 60%; }
    Faults > Vertical {
        width: 100; max-width: 96%; height: 90%; border: round $primary; background: $background; padding: 0;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f,q", "dismiss", "Close")]

    def __init__(self, session: Session, vm: int, name: str) -> None:
        super().__init__()
        self.session = session
        self.vm = vm
        self.heading = visible(f"vm{vm} {name}: exits and faults")
        self.lines = LinesView()
        self._answer: tuple[VmFaults, VmStatistics] | None = None
        self._trouble = ""

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self.heading)
            box.border_subtitle = Content("↑ ↓ scroll · escape closes")
            yield self.lines

    def on_mount(self) -> None:
        self.lines.focus()
        self.keep_asking()

    @work(exclusive=True)
    async def keep_asking(self) -> None:
        """Ask while the screen is open: one may look at a VM that runs."""
        while True:
            engine = self.session.engine
            try:
                if engine is not None:
                    self._answer = await engine.vm.faults(self.vm), await engine.vm.statistics(self.vm)
                self._trouble = "" if engine is not None else "The engine is not running."
            except EngineError as error:
                self._trouble = error.message
            self.show_answer()
            await asyncio.sleep(ASK_SECONDS)

    def show_answer(self) -> None:
        """Lay the last answer out for the width; keep it below what is wrong now."""
        rows: list[Row] = [(("", "text"), (f" ▲ {self._trouble}", "warn"))] if self._trouble else []
        if self._answer is not None:
            rows += all_rows(*self._answer, width=self.lines.size.width)
        self.lines.show(rows)

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_answer)

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:
            self.dismiss()
