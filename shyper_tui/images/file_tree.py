"""The files of a disk image, put together without being root: names, owners, modes and contents."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_MERGED = ("bin", "sbin", "lib", "lib64")
"""Folders that are links into /usr on a merged system (file-hierarchy(7))."""


@dataclass(frozen=True)
class Entry:
    """A file of the image. `mode` has the type bits of stat(2)."""

    mode: int
    content: bytes | Path = b""
    """Of a regular file; a `Path` names a file of the host, whose holes are kept."""
    target: str = ""
    """Of a symbolic link."""
    owner: tuple[int, int] = (0, 0)
    """User and group."""


class FileTree:
    """Files by their path below the root, without a leading slash. Parents are added; a later file replaces an earlier
    one."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def __getitem__(self, path: str) -> Entry:
        return self._entries[path]

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        """Every file, each after the folder that it lies in, in the same order every time."""
        return iter(sorted(self._entries.items(), key=lambda item: PurePosixPath(item[0]).parts))

    def folder(self, path: str, mode: int = 0o755) -> None:
        self._add(path, Entry(stat.S_IFDIR | mode))

    def file(self, path: str, content: bytes | str | Path, mode: int = 0o644) -> None:
        data = content.encode() if isinstance(content, str) else content
        self._add(path, Entry(stat.S_IFREG | mode, data))

    def link(self, path: str, target: str) -> None:
        self._add(path, Entry(stat.S_IFLNK | 0o777, target=target))

    def find(self, path: str) -> Entry | None:
        """The file of that name, wherever `/usr` has it."""
        return self._entries.get(merged(path))

    def add(self, path: str, entry: Entry) -> None:
        """Any kind of file. Files below `/bin`, `/sbin` and `/lib` go to `/usr`."""
        path = merged(path)
        if path not in _MERGED:
            self._add(path, entry)

    def merged_usr(self) -> None:
        """`/bin` and its kind as links into `/usr`."""
        for name in _MERGED[:3]:
            self.folder(f"usr/{name}")
            self.link(name, f"usr/{name}")

    def unpacked(self, folder: Path, wanted: Callable[[str], bool] = lambda _path: True) -> None:
        """Take over what lies in a folder of the host, an unpacked package for example, with the modes it has there.

        Files below `/bin`, `/sbin` and `/lib` go to `/usr`. `wanted` is asked with each path.
        """
        for base, names, files in os.walk(folder):
            names.sort()
            for name in sorted(names + files):
                host = Path(base) / name
                path = merged(host.relative_to(folder).as_posix())
                if not wanted(path) or path in _MERGED:
                    continue
                mode = host.lstat().st_mode
                if stat.S_ISLNK(mode):
                    self.link(path, os.readlink(host))
                elif stat.S_ISDIR(mode):
                    self.folder(path, stat.S_IMODE(mode))
                elif stat.S_ISREG(mode):
                    self.file(path, host, stat.S_IMODE(mode))

    def _add(self, path: str, entry: Entry) -> None:
        if path.startswith("/") or not path or any(part in ("", ".", "..") for part in path.split("/")):
            raise ValueError(f"not a path below the root: {path!r}")
        parent = path.rpartition("/")[0]
        if parent and parent not in self._entries:
            self.folder(parent)
        self._entries[path] = entry


def merged(path: str) -> str:
    """Where a file lies on a system whose `/bin`, `/sbin` and `/lib` are links into `/usr`."""
    return f"usr/{path}" if path.split("/")[0] in _MERGED and "/" in path else path
