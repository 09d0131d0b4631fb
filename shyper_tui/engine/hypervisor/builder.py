"""Makes a VM from its definition, or says in one sentence why that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from shyper_tui.engine.board.dma import DmaPort, NoMemory
from shyper_tui.engine.hypervisor.definition import DeviceType, MemoryRegion, VmDefinition, VmError
from shyper_tui.engine.hypervisor.definition_check import check
from shyper_tui.engine.hypervisor.devices.environment import Environment
from shyper_tui.engine.hypervisor.devices.table import build_devices
from shyper_tui.engine.hypervisor.devices.vm_console import VmConsole
from shyper_tui.engine.hypervisor.guest_memory import GuestMemory, RamRegion
from shyper_tui.engine.hypervisor.layout import VPLIC_LENGTH
from shyper_tui.engine.hypervisor.mvm import MVM_ID
from shyper_tui.engine.hypervisor.platform import Platform
from shyper_tui.engine.hypervisor.pool import OutOfMemoryError, PageAllocator, Pool
from shyper_tui.engine.hypervisor.stage2 import MappingError, Stage2
from shyper_tui.engine.hypervisor.vcpu import Vcpu
from shyper_tui.engine.hypervisor.vm import Vm
from shyper_tui.engine.hypervisor.vplic import VPlic

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor


def build(definition: VmDefinition, hypervisor: Hypervisor, pool: Pool, pages: PageAllocator) -> Vm:
    """The VM with memory, stage 2, vCPUs and devices. Raises VmError; nothing stays allocated then."""
    check(definition, hypervisor)
    platform = hypervisor.platform
    undo: list[Callable[[], None]] = []
    try:
        stage2 = Stage2(platform.memory, pages, definition.id)
        undo.append(stage2.free)
        taken: list[RamRegion] = []
        for region in definition.memory:
            physical = _allocate(definition, region, pool)
            undo.append(partial(pool.release, physical, region.length))
            taken.append(RamRegion(region.ipa_start, physical, region.length))
            stage2.map(region.ipa_start, physical, region.length, f"memory region {region.ipa_start:#x}")
        for window in definition.passthrough:
            stage2.map(window.ipa, window.pa, window.length, f"passthrough region {window.ipa:#x}")
        vm = Vm(definition, stage2, GuestMemory(platform.memory, taken), VmConsole())
        undo.append(vm.unplug)
        _give_devices(vm, platform)
        vm.console.output = partial(_show, hypervisor, vm)
        cores = definition.cpu.cores()
        vm.vcpus = [Vcpu(vm, index, hypervisor.cores[core]) for index, core in enumerate(cores)]
        if any(device.type == DeviceType.PLIC for device in definition.devices):
            outputs = [partial(hypervisor.set_external, vcpu) for vcpu in vm.vcpus]
            passthrough = frozenset(definition.passthrough_irqs)
            vm.vplic = VPlic(outputs, cores, passthrough, hypervisor.physical_plic, vm.claimed)
        _check_windows(vm)
        shared = (platform.switch, platform.consoles, platform.disks, platform.log, platform.timebase, platform.post)
        build_devices(vm, Environment(*shared))
    except BaseException as error:
        for step in reversed(undo):
            step()
        if isinstance(error, MappingError | OutOfMemoryError):
            raise VmError(f"VM {definition.name} cannot be made: {error}") from None
        raise
    return vm


def _allocate(definition: VmDefinition, region: MemoryRegion, pool: Pool) -> int:
    """Machine-physical memory for a region. The managing VM's has the guest's addresses where they are free, as in
    Rust-Shyper."""
    if definition.id == MVM_ID and pool.allocate_at(region.ipa_start, region.length):
        return region.ipa_start
    return pool.allocate(region.length, region.ipa_start)


def _give_devices(vm: Vm, platform: Platform) -> None:
    """Devices that are passed through read and write the VM's memory, by its addresses, and nothing else."""
    for window in vm.definition.passthrough:
        for base, port in platform.dma.items():
            if window.pa <= base < window.pa + window.length:
                port.target = vm.memory
                vm.releases.append(partial(_take_back, port, vm))


def _take_back(port: DmaPort, vm: Vm) -> None:
    if port.target is vm.memory:
        port.target = NoMemory()


def _show(hypervisor: Hypervisor, vm: Vm, data: bytes) -> None:
    """Console output of a VM; what a VM still writes after it was removed is dropped."""
    entry = hypervisor.manager.table.get(vm.id)
    if entry is not None and entry.vm is vm:
        hypervisor.platform.on_console(vm.id, data)


def _check_windows(vm: Vm) -> None:
    """An emulated device that stage 2 maps would never be reached."""
    for device in vm.definition.devices:
        length = VPLIC_LENGTH if device.type == DeviceType.PLIC else device.length
        for mapping in vm.stage2.mappings:
            if length and device.base_ipa < mapping.ipa + mapping.length and mapping.ipa < device.base_ipa + length:
                raise VmError(f"device {device.name} at {device.base_ipa:#x} overlaps {mapping.name}")
