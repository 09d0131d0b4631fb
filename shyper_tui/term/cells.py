"""Cells and the cursor: what one column of the screen holds, and where the next character goes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import pyte.screens


@lru_cache(maxsize=4096)
def wcwidth(char: str) -> int:
    """Columns of a character; 0 for marks, -1 for controls. Two regional indicators, a flag, take two columns."""
    return 1 if "\U0001f1e6" <= char <= "\U0001f1ff" else pyte.screens.wcwidth(char)


class Cell(NamedTuple):
    """One column. A wide character is followed by a cell whose `data` is empty; an empty cell in the last column of
    a wrapped row is a gap: the wide character that did not fit stands in the next row."""

    data: str
    fg: str = "default"
    bg: str = "default"
    bold: bool = False
    italics: bool = False
    underscore: bool = False
    strikethrough: bool = False
    reverse: bool = False
    blink: bool = False
    dim: bool = False
    conceal: bool = False
    overline: bool = False


BLANK = Cell(" ")


@dataclass(slots=True)
class Cursor:
    """Place (0-based) and attributes of what is drawn next. `x` equal to the number of columns: the last column has
    been written, and the next character wraps."""

    x: int = 0
    y: int = 0
    attrs: Cell = BLANK
    hidden: bool = False


def cell_width(text: str) -> int:
    """Columns that the text of one cell takes: 2 for wide characters, else 1."""
    return 2 if text and not text.isascii() and wcwidth(text[0]) == 2 else 1
