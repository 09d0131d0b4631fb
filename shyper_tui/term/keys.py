"""Key names of the front end → bytes for the guest (what xterm sends; "XTerm Control Sequences", PC-style function
keys)."""

from __future__ import annotations

import re

from shyper_tui.term.screen import Modes

_CURSOR = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_TILDE = {
    "insert": 2, "delete": 3, "pageup": 5, "pagedown": 6, "f5": 15,
    "f6": 17, "f7": 18, "f8": 19, "f9": 20, "f10": 21, "f11": 23, "f12": 24,
}  # fmt: skip
_SS3 = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
_PLAIN = {"tab": "\t", "backspace": "\x7f", "escape": "\x1b", "space": " "}
_CONTROL = {
    "at": 0, "space": 0, "left_square_bracket": 27, "backslash": 28,
    "right_square_bracket": 29, "circumflex_accent": 30, "caret": 30,
    "underscore": 31, "slash": 31, "minus": 31, "question_mark": 127, "backspace": 8,
}  # fmt: skip
_CONTROLS = re.compile("[\x00-\x08\x0a-\x0c\x0e-\x1f\x7f-\x9f]")
"""C0 without tab and carriage return, DEL, C1."""
_INTRODUCERS = re.compile("[\x1b\x9b]")
_MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4}


def encode_key(key: str, character: str | None, modes: Modes) -> bytes:
    """The bytes of one key; empty when the guest has no use for it.

    Args:
        key: the name of the key, modifiers first: "a", "ctrl+c", "shift+up", "alt+x".
        character: what the key types, if it types anything.
        modes: the modes the guest has set.
    """
    parts = key.split("+") if key != "+" else ["+"]
    base = parts[-1] or "+"
    held = frozenset(part for part in parts[:-1] if part in _MODIFIERS)
    if base == "enter":
        return _alt(held) + (b"\r\n" if modes.newline else b"\r")
    if key == "shift+tab":
        return b"\x1b[Z"
    special = _special(base, held, modes)
    if special:
        return special
    if "ctrl" in held:
        return _control(base, held)
    if character is not None and character.isprintable():
        return _alt(held) + character.encode()
    if base in _PLAIN:
        return _alt(held) + _PLAIN[base].encode()
    if "alt" in held and len(base) == 1:
        return b"\x1b" + base.encode()
    return b""


def _alt(held: frozenset[str]) -> bytes:
    return b"\x1b" if "alt" in held else b""


def _special(base: str, held: frozenset[str], modes: Modes) -> bytes:
    """Arrows, editing and function keys, with their modifiers as a number."""
    modifier = 1 + sum(_MODIFIERS[name] for name in held)
    if base in _CURSOR:
        if modifier > 1:
            return f"\x1b[1;{modifier}{_CURSOR[base]}".encode()
        return f"\x1b{'O' if modes.application_cursor else '['}{_CURSOR[base]}".encode()
    if base in _SS3:
        return (f"\x1b[1;{modifier}{_SS3[base]}" if modifier > 1 else f"\x1bO{_SS3[base]}").encode()
    if base in _TILDE:
        return (f"\x1b[{_TILDE[base]};{modifier}~" if modifier > 1 else f"\x1b[{_TILDE[base]}~").encode()
    return b""


def _control(base: str, held: frozenset[str]) -> bytes:
    if len(base) == 1 and base.isalpha():
        return _alt(held) + bytes([ord(base.upper()) - 64])
    if base in _CONTROL:
        return _alt(held) + bytes([_CONTROL[base]])
    return b""


def encode_paste(text: str, modes: Modes, controls: bool = False) -> bytes:
    """Pasted text: line ends become carriage returns, tabs stay, and every other control character becomes a space, as
    in xterm; bracketed when the guest asked for it (mode 2004). So a text that somebody else wrote can neither
    interrupt a program (^C), end its input (^D), edit the line (^U, ^W, DEL), nor end the bracket.

    Args:
        controls: send control characters as they are. Within brackets ESC and CSI still become spaces.
    """
    text = text.replace("\r\n", "\r").replace("\n", "\r")
    if not controls:
        text = _CONTROLS.sub(" ", text)
    if modes.bracketed_paste:
        return b"\x1b[200~" + _INTRODUCERS.sub(" ", text).encode(errors="replace") + b"\x1b[201~"
    return text.encode(errors="replace")
