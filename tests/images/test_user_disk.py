"""The user's own copy of the managing VM's system."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from shyper_tui import images
from shyper_tui.commands.images import command as main
from shyper_tui.images import ImageError, store, user_disk
from shyper_tui.images.sparse_copy import copy_sparse
from shyper_tui.images.store import FileFacts, Manifest

HOLE = 8 << 20


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installed images, small ones, of a disk with a hole."""
    monkeypatch.setattr("shyper_tui.images.store.user_cache_dir", lambda _name: str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = store.linux_folder()
    folder.mkdir(parents=True)
    install(b"first")
    return folder


def install(content: bytes, release: str = "6.12.1-riscv64") -> None:
    folder = store.linux_folder()
    for name in store.LINUX_FILES:
        with (folder / name).open("wb") as file:
            if name == "mvm.ext4":
                file.seek(HOLE)
            file.write(content + name.encode())
    facts = {name: store.facts_of(folder / name) for name in store.LINUX_FILES}
    manifest = Manifest(store.BUILDER, "stable", release, {"x.deb": FileFacts(1, "0")}, facts, {}, store.recipe())
    (folder / "manifest.json").write_text(manifest.to_json())


def test_the_first_use_makes_a_copy_that_only_the_user_can_read(installed: Path) -> None:
    assert not user_disk.exists()
    own = images.user_system()
    assert store.facts_of(own.disk) == store.facts_of(installed / "mvm.ext4")
    assert own.disk.stat().st_blocks * 512 < HOLE  # the hole stays one
    assert own.kernel.read_bytes() == (installed / "Image").read_bytes()
    assert own.initramfs.read_bytes() == (installed / "initramfs.cpio").read_bytes()
    assert own.disk.parent.stat().st_mode & 0o077 == 0
    assert own.disk.stat().st_mode & 0o077 == 0
    assert (own.outdated, own.note) == (False, "")


def test_what_was_written_stays_when_newer_images_are_installed() -> None:
    own = images.user_system()
    with own.disk.open("r+b") as disk:
        disk.write(b"mine")
    install(b"newer", "6.13.1-riscv64")
    again = images.user_system()
    assert again.disk.read_bytes()[:4] == b"mine"
    assert again.kernel.read_bytes() == b"firstImage"
    assert again.outdated
    assert "Linux 6.12.1-riscv64" in again.note
    assert "images reset" in again.note


def test_without_installed_images_an_existing_copy_is_used_and_no_new_one_made(installed: Path) -> None:
    images.user_system()
    for file in installed.iterdir():
        file.unlink()
    installed.rmdir()
    assert not images.user_system().outdated
    with pytest.raises(ImageError, match="images fetch"):
        user_disk.reset()
    assert images.user_system().disk.is_file()


def test_reset_asks_and_takes_the_installed_images() -> None:
    own = images.user_system()
    with own.disk.open("r+b") as disk:
        disk.write(b"mine")
    install(b"newer", "6.13.1-riscv64")
    refused = CliRunner().invoke(main, ["reset"], input="n\n")
    assert refused.exit_code == 1
    assert images.user_system().disk.read_bytes()[:4] == b"mine"
    done = CliRunner().invoke(main, ["reset", "--yes"])
    assert done.exit_code == 0, done.output
    again = images.user_system()
    assert again.disk.read_bytes()[:4] == bytes(4)
    assert (again.release, again.outdated) == ("6.13.1-riscv64", False)
    assert sorted(file.name for file in own.disk.parent.parent.iterdir()) == ["system", "system.lock"]


def test_reset_refuses_while_a_machine_has_the_disk() -> None:
    own = images.user_system()
    with own.disk.open("r+b") as disk:
        disk.write(b"mine")
        disk.flush()
        fcntl.flock(disk, fcntl.LOCK_EX)
        refused = CliRunner().invoke(main, ["reset", "--yes"])
    assert refused.exit_code == 1
    assert "in use by a running machine" in refused.output
    assert own.disk.read_bytes()[:4] == b"mine"


def test_a_copy_that_others_may_write_or_that_lacks_a_file_is_refused() -> None:
    own = images.user_system()
    own.disk.parent.chmod(0o777)
    with pytest.raises(ImageError, match="can be written by others"):
        images.user_system()
    own.disk.parent.chmod(0o700)
    own.kernel.unlink()
    with pytest.raises(ImageError, match=r"Image is missing.*images reset"):
        images.user_system()
    user_disk.reset()
    assert images.user_system().kernel.is_file()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(ImageError, match="cannot be written to"):
        images.user_system()


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("shyper_tui.images.sparse_copy.fcntl.ioctl", full)
    monkeypatch.setattr("shyper_tui.images.sparse_copy.os.pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        copy_sparse(store.linux_folder() / "mvm.ext4", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    with pytest.raises(ImageError, match="No space left"):
        images.user_system()
    assert not user_disk.exists()


def test_the_list_and_the_path_tell_of_the_copy() -> None:
    run = CliRunner()
    assert "your own copy" not in run.invoke(main, ["list"]).output
    shown = run.invoke(main, ["path", "disk"]).output.strip()
    assert Path(shown) == images.user_system().disk
    assert "your own copy" in run.invoke(main, ["list"]).output
