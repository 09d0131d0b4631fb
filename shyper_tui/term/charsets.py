"""Designating and invoking character sets (ECMA-35; SCS, SO, SI, single and locking shifts).

Text is UTF-8; only the sets that programs still ask for are known: ASCII, DEC's line drawing, the British one.
"""

from __future__ import annotations

from pyte import charsets

_SETS: dict[str, dict[int, str] | None] = {
    "B": None,
    "0": {0x5F + at: char for at, char in enumerate(charsets.VT100_MAP[0x5F:0x7F])} | {ord("h"): "␤"},
    "A": {ord("#"): "£"},
}
"""Final character of the designation → characters that differ from ASCII."""
_SLOTS = "()*+"
"""Intermediate character of the designation of G0 … G3."""


class Charsets:
    """G0 … G3 and which of them is invoked. Immutable state can be taken out and put back (DECSC)."""

    def __init__(self) -> None:
        self.sets: tuple[str, ...] = ("B", "B", "B", "B")
        self.invoked = 0
        self.single: int | None = None
        """A single shift (SS2, SS3) for the next character."""

    def designate(self, slot: str, code: str) -> None:
        """`ESC ( 0` and its like; sets that are not known change nothing."""
        if slot in _SLOTS and code in _SETS:
            place = _SLOTS.index(slot)
            self.sets = (*self.sets[:place], code, *self.sets[place + 1 :])

    @property
    def plain(self) -> bool:
        """Characters are drawn as they are."""
        return self.single is None and _SETS[self.sets[self.invoked]] is None

    def translate(self, text: str) -> str:
        """Text as it is drawn; takes a single shift away."""
        first = ""
        if self.single is not None and text:
            first, text = text[0].translate(_SETS[self.sets[self.single]] or {}), text[1:]
            self.single = None
        return first + text.translate(_SETS[self.sets[self.invoked]] or {})
