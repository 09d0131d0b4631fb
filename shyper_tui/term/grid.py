"""The live screen: pyte's `Screen` with a fast path for plain text, scrollback, the alternate screen and mended
corners.

What pyte 0.8.2 gets wrong and this class mends is listed in the tests (`tests/term/test_mended_traps.py`), one test
each. References: ECMA-48, "XTerm Control Sequences".
"""

from __future__ import annotations

import copy
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import pyte
from pyte import charsets
from pyte import modes as mo
from pyte.screens import Char, Cursor, Margins, wcwidth

from shyper_tui.term.history import History
from shyper_tui.term.row import BLANK, Row
from shyper_tui.term.sgr import Parameter, rendition

MAX_COMBINING = 6
"""Code points kept in one cell; more marks are dropped, so a guest cannot pile up memory in a cell."""
MAX_STYLES = 256
"""Sets of attributes whose cells are cached."""


class Saved(NamedTuple):
    """What DECSC keeps."""

    cursor: Cursor
    g0: str
    g1: str
    charset: int
    origin: bool


class _Cells(dict[str, Char]):
    """Character → cell with one set of attributes: drawing becomes a dictionary update without building cells."""

    def __init__(self, attributes: Char) -> None:
        super().__init__()
        self._looks = attributes[1:]

    def __missing__(self, char: str) -> Char:
        cell = Char(char, *self._looks)
        if len(self) < 1024:
            self[char] = cell
        return cell


class Dirty(set[int]):
    """pyte marks changed rows here; passing the mark on to the rows keeps their cached lines honest."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self._grid = grid

    def add(self, y: int) -> None:
        self._grid.buffer[y].touch()

    def update(self, *rows: Any) -> None:
        buffer = self._grid.buffer
        for some in rows:
            for y in some:
                if y in buffer:
                    buffer[y].touch()


class Grid(pyte.Screen):
    """Cells, cursor and modes of one terminal. `reply` gets the answers to queries, `rang` counts bells."""

    buffer: dict[int, Row]  # type: ignore[assignment]  # Row does what pyte's own row class does
    mode: set[int]

    def __init__(self, columns: int, lines: int, history: History) -> None:
        self.history = history
        self.reply: Callable[[str], None] = lambda text: None
        self.rang = 0
        self.alternate = False
        self._primary: tuple[dict[int, Row], Saved | None] | None = None
        self._saved: Saved | None = None
        self._styles: dict[Char, _Cells] = {}
        self._renditions: dict[tuple[Char, tuple[Parameter, ...]], Char] = {}
        self._plain = True
        super().__init__(columns, lines)
        self.buffer = self._new_buffer()
        self.dirty = Dirty(self)
        self.reset()

    def _new_buffer(self) -> dict[int, Row]:
        return defaultdict(self._new_row)

    def _new_row(self) -> Row:
        return Row(self.default_char if mo.DECSCNM in self.mode else BLANK)

    # --- drawing ----------------------------------------------------------------------------------

    def draw(self, data: str) -> None:
        """Put text at the cursor, wrapping when DECAWM is set."""
        if self._plain and (data.isascii() or all(wcwidth(char) == 1 for char in data)):
            self._draw_narrow(data)
        else:
            self._draw_slowly(data)

    def _draw_narrow(self, data: str) -> None:
        """Text whose characters all take one cell and are drawn as they are; replace mode, wrapping on."""
        cursor, columns = self.cursor, self.columns
        attributes = cursor.attrs
        cells = self._styles.get(attributes)
        if cells is None:
            if len(self._styles) >= MAX_STYLES:
                self._styles.clear()
            cells = self._styles[attributes] = _Cells(attributes)
        cell = cells.__getitem__
        start, end = 0, len(data)
        while start < end:
            x = cursor.x
            if x >= columns:
                self._wrap()
                x = 0
            stop = min(end, start + columns - x)
            row = self.buffer[cursor.y]
            row.view = None
            if x > len(row):  # leaves a gap: the cells are no longer in order from column 0
                row.mixed = True
            elif row.attributes is not attributes and row.attributes != attributes:
                if row:
                    row.mixed = True
                row.attributes = attributes
            cursor.x = x + stop - start
            row.update(zip(range(x, cursor.x), map(cell, data[start:stop]), strict=False))
            start = stop

    def _wrap(self) -> None:
        """Go on in the next row because the text reached the right edge."""
        row = self.buffer[self.cursor.y]
        row.wrapped = True
        row.view = None
        self.cursor.x = 0
        self.index()

    def _draw_slowly(self, data: str) -> None:
        """Any text: wide and combining characters, line drawing, insert mode, no wrapping. What cannot be shown is
        skipped."""
        cursor = self.cursor
        for char in data.translate(self.g1_charset if self.charset else self.g0_charset):
            width = wcwidth(char)
            if width <= 0:
                if width == 0 and unicodedata.combining(char):
                    self._combine(char)
                continue
            width = min(width, self.columns)
            if cursor.x + width > self.columns:
                if mo.DECAWM in self.mode:
                    self._wrap()
                else:
                    cursor.x = self.columns - width
            if mo.IRM in self.mode:
                self.insert_characters(width)
            row = self.buffer[cursor.y]
            row.touch()
            row[cursor.x] = cursor.attrs._replace(data=char)
            if width == 2:
                row[cursor.x + 1] = cursor.attrs._replace(data="")
            cursor.x += width

    def _combine(self, mark: str) -> None:
        """Add a mark to the character before the cursor."""
        y, x = self.cursor.y, self.cursor.x - 1
        if x < 0:
            y, x = y - 1, self.columns - 1
            if y < 0:
                return
        row = self.buffer[y]
        if row[x].data == "" and x:
            x -= 1
        cell = row[x]
        if len(cell.data) < MAX_COMBINING:
            row.touch()
            row[x] = cell._replace(data=unicodedata.normalize("NFC", (cell.data or " ") + mark))

    def _decide_path(self) -> None:
        charset = self.g1_charset if self.charset else self.g0_charset
        self._plain = charset is charsets.LAT1_MAP and mo.IRM not in self.mode and mo.DECAWM in self.mode

    def define_charset(self, code: str, mode: str) -> None:
        super().define_charset(code, mode)
        self._decide_path()

    def shift_in(self) -> None:
        super().shift_in()
        self._decide_path()

    def shift_out(self) -> None:
        super().shift_out()
        self._decide_path()

    def select_rendition(self, parameters: tuple[Parameter, ...]) -> None:
        """SGR with sub-parameters."""
        key = (self.cursor.attrs, parameters)
        attributes = self._renditions.get(key)
        if attributes is None:
            if len(self._renditions) >= MAX_STYLES:
                self._renditions.clear()
            attributes = self._renditions[key] = rendition(self.cursor.attrs, parameters, self.default_char)
        self.cursor.attrs = attributes

    def bell(self, *args: Any) -> None:
        self.rang += 1

    # --- scrolling --------------------------------------------------------------------------------

    def index(self) -> None:
        """Down one row; at the bottom margin the region scrolls, and the screen's top row goes to the scrollback."""
        top, bottom = self.margins or (0, self.lines - 1)
        cursor = self.cursor
        if cursor.y == bottom:
            self._scroll_up(top, bottom)
        elif cursor.y < self.lines - 1:
            cursor.y += 1

    def linefeed(self) -> None:
        self.index()
        if mo.LNM in self.mode:
            self.cursor.x = 0

    def next_line(self) -> None:
        """NEL."""
        self.cursor.x = 0
        self.index()

    def _scroll_up(self, top: int, bottom: int) -> None:
        buffer = self.buffer
        if top == 0 and not self.alternate:
            self.history.append(buffer[0].line(self.columns))
        for y in range(top, bottom):
            buffer[y] = buffer[y + 1]
        buffer[bottom] = self._new_row()

    def scroll_up(self, count: int) -> None:
        """SU."""
        top, bottom = self.margins or (0, self.lines - 1)
        for _ in range(min(count or 1, bottom - top + 1)):
            self._scroll_up(top, bottom)

    def scroll_down(self, count: int) -> None:
        """SD."""
        top, bottom = self.margins or (0, self.lines - 1)
        for _ in range(min(count or 1, bottom - top + 1)):
            for y in range(bottom, top, -1):
                self.buffer[y] = self.buffer[y - 1]
            self.buffer[top] = self._new_row()

    # --- erasing ----------------------------------------------------------------------------------

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        cursor = self.cursor
        row = self.buffer[cursor.y]
        if how == 0 and cursor.attrs == BLANK and row.default is BLANK and not row.mixed and cursor.x >= len(row):
            return  # nothing there: the usual end of a prompt
        first, last = {0: (cursor.x, self.columns), 1: (0, cursor.x + 1), 2: (0, self.columns)}.get(how, (0, 0))
        if how in (0, 2):
            row.wrapped = False
        row.touch()
        for x in range(first, min(last, self.columns)):
            row[x] = cursor.attrs

    def erase_in_display(self, how: int = 0, *args: Any, **kwargs: Any) -> None:
        if how == 3:  # xterm: the saved lines
            self.history.clear()
            return
        rows = {0: range(self.cursor.y + 1, self.lines), 1: range(self.cursor.y), 2: range(self.lines)}.get(how)
        if rows is None:
            return
        for y in rows:
            row = self.buffer[y] = self._new_row()
            if self.cursor.attrs != row.default:
                row.touch()
                row.update(dict.fromkeys(range(self.columns), self.cursor.attrs))
        if how < 2:
            self.erase_in_line(how)

    def delete_lines(self, count: int | None = None) -> None:
        for y in range(self.lines):
            self.buffer[y]  # pyte leaves the old row standing where the one that moves up was never written
        super().delete_lines(count)

    def erase_characters(self, count: int | None = None) -> None:
        self.buffer[self.cursor.y].touch()
        super().erase_characters(count)

    # --- cursor -----------------------------------------------------------------------------------

    def cursor_up(self, count: int | None = None) -> None:
        top = self.margins.top if self.margins and self.cursor.y >= self.margins.top else 0
        self.cursor.y = max(self.cursor.y - (count or 1), top)

    def cursor_down(self, count: int | None = None) -> None:
        bottom = self.margins.bottom if self.margins and self.cursor.y <= self.margins.bottom else self.lines - 1
        self.cursor.y = min(self.cursor.y + (count or 1), bottom)

    def cursor_to_line(self, line: int | None = None) -> None:
        self.cursor.y = (line or 1) - 1
        if mo.DECOM in self.mode and self.margins is not None:
            self.cursor.y += self.margins.top
        self.ensure_vbounds()

    def set_margins(self, top: int | None = None, bottom: int | None = None) -> None:
        first, last = (top or 1) - 1, min(bottom or self.lines, self.lines) - 1
        if first >= last:
            return
        self.margins = None if (first, last) == (0, self.lines - 1) else Margins(first, last)
        self.cursor_position()

    def back_tab(self, count: int) -> None:
        """CBT."""
        stops = sorted(self.tabstops, reverse=True)
        for _ in range(min(count or 1, self.columns)):
            self.cursor.x = next((stop for stop in stops if stop < self.cursor.x), 0)

    def save_cursor(self) -> None:
        self._saved = Saved(
            copy.copy(self.cursor), self.g0_charset, self.g1_charset, self.charset, mo.DECOM in self.mode
        )

    def restore_cursor(self) -> None:
        saved = self._saved
        if saved is None:
            self.mode.discard(mo.DECOM)
            self.cursor_position()
            return
        hidden = self.cursor.hidden
        self.cursor = copy.copy(saved.cursor)
        self.cursor.hidden = hidden
        self.g0_charset, self.g1_charset, self.charset = saved.g0, saved.g1, saved.charset
        if saved.origin:
            self.mode.add(mo.DECOM)
        else:
            self.mode.discard(mo.DECOM)
        self._decide_path()
        self.ensure_hbounds()
        self.ensure_vbounds()

    # --- modes ------------------------------------------------------------------------------------

    def set_mode(self, *modes: int, private: bool = False, **kwargs: Any) -> None:
        for mode in modes:
            if private and mode in (47, 1047, 1048, 1049):
                self._switch(mode, on=True)
            elif not (private and mode == 3):  # DECCOLM: the pane decides the width
                super().set_mode(mode, private=private)
        self._decide_path()

    def reset_mode(self, *modes: int, private: bool = False, **kwargs: Any) -> None:
        for mode in modes:
            if private and mode in (47, 1047, 1048, 1049):
                self._switch(mode, on=False)
            elif not (private and mode == 3):
                super().reset_mode(mode, private=private)
        self._decide_path()

    def _switch(self, mode: int, on: bool) -> None:
        """Alternate screen: 47 and 1047 switch, 1048 saves the cursor, 1049 does both and clears."""
        if on and mode in (1048, 1049):
            self.save_cursor()
        if on and mode != 1048 and not self.alternate:
            self._primary = (self.buffer, self._saved)
            self.buffer, self._saved, self.alternate = self._new_buffer(), None, True
        elif not on and mode != 1048 and self._primary is not None:
            self.buffer, self._saved = self._primary
            self._primary, self.alternate, self.margins = None, False, None
        if not on and mode in (1048, 1049):
            self.restore_cursor()

    def reset(self) -> None:
        """RIS. The scrollback stays."""
        self.alternate, self._primary, self._saved = False, None, None
        super().reset()
        self._decide_path()

    def soft_reset(self) -> None:
        """DECSTR: modes, margins and attributes, not the picture."""
        self.mode = {mo.DECAWM, mo.DECTCEM}
        self.margins, self._saved = None, None
        self.cursor.attrs, self.cursor.hidden = self.default_char, False
        self.g0_charset, self.g1_charset, self.charset = charsets.LAT1_MAP, charsets.VT100_MAP, 0
        self._decide_path()

    # --- size -------------------------------------------------------------------------------------

    @property
    def primary(self) -> dict[int, Row]:
        """The primary screen's rows, also while the alternate screen is shown."""
        return self.buffer if self._primary is None else self._primary[0]

    @primary.setter
    def primary(self, rows: dict[int, Row]) -> None:
        if self._primary is None:
            self.buffer = rows
        else:
            self._primary = (rows, self._primary[1])

    def new_rows(self) -> dict[int, Row]:
        """An empty picture, for re-wrapping."""
        return self._new_buffer()

    @property
    def parked(self) -> Saved | None:
        """The primary screen's saved cursor while the alternate screen is shown."""
        return None if self._primary is None else self._primary[1]
