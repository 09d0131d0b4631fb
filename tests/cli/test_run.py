"""`shyper-tui run` with the embedded guests on the real machine: exit statuses, logs, repeatability, interruption."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs
import pytest

ROOT = Path(__file__).parents[2]
BOTH = ["--until", "vm0:mvm# ", "--until", "vm1:gvm# "]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "shyper_tui.cli", "run", "--embedded", "--headless", *arguments]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    whole = command("--log-dir", str(folder), *arguments)
    return subprocess.run(whole, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)


def test_both_guests_answer_and_the_hypercall_lists_both(tmp_path: Path) -> None:
    result = run(tmp_path, *BOTH, "--send", "vm0:shyper vm list", "--send", "vm1:help", "--timeout", "60")
    assert result.returncode == 0, result.stderr
    supervisor, guest = (tmp_path / "vm0.log").read_text(), (tmp_path / "vm1.log").read_text()
    assert re.search(r"shyper vm list.*supervisor.*embedded-guest.*mvm# $", supervisor, re.DOTALL)
    assert "poweroff" in guest.partition("gvm# help")[2]
    assert "vm0 | mvm# shyper vm list" in result.stdout
    assert re.search(r"Every text was seen: \d+ instructions, \d+\.\d{3} s of machine time", result.stderr)


def test_two_runs_are_identical(tmp_path: Path) -> None:
    steps = [*BOTH, "--send", "vm0:shyper vm list", "--until", "vm0:mvm# "]
    steps += ["--send", "vm1:uptime", "--until", "vm1:gvm# "]
    counts = []
    for name in ("first", "second"):
        result = run(tmp_path / name, *steps, "--timeout", "60", "--clock", "virtual")
        assert result.returncode == 0, result.stderr
        counts.append(re.findall(r"(\d+) instructions, ([\d.]+) s", result.stderr))
    assert counts[0] == counts[1]
    for log in ("vm0.log", "vm1.log"):
        assert (tmp_path / "first" / log).read_bytes() == (tmp_path / "second" / log).read_bytes()


def test_a_text_that_does_not_come_is_named_with_the_last_lines(tmp_path: Path) -> None:
    result = run(tmp_path, "--until", "vm0:mvm# ", "--until", "vm0:no such text", "--timeout", "2", "--quiet")
    assert result.returncode == 1
    assert result.stdout == ""
    assert "Error: not everything was seen within 2 s. Missing: vm0:'no such text'" in result.stderr
    assert result.stderr.rstrip().endswith("mvm#")
    assert b"mvm# " in (tmp_path / "vm0.log").read_bytes()


@pytest.mark.parametrize("damaged", [False, True])
def test_linux_that_is_not_there_or_damaged_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    core = Path(platformdirs.user_cache_dir("shyper-tui")) / "core"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "shyper-tui").mkdir()
    (tmp_path / "shyper-tui" / "core").symlink_to(core)  # the compiled core need not be made again
    if damaged:
        (tmp_path / "shyper-tui" / "images" / "linux").mkdir(parents=True)
    whole = [sys.executable, "-m", "shyper_tui.cli", "run", "--headless", "-q", "--log-dir", str(tmp_path / "logs")]
    steps = ["--send", "vm1:poweroff", "--until", "vm1:gvm# ", "--send", "vm0:poweroff", "--until", "vm0:GUEST-READY"]
    result = subprocess.run([*whole, *steps], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert result.returncode == 1
    told = "manifest.json of the Linux images is damaged" if damaged else "no Linux images are installed"
    assert "The built-in systems ran: " in result.stderr
    assert told in result.stderr
    assert "`shyper-tui images fetch`" in result.stderr


def test_a_machine_that_ends_before_the_text_fails_at_once(tmp_path: Path) -> None:
    steps = ["--send", "vm1:poweroff", "--until", "vm1:gvm# ", "--send", "vm0:poweroff", "--until", "vm0:never"]
    result = run(tmp_path, *steps, "--timeout", "60")
    assert result.returncode == 1
    assert "the machine stopped before every text was seen. Missing: vm0:'never'" in result.stderr


def test_without_a_script_the_run_ends_with_the_last_vm(tmp_path: Path) -> None:
    steps = ["--until", "vm1:gvm# ", "--send", "vm1:poweroff", "--send", "vm0:poweroff"]
    result = run(tmp_path, *steps, "--timeout", "60")
    assert result.returncode == 0, result.stderr


def test_a_guest_without_its_kernel_is_one_sentence(tmp_path: Path) -> None:
    sample = (ROOT / "sample_configs" / "embedded-guest.json").read_text()
    (tmp_path / "vm.json").write_text(sample.replace("images:embedded/guest", "missing.elf"))
    result = run(tmp_path, "--vm", str(tmp_path / "vm.json"), *BOTH)
    assert result.returncode == 2
    assert "missing.elf" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_survives_its_front_end(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tempfile.TemporaryDirectory()  # not below tmp_path: socket paths are short
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime.name)
    whole = command("--log-dir", str(tmp_path), "--clock", "wall")
    process = subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    for line in process.stdout:
        if "Type help" in line:
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    worker = os.pidfd_open(int(children[0]))
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert wait_gone(worker)
    os.close(worker)
    assert "Traceback" not in errors
    assert list((Path(runtime.name) / "shyper-tui").iterdir()) == []
    runtime.cleanup()
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert (tmp_path / "vm0.log").read_bytes().startswith(b"Shyper-TUI supervisor")


@pytest.mark.parametrize("script", [["--until", "vm0:never"], []])
def test_a_run_ends_when_its_output_cannot_be_written(tmp_path: Path, script: list[str]) -> None:
    whole = command("--log-dir", str(tmp_path), "--network", "none", *script)  # ports may be taken
    process = subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # as `| head` does when it has seen enough
    assert process.wait(timeout=60) == 1
    assert process.stderr.read() == ""
    process.stderr.close()
    with open("/dev/full", "w") as full:
        failed = subprocess.run(
            whole, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60, check=False
        )
    assert (failed.returncode, failed.stderr) == (1, "Error: No space left on device.\n")


@pytest.mark.parametrize("script", [["--until", "vm0:never"], []])
def test_a_killed_worker_is_one_sentence(tmp_path: Path, script: list[str]) -> None:
    whole = command("--log-dir", str(tmp_path), "--network", "none", *script)  # ports may be taken
    process = subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    for line in process.stdout:
        if "Type help" in line:
            break
    (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(worker), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, "Error: The engine was killed by signal 9 (SIGKILL). Run it again.\n")


def wait_gone(pidfd: int) -> bool:
    """A descriptor of a process becomes readable when that has ended."""
    return bool(select.select([pidfd], [], [], 30)[0])
