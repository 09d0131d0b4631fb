"""Writing the user's files: the old content is there until the new one is, whole."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Writes a text file, or replaces one that is there; its permissions stay. A link is followed, and stays. OSError
    when it cannot be written, or is no regular file; the old content is kept then."""
    target = Path(os.path.realpath(path))
    before = target.stat() if os.path.lexists(target) else None
    if before is not None and not stat.S_ISREG(before.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    new = target.with_name(f".{target.name[:100]}.{os.getpid()}~")
    try:
        create_text(new, text)
    except PermissionError:
        if before is None or not os.access(target, os.W_OK):
            raise
        target.write_text(text, encoding="utf-8", newline="")  # the folder is closed, the file itself is not
        return
    try:
        if before is not None:
            new.chmod(stat.S_IMODE(before.st_mode))
        os.replace(new, target)
    except OSError:
        new.unlink()
        raise


def create_text(path: Path, text: str) -> None:
    """Writes a new text file. FileExistsError when anything has its name already; nothing is left behind when it
    cannot be written whole."""
    with path.open("x", encoding="utf-8", newline="") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            raise
