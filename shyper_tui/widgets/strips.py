"""From a terminal's lines to Textual's strips."""

from __future__ import annotations

from rich.color import Color, ColorParseError
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.strip import Strip

from shyper_tui.plain_text import cells
from shyper_tui.term.cells import wcwidth
from shyper_tui.term.lines import Line, Style

_NAMES = ["black", "red", "green", "brown", "blue", "magenta", "cyan", "white"]
ANSI_NAMES = {
    **{name: number for number, name in enumerate(_NAMES)},
    **{f"bright{name}": number + 8 for number, name in enumerate(_NAMES)},
    "bfightmagenta": 13,  # pyte spells it so
}
DARK = (
    "282c34", "e06c75", "98c379", "e5c07b", "61afef", "c678dd", "56b6c2", "c8ccd4",
    "6b717d", "ff7b86", "b5e08f", "ffd68a", "7fc4ff", "dd91f3", "70d0dc", "ffffff",
)  # fmt: skip
LIGHT = (
    "383a42", "b3261e", "2e7d32", "8a6100", "1f5fbf", "8e24aa", "00707a", "5f6368",
    "7a7d85", "d0342c", "3d9142", "a87800", "3b7ddd", "a644c4", "00889a", "202124",
)  # fmt: skip
"""The sixteen colours on dark and light themes; the guest's own direct colours stay as they are."""

CACHE_LIMIT = 4096


_UNSHOWN = dict.fromkeys([0x200C, 0x200D, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
"""Joiners and variation selectors: with them the outer terminal may take another width for a character than we do."""


def _shown(text: str) -> str:
    return text if text.isascii() and text.isprintable() else cells(text, wcwidth).translate(_UNSHOWN)


class StripMaker:
    """Makes strips for one view and keeps them as long as the line is the same object.

    Args:
        base: style of cells with default colours.
        palette: sixteen colours, or None to leave the choice to the outer terminal.
    """

    def __init__(self, base: RichStyle, palette: tuple[str, ...] | None) -> None:
        self._base = base
        self._palette = palette
        self._styles: dict[Style, RichStyle] = {}
        self._strips: dict[Line, Strip] = {}
        self._width = 0

    def strip(self, line: Line, width: int) -> Strip:
        if width != self._width or len(self._strips) > CACHE_LIMIT:
            self._strips.clear()
            self._width = width
        strip = self._strips.get(line)
        if strip is None:
            segments = [Segment(_shown(text), self.style(style)) for text, style in line.runs]
            if line.gap is not None:
                segments.append(Segment(" ", self.style(line.gap)))
            strip = self._strips[line] = Strip(segments).adjust_cell_length(width, self._base)
        return strip

    def with_cursor(self, strip: Strip, x: int, block: bool) -> Strip:
        """The strip with the cell at column `x` marked: reversed when keys go there, underlined when not."""
        mark = RichStyle(reverse=True) if block else RichStyle(underline=True)
        before, cell, after = strip.crop(0, x), strip.crop(x, x + 1), strip.crop(x + 1)
        return Strip.join([before, Strip([Segment(s.text, (s.style or self._base) + mark) for s in cell]), after])

    def style(self, style: Style) -> RichStyle:
        made = self._styles.get(style)
        if made is None:
            if len(self._styles) > CACHE_LIMIT:
                self._styles.clear()
            made = self._styles[style] = self._base + RichStyle(
                color=self._colour(style.fg),
                bgcolor=self._colour(style.bg),
                bold=style.bold or None,
                italic=style.italic or None,
                underline=style.underline or None,
                strike=style.strike or None,
                reverse=style.reverse or None,
                blink=style.blink or None,
                dim=style.dim or None,
                conceal=style.conceal or None,
                overline=style.overline or None,
            )
        return made

    def _colour(self, name: str) -> Color | None:
        if name == "default":
            return None
        number = ANSI_NAMES.get(name)
        if number is not None and self._palette is None:
            return Color.from_ansi(number)
        try:
            return Color.parse("#" + (self._palette[number] if number is not None and self._palette else name))
        except ColorParseError:
            return None
