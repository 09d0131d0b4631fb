"""Environment calls from VS-mode: hypercalls and SBI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shyper_tui.engine.firmware.sbi import MASK64
from shyper_tui.engine.hart.fields import Cause
from shyper_tui.engine.hypervisor import guest_sbi, legacy_sbi
from shyper_tui.engine.hypervisor.calls import call
from shyper_tui.engine.hypervisor.calls.table import FAILURE
from shyper_tui.engine.hypervisor.exits.table import Trap, on_exit

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vcpu import Vcpu

CALLS = (guest_sbi, legacy_sbi)
"""The modules whose functions are in the table."""
HYPERCALL_FIRST, HYPERCALL_LAST = 0x0A00_0000, 0x0AFF_FFFF


@on_exit(Cause.ECALL_VS)
def environment_call(hypervisor: Hypervisor, vcpu: Vcpu, trap: Trap) -> None:
    """a7 in 0x0A000000..0x0AFFFFFF is a hypercall (result in a0 alone), everything else is SBI (a0 and a1)."""
    x = trap.hart.x
    registers = x.list()
    number = registers[17]
    trap.advance(4)
    if HYPERCALL_FIRST <= number <= HYPERCALL_LAST:
        value = call(hypervisor, vcpu, number, registers[10:17])
        if value != FAILURE:
            vcpu.vm.calls_served += 1
        if vcpu.loaded:
            x[10] = value & MASK64
        return
    result = guest_sbi.TABLE.call(hypervisor, vcpu, number, registers[16], registers[10:16])
    if not result.returns or not result.error:
        vcpu.vm.calls_served += 1
    if result.returns:
        x[10] = result.error & MASK64
        if not result.keeps_a1:
            x[11] = result.value & MASK64
