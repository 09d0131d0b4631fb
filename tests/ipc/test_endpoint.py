"""Where engines listen: private, findable, short enough for a socket; left-overs go."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from shyper_tui.ipc.endpoint import LONGEST_SOCKET_PATH, new_socket_path, remove_socket, running_engines, runtime_folder


def test_a_listening_engine_is_found_and_a_left_over_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        alive, dead = new_socket_path(), new_socket_path()
        assert stat.S_IMODE(alive.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(runtime_folder().stat().st_mode) == 0o700
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(alive))
            listener.listen()
            with socket.socket(socket.AF_UNIX) as ended:
                ended.bind(str(dead))
            empty, starting = new_socket_path().parent, new_socket_path().parent
            os.utime(empty, (0, 0))
            os.utime(alive.parent, (0, 0))
            assert running_engines() == [alive]
            assert not dead.parent.exists()
            assert not empty.exists()
            assert starting.exists()
        remove_socket(alive)
        assert running_engines() == []
        assert not alive.parent.exists()


def test_a_runtime_folder_that_is_too_long_or_missing_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    for base in (str(deep), str(tmp_path / "missing")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
        path = new_socket_path()
        assert not path.is_relative_to(tmp_path)
        assert len(os.fsencode(path)) <= LONGEST_SOCKET_PATH
        remove_socket(path)


def test_a_link_in_the_way_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        (Path(folder) / "shyper-tui").symlink_to("/tmp")
        with pytest.raises(PermissionError, match="belongs to somebody else"):
            runtime_folder()
