"""Reads kernels as people have them: plain, compressed, or wrapped for a boot loader.

`Image.gz`, `.bz2`, `.xz`, `.lzma` and `.zst`, the EFI zboot image that Linux builds as `vmlinuz.efi`, and U-Boot's
legacy uImage (`include/image.h`) are unpacked. What is inside may be wrapped once more, as in a uImage of `Image.gz`.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from shyper_tui.input_file import open_input, read_input

from .containers import START_BYTES, container
from .kernel_header import KernelHeader, KernelKind, judge_bytes, measure
from .unpack import CODECS, UnpackError, unpack

LARGEST = 8 << 30
"""Bytes; no machine here has more memory for a kernel or a ramdisk."""
RAMDISK_START = 2048
"""How much of a ramdisk `ramdisk_problem` needs."""
_UIMAGE = struct.Struct(">7I4B32s")
"""magic, header CRC, time, size, load address, entry point, data CRC, system, architecture, type, compression, name."""
_UIMAGE_MAGIC = b"\x27\x05\x19\x56"
_RISCV, _KERNELS, _RAMDISK = 26, (2, 14), 3
_COMPRESSIONS = {0: "", 1: "gzip", 2: "bzip2", 3: "lzma", 4: "lzo", 5: "lz4", 6: "zstd"}
_ZBOOT_CODECS = {"gzip": "gzip", "bzip2": "bzip2", "lzma": "lzma", "xz": "xz", "xzkern": "xz", "zstd": "zstd"}
_LAYERS = 3


@dataclass(frozen=True)
class KernelFile:
    """A kernel, unpacked. `note` says what it was unpacked from, "" for a plain file. `load` and `entry`: addresses
    that a uImage asks for."""

    data: bytes
    header: KernelHeader
    note: str = ""
    remedy: str = ""
    load: int | None = None
    entry: int | None = None

    def described(self, name: str) -> str:
        """One line about what was unpacked, for a log."""
        return f"{name}: {self.note}, {-(-len(self.data) >> 20)} MiB"


def read_kernel(file: Path | str, limit: int = LARGEST) -> KernelFile:
    """A kernel file of at most `limit` bytes, packed and unpacked. One that cannot be a kernel has a
    `header.problem`. Raises OSError."""
    return open_kernel(read_input(file, limit), limit, str(file))


def examine_kernel(file: Path, limit: int = LARGEST) -> KernelFile:
    """`read_kernel` without `data`; of a plain file, only the headers are read. Raises OSError."""
    descriptor = open_input(file)
    try:
        start = os.pread(descriptor, START_BYTES, 0)
    finally:
        os.close(descriptor)
    if not _wrapped(start):
        return KernelFile(b"", measure(file))
    return replace(read_kernel(file, limit), data=b"")


def open_kernel(data: bytes, limit: int = LARGEST, name: str = "Image") -> KernelFile:
    """A kernel of these bytes, unpacked."""
    kernel = KernelFile(data, KernelHeader(KernelKind.RAW))
    for _ in range(_LAYERS):
        if not _wrapped(kernel.data[:START_BYTES]):
            break
        inner = _unwrap(kernel, limit, name)
        if inner.header.problem:
            return inner
        kernel = inner
    header = judge_bytes(kernel.data)
    if header.problem and kernel.note:
        header = replace(header, problem=f"{header.problem} ({kernel.note})")
    return replace(kernel, header=header)


def open_ramdisk(data: bytes) -> bytes:
    """A ramdisk without the header of U-Boot in front of it, which Linux does not know."""
    if data[:4] != _UIMAGE_MAGIC or len(data) < _UIMAGE.size:
        return data
    size, kind = int.from_bytes(data[12:16], "big"), data[30]
    return data[_UIMAGE.size : _UIMAGE.size + size] if kind == _RAMDISK else data


def ramdisk_problem(start: bytes) -> str:
    """What speaks against a ramdisk with these first bytes, as a sentence's end; "" when Linux knows its format."""
    if start[:4] == _UIMAGE_MAGIC and start[30:31] == bytes([_RAMDISK]):
        start = start[_UIMAGE.size :]
    body = start.lstrip(b"\0")
    if not start or body[:6] in (b"070701", b"070702"):
        return "" if start else "it is empty"
    wrapped = container(start)
    if wrapped is not None and (wrapped.codec or "lz4" in wrapped.name):
        return ""
    if body[:3] == b"\x89LZ" or start[:4] == b"hsqs" or start[:8] == b"-rom1fs-" or start[:4] == b"\x45\x3d\xcd\x28":
        return ""
    if start[0x438:0x43A] == b"\x53\xef":
        return ""
    if start[:4] == b"\x7fELF":
        return "it is an ELF file"
    if start[:4] == _UIMAGE_MAGIC:
        return "it is a U-Boot image, but not of a ramdisk"
    return f"it is {wrapped}" if wrapped is not None else "it is neither a cpio archive nor compressed"


def _wrapped(start: bytes) -> bool:
    if start[:4] in (b"\x7fELF", _UIMAGE_MAGIC, b"\xd0\x0d\xfe\xed"):
        return start[:4] != b"\x7fELF"
    if start[0x30:0x35] == b"RISCV" or start[0x38:0x3C] == b"RSC\x05":
        return start[:2] == b"MZ" and start[4:8] == b"zimg"
    return (start[:2] == b"MZ" and start[4:8] == b"zimg") or container(start) is not None


def _unwrap(outer: KernelFile, limit: int, name: str) -> KernelFile:
    """What is inside of one layer, or `outer` with a problem."""
    data = outer.data
    if data[:4] == _UIMAGE_MAGIC:
        return _open_uimage(outer, limit, name)
    if data[:4] == b"\xd0\x0d\xfe\xed":
        remedy = f"Take the kernel out: `dumpimage -T flat_dt -p 0 -o Image {name}`."
        return _refused(outer, "it is a U-Boot FIT image or another device tree", remedy)
    if data[:2] == b"MZ":
        offset, size = struct.unpack_from("<II", data, 8)
        codec = data[24:56].split(b"\0")[0].decode("ascii", "replace")
        codec = "zstd" if codec.startswith("zstd") else _ZBOOT_CODECS.get(codec, codec)
        return _decompressed(outer, data[offset : offset + size], codec, "an EFI zboot image", limit)
    found = container(data[:START_BYTES])
    if found is None:
        return outer
    if found.codec in CODECS:
        return _decompressed(outer, data, found.codec, "a", limit)
    return _refused(outer, f"it is {found}", found.remedy(name))


def _decompressed(outer: KernelFile, packed: bytes, codec: str, what: str, limit: int) -> KernelFile:
    if codec not in CODECS:
        return _refused(outer, f"it is compressed with {codec or 'nothing that is known'}", "Unpack it first.")
    try:
        data = unpack(packed, codec, limit)
    except UnpackError as error:
        return _refused(outer, f"it is compressed with {codec} and {error}", "Get the file again, or unpack it first.")
    note = f"unpacked from {'a file' if what == 'a' else what} compressed with {codec}"
    return replace(outer, data=data, note=outer.note or note)


def _open_uimage(outer: KernelFile, limit: int, name: str) -> KernelFile:
    data = outer.data
    if len(data) < _UIMAGE.size:
        return _refused(outer, "it ends within the header of a U-Boot uImage")
    _, crc, _, size, load, entry, _, _, architecture, kind, compression, _ = _UIMAGE.unpack_from(data)
    if zlib.crc32(data[:4] + bytes(4) + data[8 : _UIMAGE.size]) != crc:
        return _refused(outer, "it is a U-Boot uImage with a damaged header")
    if architecture != _RISCV:
        return _refused(outer, f"it is a U-Boot uImage for another architecture ({architecture}) than RISC-V")
    if kind not in _KERNELS:
        remedy = f"Look at it with `dumpimage -l {name}`."
        return _refused(outer, f"it is a U-Boot uImage, but not of a kernel (its type is {kind})", remedy)
    body = data[_UIMAGE.size : _UIMAGE.size + size]
    if len(body) < size:
        return _refused(outer, f"it is a U-Boot uImage that is cut short: {len(body)} of {size} bytes are there")
    if zlib.crc32(body) != int.from_bytes(data[24:28], "big"):
        return _refused(outer, "it is a U-Boot uImage with damaged content")
    inner = replace(outer, data=body, note="unpacked from a U-Boot uImage", load=load, entry=entry)
    codec = _COMPRESSIONS.get(compression, f"method {compression}")
    return _decompressed(inner, body, codec, "a U-Boot uImage", limit) if codec else inner


def _refused(outer: KernelFile, problem: str, remedy: str = "") -> KernelFile:
    header = KernelHeader(KernelKind.RAW, image_size=len(outer.data), problem=problem)
    return replace(outer, header=header, remedy=remedy)
