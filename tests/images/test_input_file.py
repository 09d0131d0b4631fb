"""Files that users name are opened without waiting and read with an end."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from shyper_tui.input_file import open_input, read_input


def test_a_regular_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    assert read_input(file, 7) == b"content"
    with pytest.raises(OSError, match="it is larger than 6 bytes"):
        read_input(file, 6)


def test_a_file_without_a_size_is_read_up_to_its_limit_too() -> None:
    assert b"processor" in read_input("/proc/cpuinfo", 1 << 20)
    with pytest.raises(OSError, match="it is larger than 10 bytes"):
        read_input("/proc/cpuinfo", 10)


def test_a_large_sparse_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with file.open("wb") as stream:
        stream.truncate(7 << 30)
    with pytest.raises(OSError, match="it is larger than 1 GiB"):
        read_input(file, 1 << 30)


@pytest.mark.parametrize("block_devices", [False, True])
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_devices: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("socket")
    os.symlink("pipe", "link")
    for name, kind in {
        "pipe": "a pipe", "link": "a pipe", "socket": "a socket", "/dev/zero": "a character device", ".": "a directory",
    }.items():  # fmt: skip
        with pytest.raises(OSError, match=f"it is {kind}, not a regular file"):
            open_input(name, block_devices=block_devices)
    listening.close()


def test_a_name_that_cannot_be_one_is_an_error_of_the_system_too() -> None:
    with pytest.raises(OSError, match="null"):
        read_input("a\0b", 10)
    with pytest.raises(FileNotFoundError):
        read_input("/nothing/there", 10)
