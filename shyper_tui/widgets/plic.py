"""Interrupt controllers: the physical PLIC and each VM's vPLIC, one line per source that matters."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from shyper_tui.ipc.messages import PlicController, PlicSnapshot, PlicSource
from shyper_tui.plain_text import clipped
from shyper_tui.widgets.lines_view import LinesView, Part, Row
from shyper_tui.widgets.pane import Pane

HEAD: Row = (
    ("  src ", "label"),
    ("name                 ", "label"),
    ("prio ", "label"),
    ("pending claimed ", "label"),
    ("     count ", "label"),
    ("enabled for", "label"),
)


def in_use(source: PlicSource) -> bool:
    """A source with a device, or one that is enabled, pending or claimed, or was ever raised. A priority alone is no
    sign: Linux gives one to every source."""
    named = source.priority and source.name
    return bool(named or source.pending or source.claimed or source.enabled or source.count)


def source_row(source: PlicSource, names: dict[int, str], before: int | None) -> Row:
    """One interrupt source. `before`: its count in the last snapshot."""
    raised = before is not None and before != source.count
    enabled = " ".join(names.get(context, str(context)) for context in source.enabled) or "–"
    return (
        (f" {source.source:>4} ", "strong"),
        (f"{clipped(source.name, 20):<20} ", "text"),
        (f"{source.priority:>4} ", "text"),
        ("▲ yes   " if source.pending else "  –     ", "warn" if source.pending else "label"),
        ("● yes   " if source.claimed else "  –     ", "good" if source.claimed else "label"),
        (f"{source.count:>10}", "changed" if raised else "value"),
        ("* " if raised else "  ", "changed"),
        (enabled, "text" if source.enabled else "label"),
    )


def controller_rows(controller: PlicController, before: PlicController | None, everything: bool) -> list[Row]:
    """Head line with thresholds, then the sources."""
    owner = "physical" if controller.vm is None else f"vm{controller.vm}"
    names = {context.context: context.name for context in controller.contexts}
    title: list[Part] = [(f" {controller.name} ", "head"), (f"({owner})  ", "label")]
    masked = [context for context in controller.contexts if context.threshold]
    if masked:
        listed = ", ".join(f"{context.name}={context.threshold}" for context in masked)
        title.append((f"threshold {listed}", "warn"))
    else:
        title.append((f"{len(names)} context{'s' * (len(names) != 1)}, no threshold", "label"))
    counts = {source.source: source.count for source in before.sources} if before is not None else {}
    shown = [source for source in controller.sources if everything or in_use(source)]
    rows: list[Row] = [tuple(title)]
    rows += [source_row(source, names, counts.get(source.source)) for source in shown]
    if not shown:
        rows.append((("      no source is enabled or was ever raised", "label"),))
    rows.append((("", "text"),))
    return rows


class PlicPane(Pane):
    """The physical PLIC first, then the vPLIC of each VM."""

    TITLE = "PLIC and vPLICs"
    WANTS = "plic"
    HELP: ClassVar[str] = """\
The machine's PLIC and the vPLIC that the hypervisor shows each VM. A source is listed when it has a priority,
is enabled, pending or claimed, or was ever raised; **a** lists all of them. `▲` pending: raised and not yet
claimed. `●` claimed: its handler runs and has not completed it. `count`: how often it was raised since
power-on, with `*` when that changed since the last snapshot. `enabled for`: the contexts (a hart or vCPU in one
mode) that get it.
"""
    BINDINGS = [("a", "all", "All sources")]

    def __init__(self) -> None:
        super().__init__()
        self.view = LinesView()
        self.snapshot: PlicSnapshot | None = None
        self._before: dict[str, PlicController] = {}
        self._all = False

    def compose(self) -> ComposeResult:
        yield self.view

    def action_all(self) -> None:
        """List every source, or only those in use."""
        self._all = not self._all
        self._draw()

    def show_snapshot(self, snapshot: object) -> None:
        assert isinstance(snapshot, PlicSnapshot)
        if self.snapshot is not None:
            self._before = {controller.name: controller for controller in self.snapshot.controllers}
        self.snapshot = snapshot
        self._draw()

    def _draw(self) -> None:
        if self.snapshot is None:
            return
        self.set_title("PLIC and vPLICs", "a: all sources")
        rows: list[Row] = []
        for controller in self.snapshot.controllers:
            rows += controller_rows(controller, self._before.get(controller.name), self._all)
        self.view.show(rows[:-1], [HEAD])
