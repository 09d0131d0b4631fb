"""Erasing, inserting and deleting (ECMA-48 8.3: ED, EL, ECH, ICH, DCH, IL, DL, SL, SR; DECALN)."""

from __future__ import annotations

from shyper_tui.term.cells import BLANK
from shyper_tui.term.page import Page
from shyper_tui.term.row import Row


class Editing(Page):
    """What changes cells without drawing characters. Counts of 0 mean 1."""

    def erase_in_line(self, how: int = 0) -> None:
        """EL: 0 from the cursor on, 1 up to and with the cursor, 2 all."""
        cursor = self.cursor
        row = self.buffer[cursor.y]
        erased = self.erased
        if how == 0 and erased is BLANK and row.default is BLANK and not row.mixed and cursor.x >= len(row):
            row.wrapped = False
            row.view = None if row.wide else row.view
            return  # nothing there: the usual end of a prompt
        first, stop = {0: (cursor.x, self.columns), 1: (0, cursor.x + 1), 2: (0, self.columns)}.get(how, (0, 0))
        if how in (0, 2):
            row.wrapped = False
            row.view = None
        row.fill(first, min(stop, self.columns), erased)

    def erase_in_display(self, how: int = 0) -> None:
        """ED: 0 from the cursor on, 1 up to and with the cursor, 2 all, 3 (xterm) the scrollback."""
        if how == 3:
            self.history.clear()
            return
        rows = {0: range(self.cursor.y + 1, self.lines), 1: range(self.cursor.y), 2: range(self.lines)}.get(how)
        if rows is None:
            return
        if how == 2 or (how == 0 and (self.cursor.x, self.cursor.y) == (0, 0)):
            self._end_line(-1)
        for y in rows:
            self.buffer[y] = Row(self.erased)
        if how < 2:
            self.erase_in_line(how)

    def erase_characters(self, count: int = 0) -> None:
        """ECH."""
        x = self.cursor.x
        self.buffer[self.cursor.y].fill(x, min(x + (count or 1), self.columns), self.erased)

    def insert_characters(self, count: int = 0) -> None:
        """ICH."""
        if self.cursor.x < self.columns:
            self.buffer[self.cursor.y].insert(self.cursor.x, count or 1, self.columns, self.erased)

    def delete_characters(self, count: int = 0) -> None:
        """DCH."""
        if self.cursor.x < self.columns:
            self.buffer[self.cursor.y].delete(self.cursor.x, count or 1, self.columns, self.erased)

    def shift_left(self, count: int = 0) -> None:
        """SL: all rows of the region move to the left."""
        top, bottom = self.region
        for y in range(top, bottom + 1):
            self.buffer[y].delete(0, count or 1, self.columns, self.erased)

    def shift_right(self, count: int = 0) -> None:
        """SR."""
        top, bottom = self.region
        for y in range(top, bottom + 1):
            self.buffer[y].insert(0, count or 1, self.columns, self.erased)

    def insert_lines(self, count: int = 0) -> None:
        """IL: the rows from the cursor to the bottom margin move down; nothing outside the margins."""
        top, bottom = self.region
        y = self.cursor.y
        if top <= y <= bottom:
            self._down(y, bottom, min(count or 1, bottom - y + 1))
            self.cursor.x = 0

    def delete_lines(self, count: int = 0) -> None:
        """DL: the rows below the deleted ones move up; nothing outside the margins."""
        top, bottom = self.region
        y = self.cursor.y
        if top <= y <= bottom:
            self._end_line(y - 1)
            self._move_up(y, bottom, min(count or 1, bottom - y + 1))
            self.cursor.x = 0

    def alignment_display(self) -> None:
        """DECALN: the screen full of E, no margins, cursor at home."""
        self.margins = None
        self.cursor.x = self.cursor.y = 0
        for y in range(self.lines):
            row = self.buffer[y] = Row()
            row.fill(0, self.columns, BLANK._replace(data="E"))
