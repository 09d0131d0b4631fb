"""What no VM can be made from: every mistake in a definition, each told in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shyper_tui.engine.board.memory_map import (
    CLINT_BASE,
    CLINT_LENGTH,
    FINISHER_BASE,
    FINISHER_LENGTH,
    PLIC_LENGTH,
    PLIC_SOURCES,
    RAM_BASE,
)
from shyper_tui.engine.hypervisor.definition import (
    NAME_SIZE,
    SUPPORTED_DEVICES,
    DeviceType,
    MemoryRegion,
    VmDefinition,
    VmError,
    VmType,
)
from shyper_tui.engine.hypervisor.layout import PAGE, VPLIC_SOURCES
from shyper_tui.engine.hypervisor.mvm import MVM_ID
from shyper_tui.engine.hypervisor.stage2 import IPA_BITS

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor

SHARED_IRQS = range(1, 7)
"""Passthrough irqs that several VMs may own."""
MAX_PASSTHROUGH = 2 << 30
"""Bytes of all passthrough regions of a VM: all device space of the board once."""
IPA_END = 1 << IPA_BITS


def check(definition: VmDefinition, hypervisor: Hypervisor) -> None:
    """Raises VmError for a definition no VM can be made from."""
    _check_name(definition)
    _check_memory(definition)
    _check_load_addresses(definition)
    _check_cpus(definition, hypervisor)
    if any(definition.stream_ids):
        raise VmError(f"VM {definition.name} names stream ids, and the machine has no IOMMU")
    _check_devices(definition)
    _check_passthrough(definition, hypervisor)
    _check_passthrough_irqs(definition, hypervisor)


def check_vm_name(name: str) -> None:
    """Raises VmError for a name that does not fit the 32 bytes it has in the VM list, or cannot be shown."""
    if not name or not name.isprintable():
        raise VmError(f"{name!r} is no name for a VM: it needs printable characters")
    size = len(name.encode("utf-8", "replace"))
    if size >= NAME_SIZE:
        raise VmError(f"the VM name {name} has {size} bytes; {NAME_SIZE - 1} are possible")


def _check_name(definition: VmDefinition) -> None:
    check_vm_name(definition.name)
    if definition.type not in VmType.__members__.values():
        kinds = ", ".join(f"{kind.value} ({kind.name})" for kind in VmType)
        raise VmError(f"VM {definition.name} has type {definition.type}; possible are {kinds}")


def _check_memory(definition: VmDefinition) -> None:
    if not definition.memory:
        raise VmError(f"VM {definition.name} has no memory region")
    done: list[MemoryRegion] = []
    for region in definition.memory:
        what = f"memory region {region.ipa_start:#x} of VM {definition.name}"
        if region.length < PAGE or (region.ipa_start | region.length) % PAGE:
            raise VmError(f"{what} is not made of whole pages of 4 KiB")
        if region.ipa_start + region.length > IPA_END:
            raise VmError(f"{what} ends beyond the {IPA_BITS} bits of a guest-physical address")
        for other in done:
            if _overlap(region.ipa_start, region.length, other.ipa_start, other.length):
                raise VmError(f"{what} overlaps memory region {other.ipa_start:#x}")
        done.append(region)


def _check_load_addresses(definition: VmDefinition) -> None:
    """Addresses that must be RAM; what is loaded there is checked for its size when it is known."""
    if not definition.kernel_load_ipa:
        raise VmError(f"VM {definition.name} has no kernel_load_ipa: say where in its memory the kernel goes")
    addresses = [("kernel_load_ipa", definition.kernel_load_ipa)]
    if definition.device_tree_load_ipa:
        addresses.append(("device_tree_load_ipa", definition.device_tree_load_ipa))
    for name, address in addresses:
        if not any(0 <= address - region.ipa_start < region.length for region in definition.memory):
            raise VmError(f"the {name} {address:#x} of VM {definition.name} is not in its memory")


def _check_cpus(definition: VmDefinition, hypervisor: Hypervisor) -> None:
    cpu, cores = definition.cpu, definition.cpu.cores()
    if not cores or cpu.num < 1:
        raise VmError(f"VM {definition.name} has no CPU: its num is {cpu.num}, its bitmap {cpu.allocate_bitmap:#b}")
    if cpu.num != len(cores):
        raise VmError(f"VM {definition.name} has {cpu.num} CPUs and {len(cores)} cores to put them on")
    missing = [core for core in cores if core not in hypervisor.cores]
    if missing:
        raise VmError(
            f"VM {definition.name} wants core {missing[0]}, and the machine has {len(hypervisor.cores)} harts"
        )
    if definition.id != MVM_ID and 0 in cores and MVM_ID in hypervisor.manager.table:
        raise VmError(f"VM {definition.name} wants core 0, which belongs to the managing VM alone")


def _check_devices(definition: VmDefinition) -> None:
    """Types, places and irqs of emulated devices. That they do not overlap one another is seen on the VM's bus."""
    irqs: dict[int, str] = dict.fromkeys(definition.passthrough_irqs, "a passthrough device")
    controllers = 0
    for device in definition.devices:
        what = f"device {device.name} of VM {definition.name}"
        if not device.name or "/" in device.name or not device.name.isprintable() or not device.name.isascii():
            raise VmError(f"{device.name!r} of VM {definition.name} is no name for a device in a device tree")
        if device.type not in SUPPORTED_DEVICES:
            raise VmError(f"{what}: type {device.type_name} does not exist on RISC-V")
        if device.base_ipa + max(device.length, PAGE) > IPA_END:
            raise VmError(f"{what} ends beyond the {IPA_BITS} bits of a guest-physical address")
        if device.type == DeviceType.PLIC:
            controllers += 1  # its irq_id has no meaning; the sample configuration gives it one
            continue
        if device.irq_id > VPLIC_SOURCES:
            raise VmError(f"{what}: irq {device.irq_id} is beyond the {VPLIC_SOURCES} sources of the controller")
        if device.irq_id in irqs:
            raise VmError(f"{what}: irq {device.irq_id} is used twice, {irqs[device.irq_id]} has it, too")
        if device.irq_id:
            irqs[device.irq_id] = device.name
    if controllers > 1:
        raise VmError(f"VM {definition.name} has {controllers} interrupt controllers; one is possible")


def _check_passthrough(definition: VmDefinition, hypervisor: Hypervisor) -> None:
    plic = hypervisor.platform.plic_base
    forbidden = [
        (RAM_BASE, hypervisor.platform.ram_end - RAM_BASE, "RAM of the hypervisor or of a VM"),
        (plic, PLIC_LENGTH, "the machine's interrupt controller"),
        (CLINT_BASE, CLINT_LENGTH, "the machine's timers (CLINT)"),
    ]
    if definition.id != MVM_ID:
        forbidden.append((FINISHER_BASE, FINISHER_LENGTH, "the machine's power switch"))
        for vm in hypervisor.manager.vms():
            if vm.id != MVM_ID:
                forbidden += [(held.pa, held.length, f"a device of VM {vm.id}") for held in vm.definition.passthrough]
    total = 0
    for region in definition.passthrough:
        what = f"passthrough region {region.pa:#x} of VM {definition.name}"
        if (region.ipa | region.pa | region.length) % PAGE or region.length < PAGE:
            raise VmError(f"{what} is not made of whole pages of 4 KiB")
        for base, length, opened in forbidden:
            if _overlap(region.pa, region.length, base, length):
                raise VmError(f"{what} would open {opened} to it")
        if region.pa + region.length > RAM_BASE:
            raise VmError(f"{what} lies beyond the machine's devices, which end at {RAM_BASE:#x}")
        if region.ipa + region.length > IPA_END:
            raise VmError(f"{what} ends beyond the {IPA_BITS} bits of a guest-physical address")
        total += region.length
    if total > MAX_PASSTHROUGH:
        raise VmError(f"the passthrough regions of VM {definition.name} are more than {MAX_PASSTHROUGH >> 30} GiB")


def _check_passthrough_irqs(definition: VmDefinition, hypervisor: Hypervisor) -> None:
    for irq in definition.passthrough_irqs:
        if not 1 <= irq <= PLIC_SOURCES:
            raise VmError(f"passthrough irq {irq} of VM {definition.name} is none of the machine's 1 to {PLIC_SOURCES}")
        owner = hypervisor.manager.owner_of_irq(irq)
        if owner is not None and owner.id != definition.id and irq not in SHARED_IRQS:
            raise VmError(f"irq {irq} for VM {definition.name} belongs to VM {owner.id} already")


def shared_macs(definition: VmDefinition, hypervisor: Hypervisor) -> list[str]:
    """A sentence for each network device whose MAC address another VM's has, too: no mistake that harms others, but
    frames reach only one of them."""
    others = {mac: vm.id for vm in hypervisor.manager.vms() if vm.id != definition.id for mac in _macs(vm.definition)}
    return [
        f"VM {definition.id} and VM {others[mac]} have the same MAC address {mac.hex(':')}: give one of them another"
        for mac in _macs(definition)
        if mac in others
    ]


def _macs(definition: VmDefinition) -> list[bytes]:
    nets = [device for device in definition.devices if device.type == DeviceType.VIRTIO_NET]
    return [bytes(value & 0xFF for value in device.cfg_list[:6]) for device in nets]


def _overlap(base: int, length: int, other_base: int, other_length: int) -> bool:
    return base < other_base + other_length and other_base < base + length
