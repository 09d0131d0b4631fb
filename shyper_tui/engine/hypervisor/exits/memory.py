"""Guest-page faults: accesses to emulated devices, and accesses to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shyper_tui.engine.board.device import AccessFault
from shyper_tui.engine.hart.hart import GuestFault
from shyper_tui.engine.hypervisor.exits.access import Access, Kind, decode, decode_transformed, is_compressed
from shyper_tui.engine.hypervisor.exits.inject import (
    INSTRUCTION_ACCESS_FAULT,
    LOAD_ACCESS_FAULT,
    LOAD_ADDRESS_MISALIGNED,
    STORE_ACCESS_FAULT,
    STORE_ADDRESS_MISALIGNED,
)
from shyper_tui.engine.hypervisor.exits.table import Trap, on_exit

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vcpu import Vcpu

INSTRUCTION_GUEST_PAGE_FAULT, LOAD_GUEST_PAGE_FAULT, STORE_GUEST_PAGE_FAULT = 20, 21, 23
ACCESS_FAULTS = {
    INSTRUCTION_GUEST_PAGE_FAULT: INSTRUCTION_ACCESS_FAULT,
    LOAD_GUEST_PAGE_FAULT: LOAD_ACCESS_FAULT,
    STORE_GUEST_PAGE_FAULT: STORE_ACCESS_FAULT,
}
PSEUDO_READ, PSEUDO_WRITE = 0x3000, 0x3020
"""htinst of a fault of the guest's own page-table walk: read of a PTE, or update of its A and D bits."""
FS_DIRTY = 3 << 13
NAN_BOX = 0xFFFF_FFFF << 32


@on_exit(INSTRUCTION_GUEST_PAGE_FAULT)
def fetch_fault(hypervisor: Hypervisor, vcpu: Vcpu, trap: Trap) -> None:
    """The guest runs where it has no memory: its problem, unless its trap handler itself lies there."""
    if trap.pc == trap.hart.csr.vstvec & ~3:
        walk = trap.hart.csr.htinst in (PSEUDO_READ, PSEUDO_WRITE)
        what = "its page tables lie" if walk else "its trap handler lies"
        hypervisor.stop_faulty(vcpu, trap, f"{what} outside of its memory, so it can never go on")
        return
    trap.inject(INSTRUCTION_ACCESS_FAULT, trap.value)


@on_exit(LOAD_GUEST_PAGE_FAULT, STORE_GUEST_PAGE_FAULT)
def data_fault(hypervisor: Hypervisor, vcpu: Vcpu, trap: Trap) -> None:
    """A load or store that stage 2 does not map: an emulated device answers, or the guest takes an access fault."""
    htinst = trap.hart.csr.htinst
    fault = ACCESS_FAULTS[trap.cause]
    if htinst in (PSEUDO_READ, PSEUDO_WRITE):
        hypervisor.record(vcpu, trap, "its page tables point outside of its memory")
        trap.inject(fault, trap.value)
        return
    window = vcpu.vm.bus.find(trap.guest_physical)
    if window is None:
        hypervisor.record(vcpu, trap, "nothing is at this address")
        trap.inject(fault, trap.value)
        return
    try:
        access = decode_transformed(htinst) if htinst else decode(_fetch(trap))
    except GuestFault as problem:
        if problem.cause == LOAD_ACCESS_FAULT:  # code in a device: executing it again would fault for ever
            trap.inject(fault, trap.value)
        return  # else the instruction is no longer mapped: executing it again makes the guest's own fault
    if access is None or access.kind is Kind.ATOMIC:
        hypervisor.record(vcpu, trap, "an instruction that no device answers")
        trap.inject(fault, trap.value)
        return
    if trap.guest_physical % access.width:
        trap.inject(STORE_ADDRESS_MISALIGNED if access.is_store else LOAD_ADDRESS_MISALIGNED, trap.value)
        return
    try:
        _perform(vcpu, trap, access)
    except AccessFault as refusal:
        hypervisor.record(vcpu, trap, f"{window.name} refuses the access: {refusal.reason}")
        trap.inject(fault, trap.value)
        return
    if vcpu.loaded:
        trap.advance(access.length)


def _fetch(trap: Trap) -> int:
    """The instruction at sepc, by one or two HLVX.HU."""
    first = trap.hart.hlvx(trap.pc)
    return first if is_compressed(first) else first | trap.hart.hlvx(trap.pc + 2) << 16


def _perform(vcpu: Vcpu, trap: Trap, access: Access) -> None:
    hart, bus, address, width = trap.hart, vcpu.vm.bus, trap.guest_physical, access.width
    if access.is_store:
        registers = hart.x if access.kind is Kind.STORE else hart.f
        bus.write(address, width, registers[access.register] & (1 << 8 * width) - 1)
        return
    value = bus.read(address, width)
    if access.kind is Kind.FLOAT_LOAD:
        hart.f[access.register] = value | NAN_BOX if width == 4 else value
        hart.csr.sstatus = hart.csr.sstatus | FS_DIRTY
        hart.csr.vsstatus = hart.csr.vsstatus | FS_DIRTY
        return
    if access.signed and value >> 8 * width - 1:
        value |= (1 << 64) - (1 << 8 * width)
    hart.x[access.register] = value
