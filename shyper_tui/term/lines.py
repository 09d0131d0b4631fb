"""Rows of a terminal as text runs: what a view paints and what the scrollback keeps.

A `Line` is immutable and compared by identity: as long as a row of the screen has not changed, the terminal hands
out the same object, so a view may key its own caches by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from shyper_tui.term.cells import Cell, cell_width, wcwidth


class Style(NamedTuple):
    """Looks of a run of cells. Colours: "default", an ANSI name ("red", "brightblue") or six hexadecimal digits."""

    fg: str = "default"
    bg: str = "default"
    bold: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False
    reverse: bool = False
    blink: bool = False
    dim: bool = False
    conceal: bool = False
    overline: bool = False

    @property
    def invisible_when_blank(self) -> bool:
        """A blank cell of this style looks like nothing at all, so it may be dropped at the end of a row."""
        return self.bg == "default" and not (self.reverse or self.underline or self.strike or self.overline)


PLAIN = Style()

Run = tuple[str, Style]


class Line:
    """One physical row: runs of (text, style) from column 0; blanks at the end are left out unless the text goes on."""

    __slots__ = ("gap", "runs", "wrapped")

    def __init__(self, runs: tuple[Run, ...], wrapped: bool = False, gap: Style | None = None) -> None:
        self.runs = runs
        self.gap = gap
        """The last column is empty because the wide character that follows did not fit; how it looks. It is no part of
        the text."""
        self.wrapped = wrapped
        """The text goes on in the next row: the row was left by automatic wrapping, not by a line feed."""

    @property
    def text(self) -> str:
        return "".join([text for text, _style in self.runs])

    @property
    def width(self) -> int:
        """Columns that the text takes."""
        return sum(
            len(text) if text.isascii() else sum(max(0, wcwidth(char)) for char in text) for text, _ in self.runs
        )

    def __repr__(self) -> str:
        return f"Line({self.text!r}, wrapped={self.wrapped})"


EMPTY = Line(())


def inverted(line: Line, columns: int) -> Line:
    """The row in reverse video, to its last column."""
    blank = " " * (columns - line.width) if line.gap is None else ""
    runs = (*line.runs, (blank, PLAIN)) if blank else line.runs
    turned = tuple((text, style._replace(reverse=not style.reverse)) for text, style in runs)
    gap = line.gap._replace(reverse=not line.gap.reverse) if line.gap is not None else None
    return Line(turned, line.wrapped, gap)


def line_from_cells(cells: Iterable[Cell], wrapped: bool = False, gap: Style | None = None) -> Line:
    """Group cells (from column 0, none left out) into runs. Blanks at the end are kept when the line goes on in the
    next row.

    A wide character without its second cell, or a second cell without its first, becomes a blank: every row is
    exactly as wide as its cells.
    """
    runs: list[Run] = []
    texts: list[str] = []
    current: tuple[object, ...] | None = None
    wide: Cell | None = None
    for cell in cells:
        data = cell[0]
        if wide is not None:
            texts.append(wide[0] if data == "" else " ")
            if data == "" and cell[1:] == wide[1:]:
                wide = None
                continue
            wide = None
        if cell[1:] != current:
            if texts:
                assert current is not None
                runs.append(("".join(texts), Style(*current)))  # type: ignore[arg-type]  # a cell's fields after `data`
                texts = []
            current = cell[1:]
        if data == "":
            data = " "
        elif cell_width(data) == 2:
            wide = cell
            continue
        texts.append(data)
    if wide is not None:
        texts.append(" ")
    if texts:
        assert current is not None
        runs.append(("".join(texts), Style(*current)))  # type: ignore[arg-type]
    return Line(tuple(runs) if wrapped else trimmed(runs), wrapped, gap)


def trimmed(runs: list[Run]) -> tuple[Run, ...]:
    """The runs without blanks at the end that nobody could see."""
    while runs:
        text, style = runs[-1]
        if not style.invisible_when_blank:
            break
        text = text.rstrip(" ")
        if text:
            runs[-1] = (text, style)
            break
        runs.pop()
    return tuple(runs)


def cells_of(line: Line) -> Iterator[Cell]:
    """The row as cells again; a wide character is followed by its empty second cell."""
    for text, style in line.runs:
        looks = Cell(" ", *style)
        if text.isascii():
            for char in text:
                yield looks._replace(data=char)
            continue
        pending = ""
        for char in text:
            if pending and wcwidth(char) == 0:
                pending += char
                continue
            if pending:
                yield looks._replace(data=pending)
                if cell_width(pending) == 2:
                    yield looks._replace(data="")
            pending = char
        if pending:
            yield looks._replace(data=pending)
            if cell_width(pending) == 2:
                yield looks._replace(data="")
