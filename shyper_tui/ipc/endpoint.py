"""Where engines listen: one private folder per engine in the user's runtime folder.

The folder has mode 0700 and the socket in it 0600, so only the same user can connect.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from pathlib import Path

SOCKET_NAME = "engine.sock"
FOLDER_PREFIX = "engine-"
LONGEST_SOCKET_PATH = 100
"""Linux allows 107 bytes for the path of a Unix socket; some systems 103."""
STARTING_SECONDS = 60.0
"""How long a folder may be without its socket before it counts as left over."""
LONGEST_FOLDER = LONGEST_SOCKET_PATH - len(f"/{FOLDER_PREFIX}12345678/{SOCKET_NAME}")


def runtime_folder() -> Path:
    """The user's folder for running engines (made with mode 0700 where missing): below XDG_RUNTIME_DIR, or where there
    is none, or its path is too long for sockets, below the folder for temporary files."""
    user = os.getuid()
    for base in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{user}"):
        if base and os.path.isdir(base) and os.access(base, os.W_OK | os.X_OK):
            folder = Path(base) / "shyper-tui"
            if len(os.fsencode(folder)) <= LONGEST_FOLDER:
                break
    else:
        folder = Path(tempfile.gettempdir()) / f"shyper-tui-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != user:  # somebody else was faster in a shared folder
        raise PermissionError(f"{folder} belongs to somebody else")
    folder.chmod(0o700)
    return folder


def new_socket_path() -> Path:
    """A socket path in a fresh private folder, where `running_engines` finds it."""
    return Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=runtime_folder())) / SOCKET_NAME


def remove_socket(path: Path) -> None:
    """Removes the socket and the private folder that `new_socket_path` made; harmless when they are gone."""
    with contextlib.suppress(OSError):
        path.unlink()
    if path.parent.name.startswith(FOLDER_PREFIX):
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def running_engines() -> list[Path]:
    """Sockets of the user's engines that accept connections, newest first; left-overs of killed ones are removed."""
    found: list[tuple[float, Path]] = []
    for folder in runtime_folder().glob(f"{FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError):  # not empty, or gone
            if time.time() - folder.stat().st_mtime > STARTING_SECONDS:
                folder.rmdir()
    for path in runtime_folder().glob(f"{FOLDER_PREFIX}*/{SOCKET_NAME}"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(path))
                found.append((path.stat().st_mtime, path))
            except ConnectionRefusedError:
                remove_socket(path)
            except OSError:
                continue
    return [path for _, path in sorted(found, reverse=True)]
