"""Where the user's files of this application lie (XDG Base Directory Specification). Nothing here imports the rest of
the package.

The specification wants a relative path in its variables ignored: it would be another folder for each current one.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

NAME = "shyper-tui"


def user_cache_dir(name: str = NAME) -> str:
    """The application's folder below XDG_CACHE_HOME, by default `~/.cache`."""
    if _is_relative("XDG_CACHE_HOME"):
        return str(Path("~/.cache").expanduser() / name)
    return platformdirs.user_cache_dir(name)


def user_data_dir(name: str = NAME) -> str:
    """The application's folder below XDG_DATA_HOME, by default `~/.local/share`."""
    if _is_relative("XDG_DATA_HOME"):
        return str(Path("~/.local/share").expanduser() / name)
    return platformdirs.user_data_dir(name, appauthor=False)


def user_state_dir(name: str = NAME) -> str:
    """The application's folder below XDG_STATE_HOME, by default `~/.local/state`."""
    if _is_relative("XDG_STATE_HOME"):
        return str(Path("~/.local/state").expanduser() / name)
    return platformdirs.user_state_dir(name, appauthor=False)


def _is_relative(variable: str) -> bool:
    wanted = os.environ.get(variable, "").strip()
    return bool(wanted) and not os.path.isabs(wanted)
