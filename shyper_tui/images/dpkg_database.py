"""Debian packages put into a tree as `dpkg --unpack` leaves them: files with their owners, and dpkg's database, so that
`dpkg --configure -a` has everything that it needs. Nothing of the packages is executed.

Formats: deb(5), deb-control(5), deb-triggers(5); dpkg's `doc/triggers.txt`, "Internals and data structures".
"""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import subprocess
import tarfile
from collections import defaultdict
from pathlib import Path

from .errors import ImageError
from .file_tree import Entry, FileTree

_INFO = "var/lib/dpkg/info"
_TYPES = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.REGTYPE: stat.S_IFREG, tarfile.SYMTYPE: stat.S_IFLNK}


class DpkgDatabase:
    """Unpacks packages to `folder`, on the host, and collects what dpkg has to know of them."""

    def __init__(self, tree: FileTree, folder: Path) -> None:
        self._tree, self._folder = tree, folder
        self._status: list[str] = []
        self._triggers: dict[str, list[str]] = defaultdict(list)
        self._file_triggers: list[str] = []
        self._files = 0

    def add(self, package: Path) -> str:
        """Unpack one package; its name. Raises ImageError."""
        control = self._folder / "control"
        shutil.rmtree(control, ignore_errors=True)
        done = subprocess.run(["dpkg-deb", "-e", package, control], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ImageError(f"{package.name} cannot be unpacked: {done.stderr.strip()}.", "Run it again.")
        fields = (control / "control").read_text(encoding="utf-8", errors="replace").rstrip("\n")
        name, architecture = _field(fields, "Package"), _field(fields, "Architecture")
        qualified = f"{name}:{architecture}" if _field(fields, "Multi-Arch") == "same" else name
        paths, hashes = self._unpack(package)
        self._tree.file(f"{_INFO}/{qualified}.list", "/.\n" + "".join(f"/{path}\n" for path in paths))
        for file in sorted(control.iterdir()):
            if file.name != "control" and file.is_file():
                executable = 0o755 if file.stat().st_mode & 0o100 else 0o644
                self._tree.file(f"{_INFO}/{qualified}.{file.name}", file.read_bytes(), executable)
        self._status.append(_status(fields, _lines(control / "conffiles"), hashes))
        self._interests(qualified, _lines(control / "triggers"))
        return name

    def finish(self) -> None:
        """Write the database."""
        self._tree.file("var/lib/dpkg/status", "\n\n".join(self._status) + "\n")
        self._tree.file("var/lib/dpkg/available", b"")
        self._tree.file(f"{_INFO}/format", "1\n")
        self._tree.folder("var/lib/dpkg/updates")
        for name, packages in self._triggers.items():
            self._tree.file(f"var/lib/dpkg/triggers/{name}", "".join(f"{package}\n" for package in packages))
        self._tree.file("var/lib/dpkg/triggers/File", "".join(self._file_triggers))
        self._tree.file("var/lib/dpkg/triggers/Unincorp", b"")

    def _unpack(self, package: Path) -> tuple[list[str], dict[str, str]]:
        """Paths of a package, and the MD5 of its files in /etc."""
        paths: list[str] = []
        hashes: dict[str, str] = {}
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as unpacker:
            assert unpacker.stdout is not None
            try:
                with tarfile.open(fileobj=unpacker.stdout, mode="r|") as archive:
                    for member in archive:
                        path = member.name.removeprefix("./").rstrip("/")
                        if path in ("", "."):
                            continue
                        paths.append(path)
                        content = self._add(path, member, archive)
                        if path.startswith("etc/") and isinstance(content, Path):
                            hashes[f"/{path}"] = hashlib.md5(content.read_bytes(), usedforsecurity=False).hexdigest()
            except (tarfile.TarError, ValueError) as error:
                raise ImageError(f"{package.name} cannot be unpacked: {error}.", "Run it again.") from error
        return paths, hashes

    def _add(self, path: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> bytes | Path:
        owner = (member.uid, member.gid)
        if member.islnk():
            other = member.linkname.removeprefix("./")
            entry = self._tree.find(other)
            if entry is None:
                raise ValueError(f"{path} is a link to {other}, which is not there")
            self._tree.add(path, entry)
            return entry.content
        kind = _TYPES.get(member.type)
        if kind is None:
            raise ValueError(f"{path} is no file, folder or link")
        content: bytes | Path = b""
        if member.isreg():
            self._files += 1
            content = self._folder / f"{self._files}"
            source = archive.extractfile(member)
            assert source is not None
            with content.open("wb") as target:
                shutil.copyfileobj(source, target)
        target_name = member.linkname if member.issym() else ""
        self._tree.add(path, Entry(kind | (member.mode & 0o7777), content, target_name, owner))
        return content

    def _interests(self, package: str, lines: list[str]) -> None:
        for line in lines:
            directive, _, name = line.partition(" ")
            if not directive.startswith("interest"):
                continue
            late = "/noawait" if directive.endswith("-noawait") else ""
            if name.startswith("/"):
                self._file_triggers.append(f"{name} {package}{late}\n")
            else:
                self._triggers[name].append(f"{package}{late}")


def _lines(file: Path) -> list[str]:
    """What a control file lists, without comments."""
    if not file.is_file():
        return []
    lines = (line.split("#")[0].strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines())
    return [" ".join(line.split()) for line in lines if line]


def _field(fields: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)$", fields, re.MULTILINE)
    return found[1].strip() if found else ""


def _status(fields: str, conffiles: list[str], hashes: dict[str, str]) -> str:
    """A package's entry in dpkg's status file."""
    head, _, rest = fields.partition("\n")
    known = [path for path in conffiles if path in hashes]
    entry = f"{head}\nStatus: install ok unpacked\n{rest}"
    if known:
        entry += "\nConffiles:" + "".join(f"\n {path} {hashes[path]}" for path in known)
    return entry
