"""Hypercalls: one table by (type, event), as a7 = 0x0A00_0000 | type << 8 | event encodes them.

A handler gets the arguments x0..x6 and returns the value for a0. Every failure is -1 and a line in the log; pointers
are
guest-physical addresses of the caller, translated page by page and bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hypervisor.definition import VmError
from shyper_tui.engine.hypervisor.mvm import MVM_ID

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vcpu import Vcpu
    from shyper_tui.engine.hypervisor.vm import Vm

FAILURE = -1
SYS, VMM, IVC, MEDIATED, CONFIG = 0x00, 0x01, 0x02, 0x03, 0x11
MAX_LISTED = 16
NAME_SIZE = 32

Args = Sequence[int]
Handler = Callable[["Hypervisor", "Vm", Args], int]


class RefusedError(Exception):
    """The call cannot be served; the message goes to the log."""


HANDLERS: dict[tuple[int, int], tuple[Handler, bool]] = {}


def hypercall(kind: int, event: int, any_vm: bool = False) -> Callable[[Handler], Handler]:
    """Register the decorated function for (type, event). Only VM 0 may make the call, unless `any_vm`."""

    def register(handler: Handler) -> Handler:
        HANDLERS[kind, event] = handler, any_vm
        return handler

    return register


def call(hypervisor: Hypervisor, vcpu: Vcpu, number: int, args: Args) -> int:
    """Perform hypercall `number` (a7) for `vcpu`; returns a0, -1 for every failure."""
    kind, event = number >> 8 & 0xFF, number & 0xFF
    vm = vcpu.vm
    try:
        found = HANDLERS.get((kind, event))
        if found is None:
            raise RefusedError("there is no such call")
        handler, any_vm = found
        if not any_vm and vm.id != MVM_ID:
            raise RefusedError("only the managing VM may do this")
        return handler(hypervisor, vm, args)
    except (RefusedError, VmError) as error:
        hypervisor.platform.log(f"hypercall {kind:#x}.{event:#x} of VM {vm.id} failed: {error}")
    except BadAddress as error:
        hypervisor.platform.log(f"hypercall {kind:#x}.{event:#x} of VM {vm.id} failed: {error}")
    return FAILURE


# System


@hypercall(SYS, 0)
def system_reboot(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.manager.guest_reset(vm, ResetType.COLD_REBOOT)
    return 0


@hypercall(SYS, 1)
def system_shutdown(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.manager.guest_reset(vm, ResetType.SHUTDOWN)
    return 0


@hypercall(SYS, 4)
def system_test(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    hypervisor.platform.log(f"test call of VM {vm.id}")
    return 0


# VM management


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


# Messages and shared memory


@hypercall(IVC, 0, any_vm=True)
def update_message_queue(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """a0: page that gets the VM id as its first word; a1: page of the ring."""
    if not vm.memory.contains(args[0], 8):
        raise RefusedError(f"receive page {args[0]:#x} is not in the VM's memory")
    if not vm.mailbox.prepare(args[1]):
        raise RefusedError(f"message page {args[1]:#x} is not in the VM's memory")
    return 0


@hypercall(IVC, 7, any_vm=True)
def share_memory(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """Nothing is shared: 0 is the harmless physical base that callers expect."""
    return 0


# Mediated disks


@hypercall(MEDIATED, 0x30)
def append_mediated_disk(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """A daemon in the MVM offers a disk: the page at a1 gets nreq = 0 and the cache's machine-physical address."""
    page = args[1]
    cache_ipa = vm.memory.read_u64(page + 8 + 104)
    cache_pa = vm.memory.physical(cache_ipa)
    vm.memory.write(page, struct.pack("<Q", 0))
    vm.memory.write(page + 8 + 112, struct.pack("<Q", cache_pa))
    hypervisor.platform.disks.register(page)
    return 0


@hypercall(MEDIATED, 0x31)
def mediated_request_done(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    entry = hypervisor.platform.disks.registered(args[0])
    if entry is None:
        raise RefusedError(f"no mediated disk has its page at {args[0]:#x}")
    if not entry.outstanding:
        raise RefusedError(f"the mediated disk at {args[0]:#x} has no request to finish")
    entry.outstanding -= 1
    return 0
