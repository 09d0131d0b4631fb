"""The user's terminal as a serial terminal: raw mode, every key to the guest, and a way out."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator

CTRL_A, CTRL_BRACKET = 0x01, 0x1D
HELP = b"\r\n[ctrl+a x: quit, ctrl+a ctrl+a: send ctrl+a, ctrl+]: quit]\r\n"


class Keys:
    """What of the keys goes to the guest: all but ctrl+] (quit) and what follows ctrl+a (x quit, ctrl+a itself, h
    help)."""

    def __init__(self) -> None:
        self._prefixed = False
        self.quit = False
        self.help = False

    def feed(self, data: bytes) -> bytes:
        """The bytes for the guest; sets `quit` or `help` when the user asked for that."""
        for_guest = bytearray()
        for byte in data:
            if self._prefixed:
                self._prefixed = False
                self.quit = self.quit or byte in b"xX"
                self.help = self.help or byte in b"hH?"
                if byte == CTRL_A:
                    for_guest.append(byte)
            elif byte == CTRL_A:
                self._prefixed = True
            elif byte == CTRL_BRACKET:
                self.quit = True
            else:
                for_guest.append(byte)
        return bytes(for_guest)


@contextlib.contextmanager
def raw_terminal() -> Iterator[None]:
    """Standard input in raw mode when it is a terminal, and as it was afterwards."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def converse(send: Callable[[bytes], None], ended: int, seconds: float | None = None) -> bool:
    """Hands keys to `send` until `ended` is readable (True), or the user quits or `seconds` have passed (False).

    `ended` is a file descriptor. When standard input is a pipe or a file, its bytes go to the guest as they are,
    and its end is no end here.
    """
    interactive = sys.stdin.isatty()
    keys, sources = Keys(), [ended, sys.stdin.fileno()]
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = select.select(sources, [], [], left)[0]
        if not ready:
            return False
        if ended in ready:
            return True
        data = os.read(sys.stdin.fileno(), 4096)
        if not data:
            sources.remove(sys.stdin.fileno())
            continue
        send(keys.feed(data) if interactive else data)
        if keys.quit:
            return False
        if keys.help:
            keys.help = False
            os.write(sys.stdout.fileno(), HELP)
