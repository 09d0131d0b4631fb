"""Writes down what a guest did wrong, at a price that a guest which does nothing else cannot raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shyper_tui.engine.guest_view import read_code
from shyper_tui.engine.hart.fields import Cause
from shyper_tui.engine.hypervisor.exits.record import ExitRecord
from shyper_tui.engine.hypervisor.exits.table import GUEST_PAGE_FAULTS, Trap
from shyper_tui.engine.hypervisor.exits.walk import Place, failed_walk

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.vcpu import Vcpu

PSEUDO_READ, PSEUDO_WRITE = 0x3000, 0x3020
"""htinst of a fault of the guest's own page-table walk: read of a PTE, or update of its A and D bits."""


def note(vcpu: Vcpu, trap: Trap, reason: str) -> None:
    """Keep a fault that the guest gets back: a new one as a record, one that is known as a count."""
    faults = vcpu.vm.faults
    if not faults.repeat(vcpu.index, trap.cause, trap.pc, trap.value, trap.hart.csr.time):
        faults.append(describe(vcpu, trap, reason))


def describe(vcpu: Vcpu, trap: Trap, reason: str) -> ExitRecord:
    """Everything about the trap that `vcpu` is in; where it was a matter of translation, where that ended."""
    csr = trap.hart.csr
    vm = vcpu.vm
    physical = trap.guest_physical
    place = Place("", -1, "")
    if trap.cause in GUEST_PAGE_FAULTS:
        implicit = csr.htinst in (PSEUDO_READ, PSEUDO_WRITE)
        place = failed_walk(vm, csr.vsatp, trap.value, physical, implicit)
    return ExitRecord(
        time_ticks=csr.time,
        vm=vm.id,
        vcpu=vcpu.index,
        cause=trap.cause,
        pc=trap.pc,
        guest_virtual=trap.value,
        guest_physical=physical,
        instruction=_instruction(vcpu, trap),
        reason=reason,
        stage=place.stage,
        level=place.level,
        expected=place.expected,
    )


def _instruction(vcpu: Vcpu, trap: Trap) -> int:
    """The instruction at the trap's pc: 16 or 32 bits, 0 when it cannot be read."""
    if trap.cause in (Cause.ILLEGAL_INSTRUCTION, Cause.VIRTUAL_INSTRUCTION):
        return trap.value
    code = read_code(vcpu.vm.memory, trap.hart.csr.vsatp, trap.pc, 4)
    size = 4 if code and code[0] & 3 == 3 else 2
    return int.from_bytes(code[:size], "little") if len(code) >= size else 0
