"""ext4 disk images, made without root and without mounting (mke2fs -d), the same bytes every time."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .errors import ImageError

_UUIDS = {"mvm": "5b1c0de0-0000-4000-8000-000000000000", "gvm": "5b1c0de0-0000-4000-8000-000000000001"}
_SBIN = ("/usr/sbin", "/sbin", "/usr/local/sbin")
_EXT4_MAGIC_OFFSET = 1024 + 0x38


def make_ext4(target: Path, label: str, files: dict[str, str], mebibytes: int = 64) -> None:
    """Write an ext4 image of `mebibytes` MiB (sparse) with the given text files; all of them owned by root."""
    program = _program("mke2fs")
    if program is None:
        raise ImageError("mke2fs, which makes the guests' disks, is not installed.", "Install the package e2fsprogs.")
    uuid = _UUIDS.get(label, _UUIDS["gvm"])
    with tempfile.TemporaryDirectory() as name:
        content = Path(name)
        for path, text in files.items():
            (content / path).write_text(text)
            os.utime(content / path, (0, 0))
            (content / path).chmod(0o644)
        os.utime(content, (0, 0))
        target.unlink(missing_ok=True)
        command = [
            program, "-q", "-F", "-t", "ext4", "-L", label, "-U", uuid,
            "-E", f"root_owner=0:0,hash_seed={uuid}", "-d", name, str(target), f"{mebibytes}M",
        ]  # fmt: skip
        # Both names: older versions know only the second one.
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1", "E2FSPROGS_FAKE_TIME": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    _reset_times(target, ["/", "/lost+found", *(f"/{path}" for path in files)])
    if done.returncode != 0 or not is_ext(target):
        reason = done.stderr.strip().splitlines()[-1:] or ["no ext4 image came out"]
        raise ImageError(f"mke2fs could not make {target.name}: {reason[0]}.", "Check the free space of the disk.")


def _reset_times(image: Path, paths: list[str]) -> None:
    """Give all files one time, which mke2fs copies from the host (1.47.1 and later need no help)."""
    program = _program("debugfs")
    if program is None:
        return
    times = ("atime", "ctime", "mtime", "crtime")
    commands = [f"set_inode_field {path} {time} @1" for path in paths for time in times]
    commands += [f"set_inode_field {path} {time}_extra 0" for path in paths for time in times]
    environment = {**os.environ, "E2FSPROGS_FAKE_TIME": "1"}
    command = [program, "-w", "-f", "-", str(image)]
    subprocess.run(
        command, input="\n".join(commands) + "\n", text=True, capture_output=True, env=environment, check=False
    )


def _program(name: str) -> str | None:
    """Path of a program of e2fsprogs, which ordinary users may not have in PATH."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_SBIN]))


def is_ext(file: Path) -> bool:
    """Whether a file carries the ext2/3/4 superblock magic."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        stream.seek(_EXT4_MAGIC_OFFSET)
        return stream.read(2) == b"\x53\xef"
