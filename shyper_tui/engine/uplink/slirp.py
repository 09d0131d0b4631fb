"""The user network by libslirp, which is QEMU's own.

It makes no process: its life is the engine's (`passt`, the alternative, is a daemon beside it that has to be started,
watched and ended). Everything of it belongs to the machine's thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from shyper_tui.engine.uplink import addresses as at
from shyper_tui.engine.uplink import libslirp as c

NANOSECONDS_PER_TICK = 100
LARGEST = 65521
"""What libslirp allows as MTU, in bytes. TCP segments of that size come in one piece (`segments.py`)."""
NOTHING_TO_TIME = 1000
"""Milliseconds that libslirp names when no timer runs."""


class SlirpNetwork:
    """A network behind a card: `send` takes the guest's frames, `receive` gets what comes back, while one of the
    methods runs.

    * `now`: ticks of 100 ns; timers follow it
    * `restricted`: guests reach nothing but the network itself; connections from outside still come in
    * `host_loopback`: the address of the host leads to the host's own loopback
    * `complain`: is told what the library has to say about a guest
    """

    def __init__(
        self,
        library: Any,
        receive: Callable[[bytes], None],
        now: Callable[[], int],
        *,
        restricted: bool = False,
        host_loopback: bool = False,
        complain: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._library, self._receive, self._now, self._complain = library, receive, now, complain
        self.opened: Callable[[int], None] = lambda descriptor: None
        self.closing: Callable[[int], None] = lambda descriptor: None
        """Told of each socket that is opened, and just before one is closed."""
        self.sockets: set[int] = set()
        """Descriptors of the sockets that are open, those that only listen for a forward among them."""
        self._wanted: list[tuple[int, int]] = []
        self._ready: dict[int, int] = {}
        self._callbacks = c.Callbacks(
            c.SendPacket(self._packet),
            c.GuestError(lambda text, _: self._complain(_text(text))),
            c.ClockGetNs(lambda _: self._now() * NANOSECONDS_PER_TICK),
            c.TimerNew(lambda *_: 1),
            c.TimerFree(lambda *_: None),
            c.TimerMod(lambda *_: None),
            c.PollFd(self._opened),
            c.PollFd(self._closing),
            c.Notify(lambda _: None),
        )
        self._add_poll, self._get_revents = c.AddPoll(self._want), c.GetRevents(self._revents)
        self._log = c.LogFunction(lambda domain, level, text, _: self._complain(_text(text)))
        c.silence(library, self._log)
        config = c.Config(
            version=c.CONFIG_VERSION,
            restricted=restricted,
            in_enabled=True,
            vnetwork=_address(at.NETWORK.network_address),
            vnetmask=_address(at.NETWORK.netmask),
            vhost=_address(at.HOST),
            vdhcp_start=_address(at.GUEST),
            vnameserver=_address(at.NAMESERVER),
            if_mtu=LARGEST - 1,
            if_mru=LARGEST - 1,
            disable_host_loopback=not host_loopback,
        )
        self._handle = library.slirp_new(ctypes.byref(config), ctypes.byref(self._callbacks), None)
        if not self._handle:
            raise c.LibraryError("libslirp refuses its configuration")

    @property
    def version(self) -> str:
        return _text(self._library.slirp_version_string())

    def forward(self, host: IPv4Address, port: int, guest_port: int) -> None:
        """Connections to a TCP port of the host go to the guest's port. OSError when the port cannot be had."""
        ctypes.set_errno(0)
        guest = _address(at.GUEST)
        if self._library.slirp_add_hostfwd(self._handle, 0, _address(host), port, guest, guest_port) < 0:
            raise OSError(errno.EADDRINUSE, "the port cannot be had")

    def send(self, data: bytes) -> None:
        """A frame of the guest."""
        self._library.slirp_input(self._handle, data, len(data))

    def wanted(self) -> tuple[list[tuple[int, int]], int | None]:
        """Descriptors with the events (POLL_*) that it waits for, and in how many ticks `serve` is to be called in any
        case; None: when one of these happens."""
        self._wanted = []
        timeout = ctypes.c_uint32(0xFFFF_FFFF)
        self._library.slirp_pollfds_fill(self._handle, ctypes.byref(timeout), self._add_poll, None)
        milliseconds = timeout.value
        return self._wanted, milliseconds * 10_000 if milliseconds < NOTHING_TO_TIME else None

    def serve(self, ready: dict[int, int]) -> None:
        """Does what is due, and what the descriptors' events call for; right after `wanted`."""
        self._ready = ready
        self._library.slirp_pollfds_poll(self._handle, 0, self._get_revents, None)

    def close(self) -> None:
        if self._handle:
            handle, self._handle = self._handle, None
            self._receive = lambda frame: None
            self._library.slirp_cleanup(handle)

    # The library's callbacks. What they raise would be lost, so they only take notes.

    def _packet(self, data: int, length: int, _: object) -> int:
        self._receive(ctypes.string_at(data, length))
        return length

    def _opened(self, descriptor: int, _: object) -> None:
        with contextlib.suppress(OSError):
            os.set_blocking(descriptor, False)  # some block, and readiness is no promise: a datagram may be damaged
        self.sockets.add(descriptor)
        self.opened(descriptor)

    def _closing(self, descriptor: int, _: object) -> None:
        self.sockets.discard(descriptor)
        self.closing(descriptor)

    def _want(self, descriptor: int, events: int, _: object) -> int:
        self._wanted.append((descriptor, events))
        return len(self._wanted) - 1

    def _revents(self, index: int, _: object) -> int:
        if not 0 <= index < len(self._wanted):
            return 0
        return self._ready.get(self._wanted[index][0], 0)


def _address(address: IPv4Address) -> c.Address:
    return c.Address.of(address.packed)


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace").strip()
