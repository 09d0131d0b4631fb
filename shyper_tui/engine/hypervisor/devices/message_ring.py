"""The `shyper` device: it has no registers, only the interrupt of the message ring (hypercall 2.0)."""

from __future__ import annotations

from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, VmError
from shyper_tui.engine.hypervisor.devices.environment import Environment
from shyper_tui.engine.hypervisor.vm import Vm


def build_message_ring(vm: Vm, device: EmulatedDevice, environment: Environment) -> None:
    """Messages of the hypervisor reach the VM with this irq, once it has prepared its ring.

    A base and length were meant for 2 MiB that all VMs share. VMs share no memory here, so they are refused.
    """
    if device.base_ipa or device.length:
        raise VmError(f"device {device.name}: memory shared between VMs does not exist; its base and length must be 0")
    if vm.vplic is None or not 1 <= device.irq_id <= vm.vplic.plic.source_count:
        raise VmError(f"device {device.name}: irq {device.irq_id} is not a source of the interrupt controller")
    if sum(other.type == DeviceType.SHYPER for other in vm.definition.devices) > 1:
        raise VmError(f"device {device.name}: a VM has one message ring, so one device of this type")
    vm.mailbox_irq = device.irq_id
    vm.vplic.plic.watch(device.irq_id)  # the ring counts claims
