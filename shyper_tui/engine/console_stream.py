"""Every VM's console as one stream of bytes since power-on."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from shyper_tui.engine.console_log import ConsoleLog
from shyper_tui.plain_text import visible

RING_SIZE = 1024 * 1024
"""Bytes kept for readers that come late."""

Listener = Callable[[], None]
Tap = Callable[[bytes], None]


class ConsoleStream:
    """Bytes with a running offset, the last RING_SIZE of them kept; all of them appended to the raw log, if any.

    The machine's thread writes; any thread reads. Listeners hear that there is something new, taps get the bytes: both
    are called in the writer's thread, taps at the exact instruction, so that scripts repeat exactly.
    """

    def __init__(self, log_file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._ring = bytearray()
        self._start = 0
        self._listeners: tuple[Listener, ...] = ()
        self._taps: tuple[Tap, ...] = ()
        self._closed = False
        self.log: ConsoleLog | None = None
        """Its log; also one that has ended."""
        self._log: ConsoleLog | None = None
        """The log as long as it is written."""
        if log_file is not None:
            try:
                self._log = self.log = ConsoleLog(log_file)
            except OSError as error:
                self._warn(f"there is no console log {log_file}", error)

    @property
    def end(self) -> int:
        """Offset behind the last byte."""
        return self._start + len(self._ring)

    @property
    def start(self) -> int:
        """Offset of the oldest byte that is kept."""
        return self._start

    @property
    def closed(self) -> bool:
        """The VM was removed: no byte will come any more."""
        return self._closed

    def write(self, data: bytes) -> None:
        """Appends the guest's output."""
        if not data or self._closed:
            return
        with self._lock:
            self._ring += data
            if len(self._ring) > 2 * RING_SIZE:  # cut rarely: cutting moves a MiB
                excess = len(self._ring) - RING_SIZE
                del self._ring[:excess]
                self._start += excess
            self._to_log(lambda log: log.write(data))
        for tap in self._taps:
            tap(data)
        for listener in self._listeners:
            listener()

    def read(self, offset: int, limit: int) -> tuple[int, bytes]:
        """At most `limit` bytes from `offset` on and where they really start: later than asked for when older bytes
        were dropped; at the end when `offset` lies beyond it."""
        with self._lock:
            first = min(max(offset, self._start), self.end)
            at = first - self._start
            return first, bytes(self._ring[at : at + limit])

    def tail(self, limit: int) -> bytes:
        """The last `limit` bytes."""
        return self.read(max(0, self.end - limit), limit)[1]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls `listener()` after each write and at the end; returns the function that ends this."""
        self._listeners = (*self._listeners, listener)

        def stop() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return stop

    def tap(self, tap: Tap) -> None:
        """Calls `tap(data)` in the writer's thread for each write from now on."""
        self._taps = (*self._taps, tap)

    def flush(self) -> None:
        """Writes what the log file still buffers."""
        with self._lock:
            self._to_log(lambda log: log.flush())

    def close(self) -> None:
        """Ends the stream and its log file; what is kept stays readable."""
        with self._lock:
            self._closed = True
            self._to_log(lambda log: log.close())
            self._log = None
        for listener in self._listeners:
            listener()

    def _to_log(self, action: Callable[[ConsoleLog], object]) -> None:
        """Does something with the log file. One that cannot be written (the disk is full) ends there, with a line in
        the engine's log; the console goes on."""
        log = self._log
        if log is None:
            return
        try:
            action(log)
        except OSError as error:
            self._log = None
            self._warn(f"the console log {log.path} ends here", error)
            with contextlib.suppress(OSError):
                log.close()

    @staticmethod
    def _warn(what: str, error: OSError) -> None:
        print(visible(f"warning: {what}: {error.strerror or error}"), file=sys.stderr, flush=True)
