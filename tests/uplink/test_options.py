"""Options of `run` and `machine` about the outer network, through the command and a whole engine."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_run import ROOT, run
from tests.uplink.test_capture import read
from tests.uplink.test_forwards import free_server

PROMPT = ["--until", "vm0:mvm# ", "--timeout", "60"]


def machine(*arguments: str) -> subprocess.CompletedProcess[str]:
    kernel = ROOT / "shyper_tui" / "images" / "embedded" / "supervisor.elf"
    command = [sys.executable, "-m", "shyper_tui.cli", "machine", "--headless", "--kernel", str(kernel)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--network", "bridge"], "'bridge' is not one of 'user', 'user,host-loopback', 'isolated', 'none'"),
        (["--forward", "22"], "'22' is not of the form [HOST:]PORT:GUESTPORT, for example 8080:80."),
        (["--forward", "80:1", "--forward", "80:2"], "port 80 of 127.0.0.1 is forwarded twice."),
        (["--network", "none", "--forward", "8080:80"], "Without a network card (--network none)"),
        (["--pcap-replace"], "--pcap-replace needs --pcap FILE."),
    ],
)
def test_options_that_make_no_sense_are_one_sentence(tmp_path: Path, options: list[str], sentence: str) -> None:
    for result in (run(tmp_path, *options, *PROMPT), machine(*options)):
        assert result.returncode == 2
        assert sentence in " ".join(result.stderr.split())


@pytest.mark.usefixtures("library")
def test_a_port_that_was_asked_for_and_is_taken_is_an_error_and_nothing_starts(tmp_path: Path) -> None:
    with free_server() as taken:
        forward = f"{taken.getsockname()[1]}:22"
        sentence = f"port {taken.getsockname()[1]} of 127.0.0.1 cannot be forwarded: the port cannot be had"
        file = tmp_path / "frames.pcapng"
        result = run(tmp_path, "--forward", forward, "--pcap", str(file), *PROMPT)
        assert not file.exists()
        assert result.returncode == 1
        assert sentence in result.stderr
        assert "mvm#" not in result.stdout
        result = machine("--forward", forward)
        assert result.returncode == 1
        assert f"Error: {sentence}" in result.stderr


def test_eight_drives_leave_no_slot_for_a_network_card(tmp_path: Path) -> None:
    drives = []
    for number in range(8):
        disk = tmp_path / f"disk{number}"
        disk.write_bytes(bytes(512))
        drives += ["--drive", str(disk)]
    until = ["--until", "mvm# ", "--timeout", "60"]
    result = machine(*drives, *until)
    assert "Warning: 8 drives leave no slot for a network card, so there is none." in result.stderr
    result = machine(*drives, "--forward", "8080:80", *until)
    assert result.returncode == 1
    assert "Error: 8 drives leave no slot for a network card" in result.stderr


def test_a_capture_is_written_by_a_run_and_never_over_a_file(tmp_path: Path) -> None:
    file, logs = tmp_path / "frames.pcapng", tmp_path / "logs"
    both = ["--until", "vm0:mvm# ", "--until", "vm1:gvm# ", "--send", "vm0:ping 10.0.0.2", "--until", "vm0:mvm# "]
    result = run(logs, "--network", "none", "--pcap", str(file), *both, "--timeout", "60")
    assert result.returncode == 0, result.stderr
    assert any(name.startswith("vm0 ") for name in read(file).names)
    assert read(file).frames
    before = file.read_bytes()
    result = run(logs, "--pcap", str(file), *PROMPT)
    assert result.returncode == 2
    assert "is there already. Name another file, or add --pcap-replace." in " ".join(result.stderr.split())
    assert file.read_bytes() == before
    result = run(logs, "--network", "none", "--pcap", str(file), "--pcap-replace", *PROMPT)
    assert result.returncode == 0, result.stderr
    assert file.read_bytes() != before


@pytest.mark.usefixtures("library")
def test_a_script_does_not_care_who_has_the_usual_port(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # somebody has it already
            stack.enter_context(socket.create_server(("127.0.0.1", 5555)))
        result = run(tmp_path, *PROMPT)
    assert result.returncode == 0, result.stderr
    assert "5555" not in result.stderr, "that is in the engine's log alone"
