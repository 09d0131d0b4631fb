"""Where engines listen: one private folder per engine in the user's runtime folder.

The folder has mode 0700 and the socket in it 0600, so only the same user can connect.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SOCKET_NAME = "engine.sock"
FOLDER_PREFIX = "engine-"
LONGEST_SOCKET_PATH = 100
"""Linux allows 107 bytes for the path of a Unix socket; some systems 103."""
STARTING_SECONDS = 10.0
"""Age from which a folder without a socket, which nobody uses, counts as left over."""
LONGEST_FOLDER = LONGEST_SOCKET_PATH - len(f"/{FOLDER_PREFIX}12345678/{SOCKET_NAME}")


def runtime_folder() -> Path:
    """The user's folder for running engines (made with mode 0700 where missing): below XDG_RUNTIME_DIR, or where there
    is none, or its path is too long for sockets, below the folder for temporary files."""
    user = os.getuid()
    for base in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{user}"):
        if base and os.path.isabs(base) and os.path.isdir(base) and os.access(base, os.W_OK | os.X_OK):
            folder = Path(base) / "shyper-tui"
            if len(os.fsencode(folder)) <= LONGEST_FOLDER:
                break
    else:
        folder = Path(tempfile.gettempdir()) / f"shyper-tui-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != user:  # somebody else was faster in a shared folder
        raise PermissionError(f"{folder} belongs to somebody else; set XDG_RUNTIME_DIR to a folder of your own")
    folder.chmod(0o700)
    return folder


def new_socket_path() -> Path:
    """A socket path in a fresh private folder, where `running_engines` finds it. What killed engines left goes."""
    remove_left_overs()
    return Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=runtime_folder())) / SOCKET_NAME


@contextlib.contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Tells others that the socket's folder is no left-over, until the block or this process ends, however it ends.
    Both do so: who starts an engine, until it listens, and the engine itself."""
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # it is gone, or a folder of the user's choice that cannot be read: nothing to tell
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def remove_socket(path: Path) -> None:
    """Removes the socket and the private folder that `new_socket_path` made; harmless when they are gone."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):  # `--socket` may name anything
            path.unlink()
    if path.parent.name.startswith(FOLDER_PREFIX):
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def remove_left_overs() -> int:
    """Removes sockets and folders of engines that were killed; returns how many. One that anybody uses, or that
    answers, stays."""
    removed = 0
    for folder in runtime_folder().glob(f"{FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError):  # gone, or something else
            removed += _remove_left_over(folder)
    return removed


def _remove_left_over(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = folder / SOCKET_NAME
        if os.path.lexists(path):
            if _answers(path) is not False:
                return False
        elif time.time() - os.fstat(descriptor).st_mtime < STARTING_SECONDS:
            return False
        remove_socket(path)
        return not folder.exists()
    finally:
        os.close(descriptor)


def _answers(path: Path) -> bool | None:
    """Whether an engine listens at a socket; None when that cannot be known, as it is too busy."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return None
    return True


def running_engines() -> list[Path]:
    """Sockets of the user's engines that accept connections, newest first; left-overs of killed ones are removed."""
    remove_left_overs()
    found: list[tuple[float, Path]] = []
    for path in runtime_folder().glob(f"{FOLDER_PREFIX}*/{SOCKET_NAME}"):
        with contextlib.suppress(OSError):
            if _answers(path):
                found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]
