"""What the builders of emulated devices share: the machine-wide things, and how a virtio device comes to a VM's bus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shyper_tui.engine.board.device import Timebase
from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.board.virtio.disk_server import quiet
from shyper_tui.engine.board.virtio.mmio import VirtioMmio
from shyper_tui.engine.board.virtio.switch import Switch
from shyper_tui.engine.hypervisor.definition import EmulatedDevice, VmError
from shyper_tui.engine.hypervisor.devices.consoles import ConsoleHub
from shyper_tui.engine.hypervisor.devices.disks import MediatedDisks
from shyper_tui.engine.hypervisor.devices.flush import Post
from shyper_tui.engine.hypervisor.layout import VIRTIO_LENGTH
from shyper_tui.engine.hypervisor.vm import Vm

VENDOR_ID = 0x8888


@dataclass(frozen=True, slots=True)
class Environment:
    """What the devices of all VMs share. `log` takes lines for the log; without `timebase` nothing has a time limit.
    `post` brings what other threads have done to the machine's; without it the machine waits for them."""

    switch: Switch
    consoles: ConsoleHub
    disks: MediatedDisks
    log: Callable[[str], None] = quiet
    timebase: Timebase | None = None
    post: Post | None = None


Builder = Callable[[Vm, EmulatedDevice, Environment], None]
"""Puts one device of a VM on its bus. Raises VmError, or ValueError for an overlap."""


def attach_virtio(vm: Vm, device: EmulatedDevice, backend: Backend) -> None:
    """Put `backend` behind a virtio-mmio transport at the device's address, on its irq."""
    if vm.vplic is not None and not 1 <= device.irq_id <= vm.vplic.plic.source_count:
        raise VmError(f"device {device.name}: irq {device.irq_id} is not a source of the interrupt controller")
    transport = VirtioMmio(vm.memory, vm.line(device.irq_id), backend, vendor_id=VENDOR_ID)
    length = max(device.length, VIRTIO_LENGTH)
    vm.bus.attach(device.base_ipa, length, transport, device.name)
    vm.direct.add(device.base_ipa, length, transport)
    vm.resets.append(transport.reset)
    vm.backends[device.name] = backend
