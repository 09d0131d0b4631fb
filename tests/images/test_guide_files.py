"""The guide's files in the managing VM: the second guest differs from the first only where it must."""

from __future__ import annotations

from pathlib import Path

from shyper_tui import config
from shyper_tui.config import VmConfig
from shyper_tui.engine.hypervisor.mvm import console_for
from shyper_tui.images import guide_files


def read(number: int) -> VmConfig:
    found = config.read_vm(guide_files.vm_configuration(number), f"vm{number}.json").value
    assert found is not None
    return found


def test_the_guests_are_wired_to_the_managing_vms_consoles() -> None:
    for number in (1, 2):
        wired = [device for device in read(number).emulated_devices if device.name.startswith("virtio_console")]
        peer = console_for(number)
        assert [(device.name, device.base_ipa, tuple(device.cfg_list)) for device in wired] == [
            (peer.name, peer.base_ipa, (0, peer.base_ipa))
        ]


def test_both_can_run_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "Image").write_bytes(b"\x6f\0\0\0".ljust(4096, b"\0"))
    first, second = read(1), read(2)
    found = config.check_vm(second, config.DEFAULT_BOARD, [first], tmp_path, False)
    unexpected = {finding.code for finding in found} - {"not-a-kernel", "no-ramdisk", "console-hint"}
    assert unexpected == set()
    assert first.cmdline == second.cmdline
    assert (first.memory, first.cpu) == (second.memory, second.cpu)


def test_the_daemon_file_names_the_disks_that_are_there() -> None:
    found = config.read_daemon(guide_files.MEDIATED, "mediated-cfg.json").value
    assert found is not None
    assert found.mediated == tuple(f"/root/{name}" for name in guide_files.DISKS)
