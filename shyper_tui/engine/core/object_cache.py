"""Compiled objects on disk. What is read here is executed, so only files that nobody else can have written are read.

The folder belongs to the user and has mode 0700; an entry is a regular file of the user's that nobody else may write,
and a checksum covers its name and content. Anything else is a miss, and the next compilation replaces it. No entry is
ever written in place: readers see a whole one or none. A cache that cannot be used costs some seconds each start, and a
line in the log says why.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shyper_tui.plain_text import visible
from shyper_tui.user_folders import user_cache_dir

_MAGIC = b"SHYPEROBJ2"
_CHECKSUM = hashlib.sha256().digest_size
LARGEST_ENTRY = 64 << 20
"""Bytes; an entry has 2 MiB."""
MOST_PARTS = 16
KEPT_ENTRIES = 16
"""Entries that stay: those used last. Several versions may be in use at a time, each with two entries at most."""
LEFT_OVER_SECONDS = 3600.0
"""Age after which an unfinished entry belongs to a process that was killed."""

_ENTRY = re.compile(r"[0-9a-f]{24}(-[a-z]+)?\.bin")
_UNFINISHED = re.compile(r"\.[0-9a-f]{24}(-[a-z]+)?\.[0-9a-f]{16}|tmp[a-z0-9_]{8}")
"""Entries that are being written; the second form is that of `tempfile`."""


@dataclass(frozen=True)
class Compiled:
    """An object file and the tables that belong to it."""

    object: bytes
    tables: tuple[bytes, ...]


class Refused(Exception):  # noqa: N818
    """A folder or file is not what only this user can have made; the sentence says why."""


def cache_folder() -> Path:
    return Path(user_cache_dir()) / "core"


def load_cached(key: str) -> Compiled | None:
    """The entry with this key; None when there is none, or one that is damaged or somebody else's."""
    name = f"{key}.bin"
    try:
        with _opened_folder() as folder:
            data = _read(folder, name)
    except FileNotFoundError:
        return None
    except (OSError, Refused) as error:
        _warn(f"the compiled core in {cache_folder()} is not used: {_reason(error)}")
        return None
    compiled = _unpacked(key, data)
    if compiled is None:
        _warn(f"the compiled core {cache_folder() / name} is damaged; it is made again")
    return compiled


def store_cached(key: str, compiled: Compiled) -> None:
    """Writes an entry, and removes those that have not been used for longest. A cache that cannot be written is no
    error: a line in the log says so."""
    try:
        _make_folder(cache_folder())
        with _opened_folder() as folder:
            _forget(folder, f"{key}.bin")
            _write(folder, f"{key}.bin", _packed(key, compiled))
    except (OSError, Refused) as error:
        _warn(f"the compiled core is not kept in {cache_folder()}: {_reason(error)}. Each start compiles it again")


def _packed(key: str, compiled: Compiled) -> bytes:
    parts = (compiled.object, *compiled.tables)
    body = struct.pack(f"<I{len(parts)}Q", len(parts), *map(len, parts)) + b"".join(parts)
    return _MAGIC + hashlib.sha256(key.encode() + body).digest() + body


def _unpacked(key: str, data: bytes) -> Compiled | None:
    """None for anything but the whole entry of this key."""
    start = len(_MAGIC) + _CHECKSUM
    body = data[start:]
    if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : start] != hashlib.sha256(key.encode() + body).digest():
        return None
    count = int.from_bytes(body[:4], "little")
    position = 4 + 8 * count
    if not 1 <= count <= MOST_PARTS or len(body) < position:
        return None
    lengths = struct.unpack_from(f"<{count}Q", body, 4)
    if sum(lengths) != len(body) - position:
        return None
    parts = []
    for length in lengths:
        parts.append(body[position : position + length])
        position += length
    return Compiled(parts[0], tuple(parts[1:]))


def _make_folder(path: Path) -> None:
    """Makes the folder with mode 0700, and those above it where they are missing."""
    if path.is_dir():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
        path.chmod(0o700)  # whatever the umask takes away


@contextlib.contextmanager
def _opened_folder() -> Iterator[int]:
    """A descriptor of the folder, which is the user's and private from here on; all else is done relative to it."""
    path = cache_folder()
    for link in (path.parent, path):
        facts = link.lstat()
        if stat.S_ISLNK(facts.st_mode) and facts.st_uid not in (0, os.geteuid()):
            raise Refused(f"{link} is a link that user {facts.st_uid} made")
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        facts = os.fstat(folder)
        if facts.st_uid != os.geteuid():
            raise Refused(f"the folder belongs to user {facts.st_uid}. Set XDG_CACHE_HOME to a folder of your own")
        if stat.S_IMODE(facts.st_mode) & 0o077:
            os.fchmod(folder, 0o700)
            if facts.st_mode & 0o022:
                _warn(f"others could write to {path}; its mode is 0700 now")
        yield folder
    finally:
        os.close(folder)


def _read(folder: int, name: str) -> bytes:
    """An entry's bytes. Opened without following links, and without waiting for the other end of a FIFO."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with open(file, "rb") as stream:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode):
            raise Refused(f"{name} is no regular file")
        if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
            raise Refused(f"others may have written {name}")
        if facts.st_size > LARGEST_ENTRY:
            raise Refused(f"{name} has {facts.st_size} bytes, which is too much for a compiled core")
        with contextlib.suppress(OSError):
            os.utime(file)  # `_forget` goes by the last use
        return stream.read(facts.st_size)


def _write(folder: int, name: str, data: bytes) -> None:
    """Puts a whole file in place of whatever has the name. What cannot be written whole leaves nothing behind."""
    unfinished = f".{name.removesuffix('.bin')}.{secrets.token_hex(8)}"
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with open(file, "wb") as stream:
            os.fchmod(file, 0o600)
            stream.write(data)
        os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished, dir_fd=folder)
        raise


def _forget(folder: int, coming: str) -> None:
    """Removes the entries used longest ago, so that with the coming one KEPT_ENTRIES stay, and what killed processes
    left. Safe at any time: whoever uses an entry has read it whole."""
    entries: list[tuple[float, str]] = []
    left: list[str] = []
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):  # another start removes it, too
            used = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
            if _ENTRY.fullmatch(name) and name != coming:
                entries.append((used, name))
            elif _UNFINISHED.fullmatch(name) and time.time() - used > LEFT_OVER_SECONDS:
                left.append(name)
    old = [name for _, name in sorted(entries, reverse=True)[KEPT_ENTRIES - 1 :]]
    for name in (*old, *left):
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)


def _reason(error: OSError | Refused) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _warn(sentence: str) -> None:
    print(visible(f"warning: {sentence}"), file=sys.stderr, flush=True)
