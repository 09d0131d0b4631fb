"""libslirp for hosts that have none: fetched with the host's own apt, unpacked into the cache, installed nowhere.

It comes from the host's own release, so that it runs with its C library.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from . import store
from .apt import AptError, PrivateApt, Progress
from .apt_sources import Archive, host_archive, read_host_sources
from .errors import ImageError

_PACKAGE, _SONAME = "libslirp0", "libslirp.so.0"
_LIBRARIES = ("libpcre2-8.so.0", "libglib-2.0.so.0", _SONAME)
"""What is kept, each before those that need it. The rest of what they need is in every system."""
_KEPT_PACKAGES = re.compile(r"libslirp0|libglib2\.0-0(t64)?|libpcre2-8-0")
_REMEDY = f"Install {_PACKAGE} yourself; without it the outer network is only a gateway that answers ping."


def libslirp_folder() -> Path:
    """Where it is kept."""
    return store.cache_folder() / "libslirp"


def fetched_libslirp() -> list[Path]:
    """The library fetched earlier, last in the list, and before it those that it needs; empty when there is none, or
    somebody else may have written it: it becomes a part of this process."""
    files = [libslirp_folder() / name for name in _LIBRARIES]
    return files if all(file.is_file() and _private(file) for file in files) else []


def _private(file: Path) -> bool:
    """Nobody but this user and root may write the file or its folder."""
    facts = [place.stat() for place in (file, file.parent)]
    return all(one.st_uid in (0, os.geteuid()) and not one.st_mode & (stat.S_IWOTH | stat.S_IWGRP) for one in facts)


def has_libslirp() -> bool:
    """The system's own, or one that was fetched."""
    try:
        ctypes.CDLL(_SONAME)
    except OSError:
        return bool(fetched_libslirp())
    return True


def fetch_libslirp(progress: Progress, archive: Archive | None = None) -> list[Path]:
    """Downloads it; `archive`: from there instead of where the host's release comes from. Raises ImageError."""
    if shutil.which("dpkg") is None:
        raise ImageError("This system has no dpkg, which unpacks Debian's packages.", _REMEDY)
    architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout
    archive = archive or host_archive(read_host_sources())
    folder = libslirp_folder()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as name:
            apt = PrivateApt(
                Path(name) / "apt", archive.mirror, archive.suite, archive.components, architecture.strip()
            )
            unpacked, new = Path(name) / "unpacked", Path(name) / "libslirp"
            new.mkdir()
            try:
                _download(apt, unpacked, progress)
            except AptError as error:
                where = archive.mirror.uri
                raise ImageError(f"libslirp cannot be downloaded from {where}: {error}.", _REMEDY) from error
            for library in _LIBRARIES:
                found = next(unpacked.glob(f"**/{library}"), None)
                if found is None:
                    raise ImageError(f"The packages of libslirp do not contain {library}.", _REMEDY)
                shutil.copyfile(found, new / library)
                (new / library).chmod(0o644)
            new.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)
            new.rename(folder)
    except OSError as error:
        raise ImageError(f"libslirp cannot be written to {folder}: {error.strerror or error}.", _REMEDY) from None
    return fetched_libslirp()


def _download(apt: PrivateApt, unpacked: Path, progress: Progress) -> None:
    apt.update(progress)
    names, waiting = {_PACKAGE}, [_PACKAGE]
    while waiting:
        more = {name for name in apt.dependencies(waiting.pop()) if _KEPT_PACKAGES.fullmatch(name)} - names
        names |= more
        waiting += more
    packages = apt.locate(sorted(names))
    before, total = 0, sum(package.size for package in packages)
    for package in packages:
        target, start, text = apt.folder / package.file_name, before, f"downloading {package.name}"
        apt.download(package, target, lambda done, start=start, text=text: progress(text, start + done, total))  # type: ignore[misc]
        before += package.size
        done = subprocess.run(["dpkg-deb", "-x", target, unpacked], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ImageError(f"{target.name} cannot be unpacked: {done.stderr.strip()}.", _REMEDY)
