"""A row of the live screen: sparse cells as pyte keeps them, plus what makes drawing and scrolling cheap."""

from __future__ import annotations

from pyte.screens import Char

from shyper_tui.term.lines import Line, Style, line_from_cells, trimmed

BLANK = Char(" ")


class Row(dict[int, Char]):
    """Column → cell; a missing column reads as `default`.

    While a row was written from left to right with one set of attributes only (most rows of a log), `attributes`
    names that set and the text can be taken out without looking at the cells one by one. Anything else calls
    `touch()`.
    """

    __slots__ = ("attributes", "default", "mixed", "view", "wrapped")

    def __init__(self, default: Char = BLANK) -> None:
        super().__init__()
        self.default = default
        self.attributes: Char | None = None
        self.mixed = False
        self.wrapped = False
        self.view: Line | None = None
        """The row as a line, until the next change."""

    def __missing__(self, column: int) -> Char:
        return self.default

    def touch(self) -> None:
        """The cells are changed by something that does not keep the books."""
        self.mixed = True
        self.view = None

    def line(self, columns: int) -> Line:
        """The row as a line of at most `columns` columns."""
        view = self.view
        if view is None:
            view = self.view = self._line(columns)
        return view

    def _line(self, columns: int) -> Line:
        if not self.mixed and self.default is BLANK and len(self) <= columns:
            if self.attributes is None:
                return Line((), self.wrapped)
            text = "".join([cell[0] for cell in self.values()])
            if text.isascii():
                run = (text, Style(*self.attributes[1:]))
                return Line((run,) if self.wrapped else trimmed([run]), self.wrapped)
        if not self and self.default is BLANK:
            return Line((), self.wrapped)
        return line_from_cells([self[column] for column in range(columns)], self.wrapped)
