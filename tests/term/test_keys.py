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
    assert encode_paste("if x:\n\ty", Modes(bracketed_paste=True)) == b"\x1b[200~if x:\r\ty\x1b[201~"


BRACKETS = {False: (b"", b""), True: (b"\x1b[200~", b"\x1b[201~")}


@pytest.mark.parametrize("bracketed", [False, True])
@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0)])
def test_a_control_character_in_pasted_text_becomes_a_space(code: int, bracketed: bool) -> None:
    start, end = BRACKETS[bracketed]
    instead = {"\t": b"\t", "\n": b"\r", "\r": b"\r"}.get(chr(code), b" ")
    sent = encode_paste(f"a{chr(code)}b", Modes(bracketed_paste=bracketed))
    assert sent == start + b"a" + instead + b"b" + end


@pytest.mark.parametrize("controls", [False, True])
@pytest.mark.parametrize("end", ["\x1b[201~", "\x9b201~", "\x1b\x1b[201~", "\x1b\x1b[201~[201~"])
def test_pasted_text_cannot_end_its_bracket(end: str, controls: bool) -> None:
    sent = encode_paste(f"x{end}rm y\n", Modes(bracketed_paste=True), controls)
    inside = sent.removeprefix(b"\x1b[200~").removesuffix(b"\x1b[201~")
    assert b"\x1b" not in inside
    assert "\x9b".encode() not in inside


def test_whoever_wants_pasted_controls_gets_them() -> None:
    assert encode_paste("a\x03\x04\x1b[A\n", Modes(), controls=True) == b"a\x03\x04\x1b[A\r"
    assert encode_paste("a\x03\x1b\n", Modes(bracketed_paste=True), controls=True) == b"\x1b[200~a\x03 \r\x1b[201~"


def test_a_lone_surrogate_in_pasted_text_is_no_error() -> None:
    assert encode_paste("a\ud800b", Modes()) == b"a?b"
