"""The cpio writer, checked by reading its headers and by the host's cpio where there is one."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from shyper_tui.images.cpio import CpioArchive


def sample() -> CpioArchive:
    archive = CpioArchive()
    archive.file("init", b"#!/bin/sh\n", 0o755)
    archive.file("etc/motd", b"hello")
    archive.symlink("bin/sh", "busybox")
    archive.character_device("dev/console", 5, 1, 0o600)
    return archive


def members(data: bytes) -> list[tuple[str, list[int], bytes]]:
    """Name, the thirteen numbers of the header, and content of every member (newc format)."""
    found: list[tuple[str, list[int], bytes]] = []
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name_end = at + 110 + numbers[11]
        name = data[at + 110 : name_end - 1].decode()
        start = -(-name_end // 4) * 4
        content = data[start : start + numbers[6]]
        at = -(-(start + numbers[6]) // 4) * 4
        if name == "TRAILER!!!":
            assert set(data[at:]) <= {0}
            return found
        found.append((name, numbers, content))


def test_members_are_sorted_with_their_folders_first() -> None:
    names = [name for name, _, _ in members(sample().to_bytes())]
    assert names == ["bin", "bin/sh", "dev", "dev/console", "etc", "etc/motd", "init"]


def test_modes_devices_and_content() -> None:
    found = {name: (numbers, content) for name, numbers, content in members(sample().to_bytes())}
    assert found["init"][0][1] == 0o100755
    assert found["init"][1] == b"#!/bin/sh\n"
    assert found["bin/sh"] == (found["bin/sh"][0], b"busybox")
    console = found["dev/console"][0]
    assert (console[1], console[9], console[10]) == (0o020600, 5, 1)
    for numbers, _ in found.values():
        assert numbers[2:4] == [0, 0]  # uid, gid
        assert numbers[5] == 0  # mtime


def test_the_order_of_adding_does_not_matter() -> None:
    other = CpioArchive()
    other.character_device("dev/console", 5, 1, 0o600)
    other.symlink("bin/sh", "busybox")
    other.file("etc/motd", b"hello")
    other.file("init", b"#!/bin/sh\n", 0o755)
    assert other.to_bytes() == sample().to_bytes()


@pytest.mark.parametrize("path", ["/init", "", "a/../b"])
def test_paths_outside_of_the_root_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        CpioArchive().file(path, b"")


@pytest.mark.skipif(shutil.which("cpio") is None, reason="needs the program cpio")
def test_cpio_lists_it() -> None:
    listed = subprocess.run(["cpio", "-tv"], input=sample().to_bytes(), capture_output=True, check=True)
    text = listed.stdout.decode()
    assert "crw-------" in text
    assert "5,   1" in text
    assert "bin/sh -> busybox" in text
    assert "-rwxr-xr-x" in text
