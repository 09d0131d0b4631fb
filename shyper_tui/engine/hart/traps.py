"""Trap entry and return (Privileged ISA, "Trap Entry", "Trap Return", "Trap Cause Codes").

Each function leaves the new pc in the state. `exception` and `interrupt` return 1 when the trap's mode is Python
software.
"""

from __future__ import annotations

from shyper_tui.engine.core.builder import Builder
from shyper_tui.engine.isa.value import Value

from .fields import INTERRUPT_BIT, VS_INTERRUPTS, Cause, Hstatus, Mstatus
from .functions import hart_function
from .interrupts import TO_HS, TO_M

GUEST_PAGE_FAULTS = 1 << Cause.INSTRUCTION_GUEST_PAGE | 1 << Cause.LOAD_GUEST_PAGE | 1 << Cause.STORE_GUEST_PAGE
ADDRESS_IN_TVAL = GUEST_PAGE_FAULTS | sum(1 << cause for cause in (0, 1, 3, 4, 5, 6, 7, 12, 13, 15))
"""Exceptions whose tval is an address."""


def _has(cause: Value, causes: int) -> Value:
    """1 when `cause` is an exception in the set."""
    return cause.ult(64).zext() & (cause.like(causes) >> (cause & 63))


def _vector(tvec: Value, cause: Value) -> Value:
    """Where a trap goes: interrupts in vectored mode to base + 4 × number."""
    base = tvec & ~3
    return (tvec.bit(0) & cause.slt(0)).select(base + ((cause & 63) << 2), base)


def _guest_address(b: Builder, cause: Value) -> Value:
    """GVA: tval is written with a guest virtual address."""
    return _has(cause, ADDRESS_IN_TVAL) & (b.s.virt | b.s.fault_gva)


@hart_function("cause tval epc")
def enter_m(b: Builder, cause: Value, tval: Value, epc: Value) -> None:
    s = b.s
    guest_fault = _has(cause, GUEST_PAGE_FAULTS)
    status = s.mstatus
    status = status.put(Mstatus.MPIE, Mstatus.MPIE, status.bits(Mstatus.MIE, Mstatus.MIE))
    status = status.put(Mstatus.MIE, Mstatus.MIE, 0)
    status = status.put(Mstatus.MPP_HIGH, Mstatus.MPP_LOW, s.prv)
    status = status.put(Mstatus.MPV, Mstatus.MPV, s.virt)
    s.mstatus = status.put(Mstatus.GVA, Mstatus.GVA, _guest_address(b, cause))
    s.mepc, s.mcause, s.mtval = epc, cause, tval
    s.mtval2 = (s.fault_gpa >> 2) * guest_fault
    s.mtinst = s.fault_inst * guest_fault
    s.prv, s.virt, s.fault_gva = b.const(3), b.const(0), b.const(0)
    s.pc = _vector(s.mtvec, cause)
    b.ret(s.python_modes & 1)


@hart_function("cause tval epc")
def enter_hs(b: Builder, cause: Value, tval: Value, epc: Value) -> None:
    s = b.s
    guest_fault = _has(cause, GUEST_PAGE_FAULTS)
    hstatus = s.hstatus
    hstatus = hstatus.put(Hstatus.SPV, Hstatus.SPV, s.virt)
    previous = hstatus.bits(Hstatus.SPVP, Hstatus.SPVP)
    hstatus = hstatus.put(Hstatus.SPVP, Hstatus.SPVP, (s.virt != 0).select(s.prv, previous))
    s.hstatus = hstatus.put(Hstatus.GVA, Hstatus.GVA, _guest_address(b, cause))
    status = s.mstatus
    status = status.put(Mstatus.SPIE, Mstatus.SPIE, status.bits(Mstatus.SIE, Mstatus.SIE))
    status = status.put(Mstatus.SIE, Mstatus.SIE, 0)
    s.mstatus = status.put(Mstatus.SPP, Mstatus.SPP, s.prv)
    s.sepc, s.scause, s.stval = epc, cause, tval
    s.htval = (s.fault_gpa >> 2) * guest_fault
    s.htinst = s.fault_inst * guest_fault
    s.prv, s.virt, s.fault_gva = b.const(1), b.const(0), b.const(0)
    s.pc = _vector(s.stvec, cause)
    b.ret((s.python_modes >> 1) & 1)


@hart_function("cause tval epc")
def enter_vs(b: Builder, cause: Value, tval: Value, epc: Value) -> None:
    s = b.s
    status = s.vsstatus
    status = status.put(Mstatus.SPIE, Mstatus.SPIE, status.bits(Mstatus.SIE, Mstatus.SIE))
    status = status.put(Mstatus.SIE, Mstatus.SIE, 0)
    s.vsstatus = status.put(Mstatus.SPP, Mstatus.SPP, s.prv)
    s.vsepc, s.vscause, s.vstval = epc, cause, tval
    s.prv, s.fault_gva = b.const(1), b.const(0)
    s.pc = _vector(s.vstvec, cause)
    b.ret(0)


@hart_function("cause tval epc")
def exception(b: Builder, cause: Value, tval: Value, epc: Value) -> None:
    """A synchronous trap: never to a mode less privileged than the current one.

    It takes a cycle, which the caller counts, without retiring an instruction: a trap vector that itself faults lets
    time pass.
    """
    s = b.s
    s.skipped = s.skipped + 1
    s.reservation = 0
    s.waiting = 0
    delegated = ((s.medeleg >> cause) & 1) != 0
    with b.if_((s.prv == 3) | ~delegated):
        b.ret(b.call("enter_m", cause, tval, epc))
    with b.if_((s.virt != 0) & (((s.hedeleg >> cause) & 1) != 0)):
        b.ret(b.call("enter_vs", cause, tval, epc))
    b.ret(b.call("enter_hs", cause, tval, epc))


@hart_function("taken epc")
def interrupt(b: Builder, taken: Value, epc: Value) -> None:
    """Takes what `interrupt_to_take` chose. A delegated VS interrupt is seen with its S number in VS-mode."""
    s = b.s
    s.reservation = 0
    s.waiting = 0
    number = taken & 63
    destination = taken >> 8
    cause = number | INTERRUPT_BIT
    with b.if_(destination == TO_M):
        b.ret(b.call("enter_m", cause, 0, epc))
    with b.if_(destination == TO_HS):
        b.ret(b.call("enter_hs", cause, 0, epc))
    is_vs = ((number.like(VS_INTERRUPTS) >> number) & 1) != 0
    b.ret(b.call("enter_vs", is_vs.select(cause - 1, cause), 0, epc))


@hart_function()
def mret(b: Builder) -> None:
    s = b.s
    status = s.mstatus
    privilege = status.bits(Mstatus.MPP_HIGH, Mstatus.MPP_LOW)
    s.virt = (privilege == 3).select(0, status.bits(Mstatus.MPV, Mstatus.MPV))
    s.prv = privilege
    status = status.put(Mstatus.MIE, Mstatus.MIE, status.bits(Mstatus.MPIE, Mstatus.MPIE))
    status = status.put(Mstatus.MPIE, Mstatus.MPIE, 1)
    status = status.put(Mstatus.MPP_HIGH, Mstatus.MPP_LOW, 0)
    status = status.put(Mstatus.MPV, Mstatus.MPV, 0)
    kept = status.put(Mstatus.MPRV, Mstatus.MPRV, 0)
    s.mstatus = (privilege == 3).select(status, kept)
    s.pc = s.mepc


@hart_function()
def sret(b: Builder) -> None:
    """SRET: from HS (or M) by sstatus and hstatus.SPV, from VS by vsstatus."""
    s = b.s
    with b.if_(s.virt != 0):
        guest = s.vsstatus
        s.prv = guest.bits(Mstatus.SPP, Mstatus.SPP)
        s.vsstatus = _pop(guest)
        s.pc = s.vsepc
        b.ret(0)
    status = s.mstatus
    s.virt = s.hstatus.bits(Hstatus.SPV, Hstatus.SPV)
    s.prv = status.bits(Mstatus.SPP, Mstatus.SPP)
    s.hstatus = s.hstatus.put(Hstatus.SPV, Hstatus.SPV, 0)
    s.mstatus = _pop(status).put(Mstatus.MPRV, Mstatus.MPRV, 0)
    s.pc = s.sepc


def _pop(status: Value) -> Value:
    status = status.put(Mstatus.SIE, Mstatus.SIE, status.bits(Mstatus.SPIE, Mstatus.SPIE))
    status = status.put(Mstatus.SPIE, Mstatus.SPIE, 1)
    return status.put(Mstatus.SPP, Mstatus.SPP, 0)
