"""Keys as xterm would send them."""

from __future__ import annotations

import pytest

from shyper_tui.term.keys import encode_key, encode_paste
from shyper_tui.term.screen import Modes


@pytest.mark.parametrize(
    ("key", "character", "sent"),
    [
        ("a", "a", b"a"),
        ("A", "A", b"A"),
        ("plus", "+", b"+"),
        ("é", "é", "é".encode()),
        ("enter", "\r", b"\r"),
        ("tab", "\t", b"\t"),
        ("shift+tab", None, b"\x1b[Z"),
        ("escape", "\x1b", b"\x1b"),
        ("backspace", "\x7f", b"\x7f"),
        ("space", " ", b" "),
        ("ctrl+c", "\x03", b"\x03"),
        ("ctrl+z", None, b"\x1a"),
        ("ctrl+right_square_bracket", None, b"\x1d"),
        ("ctrl+backslash", None, b"\x1c"),
        ("ctrl+at", None, b"\x00"),
        ("alt+x", None, b"\x1bx"),
        ("alt+enter", None, b"\x1b\r"),
        ("up", None, b"\x1b[A"),
        ("home", None, b"\x1b[H"),
        ("ctrl+left", None, b"\x1b[1;5D"),
        ("shift+alt+up", None, b"\x1b[1;4A"),
        ("delete", None, b"\x1b[3~"),
        ("ctrl+pageup", None, b"\x1b[5;5~"),
        ("f1", None, b"\x1bOP"),
        ("f5", None, b"\x1b[15~"),
        ("f10", None, b"\x1b[21~"),
        ("shift+f3", None, b"\x1b[1;2R"),
        ("f25", None, b""),
    ],
)
def test_key(key: str, character: str | None, sent: bytes) -> None:
    assert encode_key(key, character, Modes()) == sent


def test_modes_change_what_keys_send() -> None:
    assert encode_key("up", None, Modes(application_cursor=True)) == b"\x1bOA"
    assert encode_key("enter", "\r", Modes(newline=True)) == b"\r\n"


def test_paste() -> None:
    assert encode_paste("a\nb\r\n", Modes()) == b"a\rb\r"
    assert encode_paste("x\x1b[201~y", Modes(bracketed_paste=True)) == b"\x1b[200~x[201~y\x1b[201~"
