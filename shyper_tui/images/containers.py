"""Recognises files whose content is wrapped: compressed files, archives, containers of disk images, boot wrappers.

Distributions publish disks as qcow2 or `.img.xz`, and `make` leaves `Image.bz2` beside `Image`. Such a file is neither
a raw disk nor a kernel, and whoever takes it for one runs or destroys it. What a file is follows from its first bytes
(for two formats the last ones), not from its name.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import BinaryIO

START_BYTES, TAIL_BYTES = 1024, 512
"""How much of a file's two ends `container` needs."""


@dataclass(frozen=True)
class Container:
    """A kind of wrapped file. `name`: what it is, after "it is a"; `unwrap`: a command for the user, in which {file}
    and {plain} stand for the file and for what becomes of it; `codec`: the compression, for who unpacks."""

    name: str
    unwrap: str
    codec: str = ""

    def __str__(self) -> str:
        return f"an {self.name}" if self.name.startswith(("Apple", "EWF")) else f"a {self.name}"

    def remedy(self, file: str) -> str:
        """What the user can do, one sentence."""
        plain = file
        for suffix in _SUFFIXES:
            if file.lower().endswith(suffix):
                plain = file[: -len(suffix)]
        if plain == file or not os.path.basename(plain):
            plain = file + ".raw"
        command = self.unwrap.format(file=_argument(file), plain=_argument(plain))
        return f"Convert it: `{command}`."


def _argument(file: str) -> str:
    """A file's name in a command for a shell, where it is never an option."""
    return shlex.quote(f"./{file}" if file.startswith("-") else file)


_SUFFIXES = (
    ".qcow2", ".qcow", ".vmdk", ".vdi", ".vhd", ".vhdx", ".qed", ".hdd", ".dmg", ".simg", ".e01", ".gz", ".bz2", ".xz",
    ".lzma", ".zst", ".lz4", ".lzo", ".lz", ".zip", ".7z", ".tar", ".ova",
)  # fmt: skip


def _disk(name: str, driver: str) -> Container:
    return Container(f"{name} disk container", f"qemu-img convert -f {driver} -O raw {{file}} {{plain}}")


def _compressed(name: str, command: str, codec: str = "") -> Container:
    return Container(f"file compressed with {name}", f"{command} {{file}} > {{plain}}", codec)


_QCOW = _disk("qcow", "qcow")
_QCOW2 = _disk("qcow2", "qcow2")
_VMDK = _disk("VMDK", "vmdk")
_VHD = _disk("VHD", "vpc")
_PARALLELS = _disk("Parallels", "parallels")
_LZ4 = _compressed("lz4", "lz4 -dc")
_LZMA = _compressed("lzma", "xz --format=lzma -dc", "lzma")

_MAGICS: tuple[tuple[int, bytes, Container], ...] = (
    (0, b"QFI\xfb\0\0\0\1", _QCOW),
    (0, b"QFI\xfb", _QCOW2),
    (0, b"KDMV", _VMDK),
    (0, b"COWD", _VMDK),
    (0, b"# Disk DescriptorFile", _VMDK),
    (64, b"\x7f\x10\xda\xbe", _disk("VDI", "vdi")),
    (0, b"conectix", _VHD),
    (0, b"vhdxfile", _disk("VHDX", "vhdx")),
    (0, b"QED\0", _disk("QED", "qed")),
    (0, b"WithoutFreeSpace", _PARALLELS),
    (0, b"WithouFreSpacExt", _PARALLELS),
    (0, b"Bochs Virtual HD Image", _disk("Bochs", "bochs")),
    (0, b"\x3a\xff\x26\xed", Container("sparse image of Android", "simg2img {file} {plain}")),
    (0, b"EVF\x09\x0d\x0a\xff\x00", Container("EWF (EnCase) image", "ewfexport -t {plain} -f raw {file}")),
    (0, b"\x1f\x8b", _compressed("gzip", "gzip -dc", "gzip")),
    (0, b"\x1f\x9d", _compressed("compress", "gzip -dc", "compress")),
    (0, b"BZh", _compressed("bzip2", "bzip2 -dc", "bzip2")),
    (0, b"\xfd7zXZ\0", _compressed("xz", "xz -dc", "xz")),
    (0, b"\x28\xb5\x2f\xfd", _compressed("zstd", "zstd -dc", "zstd")),
    (0, b"\x04\x22\x4d\x18", _LZ4),
    (0, b"\x02\x21\x4c\x18", _LZ4),
    (0, b"\x89LZO\0\r\n\x1a\n", _compressed("lzop", "lzop -dc")),
    (0, b"LZIP", _compressed("lzip", "lzip -dc")),
    (0, b"PK\x03\x04", Container("zip archive", "unzip -p {file} > {plain}")),
    (0, b"7z\xbc\xaf\x27\x1c", Container("7-Zip archive", "7z x -so {file} > {plain}")),
    (0, b"Rar!\x1a\x07", Container("RAR archive", "unrar p -inul {file} > {plain}")),
)
_TAR = Container("tar archive", "tar -xOf {file} > {plain}")
_DMG = Container("Apple disk image (DMG)", "dmg2img {file} {plain}")


def container(start: bytes, tail: bytes = b"") -> Container | None:
    """What wraps a file with these first `START_BYTES` and last `TAIL_BYTES` bytes; None for a plain one."""
    for offset, magic, found in _MAGICS:
        if start[offset : offset + len(magic)] == magic and _plausible(found.codec, start):
            return found
    if _is_lzma(start):
        return _LZMA
    if _is_tar(start):
        return _TAR
    if tail[-512:-504] == b"conectix":
        return _VHD
    if tail[-512:-508] == b"koly":
        return _DMG
    return None


def container_of(file: BinaryIO) -> Container | None:
    """What wraps an open file that can seek; its position is at the start then. Raises OSError."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    file.seek(0)
    start = file.read(START_BYTES)
    file.seek(0)
    return container(start, tail)


def _plausible(codec: str, start: bytes) -> bool:
    """Whether more than a short magic number speaks for a compression."""
    if codec == "gzip":
        return start[2:3] == b"\x08"  # the only method there is
    if codec == "bzip2":
        return start[3:4] in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9") and start[4:10] in (
            b"1AY&SY",
            b"\x17\x72\x45\x38\x50\x90",  # nothing in it
        )
    if codec == "compress":
        return start[2:3] != b"" and not start[2] & 0x60 and 9 <= start[2] & 0x1F <= 16  # the longest code, in bits
    return True


def _is_tar(start: bytes) -> bool:
    """Whether the first block is a header with its right checksum, which archives older than POSIX have as well."""
    block = start[:512]
    digits = block[148:156].strip(b" \0")
    if len(block) < 512 or not block[0] or not digits or digits.strip(b"01234567"):
        return False
    return sum(block) - sum(block[148:156]) + 8 * 0x20 == int(digits, 8)


def _is_lzma(start: bytes) -> bool:
    """The header of `lzma` files has no magic number: properties, dictionary size, and size of the content (or -1)."""
    if len(start) < 14 or start[0] >= 225 or start[13] != 0:
        return False
    dictionary, size = int.from_bytes(start[1:5], "little"), int.from_bytes(start[5:13], "little")
    usual = start[0] == 0x5D and dictionary >= 4096 and dictionary.bit_count() <= 2  # 2^n, or 2^n + 2^(n-1)
    return usual and (size == (1 << 64) - 1 or 0 < size < 1 << 38)
