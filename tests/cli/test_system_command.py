"""`shyper-tui system`, and what a machine does when its managing VM powers off: with engines of their own, for they end
here."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shyper_tui.config import sample_path
from shyper_tui.version import VERSION
from tests.cli.running_engine import RunningEngine, running_engine

Start = Callable[..., RunningEngine]
SECTOR = 512


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts an engine with the two embedded guests and waits for their prompts."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())  # socket paths are short
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)

        def begin(**options: Any) -> RunningEngine:
            engine = stack.enter_context(running_engine({"embedded": True, "log_dir": str(tmp_path), **options}))
            for vm, prompt in ((0, "mvm# "), (1, "gvm# ")):
                engine.expect(vm, prompt)
            return engine

        yield begin


def boots(engine: RunningEngine) -> list[int]:
    return [entry["boots"] for entry in engine.json("vm", "stats", "all")]


def test_system_test_is_one_line(engine: RunningEngine) -> None:
    assert engine.shyper("system", "test") == (
        0, f"Engine {VERSION} answers: 4 harts, 8192 MiB, 2 of 2 VMs run.\n", ""
    )  # fmt: skip
    report = {"version": VERSION, "harts": 4, "memory": 8 << 30, "vms": 2, "active": 2}
    assert engine.json("system", "test") == report


def test_update_is_refused_in_one_sentence(engine: RunningEngine) -> None:
    status, out, errors = engine.shyper("system", "update", "rust_shyper.bin")
    assert (status, out) == (1, "")
    assert errors.startswith("Error: rust_shyper.bin is not installed: the hypervisor is part of shyper-tui.")


def test_reboot_by_force_starts_every_vm_again(start: Start) -> None:
    engine = start()
    assert engine.shyper("system", "reboot", "--force") == (0, "The machine is rebooting.\n", "")
    engine.expect(0, "mvm# ")
    engine.expect(1, "gvm# ")
    assert boots(engine) == [2, 2]


def test_the_managing_vm_is_asked_and_the_guests_follow(start: Start) -> None:
    engine = start()
    assert engine.shyper("system", "reboot") == (0, "The managing VM was asked to reboot.\n", "")
    engine.expect(0, "mvm# ")
    engine.expect(1, "gvm# ")
    assert engine.json("system", "shutdown")["asked"] is True
    engine.wait("stopped")
    assert [vm["state"] for vm in engine.json("vm", "list")] == ["pending", "pending"]
    # it can be started again: the engine is still there
    for vm, prompt in ((0, "mvm# "), (1, "gvm# ")):
        assert engine.shyper("vm", "boot", str(vm))[0] == 0
        engine.expect(vm, prompt)


@pytest.mark.parametrize("mvm_off", ["stay", "end", "restart"])
def test_shutdown_by_force_stops_everything_at_once(start: Start, mvm_off: str) -> None:
    engine = start(mvm_off=mvm_off)
    assert engine.shyper("system", "shutdown", "-f") == (0, "The machine is off.\n", "")
    assert [vm["state"] for vm in engine.json("vm", "list")] == ["pending", "pending"]
    assert engine.machine() == "stopped"


def test_a_managing_vm_that_cannot_answer_is_not_waited_for(start: Start) -> None:
    engine = start()
    assert engine.shyper("vm", "pause", "0")[0] == 0
    assert engine.shyper("system", "shutdown") == (0, "The machine is off.\n", "")
    assert engine.machine() == "stopped"


def test_vm_shutdown_asks_a_vm_that_listens(start: Start) -> None:
    engine = start()
    assert engine.shyper("vm", "reboot", "0") == (0, "vm0 was asked to reboot.\n", "")
    engine.expect(0, "mvm# ")
    assert boots(engine) == [2, 1]
    assert engine.shyper("vm", "shutdown", "0") == (0, "vm0 was asked to power off.\n", "")
    while engine.state(0) != "pending":
        assert engine.machine() == "running"
    engine.expect(1, "gvm# ", typed="\n")  # its guest goes on
    assert engine.state(1) == "active"


def test_with_mvm_off_end_the_machine_ends_with_its_managing_vm(start: Start) -> None:
    engine = start(mvm_off="end")
    engine.type(0, "poweroff\n")
    engine.wait("stopped")
    assert [vm["state"] for vm in engine.json("vm", "list")] == ["pending", "pending"]
    assert engine.shyper("vm", "boot", "1") == (
        1, "", "Error: the machine is off for good; start another engine\n"
    )  # fmt: skip


def test_with_mvm_off_restart_the_machine_begins_again(start: Start) -> None:
    engine = start(mvm_off="restart")
    engine.type(0, "poweroff\n")
    engine.expect(0, "mvm# ")
    engine.expect(1, "gvm# ")
    assert boots(engine) == [2, 2]


def daemon_file(folder: Path, *paths: str) -> Path:
    file = folder / "cli-config.json"
    file.write_text(json.dumps({"mediated": list(paths)}))
    return file


def test_a_daemon_file_offers_disks_and_what_guests_write_stays(start: Start, tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"before".ljust(16 * SECTOR, b"\0"))
    engine = start()
    file = daemon_file(tmp_path, "disk.img", "missing.img", str(tmp_path / "disk.img"))
    status, out, errors = engine.shyper("system", "daemon", str(file))
    assert status == 1  # not everything was served
    assert out == "disk 0: disk.img (16 sectors)\n"
    assert errors.splitlines() == [
        "Warning: Add mediated disk missing.img failed: no such file or directory.",
        f"Warning: Add mediated disk {disk} failed: it is disk 0 of the same list.",
    ]
    second = tmp_path / "second.json"
    second.write_text(sample_path("embedded-guest").read_text().replace('"embedded-guest"', '"second"'))
    assert engine.shyper("vm", "config", str(second), "--boot")[0] == 0
    engine.expect(2, "gvm# ", new=True)
    engine.type(2, "blk read 0\nblk write 1 kept for good\n")
    engine.expect(2, "|before..........|")
    engine.expect(2, "sector 1 written")
    engine.expect(2, "gvm# ")
    assert engine.shyper("vm", "remove", "2")[0] == 0
    assert disk.read_bytes()[SECTOR:].startswith(b"kept for good\0")


def test_the_numbers_of_disks_do_not_shift_where_one_cannot_be_served(start: Start, tmp_path: Path) -> None:
    """The VM whose turn it is is refused, and the next image stays as it is, until the missing one is offered."""
    (tmp_path / "second.img").write_bytes(bytes(16 * SECTOR))
    (tmp_path / "read-only.img").write_bytes(bytes(16 * SECTOR))
    (tmp_path / "read-only.img").chmod(0o444)
    engine = start()
    file = daemon_file(tmp_path, "first.img", "second.img", "read-only.img")
    status, out, _ = engine.shyper("system", "daemon", str(file))
    assert (status, out) == (1, "disk 1: second.img (16 sectors)\ndisk 2: read-only.img (16 sectors, read-only)\n")
    guest = tmp_path / "guest.json"
    guest.write_text(sample_path("embedded-guest").read_text().replace('"embedded-guest"', '"other"'))
    status, _, errors = engine.shyper("vm", "config", str(guest))
    assert status == 1
    assert "its disk, number 0, cannot be served: no such file or directory" in errors
    (tmp_path / "first.img").write_bytes(bytes(16 * SECTOR))
    status, out, errors = engine.shyper("system", "daemon", str(file))
    assert (status, out) == (1, "disk 0: first.img (16 sectors)\n")
    assert errors.count("this disk is served already") == 2
    assert engine.shyper("vm", "config", str(guest), "--boot")[0] == 0
    engine.expect(2, "gvm# ", new=True)
    engine.type(2, "blk write 1 mine\n")
    engine.expect(2, "sector 1 written")
    assert engine.shyper("vm", "remove", "2")[0] == 0
    assert (tmp_path / "first.img").read_bytes()[SECTOR:].startswith(b"mine\0")
    assert (tmp_path / "second.img").read_bytes() == bytes(16 * SECTOR)


def test_the_daemon_file_is_cli_config_json_by_default(
    engine: RunningEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, errors = engine.shyper("system", "daemon")
    assert (status, "'cli-config.json' does not exist" in errors) == (2, True)
    (tmp_path / "a.img").write_bytes(bytes(SECTOR))
    (tmp_path / "empty.img").write_bytes(b"")
    daemon_file(tmp_path, "a.img")
    (disk,) = engine.json("system", "daemon")
    assert (disk["path"], disk["sectors"], disk["problem"]) == ("a.img", 1, "")
    os.mkfifo(tmp_path / "pipe")
    daemon_file(tmp_path, "empty.img", "images:no/image", "/dev/zero", "a\0b", "pipe")
    status, out, _ = engine.shyper("system", "daemon", "--json")
    assert status == 1
    refused = json.loads(out)
    assert [disk["index"] for disk in refused] == [1, 2, 3, 4, 5]
    assert all(disk["problem"] for disk in refused)
    (tmp_path / "cli-config.json").write_text('{"mediated": 5}')
    status, out, errors = engine.shyper("system", "daemon")
    assert (status, out) == (1, "")
    assert "cli-config.json:1:14: error[wrong-type]" in errors


def test_the_engine_takes_its_disks_from_the_start(start: Start, tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"from the start".ljust(4 * SECTOR, b"\0"))
    engine = start(daemon=str(daemon_file(tmp_path, str(disk))))
    engine.type(1, "blk read 0\n")
    engine.expect(1, "|from the start..|")


@pytest.mark.parametrize("command", ["reboot", "shutdown"])
def test_a_paused_machine_is_ended_too(start: Start, command: str) -> None:
    engine = start()
    engine.pause()
    assert engine.shyper("system", command, "-f")[0] == 0
    if command == "reboot":
        engine.expect(1, "gvm# ")
    else:
        assert engine.machine() == "stopped"
