"""The options of `shyper-tui run` that the engine is built with: the guests' disks, and what follows the managing VM's
end."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shyper_tui.commands.engine_options import EngineChoice
from shyper_tui.ipc.messages import MVM_OFF, EngineOptions
from shyper_tui.user_folders import user_cache_dir
from tests.cli.test_run import ROOT, run

SECTOR = 512
POWEROFF = ["--until", "vm0:mvm# ", "--until", "vm1:gvm# ", "--send", "vm0:poweroff"]


def test_what_a_guest_writes_stays_in_the_disks_of_a_daemon_file(tmp_path: Path) -> None:
    disk, file = tmp_path / "disk.img", tmp_path / "disks.json"
    disk.write_bytes(bytes(4 * SECTOR))
    file.write_text(json.dumps({"mediated": ["disk.img"]}))
    steps = ["--until", "vm1:gvm# ", "--send", "vm1:blk write 2 it stays", "--until", "vm1:sector 2 written"]
    result = run(tmp_path / "logs", "--daemon", str(file), *steps, "--timeout", "60")
    assert result.returncode == 0, result.stderr
    assert disk.read_bytes()[2 * SECTOR :].startswith(b"it stays\0")


@pytest.mark.parametrize(
    ("content", "found"),
    [(None, "error[file-missing]"), (b"", "error[not-a-disk]"), (b"QFI\xfb\0\0\0\3" * 100, "qemu-img convert")],
)
def test_disks_that_cannot_be_served_are_told_before_anything_starts(
    tmp_path: Path, content: bytes | None, found: str
) -> None:
    file = tmp_path / "disks.json"
    file.write_text('{\n"mediated": ["a.img"]}')
    if content is not None:
        (tmp_path / "a.img").write_bytes(content)
    result = run(tmp_path / "logs", "--daemon", str(file), "--until", "vm1:gvm# ", "--timeout", "60")
    assert result.returncode == 2
    assert f"{file}:2:14: error[" in result.stderr
    assert found in result.stderr


def test_a_guest_whose_disk_another_engine_uses_is_refused(tmp_path: Path) -> None:
    """Nothing shifts: the second image is not touched, and the run fails."""
    images = [tmp_path / "first.img", tmp_path / "second.img"]
    for image in images:
        image.write_bytes(bytes(4 * SECTOR))
    file = tmp_path / "disks.json"
    file.write_text(json.dumps({"mediated": [image.name for image in images]}))
    with images[0].open("rb") as used:
        fcntl.flock(used, fcntl.LOCK_EX)
        steps = ["--until", "vm1:gvm# ", "--send", "vm1:blk write 2 lost", "--timeout", "60"]
        result = run(tmp_path / "logs", "--daemon", str(file), *steps)
    assert result.returncode == 1
    assert f"another machine, process {os.getpid()} (" in result.stderr
    assert all(image.read_bytes() == bytes(4 * SECTOR) for image in images)


def test_an_image_without_write_permission_is_a_read_only_disk(tmp_path: Path) -> None:
    image, file = tmp_path / "disk.img", tmp_path / "disks.json"
    image.write_bytes(b"as it was".ljust(4 * SECTOR, b"\0"))
    image.chmod(0o444)
    file.write_text(json.dumps({"mediated": ["disk.img"]}))
    steps = ["--until", "vm1:gvm# ", "--send", "vm1:blk read 0", "--until", "vm1:as it was", "--until", "vm1:gvm# "]
    steps += ["--send", "vm1:blk write 2 lost", "--until", "vm1:error"]
    result = run(tmp_path / "logs", "--daemon", str(file), *steps, "--timeout", "60")
    assert result.returncode == 0, result.stderr
    assert "is read-only: guests cannot write to it" in result.stderr
    assert image.read_bytes() == b"as it was".ljust(4 * SECTOR, b"\0")


@pytest.mark.parametrize(("text", "found"), [("{}", ":1:1: error[missing-key]"), ('{"mediated": 5}', ":1:14: error[")])
def test_a_wrong_daemon_file_is_told_by_line_before_anything_starts(tmp_path: Path, text: str, found: str) -> None:
    file = tmp_path / "disks.json"
    file.write_text(text)
    result = run(tmp_path / "logs", "--daemon", str(file))
    assert result.returncode == 2
    assert f"{file}{found}" in result.stderr
    assert "Traceback" not in result.stderr


def test_with_mvm_off_end_a_run_ends_when_the_managing_vm_powers_off(tmp_path: Path) -> None:
    steps = [*POWEROFF, "--until", "vm1:never shown", "--timeout", "60"]
    result = run(tmp_path / "logs", "--mvm-off", "end", *steps)
    assert result.returncode == 1
    assert "the machine stopped before every text was seen" in result.stderr


def test_with_mvm_off_restart_the_consoles_show_another_start(tmp_path: Path) -> None:
    steps = [*POWEROFF, "--until", "vm0:mvm# ", "--timeout", "60"]
    result = run(tmp_path / "logs", "--mvm-off", "restart", *steps)
    assert result.returncode == 0, result.stderr


def test_the_last_vm_that_reboots_does_not_end_the_machine(tmp_path: Path) -> None:
    steps = ["--until", "vm0:mvm# ", "--until", "vm1:gvm# ", "--send", "vm1:poweroff", "--send", "vm0:reboot"]
    result = run(tmp_path / "logs", *steps, "--until", "vm0:mvm# ", "--timeout", "60")
    assert result.returncode == 0, result.stderr


def test_by_default_the_guests_go_on(tmp_path: Path) -> None:
    steps = [*POWEROFF, "--send", "vm1:echo still here", "--until", "vm1:\\nstill here", "--timeout", "60"]
    result = run(tmp_path / "logs", *steps)
    assert result.returncode == 0, result.stderr


def test_another_word_for_mvm_off_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path / "logs", "--mvm-off", "explode")
    assert result.returncode == 2
    assert all(word in result.stderr for word in MVM_OFF)


def test_the_choice_becomes_the_engines_options() -> None:
    choice = EngineChoice(daemon="/a/disks.json", mvm_off="end")
    options = EngineOptions(**choice.options("virtual"))
    assert (options.daemon, options.mvm_off, options.clock) == ("/a/disks.json", "end", "virtual")
    assert choice.files == ["/a/disks.json"]


def test_a_home_that_cannot_be_written_costs_the_logs_and_not_the_run() -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": user_cache_dir("."), "HOME": "/dev/null"}
    environment.pop("XDG_STATE_HOME", None)
    whole = [sys.executable, "-m", "shyper_tui.cli", "run", "--headless", "-q", "--embedded", "--until", "vm0:mvm# "]
    result = subprocess.run(whole, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert "Warning: the consoles are not logged: Not a directory (/dev/null/" in result.stderr
    assert "--log-dir names another folder" in result.stderr


@pytest.mark.parametrize("kind", ["pipe", "link to nothing"])
def test_a_log_folder_that_is_none_is_refused(tmp_path: Path, kind: str) -> None:
    name = tmp_path / "logs"
    if kind == "pipe":
        os.mkfifo(name)
    else:
        name.symlink_to(tmp_path / "nowhere")
    result = run(name, "--until", "vm0:mvm# ", "--timeout", "60")
    assert result.returncode == 1
    assert f"the folder of the console logs cannot be used: it is not a folder ({name})" in result.stderr


@pytest.fixture
def mvm_disk(tmp_path: Path) -> Path:
    image = tmp_path / "mvm.img"
    image.write_bytes(bytes(64 * SECTOR))
    return image


def test_a_disk_of_the_managing_vm_that_another_engine_uses_is_refused_with_who_holds_it(
    tmp_path: Path, mvm_disk: Path
) -> None:
    with mvm_disk.open("rb") as used:
        fcntl.flock(used, fcntl.LOCK_EX)
        result = run(tmp_path / "logs", "--mvm-disk", str(mvm_disk), "--until", "vm0:mvm# ", "--timeout", "60")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert str(mvm_disk) in result.stderr
    assert f"process {os.getpid()} (" in result.stderr
    assert result.stderr.count("\n") == 1
    assert mvm_disk.read_bytes() == bytes(64 * SECTOR)


def test_with_snapshot_a_disk_may_be_used_by_several_and_stays_as_it_is(tmp_path: Path, mvm_disk: Path) -> None:
    with mvm_disk.open("rb") as used:
        fcntl.flock(used, fcntl.LOCK_SH)
        steps = ["--mvm-disk", str(mvm_disk), "--snapshot", "--until", "vm0:mvm# ", "--timeout", "60"]
        assert run(tmp_path / "logs", *steps).returncode == 0
    assert mvm_disk.read_bytes() == bytes(64 * SECTOR)


def test_a_disk_that_is_not_there_is_a_mistake_of_the_command_line(tmp_path: Path) -> None:
    result = run(tmp_path / "logs", "--mvm-disk", str(tmp_path / "nothing.img"), "--until", "vm0:mvm# ")
    assert result.returncode == 2
    assert "nothing.img" in result.stderr
