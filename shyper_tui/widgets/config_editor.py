"""Editor for a VM's configuration (Rust-Shyper's JSON): diagnostics while typing, save, apply as a new VM."""

from __future__ import annotations

import contextlib
import textwrap
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from shyper_tui.config import Diagnostic as ConfigDiagnostic
from shyper_tui.config import Severity, check_vm, read_vm, sample_path, summary
from shyper_tui.file_saving import replace_text
from shyper_tui.input_file import MAX_CONFIGURATION, read_input
from shyper_tui.ipc.messages import Diagnostic
from shyper_tui.widgets.json_editor import Editor
from shyper_tui.widgets.lines_view import RULE, LinesView, Part, Row
from shyper_tui.widgets.pane import Pane

CHECK_SECONDS = 0.2
"""Pause in typing after which the text is checked."""
SAMPLES = ("embedded-guest", "linux-guest")
GLYPHS = {"error": "✖", "warning": "▲", "portable": "◇"}
ROLES = {"error": "bad", "warning": "warn", "portable": "label"}


def diagnose(text: str, file: str, folder: Path) -> list[ConfigDiagnostic]:
    """Everything wrong with a VM's configuration by position, then what Rust-Shyper itself would not make of it. Images
    are looked up in `folder`."""
    reading = read_vm(text, file, portable=True)
    found = list(reading.diagnostics)
    if reading.value is not None:
        found += check_vm(reading.value, folder=folder, portable=True)
    return sorted(found, key=lambda one: (one.severity is Severity.PORTABLE, one.line, one.column))


def diagnostic_rows(found: Diagnostic | ConfigDiagnostic, width: int) -> list[Row]:
    """One finding in the list: severity, place and message, below it what to do; folded to `width`."""
    severity = str(found.severity)
    lead: tuple[Part, ...] = (
        (f" {GLYPHS.get(severity, '?')} {severity:<8} ", ROLES.get(severity, "text")),
        (f"{f'{found.line}:{found.column}':<7} ", "accent"),
    )
    indent = sum(len(text) for text, _role in lead)
    room = max(20, width - indent - 1)
    rows: list[Row] = [((" " * indent, "text"), (line, "text")) for line in textwrap.wrap(found.message, room)]
    rows[:1] = [(*lead, rows[0][1])] if rows else [lead]
    return rows + [((" " * indent, "text"), (line, "label")) for line in textwrap.wrap(found.remedy, room)]


class ConfigPane(Pane):
    """Text above, findings below."""

    TITLE = "config"
    HELP: ClassVar[str] = """\
A VM's configuration in Rust-Shyper's JSON; comments are allowed. Every finding below has its line and column;
**enter** or a click on it, or **ctrl+n** in the text, goes there. `✖ error` must be mended before the VM can
start, `▲ warning` works here but deserves a look, `◇ portable` works here but not on the real Rust-Shyper.
**ctrl+s** saves, **ctrl+r** applies the text as a new VM and boots it, **ctrl+l** loads another file.
**escape** leaves the text, so that letters are keys again.
"""
    DEFAULT_CSS = """
    ConfigPane > Editor { height: 1fr; border: none; padding: 0; }
    ConfigPane > Editor:focus { border: none; }
    ConfigPane > LinesView { height: auto; max-height: 9; min-height: 1;  }
    """

    class Apply(Message):
        """Make a VM of this text and boot it."""

        def __init__(self, pane: ConfigPane, text: str, directory: str, file: str) -> None:
            super().__init__()
            self.pane = pane
            self.text = text
            self.directory = directory
            self.file = file

    class Overwrite(Message):
        """Ask whether the text may replace a file. `changed`: it is the text's own, changed by somebody else."""

        def __init__(self, pane: ConfigPane, path: Path, changed: bool) -> None:
            super().__init__()
            self.pane = pane
            self.path = path
            self.changed = changed

    class OpenFile(Message):
        """Ask for a file to load."""

        def __init__(self, pane: ConfigPane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self) -> None:
        super().__init__()
        self.path: Path | None = None
        self.editor = Editor()
        self.problems = LinesView(selectable=True)
        self.found: list[Diagnostic | ConfigDiagnostic] = []
        self._timer: Timer | None = None
        self._saved = ""
        self._checked: str | None = None
        """The text that the list is about."""
        self._owners: list[int] = []
        """Finding of each row of the list."""

    def compose(self) -> ComposeResult:
        yield self.editor
        yield self.problems

    @property
    def main(self) -> Widget | None:
        return self.editor

    def on_mount(self) -> None:
        if self.path is None:
            self._load_sample()
        self.check()

    def _load_sample(self) -> None:
        for name in SAMPLES:
            try:
                self.load(sample_path(name))
            except OSError:
                continue
            return

    def load(self, path: Path) -> None:
        """Show a file. Raises OSError or UnicodeDecodeError when it cannot be read."""
        text = read_input(path, MAX_CONFIGURATION).decode()
        self.path = path
        self._saved = text
        self.editor.load_text(text)
        self.check()

    # --- findings ------------------------------------------------------------------------------------

    @on(TextArea.Changed)
    def _changed(self) -> None:
        if self.editor.text == self._checked:
            return  # told late: what is listed is about this very text, perhaps in the engine's words
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(CHECK_SECONDS, self.check)

    @property
    def changed(self) -> bool:
        """The text differs from its file."""
        return self.editor.text != self._saved

    @property
    def file(self) -> str:
        """Name of the text in diagnostics."""
        return self.path.name if self.path is not None else "new.json"

    @property
    def folder(self) -> Path:
        """Where relative file names in the text lead."""
        return self.path.parent if self.path is not None else Path()

    def check(self) -> None:
        """Read the text and list what is wrong with it."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self._checked = self.editor.text
        found = diagnose(self.editor.text, self.file, self.folder)
        self.show_found(list(found), summary(found))

    def show_found(self, found: list[Diagnostic | ConfigDiagnostic], verdict: str) -> None:
        """List findings: our own, or the engine's when it refused the text."""
        self.found = found
        changed = " ● changed" if self.changed else ""
        self.set_title(f"config · {self._file_title()}{changed}", f"{verdict} · ^r apply ^s save ^n problem ^l load")
        marks = [(one.line - 1, one.column - 1, one.end_column - 1, str(one.severity)) for one in found]
        self.editor.mark(marks[::-1])  # where two meet, the later one covers the other
        self.list_found(verdict)

    def list_found(self, verdict: str = "no problems") -> None:
        """Lay the findings out for the pane's width."""
        rows: list[Row] = []
        self._owners = []
        for number, one in enumerate(self.found):
            lines = diagnostic_rows(one, self.size.width)
            self._owners += [number] * len(lines)
            rows += lines
        rows = rows or [((" ✓ ", "good"), (verdict, "label"))]
        self.problems.styles.height = min(9, max(4, self.size.height // 3), len(rows) + 1)
        self.problems.selectable = bool(self.found)
        self.problems.show(rows, [RULE])

    def _file_title(self) -> str:
        """The file as the title shows it: samples by their name, others as they are reached from here."""
        if self.path is None:
            return "new.json"
        if self.path.parent == _samples_folder():
            return f"{self.path.name} (sample)"
        with contextlib.suppress(ValueError):
            return str(self.path.relative_to(Path.cwd()))
        return str(self.path)

    @on(LinesView.Chosen)
    def _chosen(self, message: LinesView.Chosen) -> None:
        message.stop()
        self._go_to_row(message.row)

    def key_enter(self) -> None:
        if self.problems.has_focus:
            self._go_to_row(self.problems.cursor)

    def on_resize(self) -> None:
        self.list_found()

    def _go_to_row(self, row: int) -> None:
        if row < len(self._owners):
            self.go_to(self._owners[row])

    def go_to(self, number: int) -> None:
        """Select the place of finding `number` in the text."""
        if number < len(self.found):
            found = self.found[number]
            row = max(0, found.line - 1)
            start = (row, max(0, found.column - 1))
            self.editor.selection = Selection(start, (row, max(start[1], found.end_column - 1)))
            self.editor.scroll_cursor_visible(center=True)
            self.editor.focus()

    # --- commands ------------------------------------------------------------------------------------

    @on(Editor.Command)
    def _command(self, message: Editor.Command) -> None:
        message.stop()
        getattr(self, f"action_{message.verb}")()

    def action_save(self) -> None:
        """Write the text to its file; a sample of the package is saved as a copy in the current folder. What is in that
        file and was never shown here is not overwritten without a question."""
        path = self.path or Path("new.json")
        if path.parent == _samples_folder():
            path = Path(path.name).absolute()
        known = self._saved if path == self.path else None
        if path.is_file() and _text_of(path) not in (known, self.editor.text):
            self.post_message(self.Overwrite(self, path, changed=known is not None))
        else:
            self.save_to(path)

    def save_to(self, path: Path) -> None:
        """Write the text to this file."""
        try:
            replace_text(path, self.editor.text)
        except OSError as error:
            self.notify(f"{path} cannot be written: {error.strerror}.", severity="error")
            return
        self.path, self._saved = path, self.editor.text
        self.check()
        self.notify(f"Saved as {path}.")

    def action_apply(self) -> None:
        """Ask for a VM made of the text."""
        self.check()
        self.post_message(self.Apply(self, self.editor.text, str(self.folder), self.file))

    def action_next_problem(self) -> None:
        """Go to the first error or warning after the cursor, or to the first of all; to notes when there is neither."""
        here = self.editor.selection.start
        problems = [one for one in self.found if str(one.severity) != Severity.PORTABLE] or self.found
        later = [one for one in problems if (one.line - 1, one.column - 1) > here] or problems
        if later:
            self.go_to(self.found.index(later[0]))

    def action_open_file(self) -> None:
        self.post_message(self.OpenFile(self))

    def action_leave(self) -> None:
        self.problems.focus()


def _text_of(path: Path) -> str | None:
    """What is in a file now; None when it cannot be read as text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _samples_folder() -> Path | None:
    for name in SAMPLES:
        try:
            return sample_path(name).parent
        except OSError:
            continue
    return None
