"""What a machine with nothing to do waits for: another thread, or a descriptor of the host."""

from __future__ import annotations

import contextlib
import os
import select


class Wake:
    """As `threading.Event`, and `wait` returns, too, when `descriptor` is readable. Any thread may call `set`."""

    def __init__(self, descriptor: int) -> None:
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._both = select.epoll()
        self._both.register(self._bell, select.EPOLLIN)
        self._both.register(descriptor, select.EPOLLIN)
        self._rung = False
        """The bell may have been rung: a system call tells."""

    def set(self) -> None:
        self._rung = True
        os.eventfd_write(self._bell, 1)

    def clear(self) -> None:
        if self._rung:
            self._rung = False
            with contextlib.suppress(BlockingIOError):  # another thread is between the two lines of `set`
                os.eventfd_read(self._bell)

    def wait(self, timeout: float | None = None) -> bool:
        """Whether something has happened within `timeout` seconds."""
        if not self._both.poll(timeout):
            return False
        self._rung = True
        return True

    def wait_until_set(self) -> None:
        """Whatever the descriptor does."""
        select.select([self._bell], [], [])

    def __del__(self) -> None:
        self._both.close()
        os.close(self._bell)  # not before: another thread may be about to set it
