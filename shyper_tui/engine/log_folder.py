"""Where the raw console logs of a run go."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import time
from pathlib import Path

from shyper_tui.user_folders import user_state_dir

KEPT_RUNS = 20
"""Folders of runs that stay in the user's state folder, the one of this run included."""
KEPT_BYTES = 1 << 30
"""Bytes of earlier runs that stay there."""
_RUN = re.compile(r"\d{8}-\d{6}-\d+")


def log_folder(wanted: str | None) -> Path:
    """The folder named in the options, or a fresh one in the user's state folder; made where missing. OSError when it
    cannot be, or cannot be written."""
    if wanted is not None:
        folder = Path(wanted)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, "it is not a folder", wanted) from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "it cannot be written", str(folder))
        return folder
    runs = Path(user_state_dir()) / "logs"
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # somebody else's, or a disk without modes
        runs.chmod(0o700)  # what guests print is the user's own business
    _forget_old_runs(runs)
    folder = runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    _hold(folder)
    return folder


def _forget_old_runs(runs: Path) -> None:
    """Removes the oldest folders until both bounds hold, but none of a run that goes on. Folders are named after their
    time; whatever else lies there is left alone."""
    folders = sorted(filter(_is_of_run, runs.iterdir()), reverse=True)
    kept = 0
    for number, folder in enumerate(folders, start=1):
        with contextlib.suppress(OSError):  # another engine that starts now removes it, too
            kept += _size(folder)
            if (number >= KEPT_RUNS or kept > KEPT_BYTES) and not _held(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_of_run(entry: Path) -> bool:
    return _RUN.fullmatch(entry.name) is not None and entry.is_dir() and not entry.is_symlink()


def _size(folder: Path) -> int:
    """Bytes of the files in a folder of logs."""
    with os.scandir(folder) as entries:
        return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)


def _hold(folder: Path) -> None:
    """Tells other engines, until this process ends, that the folder is in use."""
    fcntl.flock(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), fcntl.LOCK_SH)


def _held(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
