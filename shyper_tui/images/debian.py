"""`shyper-tui images fetch`: Debian's riscv64 kernel and userland, verified, and the images made of them."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from . import store
from .apt import AptError, Package, PrivateApt, Progress
from .apt_sources import Mirror, find_keyring, find_mirror, read_host_sources
from .builder import build
from .errors import ImageError
from .kernel_headers import header_packages
from .store import LinuxImages
from .userland import MVM_PACKAGES, PROVIDED

SUITES = ("stable", "sid")
"""Tried in this order. The alias names, because mirrors keep them consistent."""

_META_PACKAGE = "linux-image-riscv64"
_ATTEMPTS = 2


def fetch(
    progress: Progress,
    suites: Sequence[str] = SUITES,
    mirror: str | None = None,
    refresh: bool = False,
) -> LinuxImages:
    """Download what is missing and build the Linux images; returns at once when they are there and up to date. Those of
    an older version, or with something left out, are made again from the packages that were downloaded for them.

    `mirror` replaces the Debian archive found in the host's apt sources; `refresh` asks the archive again even when
    images are there. Raises ImageError with what was tried.
    """
    images = store.linux_images()
    manifest = store.read_manifest(store.linux_folder())
    if images is not None and manifest is not None and not refresh:
        if not store.outdated() and not manifest.notes:
            return images
        with suppress(ImageError):  # the packages are not there any more
            return rebuild(progress)
    for suite in suites:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", suite):  # it names a folder, too
            raise ImageError(f"{suite!r} is no name of a Debian suite.", "Give one such as stable, trixie or sid.")
    source = archive(mirror)
    with _lock():
        tried: list[str] = []
        for suite in suites:
            try:
                files = _download(PrivateApt(store.cache_folder() / "debian" / suite, source, suite), progress)
            except AptError as error:
                if error.offline:  # the other suites are on the same mirror
                    raise ImageError(
                        f"The Debian mirror {source.uri} cannot be reached: {error}.",
                        "Check the network and proxy settings and fetch again; finished downloads are kept.",
                    ) from error
                tried.append(f"{suite}: {error}")
                continue
            return build(files, suite, progress)
    raise ImageError(
        f"No suite of {source.uri} gave a kernel ({'; '.join(tried)}).",
        "Run it again later, or name another mirror with --mirror URL.",
    )


def archive(mirror: str | None) -> Mirror:
    """The Debian archive of that address, or the one in the host's apt sources. Raises ImageError."""
    return _named_mirror(mirror) if mirror is not None else find_mirror(read_host_sources())


def _named_mirror(uri: str) -> Mirror:
    if not re.fullmatch(r"(https?|file|ftp|mirror[^:\s]*):\S+", uri):
        message = f"{uri!r} is no address of a mirror."
        raise ImageError(message, "Give one such as https://mirror.example.org/debian.")
    return Mirror(uri, find_keyring())


def rebuild(progress: Progress) -> LinuxImages:
    """Make the images again from packages that were downloaded before, without network."""
    manifest = store.read_manifest(store.linux_folder())
    for suite in [manifest.suite] if manifest else SUITES:
        folder = store.cache_folder() / "debian" / suite / "packages"
        names = list(manifest.packages) if manifest else [file.name for file in sorted(folder.glob("*.deb"))]
        files = [folder / name for name in names]
        if files and all(file.is_file() for file in files):
            with _lock():
                return build(files, suite, progress)
    raise ImageError("There are no downloaded packages.", "Run `shyper-tui images fetch` first.")


def _download(apt: PrivateApt, progress: Progress) -> list[Path]:
    """The packages' files, downloaded or from before. Raises AptError."""
    last = AptError("nothing was tried")
    for _ in range(_ATTEMPTS):
        try:
            apt.update(progress)
            userland = apt.closure(MVM_PACKAGES, PROVIDED)
            kernel = _kernel_packages(apt)
            packages = apt.locate([*kernel, "busybox-static", *userland])
            return _load_all(apt, [*packages, *_headers(apt, kernel)], progress)
        except AptError as error:
            last = error
            if error.offline:
                break
    raise last


def _kernel_packages(apt: PrivateApt) -> list[str]:
    """The packages of the newest kernel: one with all in it, or since 7.x one for the image and one for the modules."""
    found: list[str] = []
    waiting = [_META_PACKAGE]
    while waiting:
        for name in apt.dependencies(waiting.pop(0)):
            if name.startswith("linux-") and name.endswith("-riscv64") and name not in found:
                found.append(name)
                waiting.append(name)
    if not found:
        raise AptError(f"{_META_PACKAGE} names no kernel")
    return found


def _headers(apt: PrivateApt, kernel: Sequence[str]) -> list[Package]:
    """The packages of the kernel's headers, for its module; none when the suite has not got them."""
    for name in kernel:
        release = name.removeprefix("linux-image-")
        if release != name:
            with suppress(AptError):
                return apt.locate(header_packages(apt, release))
    return []


def _load_all(apt: PrivateApt, packages: list[Package], progress: Progress) -> list[Path]:
    folder = apt.folder / "packages"
    folder.mkdir(exist_ok=True)
    total = sum(package.size for package in packages)
    before = 0
    files: list[Path] = []
    for package in packages:
        target = folder / package.file_name
        if not target.is_file():
            partial = target.with_suffix(".partial")
            start, text = before, f"downloading {package.name}"
            apt.download(package, partial, lambda done, start=start, text=text: progress(text, start + done, total))  # type: ignore[misc]
            partial.rename(target)
        if store.facts_of(target).sha256 != package.sha256:
            target.unlink()
            raise AptError(f"{package.file_name} was damaged on this disk and is removed")
        before += package.size
        progress(f"downloaded {package.name}", before, total)
        files.append(target)
    for old in set(folder.glob("*.deb")) - set(files):
        old.unlink()
    return files


@contextmanager
def _lock() -> Iterator[None]:
    """One fetch at a time; a second one waits for the first. A full or forbidden disk becomes an ImageError."""
    try:
        store.cache_folder().mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(store.cache_folder() / "fetch.lock", flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
    except OSError as error:
        raise ImageError(
            f"The images cannot be written to {store.cache_folder()}: {error.strerror or error}.",
            "Check the free space and the permissions of that folder.",
        ) from error
