"""Hypercalls of type 1: list, boot, shut down, reboot and remove VMs."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from shyper_tui.engine.hypervisor.calls.table import NAME_SIZE, VMM, Args, hypercall

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vm import Vm


MAX_LISTED = 16


@hypercall(VMM, 0)
def list_vms(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """u64 count, then 44 bytes for each VM: id, name[32], type, state."""
    manager = hypervisor.manager
    page = bytearray(struct.pack("<Q", len(manager.table)))
    for vm_id, entry in list(manager.table.items())[:MAX_LISTED]:
        name = entry.definition.name.encode("utf-8", "replace")[: NAME_SIZE - 1]
        page += struct.pack("<I32sII", vm_id, name, int(entry.definition.type), manager.state(vm_id).number)
    vm.memory.write(args[0], bytes(page))
    return 0


@hypercall(VMM, 1)
def get_state(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    return hypervisor.manager.state(args[0]).number


@hypercall(VMM, 2)
def boot_vm(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.manager.boot(args[0])
    return 0


@hypercall(VMM, 3)
def shutdown_vm(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.manager.shutdown(args[0] & 0xFFFF, force=bool(args[0] >> 16 & 0xFFFF))
    return 0


@hypercall(VMM, 4)
def reboot_vm(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.manager.reboot(args[0] & 0xFFFF, force=bool(args[0] >> 16 & 0xFFFF))
    return 0


@hypercall(VMM, 8, any_vm=True)
def get_vm_id(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    vm.memory.write(args[0], struct.pack("<Q", vm.id))
    return 0


@hypercall(VMM, 16)
def remove_vm(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.manager.remove(args[0])
    return 0
