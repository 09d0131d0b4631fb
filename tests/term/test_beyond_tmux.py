"""Sequences that tmux does not know or does otherwise: what xterm, the VT510's manual and ECMA-48 say."""

from __future__ import annotations

import pytest

from shyper_tui.term.screen import Terminal


def shown(data: bytes | str, columns: int = 20, lines: int = 4) -> str:
    terminal = Terminal(columns, lines)
    terminal.feed(data.encode() if isinstance(data, str) else data)
    return terminal.text()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("\x1b[2Ix", " " * 16 + "x"),  # CHT
        ("ab\x1b[2ax", "ab  x"),  # HPR
        ("ab\x1b[2ex", "ab\n\n  x"),  # VPR
        ("abc\x1b[2jx", "axc"),  # HPB
        ("a\r\nb\x1b[kx", "ax\nb"),  # VPB
        ("abcd\x1b[2 @", "cd"),  # SL
        ("abcd\x1b[2 A", "  abcd"),  # SR
        ("a\x1b[99999999999Cb", "a" + " " * 18 + "b"),
        ("ab\x1b[-1Cx", "abx"),  # a parameter behind an intermediate: no sequence
        ("ab\x1b[1_0C", "ab0C"),
        ("ab\x1b[1:2Cx", "abx"),  # sub-parameters where there are none
        ("\x1b[3b", ""),  # nothing to repeat
        ("a\x1b[m\x1b[3b", "aaaa"),
        ("e\u0301\x1b[2b", "éee"),
        ("\x1b(A#\x1b(B#", "£#"),
        ("\x1b*0\x1bNqq", "─q"),  # SS2
        ("\x1b+0\x1bOqq", "─q"),  # SS3
        ("\x1b*0\x1bnq\x0fq", "─q"),  # LS2
        ("\x1b(0hi\x1b(B", "␤␋"),
        ("\x84a\x85b\x8dc".encode().decode(), "\nac\nb"),  # IND, NEL, RI as C1
        ("\x1b[20ha\nb", "a\nb"),  # LNM
        ("ab\x1b[?1048h\r\n\x1b[?1048lx", "abx"),
        ("one\r\ntwo\x1b[H\x1b[?2J", ""),  # DECSED: nothing is protected
        ("\x1b[31m\x1b[?6h\x1b8x", "x"),
        ("a\x80b", "a\ufffdb"),  # not UTF-8
        ("\x1b#3wide\x1b#4\x1b#6", "wide"),  # DECDHL, DECDWL
        ("🇩🇪|", "🇩🇪|"),
    ],
)
def test_text(data: str, text: str) -> None:
    raw = b"a\x80b" if data == "a\x80b" else data.encode()
    assert shown(raw) == text


def test_a_flag_takes_two_columns() -> None:
    terminal = Terminal(20, 2)
    terminal.feed("🇩🇪".encode())
    assert terminal.cursor.x == 2


def test_the_whole_screen_in_reverse_and_back() -> None:
    terminal = Terminal(6, 2)
    terminal.feed(b"ab\x1b[7mc\x1b[m")
    before = [terminal.row(y) for y in range(2)]
    terminal.feed(b"\x1b[?5h")
    assert [(text, style.reverse) for text, style in terminal.row(0).runs] == [
        ("ab", True),
        ("c", False),
        ("   ", True),
    ]
    assert terminal.row(0) is terminal.row(0)
    assert terminal.text() == "abc"
    terminal.feed(b"\x1b[?5l")
    assert [terminal.row(y) for y in range(2)] == before


def test_a_soft_reset_keeps_the_picture() -> None:
    terminal = Terminal(20, 4)
    terminal.feed(b"ab\x1b[31;4m\x1b[2;3r\x1b[?6h\x1b[4h\x1b[?25l\x1b[!p\x1b[1;1Hx")
    assert terminal.text() == "xb"
    assert terminal.cursor.visible
    assert not terminal.row(0).runs[0][1].underline


@pytest.mark.parametrize(
    "query",
    ["\x1bP$qm\x1b\\", "\x1bP+q544e\x1b\\", "\x1b[>q", "\x1b[x", "\x1b]10;?\x07", "\x1b[?996n", "\x1b[=c", "\x1b[14t"],
)
def test_what_is_not_supported_is_not_answered(query: str) -> None:
    replies: list[bytes] = []
    terminal = Terminal(20, 4, on_reply=replies.append)
    terminal.feed(query.encode() + b"x")
    assert replies == []
    assert terminal.text() == "x"


def test_a_report_in_a_full_row_names_the_last_column() -> None:
    replies: list[bytes] = []
    terminal = Terminal(10, 4, on_reply=replies.append)
    terminal.feed(b"0123456789\x1b[6n")
    assert replies == [b"\x1b[1;10R"]
