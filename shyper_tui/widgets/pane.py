"""What all panes have in common: a frame with number, title and state, a help text, and the snapshot they want."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from shyper_tui.plain_text import visible
from shyper_tui.session import Session

SnapshotKind = Literal["vcpus", "plic"]


class Pane(Vertical):
    """A framed part of the screen.

    Panes never talk to the engine: the workstation asks for the snapshot that `WANTS` names while the pane is
    visible, and calls `update_session` when machine state or VMs have changed.
    """

    DEFAULT_CSS = """
    Pane {
        border: round $foreground 35%; border-title-color: $text-muted; border-subtitle-color: $text-muted;
        background: $background; width: 1fr; height: 1fr; min-height: 3;
        border-title-style: none; border-subtitle-style: none;
    }
    Pane:focus-within { border: round $accent; border-title-color: $foreground; border-title-style: bold; }
    """
    HELP: ClassVar[str] = ""
    """What the pane shows and how to read it; Markdown, shown by the help screen."""
    WANTS: ClassVar[SnapshotKind | None] = None
    TITLE: ClassVar[str] = ""

    number = 0
    """1 to 9: its key."""
    _shown_title = ("", "")
    _frame: tuple[Content, Content] | None = None

    def set_title(self, title: str, note: str = "") -> None:
        """Title at the top left and note at the bottom right of the frame, as plain text."""
        self._shown_title = (title, note)
        lead = f"{self.number} " if self.number else ""
        self.write_frame(Content(f"{lead}{visible(title)}"), Content(visible(note)))

    def write_frame(self, title: Content, note: Content) -> None:
        """Write title and note unless they stand there already: a new frame paints the whole pane anew."""
        if (title, note) != self._frame:
            self._frame = (title, note)
            self.border_title, self.border_subtitle = title, note

    def renumber(self, number: int) -> None:
        """Give the pane its key."""
        if number != self.number:
            self.number = number
            self.set_title(*self._shown_title)

    class Ready(Message):
        """The pane is mounted: it can be told the session now."""

        def __init__(self, pane: Pane) -> None:
            super().__init__()
            self.pane = pane

    def on_mount(self) -> None:
        if self._shown_title == ("", ""):  # a subclass may have said more: Textual calls its handler first
            self.set_title(self.TITLE)
        self.post_message(self.Ready(self))

    @property
    def main(self) -> Widget | None:
        """The part that takes the focus."""
        return next((widget for widget in self.query("*") if widget.focusable), None)

    @property
    def shown(self) -> bool:
        """It is on the screen now: not in a hidden view, not behind a zoomed pane."""
        return (
            self.is_attached
            and self.screen.is_current
            and self.region.area != 0
            and all(node.display for node in self.ancestors_with_self if isinstance(node, Widget))
        )

    def update_session(self, session: Session) -> None:
        """Machine state or VMs have changed."""

    def show_snapshot(self, snapshot: object) -> None:
        """A snapshot of the kind that `WANTS` names has arrived."""
