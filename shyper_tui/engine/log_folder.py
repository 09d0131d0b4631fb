"""Where the raw console logs of a run go."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path

import platformdirs

KEPT_RUNS = 20
"""Folders of earlier runs that stay in the user's state folder."""


def log_folder(wanted: str | None) -> Path:
    """The folder named in the options, or a fresh one in the user's state folder; made where missing. OSError when it
    cannot be, or cannot be written."""
    if wanted is not None:
        folder = Path(wanted)
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "it cannot be written", str(folder))
        return folder
    runs = Path(platformdirs.user_state_dir("shyper-tui", appauthor=False)) / "logs"
    runs.mkdir(parents=True, exist_ok=True)
    for old in sorted(entry for entry in runs.iterdir() if entry.is_dir())[: -KEPT_RUNS + 1]:
        shutil.rmtree(old, ignore_errors=True)
    folder = runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    return folder
