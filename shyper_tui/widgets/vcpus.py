"""vCPUs: core, state, mode, pc with symbol and disassembly, registers, key CSRs of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult

from shyper_tui.ipc.messages import VcpuSnapshot, VcpusSnapshot
from shyper_tui.widgets.lines_view import RULE, LinesView, Part, Row
from shyper_tui.widgets.pane import Pane

ABI_NAMES = (
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
)  # fmt: skip
FLOAT_NAMES = (
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
)  # fmt: skip
STATE_GLYPHS = {"running": "▶", "ready": "◇", "sleep": "☾", "invalid": "○"}
STATE_ROLES = {"running": "good", "ready": "warn", "sleep": "label", "invalid": "label"}
REGISTER_WIDTH = 23


def summary_row(vcpu: VcpuSnapshot) -> Row:
    """One line about a vCPU in the table of all."""
    place = vcpu.symbol or (vcpu.disassembly[0].text if vcpu.disassembly else "")
    return (
        (f" vm{vcpu.vm}.{vcpu.vcpu} ", "strong"),
        (f" core {vcpu.core} ", "text"),
        (f" {STATE_GLYPHS.get(vcpu.state, '?')} {vcpu.state:<7} ", STATE_ROLES.get(vcpu.state, "text")),
        (f"{vcpu.mode:<3} ", "text"),
        (f"{vcpu.pc:016x} ", "value"),
        (place, "accent"),
    )


def register_rows(
    names: Iterable[str], values: list[int], before: list[int] | None, width: int, prefix: str
) -> list[Row]:
    """Registers in columns, read downwards, with what changed since the last snapshot marked by `*` and colour."""
    named = list(zip(names, values, strict=False))
    columns = max(1, min(8, (width - 1) // (REGISTER_WIDTH + 1)))
    height = -(-len(named) // columns)
    rows: list[Row] = []
    for y in range(height):
        parts: list[Part] = []
        for column in range(columns):
            index = column * height + y
            if index < len(named):
                name, value = named[index]
                changed = before is not None and index < len(before) and before[index] != value
                parts.append((f" {name:>5}", "label"))
                parts.append(("*" if changed else " ", "changed"))
                parts.append((f"{value:016x} ", "changed" if changed else "value"))
        rows.append(tuple(parts))
    return rows


def csr_rows(csrs: dict[str, int], before: dict[str, int], width: int) -> list[Row]:
    """Control and status registers by name, as many columns as fit."""
    cell = 29
    columns = max(1, width // cell)
    rows: list[Row] = []
    items = list(csrs.items())
    height = -(-len(items) // columns)
    for y in range(height):
        parts: list[Part] = []
        for name, value in items[y::height]:
            changed = name in before and before[name] != value
            parts.append((f" {name:>10}", "label"))
            parts.append(("*" if changed else " ", "changed"))
            parts.append((f"{value:016x} ", "changed" if changed else "value"))
        rows.append(tuple(parts))
    return rows


def detail_rows(vcpu: VcpuSnapshot, before: VcpuSnapshot | None, width: int, floats: bool) -> list[Row]:
    """Everything about one vCPU."""
    symbol: Part = (f" {vcpu.symbol}", "accent")
    head: list[Part] = [
        (f" vm{vcpu.vm}.{vcpu.vcpu}", "head"),
        (f"  core {vcpu.core}  {vcpu.state}  mode {vcpu.mode}  pc ", "label"),
        (f"{vcpu.pc:016x}", "value"),
    ]
    rows: list[Row] = [tuple([*head, symbol] if vcpu.symbol else head)]
    for line in vcpu.disassembly[:6]:
        here = line.address == vcpu.pc
        digits = 4 if line.raw & 3 != 3 else 8
        rows.append(
            (
                (" → " if here else "   ", "good"),
                (f"{line.address:016x} ", "label"),
                (f" {line.raw:0{digits}x}{'' if digits == 8 else '    '} ", "dim"),
                (line.text, "strong" if here else "text"),
            )
        )
    rows.append((("", "text"),))
    rows += register_rows(ABI_NAMES, vcpu.x, before.x if before else None, width, "x")
    if vcpu.csrs:
        rows.append((("", "text"),))
        rows += csr_rows(vcpu.csrs, before.csrs if before else {}, width)
    if floats:
        rows.append((("", "text"),))
        rows += register_rows(FLOAT_NAMES, vcpu.f, before.f if before else None, width, "f")
    return rows


class VcpuTable(LinesView):
    """One line per vCPU; the chosen one is shown below in full."""

    DEFAULT_CSS = "VcpuTable { height: auto; max-height: 40%; }"


class VcpusPane(Pane):
    """All vCPUs, and one of them in full."""

    TITLE = "vCPUs"
    WANTS = "vcpus"
    HELP: ClassVar[str] = """\
Above one line per vCPU: the core (hart) it belongs to, its state (`▶ running`, `◇ ready`, `☾ sleep`, `○
invalid`), its privilege mode (VS: the guest's kernel, VU: a program in it), and where it is. Below the chosen
vCPU in full: the next instructions, registers by ABI name, key CSRs. `*` marks what changed since the last
snapshot. **tab** moves to the details, which scroll; **x** there shows the floating-point registers, too.
"""
    BINDINGS = [("x", "floats", "Floats")]

    def __init__(self) -> None:
        super().__init__()
        self.table = VcpuTable(selectable=True)
        self.details = LinesView(classes="details")
        self.snapshot: VcpusSnapshot | None = None
        self._before: dict[tuple[int, int], VcpuSnapshot] = {}
        self._floats = False

    def compose(self) -> ComposeResult:
        yield self.table
        yield self.details

    def action_floats(self) -> None:
        """Show or hide the floating-point registers."""
        self._floats = not self._floats
        self._draw()

    def show_snapshot(self, snapshot: object) -> None:
        assert isinstance(snapshot, VcpusSnapshot)
        if self.snapshot is not None:
            self._before = {(vcpu.vm, vcpu.vcpu): vcpu for vcpu in self.snapshot.vcpus}
        self.snapshot = snapshot
        self._draw()

    def on_lines_view_chosen(self) -> None:
        self._draw()

    def _draw(self) -> None:
        snapshot = self.snapshot
        if snapshot is None:
            return
        rows = [summary_row(vcpu) for vcpu in snapshot.vcpus]
        if self.table.styles.height is None or self.table.styles.height.value != len(rows):
            self.table.styles.height = max(1, len(rows))
        self.table.show(rows)
        if self.table.cursor < len(snapshot.vcpus):
            vcpu = snapshot.vcpus[self.table.cursor]
            before = self._before.get((vcpu.vm, vcpu.vcpu))
            width = self.details.size.width
            self.details.show(detail_rows(vcpu, before, width, self._floats), [RULE])
