"""Waits for sockets in a thread of its own, and does nothing else with them."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterable

from shyper_tui.engine.uplink.libslirp import POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT, POLL_PRI

_EVENTS = (
    (POLL_IN, select.EPOLLIN),
    (POLL_OUT, select.EPOLLOUT),
    (POLL_PRI, select.EPOLLPRI),
    (POLL_ERR, select.EPOLLERR),
    (POLL_HUP, select.EPOLLHUP),
)
STOP_SECONDS = 5.0


class Poller:
    """Calls `wake`, in its own thread, when one of the descriptors is ready, and then no more until `go_on`.

    All methods belong to one other thread. Events are those of libslirp (POLL_*).
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._masks: dict[int, int] = {}
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._may_wait = threading.Semaphore(0)
        self._ending = False
        self._thread = threading.Thread(target=self._wait, name="uplink", daemon=True)
        self._thread.start()

    def watch(self, wanted: Iterable[tuple[int, int]]) -> None:
        """From now on these descriptors count, for these events; none means all of them."""
        masks: dict[int, int] = {}
        for descriptor, events in wanted:
            masks[descriptor] = masks.get(descriptor, 0) | sum(mask for event, mask in _EVENTS if event & events)
        if masks == self._masks:
            return
        for descriptor in self._masks.keys() - masks.keys():
            self.forget(descriptor)
        for descriptor, mask in masks.items():
            if self._masks.get(descriptor) != mask:
                self._set(descriptor, mask)
        self._masks = masks

    def go_on(self) -> None:
        """What `wake` was called for is done."""
        self._may_wait.release()

    def ready(self) -> dict[int, int]:
        """Which of the descriptors are ready now, with their events; it never waits."""
        if not self._masks:
            return {}
        found = self._epoll.poll(0)
        return {descriptor: sum(event for event, bit in _EVENTS if mask & bit) for descriptor, mask in found}

    def forget(self, descriptor: int) -> None:
        """The descriptor is about to be closed, or does not count any more."""
        if self._masks.pop(descriptor, None) is not None:
            try:
                self._epoll.unregister(descriptor)
            except OSError:
                return  # it is closed already

    def close(self) -> None:
        """Ends the thread."""
        if self._ending:
            return
        self._ending = True
        os.eventfd_write(self._bell, 1)
        self._may_wait.release()
        self._thread.join(STOP_SECONDS)
        if not self._thread.is_alive():
            self._epoll.close()
            os.close(self._bell)

    def _set(self, descriptor: int, mask: int) -> None:
        try:
            if descriptor in self._masks:
                self._epoll.modify(descriptor, mask)
                return
        except FileNotFoundError:
            pass  # closed meanwhile, and its number is another socket's
        try:
            self._epoll.register(descriptor, mask)
        except FileExistsError:
            self._epoll.modify(descriptor, mask)

    def _wait(self) -> None:
        while not self._ending:
            self._epoll.poll()
            if not self._ending:
                self._wake()
                self._may_wait.acquire()
