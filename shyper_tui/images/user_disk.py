"""The user's own copy of the managing VM's system: what is written to its disk stays.

    <user data>/system/     mvm.ext4, Image, initramfs.cpio, origin.json

Kernel and initramfs are copied with the disk: its kernel module fits no other kernel, and the user's disk is to boot
after newer images have been fetched.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shyper_tui.user_folders import user_data_dir

from . import store
from .errors import ImageError
from .sparse_copy import copy_sparse

_FILES = ("mvm.ext4", "Image", "initramfs.cpio")
_ORIGIN = "origin.json"
_RESET = "`shyper-tui images reset` gives you a new copy."


@dataclass(frozen=True)
class UserSystem:
    """Paths of the user's own files; they exist."""

    kernel: Path
    initramfs: Path
    disk: Path
    release: str
    """Kernel release that the disk was made for, for example `6.12.1-riscv64`."""
    outdated: bool
    """The copy was made from other images than those that are installed now. It can be used."""

    @property
    def note(self) -> str:
        """What the user should know; empty when there is nothing."""
        if not self.outdated:
            return ""
        return f"your disk of the managing VM (Linux {self.release}) is older than the installed images; {_RESET}"


def folder() -> Path:
    return Path(user_data_dir()) / "system"


def exists() -> bool:
    """The user has a copy already."""
    return folder().is_dir()


def user_system() -> UserSystem:
    """The user's own copy, made from the installed images when there is none yet.

    Raises ImageError when nothing is installed to copy from, or when the copy is damaged.
    """
    if not exists():
        with _lock():
            if not exists():  # another process may have been faster
                _install()
    return _existing()


def reset() -> UserSystem:
    """Replace the user's copy by a new one of the installed images; everything written to the disk is lost.

    Raises ImageError, and leaves the copy as it is, while an engine uses it or when no images are installed.
    """
    with _lock(), _unused(folder() / _FILES[0]):
        _install()
    return _existing()


def _existing() -> UserSystem:
    place = folder()
    missing = [name for name in _FILES if not (place / name).is_file()]
    if missing:
        raise ImageError(f"{place / missing[0]} is missing.", _RESET)
    facts = place.stat()
    if facts.st_uid not in (0, os.geteuid()) or facts.st_mode & 0o022:
        message = f"{place} can be written by others, so the managing VM's system may not be yours."
        raise ImageError(message, f"Check its files and `chmod 700` it; {_RESET}")
    try:
        origin = json.loads((place / _ORIGIN).read_text())
        release, made_of = str(origin["release"]), dict(origin["files"])
    except (OSError, ValueError, KeyError, TypeError):
        release, made_of = "unknown", {}
    manifest = store.read_manifest(store.linux_folder())
    outdated = manifest is not None and made_of != _identity(manifest)
    return UserSystem(place / "Image", place / "initramfs.cpio", place / "mvm.ext4", release, outdated)


def _identity(manifest: store.Manifest) -> dict[str, str]:
    return {name: facts.sha256 for name, facts in manifest.files.items() if name in _FILES}


def _install() -> None:
    """Copy the installed images beside the old copy, and put the new one in its place."""
    manifest = store.read_manifest(store.linux_folder())
    if store.linux_images() is None or manifest is None:
        raise ImageError("The Linux images are not there.", "Run `shyper-tui images fetch` first.")
    target = folder()
    with _writing(target.parent), tempfile.TemporaryDirectory(dir=target.parent, prefix="copy-") as name:
        new = Path(name) / "system"
        new.mkdir(mode=0o700)
        for file in _FILES:
            copy_sparse(store.linux_folder() / file, new / file)
        origin = {"release": manifest.release, "files": _identity(manifest)}
        (new / _ORIGIN).write_text(json.dumps(origin, indent=2) + "\n")
        if target.exists():
            target.rename(Path(name) / "old")
        new.rename(target)


@contextmanager
def _lock() -> Iterator[None]:
    """One process at a time makes or replaces the copy."""
    place = folder().parent
    with _writing(place):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(place / "system.lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _unused(disk: Path) -> Iterator[None]:
    """Nobody has the disk, and nobody gets it meanwhile: an engine locks the image that it writes (flock)."""
    try:
        descriptor = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ImageError(f"{disk} is in use by a running machine.", "End it first.") from None
    finally:
        os.close(descriptor)


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """A full or forbidden disk becomes an ImageError."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        free = f", {shutil.disk_usage(place).free >> 20} MiB are free" if place.is_dir() else ""
        raise ImageError(
            f"The managing VM's disk cannot be written to {place}: {error.strerror or error}{free}.",
            "Check the free space and the permissions of that folder.",
        ) from error
