"""The terminal port: all that the rest of the front end knows about terminal emulation.

Bytes in, rows of styled text out. Behind it stand a parser, a grid of cells and the scrollback; another emulator
could take their place.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import NamedTuple

from shyper_tui.term import reflow
from shyper_tui.term.grid import KEYPAD, Grid
from shyper_tui.term.history import DEFAULT_LIMIT, History
from shyper_tui.term.lines import Line, inverted
from shyper_tui.term.parser import Parser

MIN_COLUMNS, MIN_LINES = 2, 1


class CursorState(NamedTuple):
    """Where the cursor is (0-based) and whether it shows."""

    x: int
    y: int
    visible: bool


class Modes(NamedTuple):
    """What the guest asked for that changes what is sent to it."""

    application_cursor: bool = False
    """DECCKM: arrow keys send SS3 sequences."""
    application_keypad: bool = False
    bracketed_paste: bool = False
    mouse: bool = False
    """Any mouse tracking (1000, 1002, 1003)."""
    newline: bool = False
    """LNM: enter sends CR LF."""


class Terminal:
    """A terminal with scrollback.

    Args:
        columns, lines: size in cells.
        history: rows of scrollback that are kept.
        on_reply: takes the bytes that answer the guest's queries (DSR, DA, …).
    """

    def __init__(
        self,
        columns: int = 80,
        lines: int = 24,
        history: int = DEFAULT_LIMIT,
        on_reply: Callable[[bytes], None] | None = None,
    ) -> None:
        self.history = History(history)
        """Rows above the screen, oldest first."""
        self.on_reply = on_reply
        self._grid = Grid(max(columns, MIN_COLUMNS), max(lines, MIN_LINES), self.history)
        self._grid.reply = self._reply
        self._parser = Parser(self._grid)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._seen: dict[int, Line] = {}
        self._inverted: dict[Line, Line] = {}

    @property
    def columns(self) -> int:
        return int(self._grid.columns)

    @property
    def lines(self) -> int:
        return int(self._grid.lines)

    def feed(self, data: bytes) -> None:
        """Take console output; UTF-8 and escape sequences may be torn anywhere. Never raises for what a guest sends."""
        self._parser.feed(self._decoder.decode(data))

    def resize(self, columns: int, lines: int) -> None:
        """Another size in cells; text is folded anew, nothing is lost."""
        reflow.resize(self._grid, max(columns, MIN_COLUMNS), max(lines, MIN_LINES))

    def row(self, y: int) -> Line:
        """Row `y` of the screen. The same object until the row changes."""
        line = self._grid.buffer[y].line(self._grid.columns)
        if not self._grid.reverse:
            return line
        if len(self._inverted) > 2 * self.lines:
            self._inverted.clear()
        if line not in self._inverted:
            self._inverted[line] = inverted(line, self.columns)
        return self._inverted[line]

    def take_dirty(self) -> set[int]:
        """Rows of the screen that differ from those at the last call."""
        seen, self._seen = self._seen, {y: self.row(y) for y in range(self.lines)}
        return {y for y, line in self._seen.items() if seen.get(y) is not line}

    @property
    def cursor(self) -> CursorState:
        grid = self._grid
        return CursorState(min(grid.cursor.x, grid.columns - 1), grid.cursor.y, not grid.cursor.hidden)

    @property
    def modes(self) -> Modes:
        mode = self._grid.mode
        return Modes(
            application_cursor=1 << 5 in mode,
            application_keypad=KEYPAD in mode,
            bracketed_paste=2004 << 5 in mode,
            mouse=not mode.isdisjoint({1000 << 5, 1002 << 5, 1003 << 5}),
            newline=20 in mode,
        )

    @property
    def alternate(self) -> bool:
        """A full-screen program uses the alternate screen; it has no scrollback."""
        return self._grid.alternate

    @property
    def title(self) -> str:
        return self._parser.title

    @property
    def bells(self) -> int:
        """How often the bell rang so far."""
        return self._grid.rang

    def text(self, scrollback: bool = False) -> str:
        """The screen (and what is above it) as plain text, one row per line, without blank rows at the end."""
        rows = [self._grid.buffer[y].line(self.columns).text for y in range(self.lines)]
        if scrollback:
            rows = [line.text for line in self.history.slice(0, len(self.history))] + rows
        return "\n".join(rows).rstrip("\n")

    def _reply(self, text: str) -> None:
        if self.on_reply is not None:
            self.on_reply(text.encode())
