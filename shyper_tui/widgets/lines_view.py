"""Lines of styled text that change often: bars, lists and the tables of the state panes.

Textual's `DataTable` takes a fifth of a core at ten updates per second; this widget paints only lines that changed
and builds each picture of a line once (1.5 to 2 %).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from shyper_tui.keymap import Scope, bindings
from shyper_tui.plain_text import visible
from shyper_tui.widgets.roles import Roles

Part = tuple[str, str]
"""Text and its role (see `roles`)."""
Row = tuple[Part, ...]

CACHE_LIMIT = 2048


RULE: Row = (("─" * 512, "dim"),)
"""A line that separates, longer than any terminal is wide."""


class LinesView(Widget, can_focus=True):
    """Shows rows under a fixed head, as plain text whatever is in them. With `selectable`, one row is the cursor's;
    else the keys scroll."""

    DEFAULT_CSS = """
    LinesView { height: 1fr; width: 1fr; background: $background; color: $foreground; }
    """
    BINDINGS = bindings(Scope.TABLE)

    class Chosen(Message):
        """A row was clicked."""

        def __init__(self, view: LinesView, row: int, column: int) -> None:
            super().__init__()
            self.view = view
            self.row = row
            self.column = column

        @property
        def control(self) -> LinesView:
            return self.view

    def __init__(self, *, selectable: bool = False, fill: str = "", classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self.selectable = selectable
        self.fill = fill
        """Role of the space after the text."""
        self.rows: list[Row] = []
        self.head: list[Row] = []
        self.top = 0
        self.cursor = 0
        self._cache: dict[tuple[Row, int, bool], Strip] = {}
        self._roles: Roles | None = None

    # --- contents ------------------------------------------------------------------------------------

    def show(self, rows: Sequence[Row], head: Sequence[Row] = ()) -> None:
        """Show these rows; only lines that differ from what is shown are painted."""
        before = self._visible()
        self.rows, self.head = list(rows), list(head)
        self.cursor = max(0, min(self.cursor, len(self.rows) - 1))
        self.top = max(0, min(self.top, len(self.rows) - self._room))
        after = self._visible()
        changed = [y for y, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        if changed:
            self.refresh(*[Region(0, y, self.size.width, 1) for y in changed])

    @property
    def text(self) -> str:
        """All rows as plain text."""
        return "\n".join("".join(visible(text) for text, _role in row) for row in [*self.head, *self.rows])

    @property
    def _room(self) -> int:
        return max(1, self.size.height - len(self.head))

    def _visible(self) -> list[tuple[Row, bool]]:
        """Row and whether it is the cursor's, for every line of the widget."""
        height = self.size.height
        lines = [(row, False) for row in self.head]
        for number in range(self.top, self.top + height - len(lines)):
            row = self.rows[number] if number < len(self.rows) else ()
            lines.append((row, self.selectable and number == self.cursor and number < len(self.rows)))
        return lines[:height]

    # --- painting ------------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._roles = None
        self._cache.clear()

    def render_lines(self, crop: Region) -> list[Strip]:
        width = self.size.width
        strips = [self._strip(row, width, marked) for row, marked in self._visible()[crop.y : crop.bottom]]
        strips += [Strip.blank(width, self.rich_style)] * (crop.height - len(strips))
        if crop.x or crop.right < width:
            return [strip.crop(crop.x, crop.right) for strip in strips]
        return strips

    def _strip(self, row: Row, width: int, marked: bool) -> Strip:
        key = (row, width, marked)
        strip = self._cache.get(key)
        if strip is None:
            if len(self._cache) >= CACHE_LIMIT:
                self._cache.clear()
            if self._roles is None:
                self._roles = Roles(self.app)
            roles, base = self._roles, self.rich_style
            if self.fill:
                base = base + roles[self.fill]
            mark = roles["cursor" if self.has_focus else "cursor-blurred"] if marked else Style.null()
            segments = [Segment(visible(text), base + roles[role] + mark) for text, role in row]
            strip = Strip(segments).adjust_cell_length(width, base + mark)
            self._cache[key] = strip
        return strip

    def on_focus(self) -> None:
        self._cache.clear()
        self.refresh()

    def on_blur(self) -> None:
        self._cache.clear()
        self.refresh()

    def on_resize(self) -> None:
        self._cache.clear()
        self.show(self.rows, self.head)

    # --- moving --------------------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        """Move the cursor, or scroll when rows cannot be selected."""
        before = (self.top, self.cursor)
        if self.selectable:
            self.cursor = max(0, min(self.cursor + step, len(self.rows) - 1))
            self.top = max(self.cursor - self._room + 1, min(self.top, self.cursor))
        else:
            self.top = max(0, min(self.top + step, len(self.rows) - self._room))
        if before != (self.top, self.cursor):
            self.refresh()

    def action_move_page(self, pages: int) -> None:
        self.action_move(pages * self._room)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(3, event)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(-3, event)

    def _wheel(self, step: int, event: events.MouseEvent) -> None:
        event.stop()
        top = max(0, min(self.top + step, len(self.rows) - self._room))
        if top != self.top:
            self.top = top
            self.refresh()

    async def on_click(self, event: events.Click) -> None:
        number = self.top + event.y - len(self.head)
        if event.y >= len(self.head) and number < len(self.rows):
            self.cursor = number
            self.refresh()
            self.post_message(self.Chosen(self, number, event.x))
