"""Writer of cpio archives in the "newc" format, as the Linux kernel unpacks them as initramfs.

Format: Linux `Documentation/driver-api/early-userspace/buffer-format.rst`. Every member is a header of the magic
`070701` and thirteen 8-digit hexadecimal numbers, the path with a NUL, and the data; header plus path and data are
each padded to 4 bytes. The archive ends with a member named `TRAILER!!!`.

Archives are reproducible: members sorted by path, owner 0:0, time 0, inode numbers counted from 1. Device nodes need no
privilege, because nothing is made on the host.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass

_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class _Member:
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


class CpioArchive:
    """Members to be written; paths are relative to the root, without a leading slash. Parent folders are added."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}

    def directory(self, path: str, mode: int = 0o755) -> None:
        self._add(path, _Member(stat.S_IFDIR | mode))

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self._add(path, _Member(stat.S_IFREG | mode, data))

    def symlink(self, path: str, target: str) -> None:
        self._add(path, _Member(stat.S_IFLNK | 0o777, target.encode()))

    def character_device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        self._add(path, _Member(stat.S_IFCHR | mode, device=(major, minor)))

    def to_bytes(self) -> bytes:
        """The whole archive, uncompressed, padded to 512 bytes as cpio programs expect."""
        out = bytearray()
        for inode, (path, member) in enumerate(sorted(self._members.items()), start=1):
            out += _encode(path, member, inode)
        out += _encode(_TRAILER, _Member(0), 0)
        out += bytes(-len(out) % 512)
        return bytes(out)

    def _add(self, path: str, member: _Member) -> None:
        if path.startswith("/") or not path or ".." in path.split("/"):
            raise ValueError(f"not a path below the root: {path!r}")
        parent = path.rpartition("/")[0]
        if parent and parent not in self._members:
            self.directory(parent)
        self._members[path] = member


def _encode(path: str, member: _Member, inode: int) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(member.mode) else 1
    fields = (
        inode, member.mode, 0, 0, links, 0, len(member.data),  # inode, mode, uid, gid, nlink, mtime, size
        0, 0, *member.device, len(name), 0,                    # device it is on, device it names, name size, check
    )  # fmt: skip
    header = b"070701" + b"".join(b"%08X" % value for value in fields)
    head = header + name
    return head + bytes(-len(head) % 4) + member.data + bytes(-len(member.data) % 4)
