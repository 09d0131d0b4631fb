"""The host's sockets of the user network: which are ready, and a descriptor that tells when some are."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterable

from shyper_tui.engine.uplink.libslirp import POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT, POLL_PRI

_EVENTS = (
    (POLL_IN, select.EPOLLIN),
    (POLL_OUT, select.EPOLLOUT),
    (POLL_PRI, select.EPOLLPRI),
    (POLL_ERR, select.EPOLLERR),
    (POLL_HUP, select.EPOLLHUP),
)


class Sockets:
    """Descriptors with the events that matter, those of libslirp (POLL_*)."""

    def __init__(self) -> None:
        self._masks: dict[int, int] = {}
        self._epoll = select.epoll()
        self.descriptor = self._epoll.fileno()
        """Readable when one of them is ready."""

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

    def ready(self) -> dict[int, int]:
        """Which of them are ready now, with their events; it never waits."""
        if not self._masks:
            return {}
        found = self._epoll.poll(0)
        return {descriptor: sum(event for event, bit in _EVENTS if mask & bit) for descriptor, mask in found}

    def forget(self, descriptor: int) -> None:
        """It is about to be closed, or does not count any more."""
        if self._masks.pop(descriptor, None) is not None:
            with contextlib.suppress(OSError):  # it is closed already
                self._epoll.unregister(descriptor)

    def close(self) -> None:
        self._masks.clear()
        self._epoll.close()

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
