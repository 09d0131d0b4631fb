"""Resize of a terminal: the primary screen and its scrollback are folded anew, the alternate screen is cut or
extended."""

from __future__ import annotations

from shyper_tui.term.cells import Cell, Cursor
from shyper_tui.term.grid import Grid
from shyper_tui.term.history import fold
from shyper_tui.term.lines import PLAIN, Line, cells_of
from shyper_tui.term.movement import TAB
from shyper_tui.term.row import Row


def resize(grid: Grid, columns: int, lines: int) -> None:
    """Give the grid another size. Text is kept: what no longer fits goes to the scrollback, and comes back when
    there is room."""
    if (columns, lines) == (grid.columns, grid.lines):
        return
    saved = grid.parked
    cursor = grid.cursor if not grid.alternate else saved.cursor if saved else Cursor()
    _refold_primary(grid, cursor, columns, lines)
    if grid.alternate:
        _cut(grid, columns, lines)
    grid.tabstops = {stop for stop in grid.tabstops if stop < columns} | set(
        range(TAB * (grid.columns // TAB + 1), columns, TAB)
    )
    grid.columns, grid.lines = columns, lines
    grid.margins = None
    grid.cursor.x, grid.cursor.y = min(grid.cursor.x, columns), min(grid.cursor.y, lines - 1)


def _cut(grid: Grid, columns: int, lines: int) -> None:
    """The alternate screen: its program draws it anew."""
    for row in grid.buffer.values():
        row.close_gap(grid.columns)
        row.cut(columns)
        if columns != grid.columns:
            row.wrapped = False
    for y in [y for y in grid.buffer if y >= lines]:
        del grid.buffer[y]


def _refold_primary(grid: Grid, cursor: Cursor, columns: int, lines: int) -> None:
    rows = grid.primary
    used = max([y for y, row in rows.items() if y < grid.lines and row.line(grid.columns).runs], default=0)
    used = max(used, cursor.y)
    old = [rows[y].line(grid.columns) for y in range(used + 1)]
    history = grid.history
    above: list[Line] = []
    while len(history) and history[-1].wrapped:  # the first row on the screen may be the end of a long line
        above.append(history.pop())
    old = above[::-1] + old
    cursor_row = cursor.y + len(above)
    if columns != grid.columns:
        new, cursor_row, cursor.x = _refold(old, cursor_row, cursor.x, columns)
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
        picture[y] = _row(line, columns)
    grid.primary = picture
    cursor.y = min(max(0, cursor_row - leaving), lines - 1)


def _refold(old: list[Line], cursor_row: int, cursor_x: int, columns: int) -> tuple[list[Line], int, int]:
    """Fold logical line by logical line and say where the cursor's place is now."""
    new: list[Line] = []
    pending: list[Line] = []
    place = (0, 0)
    offset: int | None = None
    for y, line in enumerate(old):
        if y == cursor_row:
            offset = sum(above.width for above in pending) + cursor_x
        pending.append(line)
        if line.wrapped and y < len(old) - 1:
            continue
        folded = fold(pending, columns)
        if offset is not None:
            if len(pending) > 1:
                _extend(folded, offset, columns)
            row, x = _place(folded, offset, columns)
            place, offset = (len(new) + row, x), None
        new.extend(folded)
        pending = []
    return new, *place


def _place(folded: list[Line], offset: int, columns: int) -> tuple[int, int]:
    """Row and column of the character that is `offset` columns from the beginning of a logical line."""
    for row, line in enumerate(folded[:-1]):
        if offset < line.width:
            return row, offset
        offset -= line.width
    if offset == columns == folded[-1].width:  # the text fills its last row: waiting to wrap
        return len(folded) - 1, columns
    return len(folded) - 1, min(offset, columns - 1)


def _extend(folded: list[Line], offset: int, columns: int) -> None:
    """Blanks that were typed at the end of a wrapped line are not kept, but the cursor is behind them."""
    offset -= sum(line.width for line in folded[:-1])
    while offset > columns:
        last = folded[-1]
        blanks = " " * (columns - last.width)
        folded[-1] = Line((*last.runs, (blanks, PLAIN)) if blanks else last.runs, wrapped=True)
        folded.append(Line(()))
        offset -= columns


def _row(line: Line, columns: int) -> Row:
    row = Row()
    row.update(enumerate(cells_of(line)))
    row.wrapped = line.wrapped
    row.wide = not line.text.isascii()
    if line.gap is not None:
        row[columns - 1] = Cell("", *line.gap)
    if row:
        row.touch()
    return row
