"""Kernels as people have them: compressed, wrapped for a boot loader, cut, or made by somebody with bad intentions."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from pathlib import Path

import pytest
import zstandard

from shyper_tui.images.kernel_file import examine_kernel, open_kernel, open_ramdisk, ramdisk_problem, read_kernel
from shyper_tui.images.kernel_header import KernelKind

IMAGE = struct.pack("<IIQQQII", 0x5A4D, 0, 0x20_0000, 0x1000, 0, 2, 0) + bytes(8) + b"RISCV\0\0\0RSC\x05" + bytes(900)
PACKED = {
    "gzip": gzip.compress(IMAGE, mtime=0),
    "bzip2": bz2.compress(IMAGE),
    "xz": lzma.compress(IMAGE),
    "lzma": lzma.compress(IMAGE, lzma.FORMAT_ALONE),
    "zstd": zstandard.compress(IMAGE),
}


def uimage(body: bytes, compression: int = 0, kind: int = 2, architecture: int = 26) -> bytes:
    """U-Boot's legacy header in front of a body."""
    fields = (len(body), 0x8020_0000, 0x8020_0000, zlib.crc32(body), 5, architecture, kind, compression, b"Linux")
    head = struct.pack(">III4I4B32s", 0x27051956, 0, 0, *fields)
    return head[:4] + struct.pack(">I", zlib.crc32(head)) + head[8:] + body


def elf(*segments: tuple[int, int, int, int], machine: int = 243, kind: int = 2, size: int = 256) -> bytes:
    """An ELF file with segments of (offset, physical, bytes in the file, bytes in memory)."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0x8000_0000, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    table = b"".join(struct.pack("<IIQQQQQQ", 1, 7, o, p, p, f, m, 4096) for o, p, f, m in segments)
    return (head + table).ljust(size, b"\0")


@pytest.mark.parametrize("codec", PACKED)
def test_a_compressed_image_is_unpacked(codec: str, tmp_path: Path) -> None:
    file = tmp_path / "Image.packed"
    file.write_bytes(PACKED[codec])
    kernel = read_kernel(file, 1 << 20)
    assert (kernel.data, kernel.header.kind, kernel.header.problem) == (IMAGE, KernelKind.LINUX_IMAGE, "")
    assert codec in kernel.note
    assert examine_kernel(file).header == kernel.header


@pytest.mark.parametrize("codec", PACKED)
def test_a_cut_compressed_image_is_no_kernel(codec: str) -> None:
    problem = open_kernel(PACKED[codec][:-6]).header.problem
    assert problem.removeprefix(f"it is compressed with {codec} and ") in ("ends too early", "is damaged")


@pytest.mark.parametrize("codec", ["gzip", "bzip2", "xz", "lzma", "zstd"])
def test_a_kernel_that_unpacks_to_more_than_memory_is_refused_at_that_point(codec: str) -> None:
    bomb = bytes(32 << 20)
    packed = {
        "gzip": lambda: gzip.compress(bomb, 1),
        "bzip2": lambda: bz2.compress(bomb, 1),
        "xz": lambda: lzma.compress(bomb, preset=0),
        "lzma": lambda: lzma.compress(bomb, lzma.FORMAT_ALONE, preset=0),
        "zstd": lambda: zstandard.compress(bomb, 1),
    }[codec]()
    problem = open_kernel(packed, 1 << 20).header.problem
    assert problem == f"it is compressed with {codec} and unpacks to more than 1 MiB"


def test_streams_behind_each_other_are_one_kernel() -> None:
    for pack in (gzip.compress, bz2.compress, lzma.compress, zstandard.compress):
        assert open_kernel(pack(IMAGE[:100]) + pack(IMAGE[100:])).data == IMAGE


@pytest.mark.parametrize(
    ("compression", "body"), [(0, IMAGE), (1, PACKED["gzip"]), (3, PACKED["lzma"]), (0, PACKED["xz"])],
    ids=["plain", "gzip", "lzma", "xz"],
)  # fmt: skip
def test_a_uimage_gives_its_kernel(compression: int, body: bytes) -> None:
    kernel = open_kernel(uimage(body, compression))
    assert (kernel.data, kernel.header.kind, kernel.load) == (IMAGE, KernelKind.LINUX_IMAGE, 0x8020_0000)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (uimage(IMAGE, architecture=2), "another architecture"),
        (uimage(IMAGE, kind=3), "not of a kernel"),
        (uimage(IMAGE, 4), "compressed with lzo"),
        (uimage(IMAGE)[:-1], "cut short"),
        (uimage(IMAGE)[:-1] + b"x", "damaged content"),
        (uimage(IMAGE)[:20] + b"xxxx" + uimage(IMAGE)[24:], "damaged header"),
        (uimage(IMAGE)[:40], "ends within the header"),
        (b"\xd0\x0d\xfe\xed" + bytes(100), "FIT image"),
        (b"QFI\xfb\0\0\0\3" + bytes(500), "qcow2"),
        (b"\x89LZO\0\r\n\x1a\n" + bytes(100), "lzop"),
        (b"\x02!L\x18" + bytes(100), "lz4"),
    ],
)
def test_what_cannot_be_unpacked_is_named(data: bytes, words: str) -> None:
    kernel = open_kernel(data)
    assert words in kernel.header.problem


def test_an_efi_zboot_image_is_unpacked() -> None:
    head = b"MZ\0\0zimg" + struct.pack("<II", 64, len(PACKED["zstd"])) + bytes(8) + b"zstd22\0\0" + bytes(32)
    assert open_kernel(head + PACKED["zstd"]).data == IMAGE


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (elf((200, 0x8000_0000, 57, 64)), "it ends within a segment of its ELF program"),
        (elf((0, 0x8000_0000, 64, 32)), "it has an ELF segment that is larger in the file than in memory"),
        (elf((0, (1 << 64) - 64, 16, 128)), "it has an ELF segment that goes beyond the 64-bit addresses"),
        (elf((1 << 63, 0x8000_0000, 16, 128)), "it ends within a segment of its ELF program"),
        (
            elf((0, 0x8000_0000, 16, 128), (0, 0x8000_0040, 16, 128), size=512),
            "two of its ELF segments lie on top of each other",
        ),
        (
            elf((0, 0x8000_0000, 16, 128), kind=1),
            "it is an ELF file that is a relocatable object file, not a linked program",
        ),
        (elf(*[(0, 0, 0, 1)] * 65, size=8192), "it has 65 ELF program headers; at most 64 are read"),
        (elf((0, 0, 0, 1))[:100], "its ELF program headers are damaged"),
        (elf((0, 0, 0, 1), machine=62), "it is an ELF file for x86-64"),
        (elf(), "it is an ELF file without anything to load"),
    ],
)  # fmt: skip
def test_an_elf_file_is_judged_before_it_is_loaded(data: bytes, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "kernel.elf"
    file.write_bytes(data)
    assert open_kernel(data).header.problem == problem
    assert examine_kernel(file).header.problem == problem


def test_an_image_shorter_than_its_efi_sections_is_cut() -> None:
    begin = 0x40
    image = bytearray(IMAGE[:0x3C] + struct.pack("<I", begin) + bytes(2000))
    image[begin : begin + 24] = b"PE\0\0" + struct.pack("<HHIIIHH", 0x5064, 1, 0, 0, 0, 0, 0)
    struct.pack_into("<8sIIII", image, begin + 24, b".data", 1000, 0, 1000, 1000)
    assert open_kernel(bytes(image[:2000])).header.problem == ""
    assert open_kernel(bytes(image[:1999])).header.problem == "it is cut short: 1999 of its 2000 bytes are there"
    packed = open_kernel(bz2.compress(bytes(image[:1999]))).header.problem
    assert packed.endswith("bytes are there (unpacked from a file compressed with bzip2)")


def test_a_ramdisk_loses_the_header_of_u_boot_and_others_are_named() -> None:
    archive = b"070701" + b"0" * 104
    assert open_ramdisk(uimage(archive, kind=3)) == archive
    assert open_ramdisk(archive) == archive
    for good in (archive, uimage(archive, kind=3), *PACKED.values(), b"\x02!L\x18", b"\x89LZO\0\r\n\x1a\n", b"hsqs"):
        assert ramdisk_problem(good[:2048]) == ""
    assert "neither" in ramdisk_problem(b"<html>")
    assert "qcow2" in ramdisk_problem(b"QFI\xfb\0\0\0\3" + bytes(500))
    assert "empty" in ramdisk_problem(b"")
    assert "ELF" in ramdisk_problem(elf())
