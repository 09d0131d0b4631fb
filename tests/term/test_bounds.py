"""What a guest can make the terminal keep or do is bounded, whatever it sends."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from shyper_tui.term.screen import Terminal
from shyper_tui.term.strings import KEPT

HUGE = 2**31
WORK = {
    "repeat": f"a\x1b[{HUGE}b",
    "scroll up": f"\x1b[{HUGE}S",
    "scroll down": f"\x1b[{HUGE}T",
    "insert lines": f"\x1b[{HUGE}L",
    "delete lines": f"\x1b[{HUGE}M",
    "insert characters": f"\x1b[{HUGE}@",
    "delete characters": f"\x1b[{HUGE}P",
    "erase characters": f"\x1b[{HUGE}X",
    "move": f"\x1b[{HUGE};{HUGE}H\x1b[{HUGE}A\x1b[{HUGE}B\x1b[{HUGE}C\x1b[{HUGE}D",
    "tabs": f"\x1b[{HUGE}I\x1b[{HUGE}Z",
    "margins": f"\x1b[{HUGE};{HUGE}r\x1b[0;{HUGE}r\x1b[{HUGE};1r",
    "shift": f"\x1b[{HUGE} @\x1b[{HUGE} A",
    "rendition": f"\x1b[38;5;{HUGE}m\x1b[{HUGE}m",
    "modes": f"\x1b[?{HUGE}h\x1b[{HUGE}l\x1b[?{HUGE}$p",
}


def calls_while(action: Callable[[], object]) -> int:
    """Calls of Python and C functions: a measure of work that a busy machine does not change."""
    count = 0

    def count_call(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_call)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", WORK)
def test_a_huge_parameter_costs_no_more_than_a_screen(name: str) -> None:
    terminal = Terminal(80, 24)
    terminal.feed(("text \r\n" * 30).encode())
    assert calls_while(lambda: terminal.feed(WORK[name].encode())) < 8_000


def test_half_a_million_parameters_are_one_sequence_that_does_nothing() -> None:
    terminal = Terminal(80, 24)
    terminal.feed(b"\x1b[" + b"1;" * 500_000 + b"mx")
    assert terminal.text() == "x"
    assert len(terminal._parser._collected) <= 200


@pytest.mark.parametrize(
    "piece", [b"\x1b[", b"\x1b(", b"\x1b]0;", b"\x1bP", b"\xe6", b"1;", b" ", "\u0301".encode(), b"\x1b[1;1H\x1bH"]
)
def test_the_same_piece_again_and_again_costs_the_same(piece: bytes) -> None:
    def work(count: int) -> int:
        terminal = Terminal(80, 24)
        terminal.feed(b"\x1b[")

        def feed() -> None:
            for _ in range(count):
                terminal.feed(piece)

        return calls_while(feed)

    assert work(4_000) <= 4.3 * work(1_000) + 1_000


def test_state_stays_small() -> None:
    terminal = Terminal(80, 24)
    rng = random.Random(5)
    for number in range(6_000):
        terminal.feed(
            f"\x1b]0;{'t' * rng.randrange(400)}\x07\x1b7\x1b[s\x1b[?1049h\x1b[?{number % 3000}h\x1b[{number}h\x1bH"
            f"\x1b[{rng.randrange(80)}G\x1b[38;2;{number % 256};{number // 256};7mx\u0301\x1b]8;;u\x1b\\".encode()
        )
    grid = terminal._grid
    assert len(terminal.title) <= 256
    assert len(grid.tabstops) <= 80
    assert len(grid.mode) <= 32
    assert len(grid._styles) <= 256
    assert len(grid._renditions) <= 256
    assert all(len(row) <= 80 for row in grid.buffer.values())
    assert len(grid.buffer) <= 24


def test_marks_on_one_cell_are_few() -> None:
    terminal = Terminal(80, 24)
    terminal.feed(b"z" + "\u0301\u0330\u20dd\u200d\ufe0f".encode() * 20_000)
    assert len(terminal.row(0).text) <= 8


def test_random_bytes_and_sequences_never_raise() -> None:
    rng = random.Random(11)
    finals = [chr(code) for code in range(0x20, 0x7F)]
    terminal = Terminal(33, 9, history=100)
    for _ in range(4_000):
        kind = rng.randrange(6)
        if kind == 0:
            data = rng.randbytes(rng.randrange(40))
        elif kind == 1:
            data = ("\x1b" + "".join(rng.choices(finals, k=rng.randrange(4)))).encode()
        elif kind < 5:
            parameters = "".join(rng.choices("0123456789;:?<=>  !$'\"", k=rng.randrange(9)))
            data = f"\x1b[{parameters}{rng.choice(finals)}".encode()
        else:
            data = "".join(
                chr(rng.choice([0x9B, 0x9D, 0x85, 0x301, 0x6F22, 0x1F1E9, 0xFF21, 0x41])) for _ in range(9)
            ).encode()
        terminal.feed(data)
        if rng.random() < 0.02:
            terminal.resize(rng.randrange(50), rng.randrange(20))
        assert 0 <= terminal.cursor.x < terminal.columns
        assert 0 <= terminal.cursor.y < terminal.lines
        assert all(terminal.row(y).width <= terminal.columns for y in range(terminal.lines))
    assert sum(len(part) for part in terminal._parser._string._kept) <= KEPT


def test_a_resize_of_one_endless_line_costs_what_its_length_costs() -> None:
    def work(rows: int) -> int:
        terminal = Terminal(20, 5)
        terminal.feed(b"0123456789abcdefghij" * rows)
        return calls_while(lambda: terminal.resize(17, 5))

    assert work(4_000) <= 4.5 * work(1_000)
