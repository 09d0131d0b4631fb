"""Scrollback: rows that left the top of the screen, as compact lines, re-wrapped when the width changes."""

from __future__ import annotations

from collections import deque
from itertools import islice

from pyte.screens import Char

from shyper_tui.term.lines import Line, Run, cells_of, line_from_cells, trimmed

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
            rows.extend(fold(pending, columns, open_end=True))
        while len(rows) > self.limit:
            rows.popleft()
            self.dropped += 1
        self._rows = rows


def fold(rows: list[Line], columns: int, open_end: bool = False) -> list[Line]:
    """One logical line, given as its rows, folded to `columns`; `open_end`: the last row continues below."""
    if len(rows) == 1 and not open_end and rows[0].width <= columns:
        return rows
    runs = [run for line in rows for run in line.runs]
    if all(text.isascii() for text, _style in runs):
        pieces = _fold_ascii(runs, columns)
    else:
        pieces = _fold_cells([cell for line in rows for cell in cells_of(line)], columns)
    folded = [Line(piece, wrapped=True) for piece in pieces]
    if folded:
        folded[-1] = Line(pieces[-1] if open_end else trimmed(list(pieces[-1])), wrapped=open_end)
    return folded


def _fold_ascii(runs: list[Run], columns: int) -> list[tuple[Run, ...]]:
    """One character is one cell: cut the runs by length."""
    pieces: list[tuple[Run, ...]] = []
    piece: list[Run] = []
    room = columns
    for text, style in runs:
        while len(text) > room:
            if room:
                piece.append((text[:room], style))
            pieces.append(tuple(piece))
            text, piece, room = text[room:], [], columns
        piece.append((text, style))
        room -= len(text)
    pieces.append(tuple(piece))
    return pieces


def _fold_cells(cells: list[Char], columns: int) -> list[tuple[Run, ...]]:
    pieces: list[tuple[Run, ...]] = []
    start = 0
    while len(cells) - start > columns:
        stop = start + columns
        if cells[stop].data == "" and columns > 1:  # do not tear a wide character
            stop -= 1
        pieces.append(line_from_cells(cells[start:stop], wrapped=True).runs)
        start = stop
    pieces.append(line_from_cells(cells[start:], wrapped=True).runs)
    return pieces
