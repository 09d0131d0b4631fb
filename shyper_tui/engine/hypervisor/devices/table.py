"""Builds the emulated devices of a VM from its definition: one builder per device type, found in a table."""

from __future__ import annotations

from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, VmError
from shyper_tui.engine.hypervisor.devices.block import build_block
from shyper_tui.engine.hypervisor.devices.console import build_console
from shyper_tui.engine.hypervisor.devices.environment import Builder, Environment
from shyper_tui.engine.hypervisor.devices.message_ring import build_message_ring
from shyper_tui.engine.hypervisor.devices.net import build_net
from shyper_tui.engine.hypervisor.layout import VPLIC_LENGTH
from shyper_tui.engine.hypervisor.vm import Vm


def build_devices(vm: Vm, environment: Environment) -> None:
    """Put every emulated device of the VM's definition on its bus. Raises VmError for one that cannot be built."""
    for device in vm.definition.devices:
        builder = BUILDERS.get(device.type)
        if builder is None:
            raise VmError(f"device {device.name}: type {device.type_name} does not exist on RISC-V")
        try:
            builder(vm, device, environment)
        except ValueError as error:  # overlaps on the bus, more switch ports than there are
            raise VmError(f"device {device.name}: {error}") from None


def _plic(vm: Vm, device: EmulatedDevice, environment: Environment) -> None:
    if vm.vplic is not None:
        vm.bus.attach(device.base_ipa, VPLIC_LENGTH, vm.vplic, device.name)
        vm.direct.add(device.base_ipa, VPLIC_LENGTH, vm.vplic)


BUILDERS: dict[int, Builder] = {
    DeviceType.PLIC: _plic,
    DeviceType.VIRTIO_BLK: build_block,
    DeviceType.VIRTIO_BLK_MEDIATED: build_block,
    DeviceType.VIRTIO_NET: build_net,
    DeviceType.VIRTIO_CONSOLE: build_console,
    DeviceType.SHYPER: build_message_ring,
}
