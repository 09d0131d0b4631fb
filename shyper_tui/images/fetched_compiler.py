"""The parts of Debian's and Ubuntu's riscv64 cross compiler that building needs, fetched with the host's own apt.

They come from the host's own release, so that they run with its C library: gcc's compiler proper (`cc1`), the GNU
assembler and linker, and their shared libraries; together about a tenth of what the packages would take installed with
all they depend on. Nothing is installed: the packages are unpacked into the user's cache.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import store
from .apt import AptError, PrivateApt, Progress
from .apt_sources import Archive, host_archive, read_host_sources
from .errors import ImageError

_COMPILER = "gcc-riscv64-linux-gnu"
_BINUTILS = "binutils-riscv64-linux-gnu"
_COMPILER_PROPER = re.compile(r"cpp(-[\d.]+)?-riscv64-linux-gnu")
_LIBRARY = re.compile(r"lib.*|zlib1g")
_PROGRAMS = {
    "cc1": "usr/lib*/**/cc1",
    "as": "usr/bin/riscv64-linux-gnu-as",
    "ld": "usr/bin/riscv64-linux-gnu-ld.bfd",
}
"""Name here → where a package has it."""
_OF_THE_HOST = {"libc6", "libgcc-s1"}
"""The C library must be the host's; the loader is part of it."""


@dataclass(frozen=True)
class FetchedCompiler:
    """Paths of the programs, and the folder with their shared libraries."""

    cc1: Path
    assembler: Path
    linker: Path
    libraries: Path

    @classmethod
    def below(cls, folder: Path) -> FetchedCompiler:
        return cls(folder / "cc1", folder / "as", folder / "ld", folder / "lib")

    @property
    def complete(self) -> bool:
        """Everything is there, and of this user or root: it is going to be executed."""
        programs = (self.cc1, self.assembler, self.linker)
        if not all(path.is_file() for path in programs) or not self.libraries.is_dir():
            return False
        return all(_private(path) for path in (*programs, self.libraries, *self.libraries.iterdir()))


def _private(path: Path) -> bool:
    facts = path.stat()
    return facts.st_uid in (0, os.geteuid()) and not facts.st_mode & (stat.S_IWOTH | stat.S_IWGRP)


def fetched_compiler(progress: Progress, archive: Archive | None = None) -> FetchedCompiler:
    """The compiler in the cache, downloaded when it is not there; `archive`: from there instead of where the host's
    release comes from. Raises ImageError."""
    architecture = _host_architecture()
    archive = archive or host_archive(read_host_sources())
    folder = store.cache_folder() / "compiler" / f"{archive.suite.replace('/', '-')}-{architecture}"
    found = FetchedCompiler.below(folder)
    if found.complete:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as name:
        new = Path(name)
        apt = PrivateApt(new / "apt", archive.mirror, archive.suite, archive.components, architecture)
        try:
            packages = _download(apt, progress)
        except AptError as error:
            why = "cannot be reached" if error.offline else f"does not give it: {error}"
            raise ImageError(
                f"The cross compiler's archive {archive.mirror.uri} {why}.",
                "Check the network, or install a compiler for riscv64.",
            ) from error
        unpacked = new / "unpacked"
        for package in packages:
            _unpack(package, unpacked)
        _collect(unpacked, new / "compiler")
        shutil.rmtree(folder, ignore_errors=True)
        for path in (new / "compiler", *(new / "compiler").rglob("*")):
            if not path.is_symlink():
                path.chmod(0o700 if path.is_dir() or os.access(path, os.X_OK) else 0o600)
        (new / "compiler").rename(folder)
    return found


def _host_architecture() -> str:
    if shutil.which("dpkg") is None:
        raise ImageError("dpkg is not installed.", "Install a compiler for riscv64.")
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()


def _download(apt: PrivateApt, progress: Progress) -> list[Path]:
    apt.update(progress)
    packages = apt.locate(sorted(_needed(apt)))
    total = sum(package.size for package in packages)
    before = 0
    files: list[Path] = []
    for package in packages:
        target = apt.folder / package.file_name
        start, text = before, f"downloading {package.name}"
        apt.download(package, target, lambda done, start=start, text=text: progress(text, start + done, total))  # type: ignore[misc]
        before += package.size
        files.append(target)
    return files


def _needed(apt: PrivateApt) -> set[str]:
    """The compiler's current version by what its meta package depends on, the binutils, and their libraries."""
    found = {_BINUTILS}
    waiting = [_COMPILER, _BINUTILS]
    while waiting:
        for name in apt.dependencies(waiting.pop()):
            if name in found or name in _OF_THE_HOST:
                continue
            if _COMPILER_PROPER.fullmatch(name) or (_LIBRARY.fullmatch(name) and "-cross" not in name):
                found.add(name)
                waiting.append(name)
    return found


def _unpack(package: Path, folder: Path) -> None:
    done = subprocess.run(["dpkg-deb", "-x", package, folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"{package.name} cannot be unpacked: {done.stderr.strip()}.", "Fetch it again.")


def _collect(unpacked: Path, target: Path) -> None:
    """Keep the programs and the shared libraries that they need; what no package has is the host's own."""
    libraries = target / "lib"
    libraries.mkdir(parents=True)
    for name, pattern in _PROGRAMS.items():
        for path in unpacked.glob(pattern):
            shutil.copy2(path, target / name)
    if not FetchedCompiler.below(target).complete:
        raise ImageError("The packages of the cross compiler lack one of its programs.", "Install one yourself.")
    there = {path.name: path for path in unpacked.rglob("*.so*") if path.is_file()}
    waiting = [target / name for name in _PROGRAMS]
    while waiting:
        for name in _libraries_of(waiting.pop()):
            if name in there and not (libraries / name).exists():
                shutil.copy2(there[name], libraries / name)
                waiting.append(libraries / name)


def _libraries_of(file: Path) -> list[str]:
    """Names of the shared libraries that an ELF file asks for."""
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile

    with file.open("rb") as stream:
        dynamic = ELFFile(stream).get_section_by_name(".dynamic")
        if not isinstance(dynamic, DynamicSection):
            return []
        return [str(getattr(tag, "needed")) for tag in dynamic.iter_tags("DT_NEEDED")]  # noqa: B009, set by the library
