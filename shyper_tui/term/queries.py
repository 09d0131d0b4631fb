"""Answers to what programs in the guest ask the terminal: `resize`, readline, vi and tmux depend on them."""

from __future__ import annotations

from pyte import modes as mo

from shyper_tui.term.grid import ALTERNATE, ANSI_MODES, PRIVATE_MODES, Grid


class Queries:
    """Builds the reports of "XTerm Control Sequences" and hands them to `grid.reply`."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def device_attributes(self, prefix: str) -> None:
        """DA1: a VT102, as the Linux console says; DA2: version 0 of it."""
        self._grid.reply("\x1b[>0;0;0c" if prefix == ">" else "\x1b[?6c")

    def device_status(self, prefix: str, what: int) -> None:
        """DSR 5: no malfunction. DSR 6 (CPR): the cursor's row and column, from 1."""
        grid = self._grid
        if what == 5 and not prefix:
            grid.reply("\x1b[0n")
        elif what == 6:
            x, y = min(grid.cursor.x, grid.columns - 1) + 1, grid.cursor.y + 1
            if mo.DECOM in grid.mode and grid.margins is not None:
                y -= grid.margins.top
            grid.reply(f"\x1b[{prefix}{y};{x}R")

    def window(self, what: int) -> None:
        """Size of the text area (18) and of the screen (19), in characters."""
        if what in (18, 19):
            self._grid.reply(f"\x1b[{what - 10};{self._grid.lines};{self._grid.columns}t")

    def mode(self, prefix: str, number: int) -> None:
        """DECRQM: 1 set, 2 reset, 0 unknown."""
        grid = self._grid
        key = number << 5 if prefix else number
        known = number in PRIVATE_MODES or number in ALTERNATE if prefix else number in ANSI_MODES
        active = grid.alternate if prefix and number in ALTERNATE else key in grid.mode
        grid.reply(f"\x1b[{prefix}{number};{(1 if active else 2) if known else 0}$y")
