"""The worker's log on its way to who started it: lines that nobody takes are lost, and nothing waits for them."""

from __future__ import annotations

import io
import os
import sys
import threading

from shyper_tui.plain_text import visible

LONGEST_LINE = 64 * 1024
"""Characters; a longer line goes in pieces."""


def log_line(line: str) -> None:
    """One line of the worker's log; those that begin with "warning: " are shown to the user."""
    print(visible(line), file=sys.stderr, flush=True)


class LogPipe(io.TextIOBase):
    """Standard error of a worker that is started with a pipe there.

    A front end that is stopped (Ctrl-Z), or gone while its engine stays, does not read it: the machine must neither
    wait for it nor fail with it. Any thread may write.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._begun = threading.local()
        """The line that each thread has begun: `print` writes one in pieces."""
        self._lost = 0
        self._cut = False
        """The pipe took the first part of the last line only."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str, /) -> int:
        """Takes text; each whole line goes out at once, or is lost."""
        *lines, begun = (getattr(self._begun, "text", "") + text).split("\n")
        if len(begun) > LONGEST_LINE:
            lines, begun = [*lines, begun], ""
        self._begun.text = begun
        with self._lock:
            for line in lines:
                self._send(line)
        return len(text)

    def _send(self, line: str) -> None:
        if self._lost and self._put(f"({self._lost} lines of the log are lost: nobody read them)"):
            self._lost = 0
        if self._lost or not self._put(line):
            self._lost += 1

    def _put(self, line: str) -> bool:
        """Writes one line, whole unless the pipe has room for a part of it."""
        data = ("\n" * self._cut + line + "\n").encode("utf-8", "backslashreplace")
        try:
            self._cut = os.write(self._descriptor, data) < len(data)
        except OSError:  # full, or without a reader
            return False
        return True
