"""Puts what was written to a disk on stable storage in a thread of its own: a host may take seconds for it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable

LINGER = 0.5
"""Seconds. Guests that flush do it again soon, and to begin a thread takes the host longer than a fast disk."""


class Sync:
    """One call of `DiskSync.begin`. `ended`: everything written before it is stored, or `error` says why not."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self.on_end = on_end
        self.ended = False
        self.error: OSError | None = None


class DiskSync:
    """The syncs of one disk, whose `flush` blocks until everything written is stored and raises OSError.

    One runs at a time. What begins meanwhile waits for the next, which serves all that wait: the one under way need not
    include the latest writes. The thread ends when there has been nothing to do for `LINGER` seconds. An error goes to
    the next one who asks when whoever had asked is gone, because the host tells it only once.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._changed = threading.Condition()
        self._waiting: list[Sync] = []
        self._thread: threading.Thread | None = None
        self._untold: OSError | None = None
        self._patient = True
        self._busy = False
        self._closing = False

    @property
    def under_way(self) -> bool:
        """Whether a sync is asked for or being done."""
        with self._changed:
            return self._busy or bool(self._waiting)

    def begin(self, on_end: Callable[[], None] = lambda: None) -> Sync:
        """Starts a sync and returns at once; `on_end` is called in the other thread. Raises OSError (EAGAIN) when the
        host has no thread left."""
        sync = Sync(on_end)
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="disk sync", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    raise OSError(errno.EAGAIN, str(error)) from None
                self._thread = thread
            self._waiting.append(sync)
            self._changed.notify_all()
        return sync

    def forget(self, sync: Sync) -> None:
        """Nobody waits for `sync` any more; it is not done when it has not begun."""
        with self._changed:
            if sync in self._waiting:
                self._waiting.remove(sync)

    def wait(self, sync: Sync) -> bool:
        """Returns when `sync` has ended; False when that may not be waited for (`set_patient`)."""
        with self._changed:
            self._changed.wait_for(lambda: sync.ended or not self._patient)
            return sync.ended

    def set_patient(self, patient: bool) -> None:
        """Whether `wait` waits; False also ends a `wait` under way. Any thread may call it."""
        with self._changed:
            self._patient = patient
            self._changed.notify_all()

    def result(self, sync: Sync) -> OSError | None:
        """The error of a sync that has ended. Who calls this tells the guest."""
        with self._changed:
            if sync.error is self._untold:
                self._untold = None
            return sync.error

    def close(self) -> None:
        """Waits for the sync under way, and syncs once more what was written since. Raises OSError, also for an error
        that nobody was told."""
        with self._changed:
            self._waiting.clear()
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        error = self._perform() or self._untold
        self._untold = None
        if error is not None:
            raise error

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.wait_for(lambda: self._waiting or self._closing, LINGER)
                served, self._waiting = self._waiting, []
                if not served:
                    self._thread = None
                    return
                self._busy = True
            error = self._perform()
            with self._changed:
                self._untold = error or self._untold
                for sync in served:
                    sync.ended, sync.error = True, self._untold
                self._changed.notify_all()
            for sync in served:
                sync.on_end()

    def _perform(self) -> OSError | None:
        try:
            self._flush()
        except OSError as error:
            return error
        except Exception as error:  # whoever waits must not wait for ever
            return OSError(errno.EIO, f"{type(error).__name__}: {error}")
        return None
