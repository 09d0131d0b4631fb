"""Scrollback: rows that left the top of the screen, as compact lines, re-wrapped when the width changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from shyper_tui.term.cells import Cell
from shyper_tui.term.lines import PLAIN, Line, Run, cells_of, line_from_cells, trimmed

DEFAULT_LIMIT = 20_000
"""Rows kept per console; about 6 MB of plain text."""


class History:
    """Rows, oldest first. `dropped` counts rows that were pushed out, so a reader's place can be kept."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self.dropped = 0
        self._rows: deque[Line] = deque()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Line:
        return self._rows[index]

    def slice(self, start: int, stop: int) -> list[Line]:
        """Rows `start` to `stop` (exclusive), cut to what is there."""
        return list(islice(self._rows, max(0, start), max(0, stop)))

    def append(self, line: Line) -> None:
        rows = self._rows
        rows.append(line)
        if len(rows) > self.limit:
            rows.popleft()
            self.dropped += 1

    def pop(self) -> Line:
        """Take the newest row back."""
        return self._rows.pop()

    def end_line(self) -> None:
        """The newest row does not go on below any more."""
        if self._rows and self._rows[-1].wrapped:
            self._rows[-1] = Line(trimmed(list(self._rows[-1].runs)))

    def clear(self) -> None:
        self.dropped += len(self._rows)
        self._rows.clear()

    def rewrap(self, columns: int) -> None:
        """Fold all rows anew to `columns` columns. Rows that fit and stand alone are kept as they are."""
        rows: deque[Line] = deque()
        pending: list[Line] = []
        for line in self._rows:
            pending.append(line)
            if line.wrapped:
                continue
            rows.extend(fold(pending, columns))
            pending = []
        if pending:
            rows.extend(fold(pending, columns))
        while len(rows) > self.limit:
            rows.popleft()
            self.dropped += 1
        self._rows = rows


def fold(rows: list[Line], columns: int) -> list[Line]:
    """One logical line, given as its rows, folded to `columns`."""
    if len(rows) == 1 and not rows[0].wrapped and rows[0].width <= columns:
        return rows
    runs = [run for line in rows for run in line.runs]
    if all(text.isascii() for text, _style in runs):
        folded = [Line(piece, wrapped=True) for piece in _fold_ascii(runs, columns)]
    else:
        folded = list(_fold_cells([cell for line in rows for cell in cells_of(line)], columns))
    folded[-1] = Line(trimmed(list(folded[-1].runs)))
    return folded


def _fold_ascii(runs: list[Run], columns: int) -> list[tuple[Run, ...]]:
    """One character is one cell: cut the runs by length."""
    pieces: list[tuple[Run, ...]] = []
    piece: list[Run] = []
    room = columns
    for text, style in runs:
        start = 0
        while len(text) - start > room:
            if room:
                piece.append((text[start : start + room], style))
            pieces.append(tuple(piece))
            start, piece, room = start + room, [], columns
        piece.append((text[start:], style))
        room -= len(text) - start
    pieces.append(tuple(piece))
    return pieces


def _fold_cells(cells: list[Cell], columns: int) -> Iterator[Line]:
    """Cell by cell; a wide character that would be torn goes to the next row."""
    start = 0
    while len(cells) - start > columns:
        stop = start + columns
        torn = cells[stop].data == ""
        if torn:
            stop -= 1
        yield line_from_cells(cells[start:stop], wrapped=True, gap=PLAIN if torn else None)
        start = stop
    yield line_from_cells(cells[start:], wrapped=True)
