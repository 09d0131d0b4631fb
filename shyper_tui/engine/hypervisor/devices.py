"""Builds the emulated devices of a VM from its definition: one small function per device type, found in a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.board.virtio.block import Block
from shyper_tui.engine.board.virtio.mmio import VirtioMmio
from shyper_tui.engine.board.virtio.net import Net
from shyper_tui.engine.board.virtio.switch import Switch
from shyper_tui.engine.hypervisor.consoles import ConsoleHub
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, VmError
from shyper_tui.engine.hypervisor.disks import MediatedDisks
from shyper_tui.engine.hypervisor.layout import VPLIC_LENGTH
from shyper_tui.engine.hypervisor.mvm import MVM_ID
from shyper_tui.engine.hypervisor.vm import Vm

VENDOR_ID = 0x8888
VIRTIO_LENGTH = 0x1000
NET_FEATURES = 0x0023_7DA3
"""CSUM, GUEST_CSUM, MAC, the TSO, UFO and ECN bits, STATUS, CTRL_VQ, GUEST_ANNOUNCE: frames keep their sender's
metadata."""
MAX_SECTORS = 1 << 40


@dataclass(frozen=True, slots=True)
class Environment:
    """What the devices of all VMs share."""

    switch: Switch
    consoles: ConsoleHub
    disks: MediatedDisks


Builder = Callable[[Vm, EmulatedDevice, Environment], None]


def build_devices(vm: Vm, environment: Environment) -> None:
    """Put every emulated device of the VM's definition on its bus. Raises VmError for one that cannot be built."""
    for device in vm.definition.devices:
        builder = BUILDERS.get(device.type)
        if builder is None:
            raise VmError(f"device {device.name}: type {_type_name(device.type)} does not exist on RISC-V")
        try:
            builder(vm, device, environment)
        except ValueError as error:  # overlaps on the bus, more switch ports than there are
            raise VmError(f"device {device.name}: {error}") from None


def _type_name(number: int) -> str:
    return DeviceType(number).name if number in DeviceType.__members__.values() else str(number)


def _plic(vm: Vm, device: EmulatedDevice, environment: Environment) -> None:
    if vm.vplic is not None:
        vm.bus.attach(device.base_ipa, VPLIC_LENGTH, vm.vplic, device.name)


def _virtio(vm: Vm, device: EmulatedDevice, backend: Backend) -> None:
    if vm.vplic is not None and not 1 <= device.irq_id <= vm.vplic.plic.source_count:
        raise VmError(f"device {device.name}: irq {device.irq_id} is not a source of the interrupt controller")
    transport = VirtioMmio(vm.memory, vm.line(device.irq_id), backend, vendor_id=VENDOR_ID)
    vm.bus.attach(device.base_ipa, max(device.length, VIRTIO_LENGTH), transport, device.name)
    vm.resets.append(transport.reset)


def _block(vm: Vm, device: EmulatedDevice, environment: Environment) -> None:
    start, sectors = (*device.cfg_list, 0, 0)[:2]
    if not 0 < sectors <= MAX_SECTORS or start > MAX_SECTORS:
        what = f"[first sector, number of sectors], at most {MAX_SECTORS} each"
        raise VmError(f"device {device.name}: its cfg_list must be {what}")
    disk = environment.disks.window(vm.definition.disk_index, start, sectors)
    _virtio(vm, device, Block(disk, serial=f"virtio-blk-vm{vm.id}"))
    vm.releases.append(disk.close)


def _net(vm: Vm, device: EmulatedDevice, environment: Environment) -> None:
    if len(device.cfg_list) < 6:
        raise VmError(f"device {device.name}: its cfg_list must be the 6 bytes of a MAC address")
    net = Net(bytes(value & 0xFF for value in device.cfg_list[:6]), features=NET_FEATURES)
    port = environment.switch.attach(f"vm{vm.id} {device.name}", net.deliver)
    net.port = port
    vm.releases.append(port.unplug)
    _virtio(vm, device, net)


def _console(vm: Vm, device: EmulatedDevice, environment: Environment) -> None:
    peer_vm, peer_ipa = (*device.cfg_list, 0, 0)[:2]
    key = (vm.id, device.base_ipa)
    first = vm.id != MVM_ID and not any(
        other.type == DeviceType.VIRTIO_CONSOLE
        for other in vm.definition.devices[: vm.definition.devices.index(device)]
    )
    console = environment.consoles.add(key, (peer_vm, peer_ipa), vm.console if first else None)
    vm.releases.append(lambda: environment.consoles.remove(key, console))
    _virtio(vm, device, console)


def _shyper(vm: Vm, device: EmulatedDevice, environment: Environment) -> None:
    vm.mailbox_irq = device.irq_id or None


BUILDERS: dict[int, Builder] = {
    DeviceType.PLIC: _plic,
    DeviceType.VIRTIO_BLK: _block,
    DeviceType.VIRTIO_BLK_MEDIATED: _block,
    DeviceType.VIRTIO_NET: _net,
    DeviceType.VIRTIO_CONSOLE: _console,
    DeviceType.SHYPER: _shyper,
}
