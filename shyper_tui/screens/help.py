"""Help: what the focused pane shows, and the keys that work now."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Markdown, Static

from shyper_tui.keymap import Scope, actions, display
from shyper_tui.widgets.config_editor import ConfigPane
from shyper_tui.widgets.console_pane import ConsolePane
from shyper_tui.widgets.pane import Pane
from shyper_tui.widgets.vm_list import VmListPane

NUMBERED = {
    "pane-": ("1 … 9", "pane: Focus the pane with that number"),
    "console-": ("alt+0 … alt+7", "console: Go to that VM's console"),
}
"""Actions that exist once per number: one line of them is shown."""


def scopes_of(pane: Pane | None) -> list[Scope]:
    """Scopes whose keys matter in a pane, its own first."""
    if isinstance(pane, ConsolePane):
        return [Scope.CONSOLE, Scope.CAPTURED, Scope.EVERYWHERE]
    if isinstance(pane, VmListPane):
        return [Scope.VMS, Scope.TABLE, Scope.EVERYWHERE]
    if isinstance(pane, ConfigPane):
        return [Scope.EDITOR, Scope.EVERYWHERE]
    return [Scope.TABLE, Scope.EVERYWHERE]


def key_rows(scope: Scope) -> list[tuple[str, str]]:
    """Keys and title of every action of a scope; numbered actions in one row."""
    rows: list[tuple[str, str]] = []
    for action in actions(scope):
        keys, title = " ".join(display(key) for key in action.keys), action.title
        if action.id.startswith(tuple(NUMBERED)) and action.id[-1].isdigit():
            keys, title = next(row for lead, row in NUMBERED.items() if action.id.startswith(lead))
        if (keys, title) not in rows:
            rows.append((keys, title))
    return rows


def key_table(scope: Scope) -> str:
    """The keys of a scope as a Markdown table, for the documentation."""
    rows = "".join(f"| `{keys}` | {title} |\n" for keys, title in key_rows(scope))
    return f"### {scope.value[0].upper()}{scope.value[1:]}\n\n| keys | action |\n|---|---|\n{rows}"


def key_text(scopes: list[Scope]) -> Content:
    """The keys of some scopes, one line each."""
    parts: list[str | tuple[str, str]] = []
    for scope in scopes:
        parts.append((f"Keys: {scope}\n", "bold $text-accent"))
        for keys, title in key_rows(scope):
            parts += [(f"  {keys:<16}", "$text-primary"), f"{title}\n"]
        parts.append("\n")
    return Content.assemble(*parts)


class Help(ModalScreen[None]):
    """Closed by escape, `?`, F1 or q."""

    DEFAULT_CSS = """
    Help { align: center middle; background: $background 60%; }
    Help > VerticalScroll {
        width: 92; max-width: 96%; height: 90%; border: round $primary; background: $surface; padding: 0 2;
    }
    Help Markdown { padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,question_mark,q", "dismiss", "Close")]

    def __init__(self, pane: Pane | None) -> None:
        super().__init__()
        self.prose = f"## {pane.TITLE or 'Console'}\n\n{pane.HELP}" if pane is not None else ""
        self.keys = key_text(scopes_of(pane))

    @property
    def text(self) -> str:
        """All of it as plain text."""
        return f"{self.prose}\n{self.keys.plain}"

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "Help · escape closes"
            yield Markdown(self.prose)
            yield Static(self.keys)
