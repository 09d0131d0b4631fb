"""A row of the live screen: sparse cells, plus what makes drawing and scrolling cheap."""

from __future__ import annotations

from shyper_tui.term.cells import BLANK, Cell, cell_width
from shyper_tui.term.lines import Line, Style, line_from_cells, trimmed


class Row(dict[int, Cell]):
    """Column → cell; a missing column reads as `default`.

    While a row was written from left to right with one set of attributes only (most rows of a log), `attributes`
    names that set and the text can be taken out without looking at the cells one by one. Anything else calls
    `touch()`. No operation leaves half a wide character: the other half becomes a blank.
    """

    __slots__ = ("attributes", "default", "mixed", "view", "wide", "wrapped")

    def __init__(self, default: Cell = BLANK) -> None:
        super().__init__()
        self.default = default
        self.attributes: Cell | None = None
        self.mixed = False
        self.wrapped = False
        self.wide = False
        """Wide characters were written here."""
        self.view: Line | None = None
        """The row as a line, until the next change."""

    def __missing__(self, column: int) -> Cell:
        return self.default

    def touch(self) -> None:
        """The cells are changed by something that does not keep the books."""
        self.mixed = True
        self.view = None

    # --- changes ----------------------------------------------------------------------------------

    def split(self, column: int) -> None:
        """Before something changes on one side of `column`'s left edge only: blank a wide character across it."""
        if self.wide and column > 0 and self[column].data == "":
            left = self[column - 1]
            if cell_width(left.data) == 2:
                self[column - 1] = left._replace(data=" ")
                self[column] = left._replace(data=" ")

    def close_gap(self, columns: int) -> None:
        """The last column is about to move: if it is a gap, it is a blank from now on."""
        if self.wide or self.wrapped:
            last = self[columns - 1]
            if last.data == "" and cell_width(self[columns - 2].data) != 2:
                self[columns - 1] = last._replace(data=" ")

    def fill(self, first: int, stop: int, cell: Cell) -> None:
        """Write one cell into columns `first` to `stop` (exclusive)."""
        if first >= stop:
            return
        self.touch()
        self.split(first)
        self.split(stop)
        self.update(dict.fromkeys(range(first, stop), cell))

    def insert(self, column: int, count: int, columns: int, blank: Cell) -> None:
        """Shift the cells from `column` on to the right; what leaves the row is lost."""
        self.touch()
        self.close_gap(columns)
        self.split(column)
        count = min(count, columns - column)
        self.split(columns - count)
        cells = [self[x] for x in range(column, columns - count)]
        self.update(zip(range(column + count, columns), cells, strict=True))
        self.update(dict.fromkeys(range(column, column + count), blank))

    def delete(self, column: int, count: int, columns: int, blank: Cell) -> None:
        """Take cells out; the rest moves to the left and blanks follow."""
        self.touch()
        self.close_gap(columns)
        count = min(count, columns - column)
        self.split(column)
        self.split(column + count)
        cells = [self[x] for x in range(column + count, columns)]
        self.update(zip(range(column, columns - count), cells, strict=True))
        self.update(dict.fromkeys(range(columns - count, columns), blank))

    def cut(self, columns: int) -> None:
        """Forget everything from column `columns` on."""
        self.touch()
        self.split(columns)
        for x in [x for x in self if x >= columns]:
            del self[x]

    # --- as a line --------------------------------------------------------------------------------

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
        cells = [self[column] for column in range(columns)]
        if self.wrapped and cells[-1].data == "" and cell_width(cells[-2].data) != 2:
            gap = cells.pop()
            return line_from_cells(cells, wrapped=True, gap=Style(*gap[1:]))
        return line_from_cells(cells, self.wrapped)
