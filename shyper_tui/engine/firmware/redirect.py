"""Hands a trap that reached M-mode to the supervisor it belongs to, as firmware does for traps it has no use for."""

from __future__ import annotations

from shyper_tui.engine.firmware.csr_setup import (
    MSTATUS_GVA,
    MSTATUS_MPP,
    MSTATUS_MPP_S,
    MSTATUS_MPV,
    MSTATUS_SIE,
    MSTATUS_SPIE,
    MSTATUS_SPP,
)
from shyper_tui.engine.firmware.ports import HartPort

HSTATUS_GVA, HSTATUS_SPV, HSTATUS_SPVP = 1 << 6, 1 << 7, 1 << 8


def redirect(hart: HartPort) -> bool:
    """Re-enter the trap at VS-mode when hedeleg delegates it, else at HS-mode, and leave M-mode.

    Returns True when the hart is now in HS-mode (a supervisor written in Python must then be called), False for
    VS-mode. Follows "Trap Entry" of the Privileged ISA, with the mode the trap came from taken from mstatus.MPP and
    MPV.
    """
    csr = hart.csr
    status = csr.mstatus
    from_supervisor = bool(status & MSTATUS_MPP)
    virtual = bool(status & MSTATUS_MPV)
    cause, tval, pc = csr.mcause, csr.mtval, csr.mepc
    if virtual and csr.hedeleg >> cause & 1:
        vsstatus = csr.vsstatus
        csr.vsstatus = _entry_status(vsstatus, from_supervisor)
        csr.vsepc, csr.vscause, csr.vstval = pc, cause, tval
        csr.mepc = csr.vstvec & ~3
        csr.mstatus = status & ~MSTATUS_MPP | MSTATUS_MPP_S | MSTATUS_MPV
        hart.mret()
        return False
    hstatus = csr.hstatus & ~(HSTATUS_GVA | HSTATUS_SPV)
    if virtual:
        hstatus = hstatus & ~HSTATUS_SPVP | HSTATUS_SPV | (HSTATUS_SPVP if from_supervisor else 0)
    if status & MSTATUS_GVA:
        hstatus |= HSTATUS_GVA
    csr.hstatus = hstatus
    csr.sepc, csr.scause, csr.stval = pc, cause, tval
    csr.htval, csr.htinst = csr.mtval2, csr.mtinst
    csr.mepc = csr.stvec & ~3
    csr.mstatus = _entry_status(status, from_supervisor) & ~(MSTATUS_MPP | MSTATUS_MPV) | MSTATUS_MPP_S
    hart.mret()
    return True


def _entry_status(status: int, from_supervisor: bool) -> int:
    """SPP, SPIE and SIE as a trap entry leaves them."""
    entered = status & ~(MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE)
    if from_supervisor:
        entered |= MSTATUS_SPP
    if status & MSTATUS_SIE:
        entered |= MSTATUS_SPIE
    return entered
