"""Moving the cursor: absolute and relative, margins, origin mode, tab stops (ECMA-48 8.3; DECSTBM, DECOM)."""

from __future__ import annotations

from pyte import modes as mo

from shyper_tui.term.editing import Editing
from shyper_tui.term.page import Margins

TAB = 8


class Movement(Editing):
    """What moves the cursor. Counts of 0 mean 1; positions count from 1, and 0 means 1."""

    def carriage_return(self) -> None:
        self.cursor.x = 0

    def linefeed(self) -> None:
        self.index()
        if mo.LNM in self.mode:
            self.cursor.x = 0

    def next_line(self) -> None:
        """NEL."""
        self.cursor.x = 0
        self.index()

    def backspace(self) -> None:
        self.cursor_back(1)

    def cursor_up(self, count: int = 0) -> None:
        """CUU: stops at the top margin, if it began below it."""
        top = self.region.top if self.cursor.y >= self.region.top else 0
        self.cursor.y = max(self.cursor.y - (count or 1), top)
        self._clamp()

    def cursor_down(self, count: int = 0) -> None:
        """CUD: stops at the bottom margin, if it began above it."""
        bottom = self.region.bottom if self.cursor.y <= self.region.bottom else self.lines - 1
        self.cursor.y = min(self.cursor.y + (count or 1), bottom)
        self._clamp()

    def cursor_up1(self, count: int = 0) -> None:
        """CPL."""
        self.cursor_up(count)
        self.cursor.x = 0

    def cursor_down1(self, count: int = 0) -> None:
        """CNL."""
        self.cursor_down(count)
        self.cursor.x = 0

    def cursor_back(self, count: int = 0) -> None:
        """CUB; from behind the last column it counts from the last column."""
        self.cursor.x = max(min(self.cursor.x, self.columns - 1) - (count or 1), 0)

    def cursor_forward(self, count: int = 0) -> None:
        """CUF."""
        self.cursor.x = min(self.cursor.x + (count or 1), self.columns - 1)

    def cursor_position(self, line: int = 0, column: int = 0) -> None:
        """CUP: from the top margin in origin mode, which the cursor does not leave then."""
        self.cursor.x = min((column or 1), self.columns) - 1
        self.cursor_to_line(line)

    def cursor_to_column(self, column: int = 0) -> None:
        """CHA, HPA."""
        self.cursor.x = min((column or 1), self.columns) - 1

    def cursor_to_line(self, line: int = 0) -> None:
        """VPA."""
        top, bottom = self.region if mo.DECOM in self.mode else (0, self.lines - 1)
        self.cursor.y = min(top + (line or 1) - 1, bottom)
        self._clamp()

    def set_margins(self, top: int = 0, bottom: int = 0) -> None:
        """DECSTBM: at least two rows; the cursor goes home."""
        first, last = (top or 1) - 1, min(bottom or self.lines, self.lines) - 1
        if first >= last:
            return
        self.margins = None if (first, last) == (0, self.lines - 1) else Margins(first, last)
        self.cursor_position()

    def _clamp(self) -> None:
        """A vertical movement ends the wait for a wrap."""
        self.cursor.x = min(self.cursor.x, self.columns - 1)

    # --- tab stops --------------------------------------------------------------------------------

    def reset_tab_stops(self) -> None:
        """Every eight columns."""
        self.tabstops = set(range(TAB, self.columns, TAB))

    def tab(self) -> None:
        """HT: the next stop, or the last column."""
        x = self.cursor.x
        if x < self.columns - 1:
            self.cursor.x = min((stop for stop in self.tabstops if stop > x), default=self.columns - 1)

    def forward_tab(self, count: int = 0) -> None:
        """CHT."""
        stops = sorted(stop for stop in self.tabstops if stop > self.cursor.x)
        if self.cursor.x < self.columns - 1:
            self.cursor.x = stops[(count or 1) - 1] if (count or 1) <= len(stops) else self.columns - 1

    def back_tab(self, count: int = 0) -> None:
        """CBT."""
        stops = sorted((stop for stop in self.tabstops if stop < self.cursor.x), reverse=True)
        self.cursor.x = stops[(count or 1) - 1] if (count or 1) <= len(stops) else 0

    def set_tab_stop(self) -> None:
        """HTS."""
        self.tabstops.add(min(self.cursor.x, self.columns - 1))

    def clear_tab_stop(self, how: int = 0) -> None:
        """TBC: 0 the one here, 3 all."""
        if how == 0:
            self.tabstops.discard(min(self.cursor.x, self.columns - 1))
        elif how == 3:
            self.tabstops.clear()
