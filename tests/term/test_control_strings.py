"""Control strings of any length and content stay off the screen, at a cost that grows with their length only."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from shyper_tui.term.screen import Terminal
from shyper_tui.term.strings import KEPT, MAX_STRING

ST = b"\x1b\\"
PICTURE = b'Pq"1;1;8;12#0;2;0;0;0\n' + b"#0!8~-\r\n" * 2_000
STRINGS = {
    "clipboard of 100 KB": b"\x1b]52;c;" + b"TWFu" * 25_000 + b"\x07",
    "inline file of 1 MB": b"\x1b]1337;File=inline=1:" + b"iVBO" * 250_000 + b"\x07",
    "kitty graphics in chunks": b"".join(b"\x1b_Gm=%d;" % more + b"A" * 4096 + ST for more in (1, 1, 0)),
    "sixel picture": b"\x1b" + PICTURE + ST,
    "sixel picture, 8-bit controls": "\x90".encode() + PICTURE + "\x9c".encode(),
    "link": b"\x1b]8;id=1;https://example.org/" + b"a/" * 5_000 + ST + b"\x1b]8;;" + ST,
    "termcap query": b"\x1bP+q544e;524742" + ST,
    "privacy message with line feeds": b"\x1b^one\r\ntwo\nthree\r" + ST,
    "start of string": b"\x1bX" + b"data\n" * 3_000 + ST,
    "screen's title over lines": b"\x1bkmake\r\nall" + ST,
    "a bell inside a device control string": b"\x1bPone\x07two" + ST,
    "UTF-8 inside": "\x1b_Gé漢".encode() * 3_000 + ST,
    "palette of the Linux console": b"\x1b]P0102030\x1b]R",
    "nearly a palette": b"\x1b]P01020 not one\n\x07",
    "aborted by CAN": b"\x1bPabc" + b"d" * 5_000 + b"\x18",
    "aborted by SUB": b"\x1b]0;abc" + b"d" * 5_000 + b"\x1a",
    "ended by the next sequence": b"\x1b]0;abc" + b"d\n" * 5_000 + b"\x1b[1m",
    "ended by ESC and a C1 control": b"\x1b]0;abc\x1b" + "\x9b1m".encode(),
}


@pytest.mark.parametrize("name", STRINGS)
def test_nothing_of_a_control_string_is_shown(name: str) -> None:
    terminal = Terminal(40, 5)
    terminal.feed(b"before|" + STRINGS[name] + b"|after")
    assert terminal.text(scrollback=True) == "before||after"


@pytest.mark.parametrize("name", STRINGS)
def test_it_may_be_torn_anywhere(name: str) -> None:
    data = STRINGS[name] + b"\x1b[mend"
    cuts = [*range(min(len(data), 60)), *range(max(0, len(data) - 20), len(data))]
    for cut in cuts:
        terminal = Terminal(40, 5)
        terminal.feed(data[:cut])
        terminal.feed(data[cut:])
        assert terminal.text(scrollback=True) == "end", cut
    terminal = Terminal(40, 5)
    for byte in data[:9_000] + data[-9_000:]:
        terminal.feed(bytes([byte]))
    assert terminal.text(scrollback=True).endswith("end")


def test_titles_are_short_and_hold_no_controls() -> None:
    terminal = Terminal(40, 5)
    terminal.feed(b"\x1b]2;" + b"t" * 100_000 + b"\x07")
    assert terminal.title == "t" * 256
    terminal.feed("\x1b]0;one\ttwo\r\nthree\u202e\x7f\x1b\\".encode())
    assert terminal.title == "onetwothree"


def test_a_string_without_an_end_is_given_up_and_the_screen_says_so() -> None:
    terminal = Terminal(120, 5)
    terminal.feed(b"login: \x1b]0;")
    for _ in range(MAX_STRING // (1 << 20)):
        terminal.feed(b"x" * ((1 << 20) - 1))
    assert terminal.text() == "login:"
    terminal.feed(b"x" * 20)
    terminal.feed(b"yz")
    rows = terminal.text().split("\n")
    assert rows[0] == "login:"
    assert str(MAX_STRING) in rows[1]
    assert rows[2].endswith("yz")


def test_what_is_kept_of_a_string_is_bounded() -> None:
    terminal = Terminal(40, 5)
    terminal.feed(b"\x1b]0;")
    for _ in range(5_000):
        terminal.feed(b"abc")
    assert sum(len(part) for part in terminal._parser._string._kept) <= KEPT


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


@pytest.mark.parametrize("start", [b"\x1b]52;c;", b"\x1bP", b"\x1b_G"])
def test_a_string_in_many_pieces_costs_the_same_for_each_piece(start: bytes) -> None:
    def pieces(count: int) -> int:
        terminal = Terminal(40, 5)
        terminal.feed(start)

        def feed() -> None:
            for _ in range(count):
                terminal.feed(b"Q")

        return calls_while(feed)

    assert pieces(4_000) <= 4.2 * pieces(1_000)


def test_a_long_string_in_one_piece_is_passed_over_without_looking_at_each_character() -> None:
    terminal = Terminal(40, 5)
    data = b"\x1b]52;c;" + b"Q" * 1_000_000 + b"\x07"
    assert calls_while(lambda: terminal.feed(data)) < 1_000
