"""On streams that pyte handles right our screen is identical to it, cell for cell."""

from __future__ import annotations

from collections.abc import Sequence

import pyte
import pytest

from shyper_tui.term.screen import Terminal
from tests.term.streams import GOLDEN


def looks(cell: Sequence[object]) -> tuple[object, ...]:
    """What both know of a cell and somebody could see: pyte erases with all attributes, we with the background."""
    data, fg, bg, bold, italics, underscore, strikethrough, reverse, blink = cell[:9]
    if data == " ":
        return data, bg, underscore, strikethrough, reverse
    return data, fg, bg, bold, italics, underscore, strikethrough, reverse, blink


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("columns", [80, 50])
def test_cells_and_cursor_equal_stock_pyte(name: str, columns: int) -> None:
    stock = pyte.Screen(columns, 24)
    pyte.ByteStream(stock).feed(GOLDEN[name])
    terminal = Terminal(columns, 24)
    data = GOLDEN[name]
    for start in range(0, len(data), 997):
        terminal.feed(data[start : start + 997])

    grid = terminal._grid
    for y in range(24):
        ours = [looks(grid.buffer[y][x]) for x in range(columns)]
        assert ours == [looks(stock.buffer[y][x]) for x in range(columns)], f"row {y}"
        assert terminal.row(y).text.rstrip() == stock.display[y].rstrip()
    assert (grid.cursor.x, grid.cursor.y) == (stock.cursor.x, stock.cursor.y)
    assert looks(grid.cursor.attrs._replace(data="x")) == looks(stock.cursor.attrs._replace(data="x"))


def test_scrollback_and_screen_hold_the_whole_log() -> None:
    data = GOLDEN["boot log"]
    terminal = Terminal(200, 24)
    terminal.feed(data)
    plain = data.replace(b"\x1b[0;32m", b"").replace(b"\x1b[0;1;39m", b"").replace(b"\x1b[0m", b"").decode()
    assert terminal.text(scrollback=True).split("\n") == plain.replace("\r\n", "\n").rstrip("\n").split("\n")
