"""The raw console logs: their size is bounded, and no file of somebody else is written to, cut or lost."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from shyper_tui.engine import console_log, log_folder
from shyper_tui.engine.console_log import ConsoleLog, put_aside
from shyper_tui.engine.console_stream import ConsoleStream
from shyper_tui.engine.consoles import LOGS_PER_ID, Consoles


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("piece", [1, 7, 1000, 4096])
def test_a_guest_that_prints_for_ever_keeps_two_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(console_log, "PIECE", 1000)
    stream = ConsoleStream(tmp_path / "vm0.log")
    whole = bytes(number % 251 for number in range(20 * 1000 + 17))
    for at in range(0, len(whole), piece):
        stream.write(whole[at : at + piece])
    stream.close()
    assert names(tmp_path) == ["vm0.log", "vm0.log.1"]
    former, current = (tmp_path / "vm0.log.1").read_bytes(), (tmp_path / "vm0.log").read_bytes()
    assert len(former) == 1000
    assert whole.endswith(former + current)


def test_the_pieces_are_bounded_by_default(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "vm0.log")
    for _ in range(5 * 32):
        log.write(bytes(1 << 20))
        log.flush()
        assert sum(entry.stat().st_size for entry in tmp_path.iterdir()) <= 64 << 20
    log.close()


def test_a_link_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "logs").mkdir()
    for name in ("vm0.log", "vm1.log.1"):
        (tmp_path / "logs" / name).symlink_to(target)
    (tmp_path / "logs" / "vm2.log").symlink_to(tmp_path / "nothing")
    for vm in range(3):
        stream = ConsoleStream(tmp_path / "logs" / f"vm{vm}.log")
        stream.write(b"text")
        stream.close()
    assert target.read_text() == "precious"
    assert not (tmp_path / "nothing").exists()
    assert names(tmp_path / "logs") == ["vm0.log", "vm1.log.1", "vm2.log"]
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 3
    assert warnings[0] == f"warning: there is no console log {tmp_path}/logs/vm0.log: a symbolic link has its name"


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_left_alone_and_nothing_waits_for_it(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "vm0.log"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file = Path("/dev/full")
    stream = ConsoleStream(file)
    stream.write(b"abc")
    stream.close()
    assert stream.read(0, 3) == (0, b"abc")
    assert "warning: there is no console log" in capsys.readouterr().err
    assert file.exists()


def test_the_logs_of_a_run_before_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_log, "PIECE", 10)
    for text in (b"first run", b"a second run of two pieces", b"third"):
        stream = ConsoleStream(tmp_path / "vm0.log")
        stream.write(text)
        stream.close()
    assert (tmp_path / "vm0.log").read_bytes() == b"third"
    kept = sorted(entry.read_bytes() for entry in tmp_path.iterdir())
    assert kept == [b"first run", b"pieces", b"third", b"un of two "]


def test_a_file_put_aside_replaces_nothing(tmp_path: Path) -> None:
    stamp = time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1))
    for text in ("one", "two", "three"):
        file = tmp_path / "vm0.log"
        file.write_text(text)
        os.utime(file, (stamp, stamp))
        put_aside(file)
    assert names(tmp_path) == ["vm0.20260102-030405-2.log", "vm0.20260102-030405-3.log", "vm0.20260102-030405.log"]
    assert (tmp_path / "vm0.20260102-030405.log").read_text() == "one"


def test_a_file_that_took_the_place_of_the_log_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_log, "PIECE", 10)
    stream = ConsoleStream(tmp_path / "vm0.log")
    stream.write(b"0123456789")
    (tmp_path / "vm0.log").rename(tmp_path / "moved")
    stream.write(b"abc")
    stream.flush()
    assert (tmp_path / "moved").read_bytes() == b"0123456789"
    assert (tmp_path / "vm0.log").read_bytes() == b"abc"
    (tmp_path / "vm0.log").unlink()
    (tmp_path / "vm0.log").write_bytes(b"mine")
    stream.write(b"x" * 20)
    stream.close()
    assert (tmp_path / "vm0.log").read_bytes() == b"mine"


def test_vms_that_come_and_go_leave_a_bounded_number_of_logs(tmp_path: Path) -> None:
    consoles = Consoles(tmp_path, lambda vm, stream: None)
    (tmp_path / "vm1-2.txt").write_text("mine")
    for number in range(20):
        owner = object()
        consoles.of(1, owner).write(b"vm %d" % number)
        if number % 2:
            consoles.keep({})
    consoles.close()
    logs = [name for name in names(tmp_path) if name.endswith(".log")]
    assert len(logs) in (LOGS_PER_ID - 1, LOGS_PER_ID)
    assert "vm1-20.log" in logs


def test_runs_that_filled_the_folder_go_before_their_number_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(log_folder, "KEPT_BYTES", 2500)
    logs = tmp_path / "shyper-tui" / "logs"
    for number in range(5):
        (logs / f"20200101-00000{number}-1").mkdir(parents=True)
        (logs / f"20200101-00000{number}-1" / "vm0.log").write_bytes(bytes(1000))
    (logs / "20200101-000009-9").symlink_to(tmp_path)
    (logs / "2019 report").mkdir()
    (logs / "2019 report" / "draft").write_bytes(bytes(5000))
    folder = log_folder.log_folder(None)
    assert names(logs) == [
        "2019 report", "20200101-000003-1", "20200101-000004-1", "20200101-000009-9", folder.name,
    ]  # fmt: skip


def test_the_logs_of_an_engine_that_runs_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(log_folder, "KEPT_BYTES", 0)
    first = log_folder.log_folder(None)
    (first / "vm0.log").write_bytes(bytes(1000))
    (first.parent / "20200101-000000-1").mkdir()
    (first.parent / "20200101-000000-1" / "vm0.log").write_bytes(bytes(1000))
    log_folder.log_folder(None)
    assert first.exists()
    assert not (first.parent / "20200101-000000-1").exists()


def test_logs_and_their_folders_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "shyper-tui" / "logs").mkdir(parents=True)  # of an older version
    folder = log_folder.log_folder(None)
    ConsoleStream(folder / "vm0.log").close()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, folder / "vm0.log")] == [
        0o700, 0o700, 0o600,
    ]  # fmt: skip


def test_a_relative_state_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The logs do not lie in whatever folder is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    assert log_folder.log_folder(None).is_relative_to(tmp_path / "home" / ".local" / "state" / "shyper-tui")
