"""Hypercalls of type 1: list, boot, shut down, reboot and remove VMs."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hypervisor.calls.table import VMM, Args, RefusedError, hypercall
from shyper_tui.engine.hypervisor.definition import NAME_SIZE

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vm import Vm


MAX_LISTED = 16
"""Entries that fit the page as its readers know it."""


@hypercall(VMM, 0)
def list_vms(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """u64 count, then 44 bytes for each VM: id, name[32], type, state."""
    manager = hypervisor.manager
    listed = list(manager.table.items())[:MAX_LISTED]
    page = bytearray(struct.pack("<Q", len(listed)))
    for vm_id, entry in listed:
        name = entry.definition.name.encode("utf-8", "replace")[: NAME_SIZE - 1]
        page += struct.pack("<I32sII", vm_id, name, int(entry.definition.type), manager.state(vm_id).number)
    vm.memory.write(args[0], bytes(page))
    return 0


@hypercall(VMM, 1)
def get_state(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """The VM's state as the list has it: 1 pending, 2 active."""
    return hypervisor.manager.state(args[0]).number


@hypercall(VMM, 2)
def boot_vm(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.manager.boot(args[0])
    return 0


@hypercall(VMM, 3)
def shutdown_vm(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """a0: VM id in bits 15..0; bits 31..16 not zero: by force."""
    vm_id, force = _vm_and_force(args[0])
    hypervisor.manager.shutdown(vm_id, force)
    return 0


@hypercall(VMM, 4)
def reboot_vm(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """a0: VM id in bits 15..0; bits 31..16 not zero: by force."""
    vm_id, force = _vm_and_force(args[0])
    if force and vm_id == vm.id:
        hypervisor.manager.guest_reset(vm, ResetType.COLD_REBOOT)
    else:
        hypervisor.manager.reboot(vm_id, force)
    return 0


@hypercall(VMM, 8, any_vm=True)
def get_vm_id(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """The caller's VM id as u64 at a0."""
    vm.memory.write(args[0], struct.pack("<Q", vm.id))
    return 0


@hypercall(VMM, 9)
def get_configuration(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """Writes the configuration of VM a0 as JSON to a1, at most a2 bytes of it, and returns how many it has. Not in
    Rust-Shyper."""
    vm_id, address, size = args[:3]
    hypervisor.manager.entry(vm_id)
    describe = hypervisor.platform.describe
    if describe is None:
        raise RefusedError("nobody can write configurations here")
    text = describe(vm_id).encode("utf-8", "replace")
    if size:
        vm.memory.write(address, text[:size])
    return len(text)


@hypercall(VMM, 16)
def remove_vm(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.manager.remove(args[0])
    return 0


def _vm_and_force(value: int) -> tuple[int, bool]:
    if value >> 32:
        raise RefusedError(f"{value:#x} names no VM")
    return value & 0xFFFF, bool(value >> 16)
