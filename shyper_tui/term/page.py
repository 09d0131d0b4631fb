"""The page: rows, cursor, modes, margins and tab stops of one terminal, and scrolling."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from shyper_tui.term.cells import BLANK, Cell, Cursor
from shyper_tui.term.history import History
from shyper_tui.term.row import Row


class Margins(NamedTuple):
    """First and last row (0-based) of the scrolling region."""

    top: int
    bottom: int


class Page:
    """State that all operations work on; sizes in cells."""

    def __init__(self, columns: int, lines: int, history: History) -> None:
        self.columns = columns
        self.lines = lines
        self.history = history
        self.alternate = False
        self.cursor = Cursor()
        self.mode: set[int] = set()
        """Modes that are set: ANSI modes by their number, DEC's private ones shifted left by 5."""
        self.margins: Margins | None = None
        self.tabstops: set[int] = set()
        self.buffer: dict[int, Row] = self.new_rows()

    def new_rows(self) -> dict[int, Row]:
        """An empty picture."""
        return defaultdict(Row)

    @property
    def region(self) -> Margins:
        """What scrolls: between the margins, or everything."""
        return self.margins or Margins(0, self.lines - 1)

    @property
    def erased(self) -> Cell:
        """What erasing leaves: a blank with the background that is set (back color erase), and no other attribute."""
        background = self.cursor.attrs.bg
        return BLANK if background == "default" else BLANK._replace(bg=background)

    # --- scrolling --------------------------------------------------------------------------------

    def index(self) -> None:
        """IND: down one row; at the bottom margin the region scrolls, and the screen's top row goes to the
        scrollback."""
        top, bottom = self.margins or (0, self.lines - 1)
        cursor = self.cursor
        if cursor.y == bottom:
            self._up(top, bottom)
        elif cursor.y < self.lines - 1:
            cursor.y += 1

    def reverse_index(self) -> None:
        """RI: up one row; at the top margin the region scrolls down."""
        top, bottom = self.region
        if self.cursor.y == top:
            self._down(top, bottom)
        elif self.cursor.y > 0:
            self.cursor.y -= 1

    def _end_line(self, y: int) -> None:
        """Row `y` does not go on in the row below any more; -1 is the newest row of the scrollback."""
        if y >= 0:
            row = self.buffer[y]
            if row.wrapped:
                row.wrapped = False
                row.view = None
        elif not self.alternate:
            self.history.end_line()

    def _up(self, top: int, bottom: int, count: int = 1) -> None:
        """Rows `top` to `bottom` move up; those that leave the top of the screen go to the scrollback."""
        buffer = self.buffer
        if top == 0 and not self.alternate:
            for y in range(count):
                self.history.append(buffer[y].line(self.columns))
        elif top:
            self._end_line(top - 1)
        self._move_up(top, bottom, count)

    def _move_up(self, top: int, bottom: int, count: int) -> None:
        if bottom < self.lines - 1:
            self._end_line(bottom)
        buffer, erased = self.buffer, self.erased
        for y in range(top, bottom + 1 - count):
            buffer[y] = buffer[y + count]
        for y in range(bottom + 1 - count, bottom + 1):
            buffer[y] = Row(erased)

    def _down(self, top: int, bottom: int, count: int = 1) -> None:
        self._end_line(top - 1)
        if bottom - count >= top:
            self._end_line(bottom - count)
        buffer, erased = self.buffer, self.erased
        for y in range(bottom, top + count - 1, -1):
            buffer[y] = buffer[y - count]
        for y in range(top, top + count):
            buffer[y] = Row(erased)

    def scroll_up(self, count: int = 0) -> None:
        """SU."""
        top, bottom = self.region
        self._up(top, bottom, min(count or 1, bottom - top + 1))

    def scroll_down(self, count: int = 0) -> None:
        """SD."""
        top, bottom = self.region
        self._down(top, bottom, min(count or 1, bottom - top + 1))
