"""Traps a hypervisor gives to its guest: VS-mode sees an ordinary exception (Privileged ISA, "Trap Entry")."""

from __future__ import annotations

from shyper_tui.engine.firmware.ports import HartPort
from shyper_tui.engine.hypervisor.csr_bits import SSTATUS_SIE, SSTATUS_SPIE, SSTATUS_SPP


def inject(hart: HartPort, cause: int, tval: int) -> None:
    """Make the guest that trapped take exception `cause` instead of going on; the next SRET enters its handler.

    To be called at HS-mode with the trap's sepc and sstatus.SPP still in place.
    """
    csr = hart.csr
    vsstatus = csr.vsstatus
    status = csr.sstatus
    entered = vsstatus & ~(SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_SIE)
    if status & SSTATUS_SPP:
        entered |= SSTATUS_SPP
    if vsstatus & SSTATUS_SIE:
        entered |= SSTATUS_SPIE
    csr.vsstatus = entered
    csr.vsepc = csr.sepc
    csr.vscause = cause
    csr.vstval = tval
    csr.sepc = csr.vstvec & ~3
    csr.sstatus = status | SSTATUS_SPP
