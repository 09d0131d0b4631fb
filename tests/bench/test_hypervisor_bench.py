"""What the hypervisor's operations cost: the programs, what is read from their output, and the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shyper_tui.bench import hypervisor, operations
from shyper_tui.bench.measurements import FOLDER
from shyper_tui.bench.operations import Cost, Operation


def test_the_program_measures_every_call_and_the_life_of_a_vm() -> None:
    command = [sys.executable, "-P", "-m", "shyper_tui.bench.run_hypervisor", str(FOLDER / "hypervisor_bench.elf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    times = hypervisor.results(done.stdout)
    assert set(times) == {
        "sbi_base", "remote_fence", "plic_read", "passthrough_read", "hypercall", "virtio_read",
        "create_1gib", "remove_pause",
    }  # fmt: skip
    assert set(times) <= {operation.name for operation in operations.OPERATIONS}
    assert all(value > 0 for value in times.values())
    assert done.stdout.count("mark removed") == 3


def test_results_are_microseconds_and_the_mean_of_pings() -> None:
    output = """vm0 | result fork_wait 100 65000000
    vm0 | round-trip min/avg/max = 0.083/0.700/6.977 ms
    vm0 | round-trip min/avg/max = 0.083/0.400/6.977 ms
    vm0 | round-trip min/avg/max = 0.583/1.100/2.977 ms"""
    assert hypervisor.results(output) == {"fork_wait": 650.0, "ping": 400.0, "ping_apart": 1100.0}


def test_a_goal_is_a_time_or_a_ratio() -> None:
    by_time = Operation("a", "a", 1.0, goal=10.0)
    by_ratio = Operation("b", "b", 1.0, goal_ratio=1.5)
    free = Operation("c", "c", 1.0)
    assert Cost(by_time, 10.0).goal_met is True
    assert Cost(by_time, 10.1).goal_met is False
    assert Cost(by_time, None).goal_met is None
    assert Cost(by_ratio, 3.0, 2.0).goal_met is True
    assert Cost(by_ratio, 3.1, 2.0).goal_met is False
    assert Cost(by_ratio, 3.1).goal_met is None
    assert Cost(free, 1.0, 1.0).goal_met is None
    table = operations.table([Cost(by_time, 12.5), Cost(by_ratio, 3.0, 2.0, 2.5), Cost(free, None)])
    assert "missed" in table
    assert "1.50" in table
    assert "met" in table


def test_without_images_only_the_calls_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shyper_tui.images.linux_images", lambda: None)
    said: list[str] = []
    found = hypervisor.scenarios(None, tmp_path, said.append)
    assert [(scenario.name, scenario.side) for scenario in found] == [("calls", "managing_vm"), ("calls", "machine")]
    assert "images fetch" in said[0]
