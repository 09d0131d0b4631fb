"""Guest-page faults: accesses to emulated devices, and accesses to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shyper_tui.engine.board.bus import Window
from shyper_tui.engine.board.device import AccessFault
from shyper_tui.engine.firmware.sbi import MASK64
from shyper_tui.engine.hart.fields import INTERRUPT_BIT, Cause
from shyper_tui.engine.hart.hart import GuestFault
from shyper_tui.engine.hypervisor.csr_bits import FS_DIRTY
from shyper_tui.engine.hypervisor.exits.access import (
    Access,
    Kind,
    address_operands,
    decode,
    decode_transformed,
    is_compressed,
    transformed_offset,
)
from shyper_tui.engine.hypervisor.exits.faults import PSEUDO_READ, PSEUDO_WRITE, note
from shyper_tui.engine.hypervisor.exits.record import cause_name
from shyper_tui.engine.hypervisor.exits.table import Trap, on_exit
from shyper_tui.engine.hypervisor.layout import PAGE

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vcpu import Vcpu

NAN_BOX = 0xFFFF_FFFF << 32
LAST_PARCEL = PAGE - 2
"""Offset of the last 16-bit parcel of a page: what begins there may go on in a page that is not mapped."""


@on_exit(Cause.INSTRUCTION_GUEST_PAGE)
def fetch_fault(hypervisor: Hypervisor, vcpu: Vcpu, trap: Trap) -> None:
    """The guest runs where it has no memory: its problem, unless its trap handler itself lies there."""
    implicit = trap.hart.csr.htinst in (PSEUDO_READ, PSEUDO_WRITE)
    if trap.pc == trap.hart.csr.vstvec & ~3:
        what = "its page tables lie" if implicit else "its trap handler lies"
        hypervisor.stop_faulty(vcpu, trap, f"{what} outside of its memory, so it can never go on{_origin(trap)}")
        return
    note(vcpu, trap, "its page tables point outside of its memory" if implicit else "it runs where it has no memory")
    trap.inject(Cause.INSTRUCTION_ACCESS, trap.value)


@on_exit(Cause.LOAD_GUEST_PAGE, Cause.STORE_GUEST_PAGE)
def data_fault(hypervisor: Hypervisor, vcpu: Vcpu, trap: Trap) -> None:
    """A load or store that stage 2 does not map: an emulated device answers, or the guest takes an access fault."""
    hart = trap.hart
    htinst = hart.csr.htinst
    if htinst in (PSEUDO_READ, PSEUDO_WRITE):
        _refuse(vcpu, trap, "its page tables point outside of its memory")
        return
    address, virtual = trap.guest_physical, trap.value
    window = vcpu.vm.bus.find(address)
    if window is None:
        _refuse(vcpu, trap, "nothing is at this address")
        return
    instruction = 0
    if htinst:
        access = decode_transformed(htinst)
    else:
        try:
            instruction = _fetch(trap)
        except GuestFault as problem:
            if problem.cause == Cause.LOAD_ACCESS:  # code in a device: executing it again would fault for ever
                _refuse(vcpu, trap, "an instruction that lies in a device cannot be read")
            return  # else the instruction is no longer mapped: executing it again makes the guest's own fault
        access = decode(instruction)
    store = trap.cause == Cause.STORE_GUEST_PAGE
    if access is None or access.kind is Kind.ATOMIC:
        _refuse(vcpu, trap, "an instruction that no device answers")
        return
    if access.is_store != store:
        return  # the instruction has been changed since: the guest executes what is there now
    # a fault at the first byte of a page may be the second part of an access that began in the page before
    begin = virtual
    if virtual % PAGE == 0:
        begin = virtual - transformed_offset(htinst) if htinst else _effective_address(trap, instruction)
    if begin != virtual or address & access.width - 1:
        trap.inject(Cause.STORE_MISALIGNED if store else Cause.LOAD_MISALIGNED, begin & MASK64)
        return
    try:
        _perform(vcpu, trap, access, window, address - window.base)
    except AccessFault as refusal:
        _refuse(vcpu, trap, f"{window.name} refuses the access: {refusal.reason}")
        return
    if vcpu.loaded:
        trap.advance(access.length)


def _origin(trap: Trap) -> str:
    """The trap that led to the handler, which is what a user has to look for; "" when there was none."""
    csr = trap.hart.csr
    cause, pc, value = csr.vscause, csr.vsepc, csr.vstval
    if not cause and not pc:
        return ""
    address = "" if cause & INTERRUPT_BIT else f", address {value:#x}"
    return f"; first came: {cause_name(cause)} at {pc:#x}{address}"


def _refuse(vcpu: Vcpu, trap: Trap, reason: str) -> None:
    """The guest takes an access fault, and the record says why."""
    note(vcpu, trap, reason)
    trap.inject(Cause.STORE_ACCESS if trap.cause == Cause.STORE_GUEST_PAGE else Cause.LOAD_ACCESS, trap.value)


def _fetch(trap: Trap) -> int:
    """The instruction at sepc, read with the guest's right to execute it."""
    hart, pc = trap.hart, trap.pc
    if pc % PAGE != LAST_PARCEL:
        word = hart.hlvx_word(pc)
        return word & 0xFFFF if is_compressed(word) else word
    first = hart.hlvx(pc)
    return first if is_compressed(first) else first | hart.hlvx(pc + 2 & MASK64) << 16


def _effective_address(trap: Trap, instruction: int) -> int:
    register, offset = address_operands(instruction)
    return trap.hart.x[register] + offset & MASK64


def _perform(vcpu: Vcpu, trap: Trap, access: Access, window: Window, offset: int) -> None:
    hart, width = trap.hart, access.width
    if window.base + offset + width > window.end:
        raise AccessFault(offset, width, "it goes beyond the device's end")
    if access.is_store:
        registers = hart.x if access.kind is Kind.STORE else hart.f
        window.device.write(offset, width, registers[access.register] & (1 << 8 * width) - 1)
        return
    value = window.device.read(offset, width)
    if access.kind is Kind.FLOAT_LOAD:
        hart.f[access.register] = value | NAN_BOX if width == 4 else value
        hart.csr.sstatus = hart.csr.sstatus | FS_DIRTY
        hart.csr.vsstatus = hart.csr.vsstatus | FS_DIRTY
        return
    if access.signed and value >> 8 * width - 1:
        value |= (1 << 64) - (1 << 8 * width)
    hart.x[access.register] = value
