"""Help: what the focused pane shows, and the keys that work now."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Markdown

from shyper_tui.keymap import Scope, actions, display
from shyper_tui.widgets.config_editor import ConfigPane
from shyper_tui.widgets.console_pane import ConsolePane
from shyper_tui.widgets.pane import Pane
from shyper_tui.widgets.vm_list import VmListPane

REPEATED = ("pane-", "console-")
"""Actions that exist once per number: only one line of them is shown."""


def scopes_of(pane: Pane | None) -> list[Scope]:
    """Scopes whose keys matter in a pane, its own first."""
    if isinstance(pane, ConsolePane):
        return [Scope.CONSOLE, Scope.CAPTURED, Scope.EVERYWHERE]
    if isinstance(pane, VmListPane):
        return [Scope.VMS, Scope.TABLE, Scope.EVERYWHERE]
    if isinstance(pane, ConfigPane):
        return [Scope.EDITOR, Scope.EVERYWHERE]
    return [Scope.TABLE, Scope.EVERYWHERE]


def key_table(scope: Scope) -> str:
    """The keys of a scope as a Markdown table."""
    rows = [f"### Keys: {scope}", "", "| key | action |", "|---|---|"]
    seen: set[str] = set()
    for action in actions(scope):
        keys = " ".join(f"`{display(key)}`" for key in action.keys)
        title = action.title
        lead = next((lead for lead in REPEATED if action.id.startswith(lead) and action.id[-1].isdigit()), None)
        if lead in seen:
            continue
        if lead is not None:
            seen.add(lead)
            keys, title = {
                "pane-": ("`1` … `9`", "pane: Focus the pane with that number"),
                "console-": ("`alt+0` … `alt+7`", "console: Go to that VM's console"),
            }[lead]
        rows.append(f"| {keys} | {title} |")
    return "\n".join(rows)


def help_text(pane: Pane | None) -> str:
    """Markdown for the help screen."""
    parts = [f"## {pane.TITLE or 'Console'}\n\n{pane.HELP}"] if pane is not None and pane.HELP else []
    parts += [key_table(scope) for scope in scopes_of(pane)]
    return "\n\n".join(parts)


class Help(ModalScreen[None]):
    """Closed by escape, `?`, F1 or q."""

    DEFAULT_CSS = """
    Help { align: center middle; background: $background 60%; }
    Help > VerticalScroll {
        width: 92; max-width: 96%; height: 90%; border: round $primary; background: $surface; padding: 0 2;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,question_mark,q", "dismiss", "Close")]

    def __init__(self, pane: Pane | None) -> None:
        super().__init__()
        self.text = help_text(pane)

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "Help · escape closes"
            yield Markdown(self.text)
