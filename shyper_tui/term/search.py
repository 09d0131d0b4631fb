"""Finding text in rows: a match may go from row to row where the text was wrapped."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from shyper_tui.term.cells import wcwidth
from shyper_tui.term.lines import Line


class Span(NamedTuple):
    """Columns `start` to `stop` (exclusive) of row number `row`."""

    row: int
    start: int
    stop: int


def joined(lines: Sequence[Line]) -> str:
    """Rows as text: wrapped ones go on, others end in a line feed. Blanks at the end of a line are left out."""
    return "".join(line.text if line.wrapped else line.text.rstrip(" ") + "\n" for line in lines)


def newest_match(lines: Sequence[Line], pattern: re.Pattern[str], before: int) -> int | None:
    """Number of the last row above row `before` in which a match begins."""
    stop = min(len(lines), before)
    while stop > 0:
        first = last = stop - 1
        while first > 0 and lines[first - 1].wrapped:
            first -= 1
        while last + 1 < len(lines) and lines[last].wrapped:
            last += 1
        rows = [first + row for row, *_ in _matches(lines[first : last + 1], pattern)]
        rows = [row for row in rows if row < before]
        if rows:
            return rows[-1]
        stop = first
    return None


def spans(lines: Sequence[Line], pattern: re.Pattern[str]) -> Iterator[Span]:
    """What to mark in these rows; a match that is wrapped has a span in each of its rows."""
    first = 0
    for index, line in enumerate(lines):
        if line.wrapped and index < len(lines) - 1:
            continue
        group = lines[first : index + 1]
        for row, start, length in _matches(group, pattern):
            yield from _span(group, first, row, start, length)
        first = index + 1


def _matches(group: Sequence[Line], pattern: re.Pattern[str]) -> Iterator[tuple[int, int, int]]:
    """Matches in one logical line: row in the group, first character in that row, length. Empty ones are left out."""
    texts = [line.text for line in group]
    begins = list(accumulate(map(len, texts), initial=0))
    for match in pattern.finditer("".join(texts)):
        a, b = match.span()
        if b > a:
            row = bisect_right(begins, a, hi=len(group)) - 1
            yield row, a - begins[row], b - a


def _span(group: Sequence[Line], first: int, row: int, start: int, length: int) -> Iterator[Span]:
    while length > 0 and row < len(group):
        text = group[row].text
        part = text[start : start + length]
        column = _width(text[:start])
        if part:
            yield Span(first + row, column, column + _width(part))
        length -= len(part)
        row, start = row + 1, 0


def _width(text: str) -> int:
    return len(text) if text.isascii() else sum(max(0, wcwidth(char)) for char in text)
