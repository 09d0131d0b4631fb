"""Resize of a terminal: the primary screen and its scrollback are folded anew, the alternate screen is cut or
extended."""

from __future__ import annotations

from pyte.screens import Cursor

from shyper_tui.term.grid import Grid
from shyper_tui.term.history import fold
from shyper_tui.term.lines import Line, cells_of
from shyper_tui.term.row import Row


def resize(grid: Grid, columns: int, lines: int) -> None:
    """Give the grid another size. Text is kept: what no longer fits goes to the scrollback, and comes back when
    there is room."""
    if (columns, lines) == (grid.columns, grid.lines):
        return
    saved = grid.parked
    cursor = grid.cursor if not grid.alternate else saved.cursor if saved else Cursor(0, 0)
    _refold_primary(grid, cursor, columns, lines)
    if grid.alternate:
        for row in grid.buffer.values():
            row.touch()
            for x in [x for x in row if x >= columns]:
                del row[x]
        for y in [y for y in grid.buffer if y >= lines]:
            del grid.buffer[y]
    grid.tabstops = {stop for stop in grid.tabstops if stop < columns} | set(
        range(8 * (grid.columns // 8 + 1), columns, 8)
    )
    grid.columns, grid.lines = columns, lines
    grid.margins = None
    grid.cursor.x, grid.cursor.y = min(grid.cursor.x, columns), min(grid.cursor.y, lines - 1)


def _refold_primary(grid: Grid, cursor: Cursor, columns: int, lines: int) -> None:
    rows = grid.primary
    used = max([y for y, row in rows.items() if y < grid.lines and row.line(grid.columns).runs], default=0)
    used = max(used, cursor.y)
    old = [rows[y].line(grid.columns) for y in range(used + 1)]
    cursor_row = cursor.y
    history = grid.history
    while len(history) and history[-1].wrapped:  # the first row on the screen may be the end of a long line
        old.insert(0, history.pop())
        cursor_row += 1
    if columns != grid.columns:
        new, cursor_row, cursor.x = _refold(old, cursor_row, cursor.x, grid.columns, columns)
        history.rewrap(columns)
    else:
        new = old
    while len(new) < lines and len(history):
        new.insert(0, history.pop())
        cursor_row += 1
    leaving = max(0, min(len(new) - lines, cursor_row))
    for line in new[:leaving]:
        history.append(line)
    picture = grid.new_rows()
    for y, line in enumerate(new[leaving : leaving + lines]):
        picture[y] = _row(line, picture[y])
    grid.primary = picture
    cursor.y = min(max(0, cursor_row - leaving), lines - 1)


def _refold(old: list[Line], cursor_row: int, cursor_x: int, before: int, columns: int) -> tuple[list[Line], int, int]:
    """Fold logical line by logical line and say where the cursor's place is now."""
    new: list[Line] = []
    pending: list[Line] = []
    place = (0, 0)
    for y, line in enumerate(old):
        if y == cursor_row:
            offset = len(pending) * before + cursor_x
            place = (len(new) + offset // columns, offset % columns)
            at_end = cursor_x == before or (not line.wrapped and cursor_x >= line.width)
            if at_end and offset and offset % columns == 0:  # the text fills its last row: waiting to wrap
                place = (place[0] - 1, columns)
        pending.append(line)
        if not line.wrapped:
            new.extend(fold(pending, columns))
            pending = []
    if pending:
        new.extend(fold(pending, columns, open_end=True))
    while len(new) <= place[0]:
        new.append(Line(()))
    return new, *place


def _row(line: Line, row: Row) -> Row:
    row.update(enumerate(cells_of(line)))
    row.wrapped = line.wrapped
    if row:
        row.touch()
    return row
