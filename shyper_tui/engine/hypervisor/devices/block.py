"""Block devices of VMs: over a mediated disk, or a scratch disk."""

from __future__ import annotations

from shyper_tui.engine.board.virtio.block import Block
from shyper_tui.engine.hypervisor.definition import EmulatedDevice, VmError
from shyper_tui.engine.hypervisor.devices.environment import Environment, attach_virtio
from shyper_tui.engine.hypervisor.vm import Vm

MAX_SECTORS = 1 << 40

def build_block(vm: Vm, device: EmulatedDevice, environment: Environment) -> None:
    start, sectors = (*device.cfg_list, 0, 0)[:2]
    if not 0 < sectors <= MAX_SECTORS or start > MAX_SECTORS:
        what = f"[first sector, number of sectors], at most {MAX_SECTORS} each"
        raise VmError(f"device {device.name}: its cfg_list must be {what}")
    disk = environment.disks.window(vm.definition.disk_index, start, sectors)
    attach_virtio(vm, device, Block(disk, serial=f"virtio-blk-vm{vm.id}"))
    vm.releases.append(disk.close)
