"""Files whose content is wrapped are recognised by what is in them; raw disks and kernels are not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import shutil
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shyper_tui.images.containers import START_BYTES, TAIL_BYTES, container, container_of

DATA = random.Random(3).randbytes(70_000)


def _archive(kind: str) -> bytes:
    made = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr("disk.img", DATA)
    else:
        with tarfile.open(fileobj=made, mode="w") as archive_file:
            entry = tarfile.TarInfo("disk.img")
            entry.size = len(DATA)
            archive_file.addfile(entry, io.BytesIO(DATA))
    return made.getvalue()


MADE: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(DATA),
    "bzip2": lambda: bz2.compress(DATA),
    "xz": lambda: lzma.compress(DATA),
    "lzma": lambda: lzma.compress(DATA, lzma.FORMAT_ALONE),
    "zip archive": lambda: _archive("zip"),
    "tar archive": lambda: _archive("tar"),
}
HEADERS = {
    "qcow disk": b"QFI\xfb\0\0\0\1",
    "qcow2 disk": b"QFI\xfb\0\0\0\3",
    "VMDK": b"KDMV\1\0\0\0",
    "VDI": b"<<< A virtual machine's disk >>>\n".ljust(64, b"\0") + b"\x7f\x10\xda\xbe",
    "VHD disk": b"conectix\0\0\0\2",
    "VHDX": b"vhdxfile",
    "QED": b"QED\0\0\0\1\0",
    "Parallels": b"WithouFreSpacExt",
    "zstd": b"\x28\xb5\x2f\xfd\x24",
    "lz4": b"\x04\x22\x4d\x18\x64",
    "lzop": b"\x89LZO\0\r\n\x1a\n",
    "7-Zip": b"7z\xbc\xaf\x27\x1c",
    "Android": struct.pack("<IHH", 0xED26FF3A, 1, 0),
}


def found(data: bytes) -> str:
    wrapped = container_of(io.BytesIO(data))
    return wrapped.name if wrapped else ""


@pytest.mark.parametrize("kind", MADE)
def test_what_a_real_program_has_wrapped(kind: str) -> None:
    assert kind in found(MADE[kind]())


@pytest.mark.parametrize("kind", HEADERS)
def test_the_first_bytes_tell(kind: str) -> None:
    assert kind in found(HEADERS[kind].ljust(8192, b"\0"))


def test_two_formats_are_known_by_their_last_sector() -> None:
    assert "VHD" in found(DATA + b"conectix".ljust(512, b"\0"))
    assert "DMG" in found(DATA + b"koly".ljust(512, b"\0"))


@pytest.mark.parametrize("driver", ["qcow", "qcow2", "vmdk", "vdi", "vpc", "vhdx", "qed", "parallels"])
def test_what_qemu_img_makes(driver: str, tmp_path: Path) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed")
    file = tmp_path / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", driver, str(file), "8M"], check=True)
    with file.open("rb") as stream:
        wrapped = container_of(stream)
        assert stream.tell() == 0
    assert wrapped is not None
    assert f"-f {driver} " in wrapped.unwrap


@pytest.mark.parametrize("start", range(256))
def test_raw_disks_are_none(start: int) -> None:
    """Whatever the first byte: random data, zeros, a boot sector, and what lzma's header comes near to."""
    for rest in (bytes(2000), DATA[:2000], b"\xeb\x3c\x90MSDOS5.0".ljust(510, b"\0") + b"\x55\xaa"):
        assert container(bytes([start]) + rest[: START_BYTES - 1], rest[-TAIL_BYTES:]) is None
    assert container(b"") is None


def test_a_file_system_is_none(tmp_path: Path) -> None:
    if shutil.which("mke2fs") is None:
        pytest.skip("mke2fs is not installed")
    file = tmp_path / "root.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", str(file), "4M"], check=True)
    assert found(file.read_bytes()) == ""


@pytest.mark.parametrize(
    ("kind", "file", "remedy"),
    [
        (HEADERS["qcow2 disk"], "/a/d.qcow2", "Convert it: `qemu-img convert -f qcow2 -O raw /a/d.qcow2 /a/d`."),
        (HEADERS["qcow2 disk"], "d.img", "Convert it: `qemu-img convert -f qcow2 -O raw d.img d.img.raw`."),
        (lzma.compress(b"a"), "d.img.xz", "Convert it: `xz -dc d.img.xz > d.img`."),
        (lzma.compress(b"a"), "my disk; $(id).xz", "Convert it: `xz -dc 'my disk; $(id).xz' > 'my disk; $(id)'`."),
        (lzma.compress(b"a"), "-rf.xz", "Convert it: `xz -dc ./-rf.xz > ./-rf`."),
    ],
)
def test_the_remedy_is_a_command(kind: bytes, file: str, remedy: str) -> None:
    wrapped = container(kind)
    assert wrapped is not None
    assert wrapped.remedy(file) == remedy


def test_archives_older_than_posix_are_recognised() -> None:
    archive = bytearray(_archive("tar"))
    archive[257:512] = bytes(255)  # Unix V7 has no magic number
    archive[148:156] = b" " * 8
    archive[148:156] = b"%06o\0 " % sum(archive[:512])
    assert "tar" in str(container(bytes(archive[:START_BYTES])))
    archive[0] ^= 1
    assert container(bytes(archive[:START_BYTES])) is None


def test_a_compressed_file_has_more_than_a_magic_number_of_two_bytes() -> None:
    """A disk encrypted without a header begins with anything."""
    assert "compress" in str(container(b"\x1f\x9d\x90" + DATA[:1000]))
    assert container(b"\x1f\x9d\xff" + DATA[:1000]) is None
    assert container(b"\x1f\x8b\x07" + DATA[:1000]) is None
