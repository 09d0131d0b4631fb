"""One terminal's screen: the page with modes, the saved cursor, the alternate screen and resets.

The classes behind it, each in its file: `page` (state, scrolling), `editing`, `movement`, `drawing`. References:
ECMA-48, "XTerm Control Sequences", the VT510's manual. What differs from tmux, and why, is in
`tests/term/corpus.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from pyte import modes as mo

from shyper_tui.term.cells import BLANK, Cursor
from shyper_tui.term.drawing import Drawing
from shyper_tui.term.history import History
from shyper_tui.term.row import Row

KEYPAD = 66 << 5
"""Application keypad (DECNKM, DECKPAM)."""
ANSI_MODES = frozenset({mo.IRM, mo.LNM})
PRIVATE_MODES = frozenset({1, 5, 6, 7, 12, 25, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 2004})
"""DEC's and xterm's modes that are kept; 9 (X10 mouse), 3 (DECCOLM: the pane decides the width) and others are not."""
ALTERNATE = (47, 1047, 1049)
SAVES_CURSOR = (1048, 1049)


class Saved(NamedTuple):
    """What DECSC keeps."""

    cursor: Cursor
    sets: tuple[str, ...]
    invoked: int
    origin: bool


class Grid(Drawing):
    """`reply` gets the answers to queries, `rang` counts bells."""

    def __init__(self, columns: int, lines: int, history: History) -> None:
        super().__init__(columns, lines, history)
        self.reply: Callable[[str], None] = lambda text: None
        self.rang = 0
        self._primary: tuple[dict[int, Row], Saved | None] | None = None
        self._saved: Saved | None = None
        self.reset()

    def bell(self) -> None:
        self.rang += 1

    # --- the saved cursor -------------------------------------------------------------------------

    def save_cursor(self) -> None:
        """DECSC."""
        charsets = self.charsets
        self._saved = Saved(replace(self.cursor), charsets.sets, charsets.invoked, mo.DECOM in self.mode)

    def restore_cursor(self) -> None:
        """DECRC; without a saved cursor: home, no attributes, no origin mode, ASCII."""
        saved = self._saved
        if saved is None:
            self.mode.discard(mo.DECOM)
            self.cursor_position()
            self.cursor.attrs = BLANK
            self._reset_charsets()
            return
        self.cursor = replace(saved.cursor, hidden=self.cursor.hidden)
        self.charsets.sets, self.charsets.invoked = saved.sets, saved.invoked
        self.mode.discard(mo.DECOM)
        if saved.origin:
            self.mode.add(mo.DECOM)
        self.cursor.x = min(self.cursor.x, self.columns - 1)
        self.cursor.y = min(self.cursor.y, self.lines - 1)
        self.decide_path()

    # --- modes ------------------------------------------------------------------------------------

    def set_mode(self, number: int, private: bool = False) -> None:
        """SM, DECSET. Unknown modes do nothing."""
        self._change_mode(number, private, on=True)

    def reset_mode(self, number: int, private: bool = False) -> None:
        """RM, DECRST."""
        self._change_mode(number, private, on=False)

    def _change_mode(self, number: int, private: bool, on: bool) -> None:
        if private and number in (*ALTERNATE, *SAVES_CURSOR):
            self._switch(number, on)
        elif number in (PRIVATE_MODES if private else ANSI_MODES):
            mode = number << 5 if private else number
            (self.mode.add if on else self.mode.discard)(mode)
            if mode == mo.DECOM:
                self.cursor_position()
            elif mode == mo.DECTCEM:
                self.cursor.hidden = not on
        self.decide_path()

    @property
    def reverse(self) -> bool:
        """DECSCNM: the whole screen is shown in reverse video."""
        return mo.DECSCNM in self.mode

    def _switch(self, mode: int, on: bool) -> None:
        """Alternate screen: 47 and 1047 switch, 1048 saves the cursor, 1049 does both; it is always empty at first."""
        if on and mode in SAVES_CURSOR:
            self.save_cursor()
        if on and mode in ALTERNATE and not self.alternate:
            self._primary = (self.buffer, self._saved)
            self.buffer, self._saved, self.alternate = self.new_rows(), None, True
        elif not on and mode in ALTERNATE and self._primary is not None:
            self.buffer, self._saved = self._primary
            self._primary, self.alternate = None, False
        if not on and mode in SAVES_CURSOR:
            self.restore_cursor()

    # --- resets -----------------------------------------------------------------------------------

    def reset(self) -> None:
        """RIS. The scrollback stays."""
        self.alternate, self._primary, self._saved = False, None, None
        self.buffer = self.new_rows()
        self._end_line(-1)
        self.mode = {mo.DECAWM, mo.DECTCEM}
        self.margins = None
        self.cursor = Cursor()
        self._reset_charsets()
        self.reset_tab_stops()

    def soft_reset(self) -> None:
        """DECSTR: modes, margins and attributes, not the picture."""
        self.mode = {mo.DECAWM, mo.DECTCEM}
        self.margins, self._saved = None, None
        self.cursor.attrs, self.cursor.hidden = BLANK, False
        self._reset_charsets()

    def _reset_charsets(self) -> None:
        self.charsets.sets, self.charsets.invoked, self.charsets.single = ("B", "B", "B", "B"), 0, None
        self.decide_path()

    # --- size -------------------------------------------------------------------------------------

    @property
    def primary(self) -> dict[int, Row]:
        """The primary screen's rows, also while the alternate screen is shown."""
        return self.buffer if self._primary is None else self._primary[0]

    @primary.setter
    def primary(self, rows: dict[int, Row]) -> None:
        if self._primary is None:
            self.buffer = rows
        else:
            self._primary = (rows, self._primary[1])

    @property
    def parked(self) -> Saved | None:
        """The primary screen's saved cursor while the alternate screen is shown."""
        return None if self._primary is None else self._primary[1]
