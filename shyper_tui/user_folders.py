"""Where the user's cached files lie (XDG Base Directory Specification). Nothing here imports the rest of the
package."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

NAME = "shyper-tui"


def user_cache_dir(name: str = NAME) -> str:
    """The application's folder below XDG_CACHE_HOME, by default `~/.cache`. The specification wants a relative path
    there ignored: it would be another folder for each current one."""
    wanted = os.environ.get("XDG_CACHE_HOME", "").strip()
    if wanted and not os.path.isabs(wanted):
        return str(Path("~/.cache").expanduser() / name)
    return platformdirs.user_cache_dir(name)
