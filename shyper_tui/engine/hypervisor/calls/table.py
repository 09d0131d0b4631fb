"""Hypercalls: one table by (type, event), as a7 = 0x0A00_0000 | type << 8 | event encodes them.

A handler gets the arguments x0..x6 and returns the value for a0. Every failure is -1 and a line in the log, and those
of guests are kept in the audit; pointers are guest-physical addresses of the caller, translated page by page and
bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.hypervisor.audit import LOGGED_AT_ONCE, LOGGED_OF_MVM, AuditEntry, worth_a_line
from shyper_tui.engine.hypervisor.definition import VmError
from shyper_tui.engine.hypervisor.mvm import MVM_ID

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vcpu import Vcpu
    from shyper_tui.engine.hypervisor.vm import Vm

FAILURE = -1
SYS, VMM, IVC, MEDIATED, CONFIG = 0x00, 0x01, 0x02, 0x03, 0x11
MIGRATION = range(10, 16)
ABSENT = {IVC: "VMs have no messages to one another", 0x04: "there are no security calls", 0x12: "there is no unilib"}

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
            raise RefusedError(_absent(kind, event))
        handler, any_vm = found
        if not any_vm and vm.id != MVM_ID:
            raise RefusedError("only the managing VM may do this")
        hypervisor.caller = vcpu
        return handler(hypervisor, vm, args)
    except (RefusedError, VmError, BadAddress) as error:
        _refuse(hypervisor, vcpu, number, str(error))
    return FAILURE


def _absent(kind: int, event: int) -> str:
    """Why there is no such call. Some have a name in the kernel module and no function on this machine."""
    if (kind, event) == (SYS, 3):
        return "the hypervisor is a part of the engine and cannot be replaced while it runs"
    if kind == VMM and event in MIGRATION:
        return "VMs cannot be migrated"
    return ABSENT.get(kind, "there is no such call")


def _refuse(hypervisor: Hypervisor, vcpu: Vcpu, number: int, reason: str) -> None:
    """A failed call goes to the log, but not every one of many; a guest's also to the audit."""
    vm = vcpu.vm
    vm.refused_calls += 1
    if vm.id != MVM_ID:
        hypervisor.manager.audit.append(AuditEntry(vcpu.core.hart.csr.time, vm.id, vcpu.index, number, reason))
    if worth_a_line(vm.refused_calls, LOGGED_OF_MVM if vm.id == MVM_ID else LOGGED_AT_ONCE):
        kind, event = number >> 8 & 0xFF, number & 0xFF
        hypervisor.platform.log(f"hypercall {kind:#x}.{event:#x} of VM {vm.id} failed: {reason}")
