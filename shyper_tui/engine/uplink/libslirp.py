"""libslirp through ctypes: its functions and structures (`libslirp.h`, version 4.1 and later).

A configuration of version 1 is used, which every libslirp since 4.1 reads; fields that newer ones have behind it are
never looked at. The calls are short and never wait, so they keep Python's lock: to give it back costs more than most of
them.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_ssize_t,
    c_uint32,
    c_void_p,
)
from pathlib import Path
from typing import Any

SONAME = "libslirp.so.0"
CONFIG_VERSION = 1

POLL_IN, POLL_OUT, POLL_PRI, POLL_ERR, POLL_HUP = 1, 2, 4, 8, 16
"""SLIRP_POLL_*."""

SendPacket = CFUNCTYPE(c_ssize_t, c_void_p, c_size_t, c_void_p)
GuestError = CFUNCTYPE(None, c_char_p, c_void_p)
ClockGetNs = CFUNCTYPE(c_int64, c_void_p)
TimerNew = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p)
TimerFree = CFUNCTYPE(None, c_void_p, c_void_p)
TimerMod = CFUNCTYPE(None, c_void_p, c_int64, c_void_p)
PollFd = CFUNCTYPE(None, c_int, c_void_p)
Notify = CFUNCTYPE(None, c_void_p)
AddPoll = CFUNCTYPE(c_int, c_int, c_int, c_void_p)
GetRevents = CFUNCTYPE(c_int, c_int, c_void_p)
LogFunction = CFUNCTYPE(None, c_char_p, c_int, c_char_p, c_void_p)


class Address(Structure):
    """`struct in_addr`."""

    _fields_ = [("s_addr", c_uint32)]

    @classmethod
    def of(cls, packed: bytes) -> Address:
        """Of four bytes in network order."""
        return cls(int.from_bytes(packed, sys.byteorder))


class Address6(Structure):
    """`struct in6_addr`."""

    _fields_ = [("words", c_uint32 * 4)]


class Config(Structure):
    """`SlirpConfig`, as far as version 1 goes, and room for what newer versions read only when they are asked to."""

    _fields_ = [
        ("version", c_uint32),
        ("restricted", c_int),
        ("in_enabled", c_bool),
        ("vnetwork", Address),
        ("vnetmask", Address),
        ("vhost", Address),
        ("in6_enabled", c_bool),
        ("vprefix_addr6", Address6),
        ("vprefix_len", ctypes.c_uint8),
        ("vhost6", Address6),
        ("vhostname", c_char_p),
        ("tftp_server_name", c_char_p),
        ("tftp_path", c_char_p),
        ("bootfile", c_char_p),
        ("vdhcp_start", Address),
        ("vnameserver", Address),
        ("vnameserver6", Address6),
        ("vdnssearch", c_void_p),
        ("vdomainname", c_char_p),
        ("if_mtu", c_size_t),
        ("if_mru", c_size_t),
        ("disable_host_loopback", c_bool),
        ("enable_emu", c_bool),
        ("later", ctypes.c_uint8 * 256),
    ]


class Callbacks(Structure):
    """`SlirpCb`; the callbacks after `notify` belong to newer configurations."""

    _fields_ = [
        ("send_packet", SendPacket),
        ("guest_error", GuestError),
        ("clock_get_ns", ClockGetNs),
        ("timer_new", TimerNew),
        ("timer_free", TimerFree),
        ("timer_mod", TimerMod),
        ("register_poll_fd", PollFd),
        ("unregister_poll_fd", PollFd),
        ("notify", Notify),
        ("later", c_void_p * 32),
    ]


class LibraryError(Exception):
    """There is no libslirp that can be used; one sentence."""


def load(fetched: list[Path]) -> Any:
    """The system's library, else the one among the files `fetched`, which stand before those that need them. Raises
    LibraryError."""
    try:
        return _declare(ctypes.PyDLL(SONAME))
    except OSError as error:
        if not fetched:
            raise LibraryError(f"the library {SONAME} is not installed") from error
    try:
        for file in fetched[:-1]:
            _load_dependency(file)
        return _declare(ctypes.PyDLL(str(fetched[-1])))
    except OSError as error:
        raise LibraryError(f"the library {fetched[-1]} cannot be loaded: {error}") from None


def _load_dependency(file: Path) -> None:
    """The system's library of this name, if it has one, so that there are never two."""
    try:
        ctypes.PyDLL(file.name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        ctypes.PyDLL(str(file), mode=ctypes.RTLD_GLOBAL)


def _declare(library: Any) -> Any:
    """Sets the types of the functions that are used."""
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "slirp_new": (c_void_p, [POINTER(Config), POINTER(Callbacks), c_void_p]),
        "slirp_cleanup": (None, [c_void_p]),
        "slirp_input": (None, [c_void_p, c_char_p, c_int]),
        "slirp_pollfds_fill": (None, [c_void_p, POINTER(c_uint32), AddPoll, c_void_p]),
        "slirp_pollfds_poll": (None, [c_void_p, c_int, GetRevents, c_void_p]),
        "slirp_add_hostfwd": (c_int, [c_void_p, c_int, Address, c_int, Address, c_int]),
        "slirp_version_string": (c_char_p, []),
    }
    try:
        for name, (result, arguments) in signatures.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except AttributeError as error:
        raise LibraryError(f"the library {SONAME} is too old: {error}") from None
    return library


def silence(library: Any, function: Any) -> None:
    """Hands what the library would write to standard error to `function`: guests can make it write much."""
    set_handler = library.g_log_set_handler  # of GLib, which the library needs
    set_handler.restype, set_handler.argtypes = ctypes.c_uint, [c_char_p, c_int, LogFunction, c_void_p]
    every_level = 0xFC
    set_handler(b"Slirp", every_level, function, None)
