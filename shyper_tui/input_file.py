"""Opens files that users name: never waits, never reads without end.

A FIFO waits for a writer, /dev/zero never ends, and opening a terminal or a watchdog does something. What is opened
here is a regular file, or a block device where that makes sense.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)
_CHUNK = 16 << 20

MAX_CONFIGURATION = 256 << 10
"""Bytes of a configuration, daemon's or layout file: the largest that fits all limits has some ten thousand. The
machine stands still while the engine reads one."""


def open_input(path: Path | str, *, writable: bool = False, block_devices: bool = False) -> int:
    """A descriptor of a regular file (or a block device, with `block_devices`). Raises OSError at once for anything
    else; its `strerror` says what it is."""
    try:
        _refuse(os.stat(path).st_mode, block_devices)  # to open one may already have an effect
        flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        descriptor = os.open(path, flags)
    except ValueError as error:  # a NUL character in the name
        raise OSError(errno.EINVAL, str(error)) from None
    try:
        _refuse(os.fstat(descriptor).st_mode, block_devices)  # it may have been replaced meanwhile
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def read_input(path: Path | str, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes. Raises OSError."""
    descriptor = open_input(path)
    try:
        if os.fstat(descriptor).st_size > limit:
            raise _too_large(limit)
        pieces, size = [], 0
        while piece := os.read(descriptor, min(_CHUNK, limit + 1 - size)):
            pieces.append(piece)
            size += len(piece)
            if size > limit:  # files of /proc have no size
                raise _too_large(limit)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def _refuse(mode: int, block_devices: bool) -> None:
    if stat.S_ISREG(mode) or (block_devices and stat.S_ISBLK(mode)):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")
    raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, f"it is {kind}, not a regular file")


def _too_large(limit: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {size_text(limit)}")


def size_text(size: int) -> str:
    """A size for messages, in the largest unit that is whole."""
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >> shift and not size & (1 << shift) - 1:
            return f"{size >> shift} {unit}"
    return f"{size} bytes"
