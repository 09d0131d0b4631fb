"""Pasted text that holds escape characters stays pasted text.

Textual's parser takes an ESC inside a bracketed paste (XTerm Control Sequences, "Bracketed Paste Mode") for the
beginning of a key's sequence: up to 32 characters after it arrive as keys, before the paste, and a ^C or a line feed
among them is pressed. Terminals that filter what they paste send no ESC; tmux does.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.message import Message

_START, _END = "\x1b[200~", "\x1b[201~"
_ESCAPE = "\ufdd0"
"""Stands for ESC inside a paste: a noncharacter, which no text holds (Unicode 23.7)."""


class PastedInput(XTermParser):
    """Textual's parser, which sees no ESC inside a paste but that of its end."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._in_paste = False
        self._held = ""
        """In a paste: the beginning of its end, perhaps. Outside: the last characters that were fed."""

    def feed(self, data: str) -> Iterable[Message]:
        if not data:  # the end of the input
            yield from super().feed(data)
            return
        text = self._without_escapes(data)
        for message in super().feed(text) if text else ():
            if isinstance(message, events.Paste):
                yield events.Paste(message.text.replace(_ESCAPE, "\x1b"))
            else:
                yield message

    def _without_escapes(self, data: str) -> str:
        fed: list[str] = []
        while data:
            if self._in_paste:
                text, end, rest = (self._held + data).partition(_END)
                self._held = "" if end else _beginning_of_end(text)
                fed += [text.removesuffix(self._held).replace("\x1b", _ESCAPE), end]
                self._in_paste = not end
            else:
                before, start, rest = (self._held + data).partition(_START)
                fed.append((before + start)[len(self._held) :])
                self._held = "" if start else before[1 - len(_START) :]
                self._in_paste = bool(start)
            data = rest
        return "".join(fed)


def _beginning_of_end(text: str) -> str:
    """What at the end of the text may become the end of the paste."""
    return next((text[-size:] for size in range(len(_END) - 1, 0, -1) if text.endswith(_END[:size])), "")


def keep_pastes_whole() -> None:
    """For the whole process: the terminal driver, which makes its parser itself, makes this one."""
    vars(linux_driver)["XTermParser"] = PastedInput
