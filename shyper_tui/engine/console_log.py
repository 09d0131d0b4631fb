"""A console's raw log: files of ours alone, which nobody else may read, of bounded size.

The log never goes to what is there already. A regular file from before is renamed, with the time of its last change in
its name; for anything else (a link, a pipe, a device, a folder) there is no log, and the engine's log says so.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import BinaryIO

PIECE = 32 << 20
"""Bytes after which a log begins anew; what came before stays as `NAME.1`, and what came before that is dropped."""

BUFFER = 64 * 1024


class ConsoleLog:
    """`path` and `path.1`: the last PIECE to 2 * PIECE bytes. Every method may raise OSError, and has then ended it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._former = path.with_name(f"{path.name}.1")
        self._mine = False
        """There is a former piece, and this log wrote it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in (path, self._former):
            put_aside(file)
        self._size = 0
        self._file = self._create()

    def write(self, data: bytes) -> None:
        """Appends; begins the next piece first when this one is full."""
        at = 0
        while at < len(data):
            if self._size >= PIECE:
                self._next_piece()
            end = at + PIECE - self._size
            self._file.write(data[at:end])
            self._size += len(data[at:end])
            at = end

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        """Deletes both pieces, after `close`."""
        self.path.unlink(missing_ok=True)
        if self._mine:
            self._former.unlink(missing_ok=True)

    def _create(self) -> BinaryIO:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return open(os.open(self.path, flags, 0o600), "wb", buffering=BUFFER)

    def _next_piece(self) -> None:
        self._file.flush()
        if self._is_mine():
            if not self._mine:
                put_aside(self._former)
            os.replace(self.path, self._former)
            self._mine = True
        self._file.close()
        self._file = self._create()
        self._size = 0

    def _is_mine(self) -> bool:
        """The file is still where it was made: nobody has moved it away or put another one in its place."""
        try:
            there = os.lstat(self.path)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._file.fileno()))


def put_aside(file: Path) -> None:
    """Renames a regular file of this name, so that the name is free. OSError (FileExistsError) for anything else."""
    try:
        there = os.lstat(file)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(there.st_mode):
        raise FileExistsError(0, f"{_kind(there.st_mode)} has its name", str(file))
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(there.st_mtime))
    name, ending = file.name.partition(".")[::2]
    count = 1
    while True:
        extra = f"-{count}" if count > 1 else ""
        aside = file.with_name(f"{name}.{stamp}{extra}.{ending}")
        try:
            os.link(file, aside, follow_symlinks=False)  # unlike a rename, it replaces nothing
        except FileExistsError:
            count += 1
        except OSError:  # a file system without hard links
            if os.path.lexists(aside):
                count += 1
            else:
                return os.rename(file, aside)
        else:
            return file.unlink()


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a named pipe" if stat.S_ISFIFO(mode) else "a file that is no regular one"
