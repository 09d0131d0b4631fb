"""Exits because of an instruction the guest may not execute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shyper_tui.engine.hart.fields import Cause
from shyper_tui.engine.hypervisor.csr_bits import HSTATUS_VTW, SSTATUS_SPP
from shyper_tui.engine.hypervisor.exits.faults import note
from shyper_tui.engine.hypervisor.exits.table import Trap, on_exit

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vcpu import Vcpu

WFI = 0x1050_0073
OWN_EXCEPTIONS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15)


@on_exit(Cause.VIRTUAL_INSTRUCTION)
def virtual_instruction(hypervisor: Hypervisor, vcpu: Vcpu, trap: Trap) -> None:
    """WFI gives the core to another vCPU; all else that HS-mode keeps for itself does not exist for a guest."""
    if trap.hart.csr.hstatus & HSTATUS_VTW and trap.value == WFI and _in_vs(trap):
        trap.advance(4)
        vcpu.core.block()
        return
    note(vcpu, trap, "an instruction or a register that a guest does not have")
    trap.inject(Cause.ILLEGAL_INSTRUCTION, trap.value)


@on_exit(*OWN_EXCEPTIONS)
def own_exception(hypervisor: Hypervisor, vcpu: Vcpu, trap: Trap) -> None:
    """An exception of the guest's own making that a hart could not delegate: the guest gets it back."""
    trap.inject(trap.cause, trap.value)


def _in_vs(trap: Trap) -> bool:
    return bool(trap.hart.csr.sstatus & SSTATUS_SPP)
