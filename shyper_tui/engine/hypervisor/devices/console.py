"""Consoles of VMs: paired with a console of another VM, and shown by the workstation."""

from __future__ import annotations

from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice
from shyper_tui.engine.hypervisor.devices.environment import Environment, attach_virtio
from shyper_tui.engine.hypervisor.mvm import MVM_ID
from shyper_tui.engine.hypervisor.vm import Vm


def build_console(vm: Vm, device: EmulatedDevice, environment: Environment) -> None:
    """A console paired as `cfg_list` says: [VM id, address of that VM's console]. A guest VM's first one is also shown
    by the workstation, whether its peer exists or not."""
    peer_vm, peer_ipa = (*device.cfg_list, 0, 0)[:2]
    key = (vm.id, device.base_ipa)
    first = vm.id != MVM_ID and not any(
        other.type == DeviceType.VIRTIO_CONSOLE
        for other in vm.definition.devices[: vm.definition.devices.index(device)]
    )
    console = environment.consoles.add(key, (peer_vm, peer_ipa), vm.console if first else None, environment.timebase)
    vm.releases.append(lambda: environment.consoles.remove(key, console))
    attach_virtio(vm, device, console)
