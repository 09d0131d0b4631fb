"""The bench: what it measures and how it reports. How fast anything is, no test says."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shyper_tui import config
from shyper_tui.bench import HYPERVISOR, NAMES, heavy, session
from shyper_tui.bench.configurations import configuration
from shyper_tui.bench.guide import QUANTITIES, GuideResult
from shyper_tui.bench.guide_scenarios import figures
from shyper_tui.bench.launch import Launch, LaunchError, timed
from shyper_tui.bench.measurements import (
    COMMAND_LINE,
    FOLDER,
    Measurement,
    UnavailableError,
    measurement,
    program,
)
from shyper_tui.bench.qemu import find_qemu
from shyper_tui.bench.report import Remark, Report, Result
from tests.bench.tiny import FAIL, INSTRUCTIONS, write_tiny

QEMU = find_qemu()


def quiet(text: str, done: int, total: int) -> None:
    assert text
    assert 0 <= done <= total


def python(code: str, until: bytes | None = None) -> Launch:
    return Launch((sys.executable, "-S", "-c", code), until)


def test_the_time_ends_with_the_text_and_not_with_the_process() -> None:
    # A pipe holds 64 KiB: the process comes to its last line only when the text in front has been read.
    code = "import time; print('one GUEST-READY' + 1_000_000 * '.'); print(time.perf_counter())"
    started = time.perf_counter()
    timing = timed(python(code, b"GUEST-READY"), 60)
    assert started + timing.wall < float(timing.output.split()[-1])
    started = time.perf_counter()
    whole = timed(python(code), 60)
    assert started + whole.wall > float(whole.output.split()[-1])


def test_processor_time_counts_children_and_not_waiting() -> None:
    child = "import time; e = time.process_time() + 0.1\nwhile time.process_time() < e: pass"
    code = f"import subprocess, sys, time; subprocess.run([sys.executable, '-S', '-c', {child!r}]); time.sleep(0.5)"
    timing = timed(python(code), 60)
    assert timing.cpu > 0.1
    assert timing.wall > 0.5 + 0.1
    assert timing.cpu < timing.wall


@pytest.mark.parametrize(
    ("launch", "sentence"),
    [
        (Launch(("/nonexistent/program",)), "/nonexistent/program cannot be started: No such file or directory"),
        (python("print('out'); raise SystemExit('what is wrong')"), "ended with status 1: what is wrong"),
        (python("print('something else')", b"READY"), "ended without showing READY: something else"),
        (python("print('READY'); raise SystemExit(3)", b"READY"), "ended with status 3: READY"),
    ],
)
def test_a_process_that_fails_is_one_sentence(launch: Launch, sentence: str) -> None:
    with pytest.raises(LaunchError) as caught:
        timed(launch, 60)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "code", ["import os\nwhile True: os.write(1, b'x')", "import os; os.close(1); open('/dev/zero').read()"]
)
def test_a_process_that_does_not_end_is_stopped(code: str) -> None:
    with pytest.raises(LaunchError, match=r"did not end within 0\.2 s"):
        timed(python(code), 0.2)


def test_a_program_is_measured(tmp_path: Path) -> None:
    what = program("tiny", write_tiny(tmp_path / "tiny.elf"), None)
    result = session.measure(what, 2, quiet, clock="cpu")
    assert (result.name, result.instructions) == ("tiny", INSTRUCTIONS)
    assert result.seconds > 0
    assert (result.qemu_seconds, result.ratio) == (None, None)


def test_a_program_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="ended with status"):
        session.measure(program("tiny", write_tiny(tmp_path / "tiny.elf", FAIL), None), 1, quiet)


def test_results_that_differ_are_no_measurement(tmp_path: Path) -> None:
    right = program("tiny", write_tiny(tmp_path / "a.elf"), None)
    with pytest.raises(LaunchError, match="different results: K / L"):
        session.measure(Measurement("tiny", right.ours, python("print('L')")), 1, quiet)


@pytest.mark.oracle
@pytest.mark.skipif(QEMU is None, reason="qemu-system-riscv64 is not installed")
def test_qemu_runs_the_same_program(tmp_path: Path) -> None:
    complaints: list[str] = []
    what = program("tiny", write_tiny(tmp_path / "tiny.elf"), QEMU)
    result = session.measure(what, 1, quiet, complaints.append)
    assert not complaints
    assert result.qemu_seconds is not None
    assert result.ratio == pytest.approx(result.qemu_seconds / result.seconds, rel=0.01)


def test_a_broken_qemu_leaves_our_half(tmp_path: Path) -> None:
    complaints: list[str] = []
    right = program("tiny", write_tiny(tmp_path / "tiny.elf"), None)
    broken = Measurement("tiny", right.ours, python("raise SystemExit('no such machine')"))
    result = session.measure(broken, 2, quiet, complaints.append)
    assert result.qemu_seconds is None
    assert complaints == ["tiny is not compared, QEMU failed: the process ended with status 1: no such machine."]


@pytest.mark.parametrize("name", ["linux_boot", "linux_boot_4", "mvm_boot"])
def test_without_images_a_boot_is_skipped(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    complaints: list[str] = []
    report = session.run([name], 1, quiet, complaints.append)
    reason = "The Linux images are not there; fetch them with `shyper-tui images fetch`."
    assert report.skipped == [Remark(name, reason)]
    assert complaints == [f"{name} is skipped: {reason}"]
    assert not report.ok


def test_every_program_is_there(tmp_path: Path) -> None:
    for name in NAMES:
        if name != HYPERVISOR and not name.endswith(("boot", "boot_4")):
            assert measurement(name, None, tmp_path).name == name
    with pytest.raises(UnavailableError, match="guests/build"):
        program("absent", tmp_path / "absent.elf", None)


def test_heavy_guests_are_attacks_of_the_hostile_guest_in_valid_files(tmp_path: Path) -> None:
    program = (FOLDER / "hostile.elf").read_bytes()
    for kind in (heavy.BUSY, *heavy.KINDS):
        assert kind.encode() + b"\0" in program
    for vm in heavy.CORES:
        reading = config.read_vm(Path(heavy._configuration(tmp_path, vm, heavy.BUSY)).read_text(), "heavy.json")
        assert reading.value is not None
        assert not [found for found in reading.diagnostics if found.severity == "error"]


def test_a_heavy_guest_that_takes_too_much_misses_its_goals() -> None:
    good = heavy.HeavyResult("fences", 0.5, 4.0, 0.95, 0.97, 101.0)
    assert good.goals_met
    bad = dataclasses.replace
    for missed in (bad(good, p99=51.0), bad(good, near=0.89), bad(good, far=0.89), bad(good, memory=513.0)):
        assert not missed.goals_met
    report = Report(None, 1, heavy=[good])
    assert report.ok
    assert json.loads(report.to_json())["heavy"][0]["goals_met"] is True
    assert "fences" in report.table()


def test_the_managing_vm_is_the_sample_with_a_short_boot() -> None:
    reading = config.read_vm(configuration("mvm", "images:linux/initramfs-min.cpio", COMMAND_LINE), "mvm.json")
    sample = config.read_vm(config.sample_path("mvm").read_text(), "mvm.json").value
    assert reading.value is not None
    assert sample is not None
    assert reading.value.cmdline == COMMAND_LINE
    assert reading.value.image.ramdisk_filename == "images:linux/initramfs-min.cpio"
    assert (reading.value.memory, reading.value.cpu) == (sample.memory, sample.cpu)


def test_what_the_guide_carries_is_compared_in_the_right_direction() -> None:
    found = figures("result engine_read 2000000 1000000\r\nresult engine_round_trip 500 50000000\nresult x")
    assert found == {"engine_read": 2000.0, "engine_round_trip": 100.0}
    by_name = {row.name: row for row in QUANTITIES}
    faster = GuideResult(by_name["engine_read"], 2000.0, 1000.0)
    slower = GuideResult(by_name["engine_round_trip"], 100.0, 50.0)
    alone = GuideResult(by_name["mvm_gvm_send"], None, None)
    assert [result.ratio for result in (faster, slower, alone)] == [2.0, 0.5, None]
    report = Report(None, 1, guide=[faster, slower, alone])
    assert report.ok
    assert json.loads(report.to_json())["guide"][1]["ratio"] == 0.5
    assert "2,000 MB/s" in report.table()


def test_the_table_shows_what_is_known() -> None:
    results = [Result("a", 2_000_000, 0.5, 4.0, 1.0, 2.0), Result("bb", 7, 1.0, 0.0, None, None)]
    report = Report("QEMU 10", 3, "wall", results)
    assert report.table().splitlines()[:3] == [
        "name  instructions  seconds  MIPS  QEMU s  ratio",
        "a        2,000,000    0.500     4   1.000   2.00",
        "bb               7    1.000     0       -      -",
    ]
    assert "best wall time of 3 runs" in report.table()
    assert "best processor time (all threads) of 3 runs" in Report(None, 3, "cpu").table()


def test_the_command_prints_one_json_object(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "shyper_tui.cli", "bench", "--json", "--only", "recursion", "--repeats", "1"]
    environment = {**os.environ, "PATH": str(tmp_path)}  # no QEMU there
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    (result,) = answer["results"]
    assert set(result) == {"name", "instructions", "seconds", "mips", "qemu_seconds", "ratio"}
    assert (result["name"], result["qemu_seconds"], result["ratio"]) == ("recursion", None, None)
    assert result["instructions"] > 100_000_000
    assert result["mips"] == pytest.approx(result["instructions"] / result["seconds"] / 1e6, rel=0.01)
    assert (answer["qemu"], answer["skipped"], answer["failed"]) == (None, [], [])


def test_a_name_that_does_not_exist() -> None:
    command = [sys.executable, "-P", "-m", "shyper_tui.cli", "bench", "--only", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "'nothing' is not one of 'coremark_like'" in done.stderr
