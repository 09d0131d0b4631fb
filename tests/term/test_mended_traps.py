"""Sequences that pyte 0.8.2 loses text on, raises for, misreads or lacks: what they must do here."""

from __future__ import annotations

import pytest

from shyper_tui.term.screen import Terminal


def shown(data: bytes | str, columns: int = 40, lines: int = 5) -> str:
    terminal = Terminal(columns, lines)
    terminal.feed(data.encode() if isinstance(data, str) else data)
    return terminal.text()


def answered(data: bytes, columns: int = 80, lines: int = 24) -> bytes:
    replies: list[bytes] = []
    terminal = Terminal(columns, lines, on_reply=replies.append)
    terminal.feed(data)
    return b"".join(replies)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("a\u200bbc", "abc"),  # a zero-width character: the rest of the run stays
        ("a\x01bc", "abc"),  # an unprintable one, too
        ("e\u0301a", "éa"),
        ("\x1b[?4mok", "ok"),  # vim's private SGR
        ("\x1b[?2rok", "ok"),
        ("\x1b[?6hok", "ok"),  # origin mode without margins
        ("\x1b[²mok", "mok"),  # no digit, although str.isdigit says so: the sequence ends there
        ("\x1bPq#0;2\x1b\\ok", "ok"),  # DCS
        ("\x1b_hidden\x1b\\ok", "ok"),  # APC
        ("\x1bktitle\x1b\\ok", "ok"),  # screen's title
        ("\x1b[<uok", "ok"),
        ("\x1b[!pok", "ok"),
        ("\x1b]10;?\x07ok", "ok"),
        ("\x1b]0;over\r\ntwo lines\x07ok", "ok"),  # a string ends with its terminator, not with its line
        ("-\x1b[9b", "-" * 10),  # REP
        ("\x1b(0lqk\x1b(B", "┌─┐"),  # line drawing
        ("abc\x1b[sXYZ\x1b[uxyz", "abcxyz"),  # CSI s, CSI u
        ("1\r\n2\r\n3\x1b[S", "2\n3"),  # SU
        ("1\r\n2\r\n3\x1b[T", "\n1\n2\n3"),  # SD
        ("a\tb\x1b[Zc", "a       c"),  # CBT
    ],
)
def test_text(data: str, text: str) -> None:
    assert shown(data) == text


def test_underline_comes_from_sub_parameters_and_not_from_key_modifiers() -> None:
    terminal = Terminal(20, 2)
    terminal.feed(b"\x1b[4:3mA\x1b[4:0mB\x1b[>4;2mC")
    assert [(text, style.underline) for text, style in terminal.row(0).runs] == [("A", True), ("BC", False)]


def test_direct_colours_in_both_notations() -> None:
    terminal = Terminal(20, 2)
    terminal.feed(b"\x1b[38;2;1;2;3mA\x1b[38:2::1:2:3mB\x1b[38;2;999;0;0mC\x1b[0;105mD")
    assert [(text, style.fg, style.bg) for text, style in terminal.row(0).runs] == [
        ("ABC", "010203", "default"),
        ("D", "default", "brightmagenta"),
    ]


def test_the_alternate_screen_leaves_the_primary_one_and_the_scrollback_alone() -> None:
    terminal = Terminal(20, 3)
    terminal.feed(b"one\r\ntwo\r\nthree\r\nfour")
    before = terminal.text(scrollback=True)
    terminal.feed(b"\x1b[?1049h\x1b[2J\x1b[H" + b"editor\r\n" * 10)
    assert [terminal.alternate] == [True]
    assert "one" not in terminal.text()
    terminal.feed(b"\x1b[?1049l")
    assert [terminal.alternate] == [False]
    assert terminal.text(scrollback=True) == before
    assert terminal.cursor[:2] == (4, 2)


def test_a_resize_under_the_alternate_screen_reaches_the_primary_one() -> None:
    terminal = Terminal(10, 3)
    terminal.feed(b"a long line of text\x1b[?1049heditor")
    terminal.resize(40, 6)
    terminal.feed(b"\x1b[?1049l")
    assert terminal.text() == "a long line of text"


def test_saved_cursors_do_not_pile_up() -> None:
    terminal = Terminal(20, 3)
    terminal.feed(b"\x1b7" * 10_000 + b"\x1b[2;5H\x1b7\x1b[H\x1b8\x1b8")
    assert terminal.cursor[:2] == (4, 1)


def test_marks_do_not_pile_up_in_a_cell() -> None:
    terminal = Terminal(20, 3)
    terminal.feed(("x" + "\u0301\u0323" * 5_000).encode())
    assert len(terminal.row(0).text) <= 8


def test_a_wide_character_is_not_torn_at_the_edge() -> None:
    terminal = Terminal(5, 3)
    terminal.feed("abcd漢字".encode())
    assert terminal.text().split("\n") == ["abcd ", "漢字"] or terminal.text().split("\n") == ["abcd", "漢字"]
    assert terminal.row(1).width == 4


def test_erase_paints_with_the_background() -> None:
    terminal = Terminal(8, 3)
    terminal.feed(b"\x1b[44m\x1b[2J")
    assert [(text, style.bg) for text, style in terminal.row(1).runs] == [(" " * 8, "blue")]


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (b"\x1b[6n", b"\x1b[1;1R"),
        (b"\x1b[10;20H\x1b[6n", b"\x1b[10;20R"),
        (b"\x1b7\x1b[r\x1b[999;999H\x1b[6n", b"\x1b[24;80R"),  # `resize`
        (b"\x1b[?6n", b"\x1b[?1;1R"),
        (b"\x1b[5n", b"\x1b[0n"),
        (b"\x1b[c", b"\x1b[?6c"),
        (b"\x1b[>c", b"\x1b[>0;0;0c"),
        (b"\x1b[18t", b"\x1b[8;24;80t"),
        (b"\x1b[?2004h\x1b[?2004$p", b"\x1b[?2004;1$y"),
        (b"\x1b[?25$p\x1b[?77$p", b"\x1b[?25;1$y\x1b[?77;0$y"),
    ],
)
def test_queries_are_answered(query: bytes, answer: bytes) -> None:
    assert answered(query) == answer


def test_bell_title_and_modes_are_reported() -> None:
    terminal = Terminal(20, 3)
    terminal.feed(b"\x07\x07\x1b]2;vi: notes\x07\x1b[?1h\x1b[?2004h\x1b[?1006;1002h\x1b=\x1b[?25l")
    assert (terminal.bells, terminal.title) == (2, "vi: notes")
    modes = terminal.modes
    assert modes.application_cursor
    assert modes.bracketed_paste
    assert modes.mouse
    assert modes.application_keypad
    assert not terminal.cursor.visible


def test_only_changed_rows_are_reported_dirty() -> None:
    terminal = Terminal(20, 4)
    terminal.feed(b"a\r\nb\r\nc")
    assert terminal.take_dirty() == {0, 1, 2, 3}
    assert terminal.take_dirty() == set()
    terminal.feed(b"\x1b[2;1HB")
    assert terminal.take_dirty() == {1}


def test_torn_utf8_is_put_together() -> None:
    terminal = Terminal(20, 2)
    for byte in "é漢→".encode():
        terminal.feed(bytes([byte]))
    assert terminal.text() == "é漢→"
