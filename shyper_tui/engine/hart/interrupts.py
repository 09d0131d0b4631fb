"""Pending interrupts and which one is taken (Privileged ISA, "mip and mie", "Hypervisor Interrupt Registers")."""

from __future__ import annotations

from shyper_tui.engine.core.builder import Builder
from shyper_tui.engine.isa.value import Value

from .fields import M_INTERRUPTS, S_INTERRUPTS, VS_INTERRUPTS, Interrupt, Mstatus
from .functions import hart_function

PRIORITY = (
    Interrupt.MEI,
    Interrupt.MSI,
    Interrupt.MTI,
    Interrupt.SEI,
    Interrupt.SSI,
    Interrupt.STI,
    Interrupt.VSEI,
    Interrupt.VSSI,
    Interrupt.VSTI,
)

TO_M, TO_HS, TO_VS = 1, 2, 3
"""Destination modes in the result of `interrupt_to_take`, shifted left by 8."""


@hart_function("now", inline=True)
def pending_interrupts(b: Builder, now: Value) -> None:
    """mip at cycle `now`: lines, software bits, guest bits of hvip, and timers that have fired."""
    s = b.s
    fired = (now.uge(s.mtimer_cycle).zext() << Interrupt.MTI) | (now.uge(s.stimer_cycle).zext() << Interrupt.STI)
    guest = now.uge(s.vstimer_cycle).zext() << Interrupt.VSTI
    b.ret(s.lines | s.mip_soft | s.hvip | fired | guest)


@hart_function("now")
def interrupt_to_take(b: Builder, now: Value) -> None:
    """0, or the interrupt number | destination << 8: the highest-privileged destination first, then PRIORITY."""
    s = b.s
    ready = b.call("pending_interrupts", now) & s.mie
    with b.if_(ready == 0, True):
        b.ret(0)
    chosen = b.variable(0)
    destination = b.variable(0)
    to_m = ready & ~s.mideleg
    with b.if_((to_m != 0) & ((s.prv != 3) | s.mstatus.bit(Mstatus.MIE))):
        chosen.value = to_m
        destination.value = TO_M
    with b.if_(chosen.value == 0):
        to_hs = ready & s.mideleg & ~s.hideleg
        enabled = (s.virt != 0) | (s.prv == 0) | ((s.prv == 1) & s.mstatus.bit(Mstatus.SIE))
        with b.if_((to_hs != 0) & enabled):
            chosen.value = to_hs
            destination.value = TO_HS
    with b.if_((chosen.value == 0) & (s.virt != 0)):
        to_vs = ready & s.mideleg & s.hideleg
        with b.if_((to_vs != 0) & ((s.prv == 0) | s.vsstatus.bit(Mstatus.SIE))):
            chosen.value = to_vs
            destination.value = TO_VS
    with b.if_(chosen.value == 0):
        b.ret(0)
    for number in PRIORITY:
        with b.if_(chosen.value.bit(number)):
            b.ret((destination.value << 8) | number)
    b.ret(0)


WRITABLE_MIE = M_INTERRUPTS | S_INTERRUPTS | VS_INTERRUPTS
"""mie bits that exist: GEILEN is 0, so there is no SGEIE."""
