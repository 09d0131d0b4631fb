"""Block devices of VMs: each over a window of a mediated disk, or over a scratch disk."""

from __future__ import annotations

from shyper_tui.engine.board.virtio.block import SECTOR, Block, BlockServer
from shyper_tui.engine.board.virtio.disk import DiskWindow
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, VmError
from shyper_tui.engine.hypervisor.devices.daemon_disk import DaemonDisk, DaemonServer
from shyper_tui.engine.hypervisor.devices.disk_page import MAX_SECTORS
from shyper_tui.engine.hypervisor.devices.environment import Environment, attach_virtio
from shyper_tui.engine.hypervisor.devices.paced_server import PacedServer
from shyper_tui.engine.hypervisor.devices.scratch import scratch_disk
from shyper_tui.engine.hypervisor.vm import Vm

BLOCK_DEVICES = (DeviceType.VIRTIO_BLK, DeviceType.VIRTIO_BLK_MEDIATED)


def build_block(vm: Vm, device: EmulatedDevice, environment: Environment) -> None:
    start, sectors = (*device.cfg_list, 0, 0)[:2]
    if not 0 < sectors <= MAX_SECTORS or start > MAX_SECTORS:
        what = f"[first sector, number of sectors], at most {MAX_SECTORS} each"
        raise VmError(f"device {device.name}: its cfg_list must be {what}")
    server = _server(vm, device, environment, start, sectors)
    attach_virtio(vm, device, Block(server, _serial(vm, device), timebase=environment.timebase))
    vm.releases.append(server.close)


def _server(vm: Vm, device: EmulatedDevice, environment: Environment, start: int, sectors: int) -> BlockServer:
    """Who serves the device: a daemon in the managing VM, or the engine."""
    what = f"VM {vm.id} ({vm.name}), device {device.name}"

    def report(line: str) -> None:
        environment.log(f"{what}: {line}")

    def trouble(line: str) -> None:
        environment.log(f"warning: {what}: {line}")

    if device.disk is None:
        if device.mediated:
            report("no mediated disk is free, so its contents are lost when the VM is removed")
        return PacedServer(scratch_disk(sectors * SECTOR), environment.timebase, report)
    entry = environment.disks.disks[device.disk]
    left = entry.sectors - start
    if left <= 0:
        end = f"the end of {entry.name} ({entry.sectors} sectors)"
        raise VmError(f"device {device.name}: its first sector, {start}, lies behind {end}")
    if sectors > left:
        report(f"{entry.name} has {left} sectors from sector {start}, so the capacity is that and not {sectors}")
        sectors = left
    if isinstance(entry.backing, DaemonDisk):
        return DaemonServer(entry.backing, start, sectors)
    window = DiskWindow(entry.backing, start * SECTOR, sectors * SECTOR)
    return PacedServer(window, environment.timebase, trouble, syncs=entry.syncs, post=environment.post)


def _serial(vm: Vm, device: EmulatedDevice) -> str:
    """What GET_ID answers: 20 bytes, the rest of them NUL. The VM's block devices are numbered in their order."""
    others = [other for other in vm.definition.devices if other.type in BLOCK_DEVICES]
    number = next((index for index, other in enumerate(others) if other is device), 0)
    return f"virtio-blk-vm{vm.id}" + (f"-{number}" if number else "")
