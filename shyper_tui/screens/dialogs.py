"""Small dialogs: a question with buttons, a line of text, the end of the engine."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from shyper_tui.ipc.messages import WorkerExit
from shyper_tui.plain_text import visible, visible_lines


class Choice(ModalScreen[str]):
    """A question; each answer is a button and a key. Escape gives the last answer."""

    DEFAULT_CSS = """
    Choice { align: center middle; background: $background 60%; }
    Choice > Vertical {
        width: 76; max-width: 95%; height: auto; max-height: 90%; border: round $primary;
        background: $surface; padding: 0 2; border-title-style: bold;
    }
    Choice .text { height: auto; margin: 1 0; }
    Choice VerticalScroll { height: auto; max-height: 12; background: $panel; padding: 0 1; }
    Choice Horizontal { height: auto; align-horizontal: right; margin-bottom: 1; }
    Choice Button { margin-left: 2; min-width: 12; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_last", "Back")]

    def __init__(self, title: str, text: str, answers: dict[str, tuple[str, str]], details: str = "") -> None:
        """`answers`: value → (key, label)."""
        super().__init__()
        self.heading = visible(title)
        self.text = visible_lines(text)
        self.answers = answers
        self.details = visible_lines(details)
        for value, (key, label) in answers.items():
            self._bindings.bind(key, f"give('{value}')", label)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self.heading)
            yield Static(Content(self.text), classes="text")
            if self.details:
                with VerticalScroll():
                    yield Static(Content(self.details))
            with Horizontal():
                for value, (key, label) in self.answers.items():
                    yield Button(f"{label} ({key})", id=value, compact=True)

    def on_mount(self) -> None:
        self.query(Button).first().focus()
        for scroll in self.query(VerticalScroll):
            scroll.scroll_end(animate=False)

    def action_give(self, value: str) -> None:
        self.dismiss(value)

    def action_give_last(self) -> None:
        self.dismiss(list(self.answers)[-1])

    @on(Button.Pressed)
    def _pressed(self, message: Button.Pressed) -> None:
        self.dismiss(message.button.id)


def quit_dialog(running: list[str]) -> Choice:
    """VMs run: really quit?"""
    count = "One VM runs" if len(running) == 1 else f"{len(running)} VMs run"
    text = f"{count}: {', '.join(running)}. Leaving stops the machine, as pulling its plug would."
    return Choice("Quit?", text, {"quit": ("q", "Quit"), "stay": ("s", "Stay")})


def remove_dialog(vm: int, name: str) -> Choice:
    """A VM is to be removed with its memory: really?"""
    text = f"vm{vm} {name} is stopped, and its memory, disk and configuration are given back."
    return Choice("Remove this VM?", text, {"remove": ("r", "Remove"), "keep": ("k", "Keep")})


def discard_dialog(file: str) -> Choice:
    """The editor's text was changed and not saved: really load another?"""
    answers = {"discard": ("d", "Discard"), "keep": ("k", "Keep")}
    return Choice("Discard changes?", f"{file} was changed and not saved.", answers)


def overwrite_dialog(file: str, changed: bool) -> Choice:
    """A file is there already, or was changed by somebody else: really replace it?"""
    why = "was changed since it was loaded here" if changed else "is there already"
    answers = {"replace": ("r", "Replace"), "keep": ("k", "Keep")}
    return Choice("Replace this file?", f"{file} {why}.", answers)


def failure_dialog(ended: WorkerExit) -> Choice:
    """The engine is gone: how, its last words, what to do."""
    if ended.status is None:
        how = "The engine could not be started, or the connection to it is lost."
    elif ended.status < 0:
        how = f"The engine was killed by signal {-ended.status}."
    else:
        how = f"The engine ended with exit status {ended.status}."
    lines = ended.log[-40:]
    details = "\n".join(lines) if lines else "(it wrote no log)"
    text = f"{how} The consoles keep what they showed. Last lines of its log:"
    answers = {"restart": ("r", "Restart"), "leave": ("q", "Quit"), "look": ("l", "Look around")}
    return Choice("The engine has ended", text, answers, details)


class Ask(ModalScreen[str | None]):
    """One line of text; escape gives None."""

    DEFAULT_CSS = """
    Ask { align: center middle; background: $background 60%; }
    Ask > Vertical {
        width: 76; max-width: 95%; height: auto; border: round $primary; background: $surface; padding: 0 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back")]

    def __init__(self, title: str, value: str) -> None:
        super().__init__()
        self.heading = visible(title)
        self.value = visible(value)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self.heading)
            yield Input(self.value, compact=True)

    def action_cancel(self) -> None:
        self.dismiss(None)

    @on(Input.Submitted)
    def _submitted(self, message: Input.Submitted) -> None:
        self.dismiss(message.value)
