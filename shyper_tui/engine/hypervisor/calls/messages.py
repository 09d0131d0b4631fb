"""Hypercalls of type 2: the message ring of a VM, and shared memory."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from shyper_tui.engine.hypervisor.calls.table import IVC, Args, RefusedError, hypercall
from shyper_tui.engine.hypervisor.mvm import MVM_ID

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vm import Vm


@hypercall(IVC, 0, any_vm=True)
def update_message_queue(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """a1: page of the ring. a0: page whose first u64 tells a guest its VM id; the managing VM keeps a list there and
    knows that its id is 0."""
    if not vm.memory.contains(args[0], 8):
        raise RefusedError(f"receive page {args[0]:#x} is not in the VM's memory")
    if not vm.mailbox.prepare(args[1]):
        raise RefusedError(f"message page {args[1]:#x} is not in the VM's memory")
    if vm.id != MVM_ID:
        vm.memory.write(args[0], struct.pack("<Q", vm.id))
    return 0


@hypercall(IVC, 7, any_vm=True)
def share_memory(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """Nothing is shared: 0 is the harmless physical base that callers expect."""
    return 0
