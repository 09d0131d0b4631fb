"""The sample configurations boot; where they name Linux, an embedded system stands in for it."""

from __future__ import annotations

import pytest

from shyper_tui import images
from shyper_tui.config import VmConfig, read_vm, sample_path
from shyper_tui.engine.board.virtio.disk import MemoryDisk
from shyper_tui.engine.definitions import definition
from shyper_tui.engine.hypervisor.devices.disks import MediatedDisks
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.station import Station

MVM, GVM = b"mvm# ", b"gvm# "


def sample(name: str) -> VmConfig:
    file = sample_path(name)
    vm = read_vm(file.read_text(), str(file)).value
    assert vm is not None
    return vm


def booted(*names: str) -> Station:
    """The sample managing VM, and the named guests at their prompts."""
    station = Station(ram=8 << 30)
    station.platform.disks = MediatedDisks([MemoryDisk(bytearray(64 << 20)) for _ in names])
    station.manager.add(definition(0, sample("mvm")), images.embedded("supervisor"))
    station.manager.boot(0)
    for vm_id, name in enumerate(names, 1):
        wanted = sample(name)
        ramdisk = b"stands in for a ramdisk" if wanted.image.ramdisk_filename else b""
        station.manager.add(definition(vm_id, wanted), images.embedded("guest"), ramdisk)
        station.manager.boot(vm_id)
    everybody = range(1, len(names) + 1)
    station.until(lambda: MVM in station.consoles[0] and all(GVM in station.consoles[vm] for vm in everybody))
    return station


@pytest.mark.parametrize("name", ["embedded-guest", "linux-guest"])
def test_a_guest_with_all_devices_boots(name: str) -> None:
    station = booted(name)
    assert "vm state: Active" in station.command(0, "shyper vm list", MVM)
    assert "sectors of 512 bytes" in station.command(1, "blk", GVM)


def test_the_bare_metal_application_boots_without_a_device_tree() -> None:
    station = booted("bare-metal")
    assert b"no device tree at the address in a1" in station.consoles[1]
    assert station.command(1, "echo alive", GVM).split() == ["echo", "alive", "alive"]  # the SBI console


def test_two_linux_guests_share_the_cores() -> None:
    station = booted("two-linux-1", "two-linux-2")
    cores = {vm: [vcpu.core.hart.hart_id for vcpu in station.manager.vm(vm).vcpus] for vm in (1, 2)}
    assert cores == {1: [1, 2, 3], 2: [2, 1, 3]}
    for vm in (1, 2):
        for hart in (1, 2):
            assert station.command(vm, f"hart start {hart}", GVM) == f"hart {hart} started\n"
        assert "counter 300000, expected 300000: ok" in station.command(vm, "smp", GVM, 400_000_000)


def test_the_three_vms_of_the_network_sample_reach_each_other() -> None:
    station = booted("network-1", "network-2", "network-3")
    for vm, peer in ((1, "10.0.0.3"), (2, "10.0.0.4"), (3, "10.0.0.2"), (3, "10.0.0.1")):
        answer = station.command(vm, f"ping {peer} 2", GVM, 200_000_000)
        assert "2 packets transmitted, 2 received" in answer
    assert all(station.manager.state(vm) is VmState.ACTIVE for vm in range(4))
