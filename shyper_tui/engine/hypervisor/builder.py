"""Makes a VM from its definition, or says in one sentence why that cannot be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from shyper_tui.engine.hypervisor.definition import DeviceType, VmDefinition, VmError
from shyper_tui.engine.hypervisor.devices.environment import Environment
from shyper_tui.engine.hypervisor.devices.table import build_devices
from shyper_tui.engine.hypervisor.devices.vm_console import VmConsole
from shyper_tui.engine.hypervisor.guest_memory import GuestMemory, RamRegion
from shyper_tui.engine.hypervisor.layout import PAGE, PLIC_LENGTH
from shyper_tui.engine.hypervisor.mvm import MVM_ID
from shyper_tui.engine.hypervisor.pool import OutOfMemoryError, PageAllocator, Pool
from shyper_tui.engine.hypervisor.stage2 import MappingError, Stage2
from shyper_tui.engine.hypervisor.vcpu import Vcpu
from shyper_tui.engine.hypervisor.vm import Vm
from shyper_tui.engine.hypervisor.vplic import VPlic

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor

RAM_BASE = 0x8000_0000
CLINT = (0x0200_0000, 0x0201_0000)
FINISHER = (0x0010_0000, 0x0010_1000)
SHARED_IRQS = range(1, 7)
"""Passthrough irqs that several VMs may own."""


def check(definition: VmDefinition, hypervisor: Hypervisor) -> None:
    """Raises VmError for a definition no VM can be made from."""
    cpu = definition.cpu
    cores = cpu.cores()
    if not definition.memory:
        raise VmError(f"VM {definition.name} has no memory region")
    for region in definition.memory:
        if region.length < PAGE or (region.ipa_start | region.length) % PAGE:
            raise VmError(
                f"memory region {region.ipa_start:#x} of VM {definition.name} is not made of whole pages of 4 KiB"
            )
    if cpu.num < 1 or cpu.num != len(cores):
        raise VmError(f"VM {definition.name} has {cpu.num} CPUs and {len(cores)} cores to put them on")
    missing = [core for core in cores if core not in hypervisor.cores]
    if missing:
        raise VmError(
            f"VM {definition.name} wants core {missing[0]}, and the machine has {len(hypervisor.cores)} harts"
        )
    if definition.id != MVM_ID and 0 in cores and MVM_ID in hypervisor.manager.table:
        raise VmError(f"VM {definition.name} wants core 0, which belongs to the managing VM alone")
    if definition.stream_ids and any(definition.stream_ids):
        raise VmError(f"VM {definition.name} names stream ids, and the machine has no IOMMU")
    seen: set[int] = set()
    for device in definition.devices:
        if device.irq_id and device.irq_id in seen | set(definition.passthrough_irqs):
            raise VmError(f"device {device.name}: irq {device.irq_id} is used twice in VM {definition.name}")
        seen.add(device.irq_id)
    _check_passthrough(definition, hypervisor)


def _check_passthrough(definition: VmDefinition, hypervisor: Hypervisor) -> None:
    plic = hypervisor.platform.plic_base
    forbidden = [
        (RAM_BASE, hypervisor.platform.ram_end, "RAM"),
        (plic, plic + PLIC_LENGTH, "the interrupt controller"),
        (*CLINT, "the CLINT"),
    ]
    if definition.id != MVM_ID:
        forbidden.append((*FINISHER, "the machine's power switch"))
    for region in definition.passthrough:
        for low, high, what in forbidden:
            if region.pa < high and low < region.pa + region.length:
                raise VmError(f"passthrough region {region.pa:#x} of VM {definition.name} would open {what} to it")
    for irq in definition.passthrough_irqs:
        owner = hypervisor.manager.owner_of_irq(irq)
        if owner is not None and owner.id != definition.id and irq not in SHARED_IRQS:
            raise VmError(f"irq {irq} for VM {definition.name} belongs to VM {owner.id} already")


def build(definition: VmDefinition, hypervisor: Hypervisor, pool: Pool, pages: PageAllocator) -> Vm:
    """The VM with memory, stage 2, vCPUs and devices. Raises VmError; nothing stays allocated then."""
    check(definition, hypervisor)
    platform = hypervisor.platform
    taken: list[RamRegion] = []
    vm: Vm | None = None
    stage2: Stage2 | None = None
    try:
        stage2 = Stage2(platform.memory, pages, definition.id)
        for region in definition.memory:
            identity = definition.id == MVM_ID and pool.allocate_at(region.ipa_start, region.length)
            physical = region.ipa_start if identity else pool.allocate(region.length)
            length = region.length - region.length % PAGE
            taken.append(RamRegion(region.ipa_start, physical, length))
            stage2.map(region.ipa_start, physical, length, f"memory region {region.ipa_start:#x}")
        for window in definition.passthrough:
            stage2.map(window.ipa, window.pa, window.length, f"passthrough region {window.ipa:#x}")
        vm = Vm(definition, stage2, GuestMemory(platform.memory, taken), VmConsole())
        vm.console.output = partial(_show, hypervisor, vm)
        cores = definition.cpu.cores()
        vm.vcpus = [Vcpu(vm, index, hypervisor.cores[core]) for index, core in enumerate(cores)]
        if any(device.type == DeviceType.PLIC for device in definition.devices):
            outputs = [partial(hypervisor.set_external, vcpu) for vcpu in vm.vcpus]
            passthrough = frozenset(definition.passthrough_irqs)
            vm.vplic = VPlic(outputs, cores, passthrough, hypervisor.physical_plic, vm.claimed)
        _check_windows(vm)
        build_devices(vm, Environment(platform.switch, platform.consoles, platform.disks))
    except (MappingError, OutOfMemoryError, VmError) as error:
        if vm is not None:
            for release in vm.releases:
                release()
        if stage2 is not None:
            stage2.free()
        for region_taken in taken:
            pool.release(region_taken.physical, region_taken.length)
        raise VmError(str(error)) from None
    return vm


def _show(hypervisor: Hypervisor, vm: Vm, data: bytes) -> None:
    """Console output of a VM; what a VM still writes after it was removed is dropped."""
    entry = hypervisor.manager.table.get(vm.id)
    if entry is not None and entry.vm is vm:
        hypervisor.platform.on_console(vm.id, data)


def _check_windows(vm: Vm) -> None:
    """An emulated device that stage 2 maps would never be reached."""
    for device in vm.definition.devices:
        length = PLIC_LENGTH if device.type == DeviceType.PLIC else device.length
        for mapping in vm.stage2.mappings:
            if length and device.base_ipa < mapping.ipa + mapping.length and mapping.ipa < device.base_ipa + length:
                raise VmError(f"device {device.name} at {device.base_ipa:#x} overlaps {mapping.name}")
