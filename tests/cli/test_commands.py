"""The command line as a user meets it: help, versions, errors in one sentence, exit statuses."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

from shyper_tui.version import VERSION

ROOT = Path(__file__).parents[2]


def shyper(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shyper_tui.cli", *arguments]
    with tempfile.TemporaryDirectory() as runtime:  # short enough for sockets, and nobody's engines are in it
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "XDG_RUNTIME_DIR": runtime, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=60, check=False
        )


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    assert shyper("--version").stdout == f"shyper-tui, version {VERSION}\n"


@pytest.mark.parametrize("arguments", [[], ["run"], ["machine"], ["check"], ["images"], ["images", "fetch"], ["vm"],
                                       ["vm", "config"], ["bench"]])  # fmt: skip
def test_help_explains(arguments: list[str]) -> None:
    result = shyper(*arguments, "--help")
    assert result.returncode == 0
    assert f"Usage: shyper-tui {' '.join(arguments)}".rstrip() in result.stdout
    assert result.stdout.count("\n") > 6


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["--embedded", "run"], 2, "Options for `run` go behind its name."),
        (["run", "--until", "x"], 2, "not of the form vmN:TEXT"),
        (["run", "--vm", "missing.json"], 2, "'missing.json' does not exist"),
        (["run", "--timeout", "0"], 2, "is not in the range"),
        (["check"], 2, "Missing argument"),
        (["check", "missing.json"], 2, "'missing.json' does not exist"),
        (["images", "path", "nothing"], 1, "There is no image named 'nothing'"),
        (["vm", "list"], 1, "No engine is running."),
        (["vm", "--socket", "missing.sock", "list"], 1, "no engine answers at missing.sock"),
        (["vm", "boot", "9"], 2, "is not in the range"),
        ([], 2, "The workstation needs a terminal."),
    ],
)
def test_a_user_error_is_one_sentence(tmp_path: Path, arguments: list[str], status: int, sentence: str) -> None:
    result = shyper(*arguments, cwd=tmp_path)
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.returncode == status


def test_check_names_file_line_and_column(tmp_path: Path) -> None:
    broken = tmp_path / "vm.json"
    broken.write_text('{\n  "name": 5,\n}\n')
    result = shyper("check", str(broken), cwd=tmp_path)
    assert result.returncode == 1
    assert f"{broken}:2:11: error[" in result.stderr
    assert result.stderr.rstrip().splitlines()[-1].endswith("errors")


def test_check_of_something_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "vm.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty.json").write_text("")
    result = shyper("check", "vm.json", "empty.json", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "vm.json:1:1: error[not-utf-8]: The file is no UTF-8 text (byte 0 is 0xff). Save it as UTF-8.",
        "empty.json:1:1: error[syntax]: The file is empty. Write a JSON object: { … }.",
        "2 errors",
    ]
    assert shyper("run", "--headless", "--vm", "vm.json", cwd=tmp_path).returncode == 2


def test_run_with_a_wrong_configuration_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "vm.json").write_text("{}")
    result = shyper("run", "--headless", "--vm", "vm.json", cwd=tmp_path)
    assert result.returncode == 2
    assert "vm.json:1:1: error[" in result.stderr


def test_the_workstation_does_not_open_with_a_wrong_configuration(tmp_path: Path) -> None:
    (tmp_path / "vm.json").write_text("{}")
    result = shyper("--vm", "vm.json", cwd=tmp_path)
    assert result.returncode == 2
    assert "vm.json:1:1: error[" in result.stderr


def test_running_as_a_module_ignores_modules_of_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('the wrong module')")
    result = subprocess.run(
        [sys.executable, "-P", "-m", "shyper_tui.engine", "--help"],
        capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0
    assert "--socket" in result.stdout


def test_the_samples_have_no_errors() -> None:
    names = ["linux-guest", "embedded-guest", "daemon"]
    result = shyper("check", "--mvm", "sample_configs/mvm.json", *[f"sample_configs/{name}.json" for name in names])
    errors = [line for line in result.stderr.splitlines() if "error[" in line]
    assert all("error[file-missing]: The image linux/" in line for line in errors), errors


def test_the_managing_vms_file_among_guests_is_told() -> None:
    result = shyper("check", "sample_configs/embedded-guest.json", "sample_configs/mvm.json")
    assert result.returncode == 1
    tip = "If sample_configs/mvm.json is the managing VM, give it with --mvm sample_configs/mvm.json."
    assert result.stderr.splitlines()[-1] == tip
    assert "--mvm" not in shyper("check", "sample_configs/embedded-guest.json").stderr


@pytest.mark.parametrize("arguments", [["check", "sample_configs/embedded-guest.json"], ["images", "list"]])
def test_an_output_that_is_full_is_one_sentence(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "shyper_tui.cli", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
    assert (result.returncode, result.stderr) == (1, "Error: No space left on device.\n")


@pytest.mark.skipif(not Path("/usr/lib/apt/apt-helper").exists(), reason="needs apt")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_fetch_leaves_no_apt_behind(tmp_path: Path, number: signal.Signals) -> None:
    # tells its process id, and as apt does how far it is; then it takes long
    apt = tmp_path / "apt-get"
    apt.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pid\n"
        'for a; do case "$a" in APT::Status-Fd=*) echo dlstatus:1:10.0:x > /dev/fd/${a#*=};; esac; done\n'
        "exec sleep 600\n"
    )
    apt.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    process = subprocess.Popen(
        [sys.executable, "-m", "shyper_tui.cli", "images", "fetch", "--mirror", "http://mirror.invalid/debian"],
        stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline() == "package index of stable\n"
    apt_process = os.pidfd_open(int((tmp_path / "pid").read_text()))
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.endswith("Interrupted.\n")
    assert "Traceback" not in errors
    assert select.select([apt_process], [], [], 30)[0]  # readable: it has ended
    os.close(apt_process)


def test_the_documentation_has_every_command_of_vm_and_system() -> None:
    from shyper_tui.commands import system, vm

    page = (ROOT / "docs" / "workstation.md").read_text(encoding="utf-8")
    for group in (vm.command, system.command):
        for name, command in group.commands.items():
            assert f"`{group.name} {name}" in page
            assert not command.get_short_help_str(60).endswith("..."), f"too long for the list: {name}"
            assert any("--json" in option.opts for option in command.params) or name == "update"
