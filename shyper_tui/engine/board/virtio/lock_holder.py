"""Who holds the lock of a file: for the sentence that refuses an image that somebody uses already."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def lock_holder(descriptor: int) -> str:
    """The process that has a flock on an open file, such as `process 123 (python3 -m shyper_tui.engine)`, or else one
    that has it open; "" when the host does not tell. Source: proc_locks(5), proc_pid_fd(5)."""
    status = os.fstat(descriptor)
    number = _locker(status) or _opener(status, descriptor)
    return _described(number) if number else ""


def _locker(file: os.stat_result) -> str:
    wanted = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    try:
        lines = (_PROC / "locks").read_text().splitlines()
    except OSError:
        return ""
    rows = [line.split() for line in lines]
    return next((row[4] for row in rows if len(row) > 5 and row[1] == "FLOCK" and row[5] == wanted), "")


def _opener(file: os.stat_result, mine: int) -> str:
    """A process of this user that has the file open, other than by the descriptor `mine`."""
    own = _PROC / str(os.getpid()) / "fd" / str(mine)
    for process in sorted(_PROC.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            for link in (process / "fd").iterdir():
                if link != own and _same(link, file):
                    return process.name
        except OSError:  # it has ended, or is another user's
            continue
    return ""


def _same(link: Path, file: os.stat_result) -> bool:
    try:
        found = link.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino)


def _described(number: str) -> str:
    try:
        arguments = (_PROC / number / "cmdline").read_bytes().rstrip(b"\0")
    except OSError:
        arguments = b""
    command = arguments.replace(b"\0", b" ").decode("utf-8", "replace")
    shown = "".join(character if character.isprintable() else "?" for character in command)
    return f"process {number} ({shown[:80]})" if shown else f"process {number}"
