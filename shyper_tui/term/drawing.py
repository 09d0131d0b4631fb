"""Drawing characters at the cursor: a fast path for plain text, and one character at a time for everything else."""

from __future__ import annotations

import unicodedata

from pyte import modes as mo

from shyper_tui.term.cells import BLANK, Cell, cell_width, wcwidth
from shyper_tui.term.charsets import Charsets
from shyper_tui.term.history import History
from shyper_tui.term.movement import Movement
from shyper_tui.term.sgr import Parameter, rendition

MAX_COMBINING = 6
"""Code points kept in one cell; more marks are dropped, so a guest cannot pile up memory in a cell."""
JOINERS = "\u200c\u200d"
"""Kept in the cell before them, for whoever copies the text; the characters beside them stay in cells of their own."""
MAX_STYLES = 256
"""Sets of attributes whose cells are cached."""


class _Cells(dict[str, Cell]):
    """Character → cell with one set of attributes: drawing becomes a dictionary update without building cells."""

    def __init__(self, attributes: Cell) -> None:
        super().__init__()
        self._looks = attributes[1:]

    def __missing__(self, char: str) -> Cell:
        cell = Cell(char, *self._looks)
        if len(self) < 1024:
            self[char] = cell
        return cell


class Drawing(Movement):
    """What puts characters on the page."""

    def __init__(self, columns: int, lines: int, history: History) -> None:
        super().__init__(columns, lines, history)
        self.charsets = Charsets()
        self._styles: dict[Cell, _Cells] = {}
        self._renditions: dict[tuple[Cell, tuple[Parameter, ...]], Cell] = {}
        self._plain = True

    def decide_path(self) -> None:
        """To be called when a character set or mode has changed: whether the fast path may be taken."""
        self._plain = self.charsets.plain and mo.IRM not in self.mode and mo.DECAWM in self.mode

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
            if row.wide:
                row.split(x)
                row.split(cursor.x)
            row.update(zip(range(x, cursor.x), map(cell, data[start:stop]), strict=False))
            start = stop

    def _wrap(self) -> None:
        """Go on in the next row because the text reached the right edge."""
        row = self.buffer[self.cursor.y]
        row.wrapped = True
        row.view = None
        self.cursor.x = 0
        self.index()
        row.wrapped = True  # a region that scrolled took its bottom row for the end of a line

    def _leave_gap(self) -> None:
        """The wide character does not fit into the last column and goes to the next row: what stays is no blank of
        the text."""
        row, last = self.buffer[self.cursor.y], self.columns - 1
        row.touch()
        if row[last].data == " ":
            row[last] = row[last]._replace(data="")

    def _draw_slowly(self, data: str) -> None:
        """Any text: wide and combining characters, other character sets, insert mode, no wrapping. What cannot be
        shown is skipped."""
        cursor, columns = self.cursor, self.columns
        wraps = mo.DECAWM in self.mode
        shifted = self.charsets.single is not None
        for char in self.charsets.translate(data):
            width = wcwidth(char)
            if width <= 0:
                if width == 0 and (char in JOINERS or unicodedata.category(char)[0] != "C"):
                    self._combine(char)
                continue
            if cursor.x + width > columns:
                if wraps:
                    if cursor.x < columns:
                        self._leave_gap()
                    self._wrap()
                elif cursor.x < columns and width > 1:
                    continue
                else:
                    cursor.x = columns - width
            row = self.buffer[cursor.y]
            if mo.IRM in self.mode:
                row.insert(cursor.x, width, columns, BLANK)
            row.touch()
            row.split(cursor.x)
            row.split(cursor.x + width)
            row[cursor.x] = cursor.attrs._replace(data=char)
            if width == 2:
                row.wide = True
                row[cursor.x + 1] = cursor.attrs._replace(data="")
            cursor.x = min(cursor.x + width, columns if wraps else columns - 1)
        if shifted:
            self.decide_path()

    def _combine(self, mark: str) -> None:
        """Add a mark to the character before the cursor."""
        x = self.cursor.x - 1
        if x < 0:
            return
        row = self.buffer[self.cursor.y]
        if x and row[x].data == "" and cell_width(row[x - 1].data) == 2:
            x -= 1
        cell = row[x]
        if len(cell.data) < MAX_COMBINING:
            row.touch()
            row[x] = cell._replace(data=unicodedata.normalize("NFC", (cell.data or " ") + mark))

    # --- character sets and attributes ------------------------------------------------------------

    def designate(self, slot: str, code: str) -> None:
        """SCS."""
        self.charsets.designate(slot, code)
        self.decide_path()

    def invoke(self, number: int) -> None:
        """SI, SO, LS2, LS3: G`number` from now on."""
        self.charsets.invoked = number
        self.decide_path()

    def shift_once(self, number: int) -> None:
        """SS2, SS3: G`number` for the next character."""
        self.charsets.single = number
        self.decide_path()

    def select_rendition(self, parameters: tuple[Parameter, ...]) -> None:
        """SGR with sub-parameters."""
        key = (self.cursor.attrs, parameters)
        attributes = self._renditions.get(key)
        if attributes is None:
            if len(self._renditions) >= MAX_STYLES:
                self._renditions.clear()
            attributes = self._renditions[key] = rendition(self.cursor.attrs, parameters, BLANK)
        self.cursor.attrs = attributes
