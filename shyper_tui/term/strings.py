"""Control strings: OSC, DCS, APC, PM, SOS (ECMA-48 5.6) and screen's titles.

Guests send pictures, clipboards and links of any length in them. Only the beginning is kept, because only titles
mean something here; the rest is passed over without a copy, so a string costs the same in one piece or byte by byte.
"""

from __future__ import annotations

import re

MAX_STRING = 8 * 1024 * 1024
"""Longest control string, in characters. A longer one has no end that anybody could wait for: it is given up, and
the screen says so."""
KEPT = 1024
"""Characters of a string that are kept."""
MAX_TITLE = 256

_END = re.compile("[\x18\x1a\x1b\x9c]")
_END_OSC = re.compile("[\x07\x18\x1a\x1b\x9c]")
_PALETTE = re.compile("R|P[0-9A-Fa-f]{7}")
"""What the Linux console sends without a terminator: reset the palette, set one colour."""
_PALETTE_LENGTH = 8


class ControlString:
    """One string on its way in. `introducer` is the character after ESC: `]`, `P`, `X`, `^`, `_` or `k`."""

    def __init__(self, introducer: str) -> None:
        self.introducer = introducer
        self.length = 0
        self.finished = False
        """It ended without a terminator, as the Linux console's palette sequences do."""
        self._kept: list[str] = []
        self._room = KEPT
        self._end = _END_OSC if introducer == "]" else _END

    @property
    def overlong(self) -> bool:
        return self.length > MAX_STRING

    def take(self, data: str, position: int) -> int:
        """Pass over the string's characters; returns the place of the character that ends it, or where to go on."""
        if self.introducer == "]" and self.length < _PALETTE_LENGTH:
            taken = self._palette(data, position)
            if taken or self.finished:
                return position + taken
        found = self._end.search(data, position, position + MAX_STRING + 1 - self.length)
        end = found.start() if found else min(len(data), position + MAX_STRING + 1 - self.length)
        self._keep(data[position : min(end, position + self._room)])
        self.length += end - position
        return end

    def _palette(self, data: str, position: int) -> int:
        """Characters taken while this may still be a sequence of the Linux console."""
        head = "".join(self._kept)
        if head and (head[0] != "P" or len(head) != self.length):
            return 0
        for taken, char in enumerate(data[position : position + _PALETTE_LENGTH - len(head)]):
            head += char
            if _PALETTE.fullmatch(head):
                self.finished = True
                return taken + 1
            if not _PALETTE.fullmatch(head + "0000000"[: _PALETTE_LENGTH - len(head)]):
                return 0
        taken = len(data) - position  # too short to tell
        self._keep(data[position:])
        self.length += taken
        return taken

    def _keep(self, text: str) -> None:
        if text:
            self._kept.append(text)
            self._room -= len(text)

    @property
    def title(self) -> str | None:
        """The title that the string sets (OSC 0 and 2, screen's `ESC k`), printable characters only."""
        text = "".join(self._kept)
        if self.introducer == "]":
            code, _, text = text.partition(";")
            if code not in ("0", "2"):
                return None
        elif self.introducer != "k":
            return None
        return "".join(char for char in text[:MAX_TITLE] if char.isprintable())
