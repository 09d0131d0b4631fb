"""Copies of disk images that stay as small as they are on the host."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .store import extents

_FICLONE = 0x40049409
"""ioctl_ficlone(2)."""


def copy_sparse(source: Path, target: Path, mode: int = 0o600) -> None:
    """Copy a file to a new one, sharing its blocks where the file system can (reflink), else without its holes.

    Raises OSError; an unfinished target does not stay.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with source.open("rb") as reader, os.fdopen(descriptor, "wb") as writer:
            try:
                fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
            except OSError:  # another file system, or one that cannot
                _copy_extents(reader.fileno(), writer.fileno(), list(extents(reader)))
                writer.truncate(os.fstat(reader.fileno()).st_size)
            os.fsync(writer.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _copy_extents(reader: int, writer: int, places: list[tuple[int, int]]) -> None:
    for start, length in places:
        position = start
        while position < start + length:
            block = os.pread(reader, min(1 << 20, start + length - position), position)
            if not block:
                return
            done = 0
            while done < len(block):
                done += os.pwrite(writer, block[done:], position + done)
            position += len(block)
