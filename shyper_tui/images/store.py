"""Where images lie, and what is known about them.

    <user cache>/images/linux/      Image, initramfs.cpio, initramfs-min.cpio, mvm.ext4, gvm.ext4, shyper_riscv64.ko,
                                    manifest.json
    <user cache>/debian/<suite>/    apt's private state and the downloaded packages
    package data: embedded/         ELF files of the two embedded guests

An image is named `folder/file`, for example `linux/Image`; in a configuration with the prefix `images:`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO

from shyper_tui.user_folders import user_cache_dir

from .errors import ImageError

BUILDER = 4
"""Counted up when the content of the Linux images changes, so that older ones are built again."""

PREFIX = "images:"
"""Marks a file name in a configuration as the name of an image of this store."""

LINUX_FILES = {
    "Image": "Linux kernel for RV64",
    "initramfs.cpio": "starts the system on the disk of root=; without one, a busybox shell",
    "initramfs-min.cpio": "smallest root file system: busybox shell and the block driver, for benchmarks",
    "mvm.ext4": "system of the managing VM (login root/root), ext4, 16 GiB, sparse",
    "gvm.ext4": "system of a guest VM (login root/vm1), ext4, 3.9 GiB, sparse",
    "shyper_riscv64.ko": "kernel module with /dev/shyper, for the managing VM",
}
_MAY_BE_MISSING = frozenset({"shyper_riscv64.ko"})
EMBEDDED_FILES = {
    "supervisor": "embedded system for the managing VM, with a shell",
    "guest": "embedded system for a guest VM, with a shell",
}
_ALIASES = {
    "linux": "linux/Image",
    "initramfs": "linux/initramfs.cpio",
    "initramfs-min": "linux/initramfs-min.cpio",
    "supervisor": "embedded/supervisor",
    "guest": "embedded/guest",
}
_EMBEDDED = Path(__file__).parent / "embedded"
_BLOCK = 1 << 16
_FETCH = "Run `shyper-tui images fetch` first."


@dataclass(frozen=True)
class FileFacts:
    """Size in bytes and SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """`manifest.json`: what the Linux images were made from, and what they must look like."""

    builder: int
    suite: str
    release: str
    packages: dict[str, FileFacts]
    files: dict[str, FileFacts]
    notes: dict[str, str] = field(default_factory=dict)
    """Files that could not be made, and why."""
    recipe: str = ""
    """`recipe()` when they were made."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


@dataclass(frozen=True)
class LinuxImages:
    """The Linux images that are there; paths exist."""

    release: str
    """Kernel release, for example `6.12.1-riscv64`."""
    kernel: Path
    initramfs: Path
    initramfs_min: Path
    mvm_disk: Path
    gvm_disk: Path
    driver: Path | None = None


@dataclass(frozen=True)
class ImageInfo:
    """One row of the catalog. `size` is in bytes, 0 when the image is not there; `path` is where it is or would be."""

    name: str
    path: Path
    size: int
    available: bool
    description: str


def cache_folder() -> Path:
    """The user's cache folder of this application."""
    return Path(user_cache_dir("shyper-tui"))


def linux_folder() -> Path:
    return cache_folder() / "images" / "linux"


def catalog() -> list[ImageInfo]:
    """Every image with a name, there or not."""
    rows = [(f"linux/{file}", linux_folder() / file, text) for file, text in LINUX_FILES.items()]
    rows += [(f"embedded/{name}", _EMBEDDED / f"{name}.elf", text) for name, text in EMBEDDED_FILES.items()]
    return [
        ImageInfo(name, path, path.stat().st_size if path.is_file() else 0, path.is_file(), text)
        for name, path, text in rows
    ]


def path(name: str) -> Path:
    """Path of an image by its name (`linux/Image`) or short name (`linux`). Raises ImageError when it is not there."""
    name = name.removeprefix(PREFIX)
    name = _ALIASES.get(name, name)
    for info in catalog():
        if info.name == name:
            if info.available:
                return info.path
            remedy = _FETCH if name.startswith("linux/") else "Build it with `make guests`, or reinstall shyper-tui."
            raise ImageError(f"The image {name} is not there.", remedy)
    raise ImageError(f"There is no image named {name!r}.", f"The names are: {', '.join(i.name for i in catalog())}.")


def resolve(file_name: str, folder: Path) -> Path:
    """Path for a file name of a configuration that lies in `folder`.

    `images:NAME` is an image of this store; other names may be absolute, start with `~/`, or are relative to `folder`.

    Raises ImageError for an image that is not there; other files are not looked at.
    """
    if file_name.startswith(PREFIX):
        return path(file_name)
    if file_name.startswith("~/"):
        return Path(file_name).expanduser()
    return folder / file_name


def linux_images() -> LinuxImages | None:
    """The built Linux images when all are there with the sizes of the manifest, else None."""
    manifest = read_manifest(linux_folder())
    if manifest is None or damaged():
        return None
    return images_in(linux_folder(), manifest.release)


def damaged() -> list[str]:
    """Files of the built Linux images that are missing, have another size than in the manifest, or that anybody else
    may write. Empty when nothing was ever built. `verify` looks at their content, too."""
    if not linux_folder().is_dir():
        return []
    manifest = read_manifest(linux_folder())
    if manifest is None:
        return ["manifest.json"]
    sizes = {name: facts.size for name, facts in manifest.files.items()}
    if not _private(linux_folder()):
        return list(LINUX_FILES)
    files = {name: linux_folder() / name for name in LINUX_FILES}
    wanted = {name: files[name] for name in files if name in sizes or name not in _MAY_BE_MISSING}
    return [name for name, file in wanted.items() if _size(file) != sizes.get(name) or not _private(file)]


def notes() -> dict[str, str]:
    """Files of the Linux images that could not be made, and why."""
    manifest = read_manifest(linux_folder())
    return manifest.notes if manifest is not None else {}


def outdated() -> bool:
    """The built Linux images are those of another version. They can be used."""
    manifest = read_manifest(linux_folder())
    return manifest is not None and (manifest.builder < BUILDER or manifest.recipe != recipe())


@cache
def recipe() -> str:
    """SHA-256 of what this version puts into the images itself: scripts, the kernel module's sources, the
    command, the guide's files."""
    package = Path(__file__).parent
    module = package / "driver" if (package / "driver").is_dir() else package.parents[1] / "guests/linux/shyper"
    scripts = package / "rootfs"
    files = {f"module/{file.name}": file for file in module.glob("*.[ch]")}
    files |= {file.relative_to(scripts).as_posix(): file for file in scripts.rglob("*")}
    files["shyper"] = package / "embedded" / "shyper"
    files["guide"] = package / "guide_files.py"
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        if file.is_file():
            digest.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _private(path: Path) -> bool:
    """Nobody but this user and root can have written it: the managing VM's system is what guests obey."""
    facts = path.stat()
    return facts.st_uid in (0, os.geteuid()) and not facts.st_mode & stat.S_IWOTH


def _size(file: Path) -> int:
    """Size of a regular file; -1 when there is none."""
    return file.stat().st_size if file.is_file() else -1


def images_in(folder: Path, release: str) -> LinuxImages:
    """The paths of images that are all there, but perhaps the driver."""
    driver = folder / "shyper_riscv64.ko"
    return LinuxImages(
        release,
        kernel=folder / "Image",
        initramfs=folder / "initramfs.cpio",
        initramfs_min=folder / "initramfs-min.cpio",
        mvm_disk=folder / "mvm.ext4",
        gvm_disk=folder / "gvm.ext4",
        driver=driver if driver.is_file() else None,
    )


def verify() -> list[str]:
    """Names of Linux images whose content is not what the manifest says (reads all of them)."""
    manifest = read_manifest(linux_folder())
    if manifest is None:
        return list(LINUX_FILES)
    wanted = [name for name in LINUX_FILES if name in manifest.files or name not in _MAY_BE_MISSING]
    files = {name: linux_folder() / name for name in wanted}
    return [name for name, file in files.items() if not file.is_file() or facts_of(file) != manifest.files.get(name)]


def facts_of(file: Path) -> FileFacts:
    """Size and SHA-256; of a disk image, which is nearly all holes, the SHA-256 of what is not zero and where."""
    with file.open("rb") as stream:
        if file.suffix == ".ext4":
            return FileFacts(file.stat().st_size, _sparse_digest(stream))
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileFacts(file.stat().st_size, digest)


def _sparse_digest(stream: BinaryIO) -> str:
    """Does not depend on where the file has holes: blocks of zeros count as such."""
    digest, zeros, done = hashlib.sha256(), bytes(_BLOCK), 0
    for start, length in extents(stream):
        first = max(done, start - start % _BLOCK)
        stream.seek(first)
        for offset in range(first, start + length, _BLOCK):
            block = stream.read(_BLOCK)
            done = offset + _BLOCK
            if block != zeros[: len(block)]:
                digest.update(offset.to_bytes(8, "little") + block)
    return digest.hexdigest()


def extents(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Offset and length of what a file has besides holes."""
    end, size = 0, os.fstat(stream.fileno()).st_size
    while end < size:
        try:
            start = os.lseek(stream.fileno(), end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        end = os.lseek(stream.fileno(), start, os.SEEK_HOLE)
        yield start, end - start


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None when it is missing or unreadable."""
    try:
        raw = json.loads((folder / "manifest.json").read_text())
        packages, files = ({k: FileFacts(**v) for k, v in raw[key].items()} for key in ("packages", "files"))
        notes = {str(name): str(text) for name, text in raw.get("notes", {}).items()}
        recipe = str(raw.get("recipe", ""))
        return Manifest(int(raw["builder"]), str(raw["suite"]), str(raw["release"]), packages, files, notes, recipe)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
