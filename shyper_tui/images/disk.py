"""ext4 disk images, made without root and without mounting: mke2fs makes the file system, debugfs puts the files in.
The same tree gives the same bytes every time."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .errors import ImageError
from .file_tree import Entry, FileTree

BLOCK = 4096
_UUIDS = {"mvm": "5b1c0de0-0000-4000-8000-000000000000", "gvm": "5b1c0de0-0000-4000-8000-000000000001"}
_SBIN = ("/usr/sbin", "/sbin", "/usr/local/sbin")
_EXT4_MAGIC_OFFSET = 1024 + 0x38
_UNSAFE = re.compile(r'["\n]')
"""What no quoting makes a word of debugfs."""


def make_ext4(target: Path, label: str, tree: FileTree, size: int, inodes: int) -> None:
    """Write an ext4 image of `size` bytes, a sparse file, with the files of a tree and room for `inodes` files.

    The inode tables and the journal count as initialised although they are holes: a kernel would otherwise fill them
    with zeros after the first mount. Raises ImageError.
    """
    mke2fs, debugfs = program("mke2fs"), program("debugfs")
    if mke2fs is None or debugfs is None:
        raise ImageError("mke2fs, which makes the guests' disks, is not installed.", "Install the package e2fsprogs.")
    uuid = _UUIDS.get(label, _UUIDS["gvm"])
    target.unlink(missing_ok=True)
    command = [
        mke2fs, "-q", "-F", "-t", "ext4", "-b", str(BLOCK), "-L", label, "-U", uuid, "-N", str(inodes), "-m", "1",
        "-J", f"size={16 if size >= 1 << 30 else 4}", "-O", "^orphan_file,^metadata_csum_seed",
        "-E", f"root_owner=0:0,hash_seed={uuid},lazy_itable_init=0,lazy_journal_init=1", str(target), f"{size >> 10}k",
    ]  # fmt: skip
    if _without_orphan_file(mke2fs):
        command[command.index("-O") : command.index("-E")] = []
    _run(command, "", target)
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "script"
        script.write_text("\n".join(_commands(tree, Path(name))) + "\n", errors="surrogateescape")
        _run([debugfs, "-w", "-f", str(script), str(target)], "debugfs ", target)
    if not is_ext(target):
        raise ImageError(f"mke2fs could not make {target.name}.", "Check the free space of the disk.")


def _without_orphan_file(mke2fs: str) -> bool:
    """Versions before 1.47 do not know these features, not even to leave them out."""
    done = subprocess.run([mke2fs, "-V"], capture_output=True, text=True, check=False)
    version = re.search(r"mke2fs (\d+)\.(\d+)", done.stderr)
    return version is None or (int(version[1]), int(version[2])) < (1, 47)


def _run(command: list[str], banner: str, target: Path) -> None:
    # Both names of the time: older versions know only the second one.
    environment = {**os.environ, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "1", "E2FSPROGS_FAKE_TIME": "1"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    # debugfs goes on after an error and exits with 0
    complaints = [line for line in done.stderr.splitlines() if line and not (banner and line.startswith(banner))]
    if done.returncode != 0 or (banner and complaints):
        reason = complaints[0] if complaints else f"{Path(command[0]).name} exited with {done.returncode}"
        raise ImageError(f"{target.name} could not be made: {reason}.", "Check the free space of the disk.")


def _commands(tree: FileTree, folder: Path) -> Iterator[str]:
    """The script for debugfs. `folder` is for contents that are not files of the host yet."""
    current = ""
    for count, (path, entry) in enumerate(tree):
        parent, _, name = path.rpartition("/")
        if _UNSAFE.search(path + entry.target):
            raise ImageError(f"debugfs cannot write a file named {path!r}.", "Rename it.")
        if parent != current:
            yield f'cd "/{parent}"'
            current = parent
        yield from _creation(name, entry, folder / str(count))
        if not stat.S_ISLNK(entry.mode):
            yield f'set_inode_field "{name}" mode 0{entry.mode:o}'
        for field, number in zip(("uid", "gid"), entry.owner, strict=True):
            if number:
                yield f'set_inode_field "{name}" {field} {number}'


def _creation(name: str, entry: Entry, scratch: Path) -> Iterator[str]:
    if stat.S_ISDIR(entry.mode):
        yield f'mkdir "{name}"'
    elif stat.S_ISLNK(entry.mode):
        yield f'symlink "{name}" "{entry.target}"'
    else:
        source = entry.content
        if isinstance(source, bytes):
            scratch.write_bytes(source)
            source = scratch
        yield f'write "{source}" "{name}"'


def program(name: str) -> str | None:
    """Path of a program of e2fsprogs, which ordinary users may not have in PATH."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_SBIN]))


def is_ext(file: Path) -> bool:
    """Whether a file carries the ext2/3/4 superblock magic."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        stream.seek(_EXT4_MAGIC_OFFSET)
        return stream.read(2) == b"\x53\xef"
