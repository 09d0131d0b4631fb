"""The small parts behind the workstation: speed, console streams by VM, definitions, log folders."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from shyper_tui.config import read_vm, sample_path
from shyper_tui.engine.console_stream import ConsoleStream
from shyper_tui.engine.consoles import Consoles
from shyper_tui.engine.definitions import definition
from shyper_tui.engine.hypervisor.definition import DeviceType
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.log_folder import KEPT_RUNS, log_folder
from shyper_tui.engine.speed import INTERVAL, Speedometer


def test_speed_is_measured_between_looks_that_are_far_enough_apart() -> None:
    meter, start = Speedometer(2), time.monotonic()
    meter.look([(3_000_000, 4_000_000), (1_000_000, 4_000_000)], now=start + 1000)
    first = meter.mips
    meter.look([(9_000_000, 9_000_000), (1_000_000, 9_000_000)], now=start + 1000 + INTERVAL / 2)
    assert (meter.mips, meter.busy) == (first, [0.75, 0.25])  # too early
    meter.look([(13_000_000, 14_000_000), (1_000_000, 14_000_000)], now=start + 1002)
    assert meter.mips == pytest.approx(5.0, rel=1e-3)
    assert meter.busy == [1.0, 0.0]


def test_a_machine_whose_cycles_stand_still_is_not_busy() -> None:
    meter, start = Speedometer(1), time.monotonic()
    meter.look([(500, 1000)], rate=100_000_000, now=start + 10)
    assert meter.busy[0] < 0.001


def test_a_vm_with_the_id_of_a_removed_one_has_its_own_stream(tmp_path: Path) -> None:
    opened: list[tuple[int, ConsoleStream]] = []
    consoles = Consoles(tmp_path, lambda vm, stream: opened.append((vm, stream)))
    first, second = object(), object()
    consoles.keep({1: first})
    stream = consoles.of(1, first)
    stream.write(b"old")
    consoles.keep({1: second})
    assert stream.closed
    consoles.of(1, second).write(b"new")
    consoles.close()
    assert [vm for vm, _ in opened] == [1, 1]
    assert ((tmp_path / "vm1.log").read_bytes(), (tmp_path / "vm1-2.log").read_bytes()) == (b"old", b"new")


def test_the_sample_of_the_managing_vm_is_the_built_in_one_with_a_ramdisk() -> None:
    file = sample_path("mvm")
    wanted = read_vm(file.read_text(), str(file)).value
    assert wanted is not None
    made, built_in = definition(0, wanted), mvm_definition(consoles=2)
    assert made.cmdline == built_in.cmdline
    assert made.memory == built_in.memory
    assert made.cpu == built_in.cpu
    assert [(d.base_ipa, d.irq_id, d.type) for d in made.devices] == [
        (d.base_ipa, d.irq_id, d.type) for d in built_in.devices
    ]
    assert {r.pa for r in made.passthrough} == {r.pa for r in built_in.passthrough}
    assert made.passthrough_irqs == built_in.passthrough_irqs


def test_a_mediated_disk_becomes_a_marked_block_device() -> None:
    file = sample_path("linux-guest")
    wanted = read_vm(file.read_text(), str(file)).value
    assert wanted is not None
    block = next(device for device in definition(1, wanted).devices if "blk" in device.name)
    assert (block.type, block.mediated, block.cfg_list[:2]) == (DeviceType.VIRTIO_BLK, True, (0, 8192000))
    assert definition(1, wanted).cpu.cores() == [1, 2, 3]


def test_old_log_folders_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    logs = tmp_path / "shyper-tui" / "logs"
    for number in range(KEPT_RUNS + 5):
        (logs / f"20200101-0000{number:02}-1").mkdir(parents=True)
    folder = log_folder(None)
    left = sorted(entry.name for entry in logs.iterdir())
    assert folder.name in left
    assert len(left) == KEPT_RUNS
    assert "20200101-000000-1" not in left
    assert log_folder(str(tmp_path / "mine" / "deep")).is_dir()
