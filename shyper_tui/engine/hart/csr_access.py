"""Who may access which CSR (Privileged ISA, "CSR Listing", "Trap Cause Codes" of the hypervisor extension)."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.core.builder import Builder
from shyper_tui.engine.isa.value import Value

from .csr import CSRS
from .fields import Envcfg, Hstatus, Mstatus
from .functions import hart_function

VS_ALIASES = tuple(number for number in (0x100, 0x104, 0x105, 0x140, 0x141, 0x142, 0x143, 0x144, 0x14D, 0x180))
"""Supervisor CSRs whose names reach the vs* register (number + 0x100) when V=1."""

TM = 1
STIMECMP, VSTIMECMP = 0x14D, 0x24D


def _gates(b: Builder, number: Value) -> None:
    """Returns -2 or -22 for registers that another register may close.

    M-mode is never refused, except floating point.
    """
    s = b.s
    below_m = s.prv != 3

    def floating_point() -> None:
        off = ((s.mstatus & Mstatus.FS) == 0) | ((s.virt != 0) & ((s.vsstatus & Mstatus.FS) == 0))
        with b.if_(off, False):
            b.ret(-2)

    def counter() -> None:
        bit = number & 31
        with b.if_(below_m):
            with b.if_(((s.mcounteren >> bit) & 1) == 0, False):
                b.ret(-2)
            with b.if_((s.virt != 0) & (((s.hcounteren >> bit) & 1) == 0), False):
                b.ret(-22)
            with b.if_((s.prv == 0) & (((s.scounteren >> bit) & 1) == 0), False):
                b.ret((s.virt != 0).select(b.const(-22), b.const(-2)))

    def satp() -> None:
        with b.if_(s.prv == 1):
            with b.if_((s.virt == 0) & s.mstatus.bit(Mstatus.TVM), False):
                b.ret(-2)
            with b.if_((s.virt != 0) & s.hstatus.bit(Hstatus.VTVM), False):
                b.ret(-22)

    def hgatp() -> None:
        with b.if_((s.prv == 1) & s.mstatus.bit(Mstatus.TVM), False):
            b.ret(-2)

    def timer() -> None:
        with b.if_(below_m):
            with b.if_(~s.mcounteren.bit(TM) | ~s.menvcfg.bit(Envcfg.STCE), False):
                b.ret(-2)
            with b.if_((s.virt != 0) & (~s.hcounteren.bit(TM) | ~s.henvcfg.bit(Envcfg.STCE)), False):
                b.ret(-22)

    cases: dict[int, Callable[[], None]] = {1: floating_point, 2: floating_point, 3: floating_point}
    cases |= {0xC00 + n: counter for n in range(32)}
    cases |= {0x180: satp, 0x680: hgatp, STIMECMP: timer, VSTIMECMP: timer}
    b.switch(number, cases)


@hart_function("number writes")
def csr_check(b: Builder, number: Value, writes: Value) -> None:
    """The register that `number` means in the current mode, or -2 (illegal) or -22 (virtual-instruction)."""
    s = b.s
    exists = b.variable(0)

    def found() -> None:
        exists.value = 1

    b.switch(number, dict.fromkeys(sorted(CSRS), found))
    with b.if_((exists.value == 0) | (((number >> 10) == 3) & (writes != 0)), False):
        b.ret(-2)
    level = (number >> 8) & 3
    with b.if_(s.prv != 3):
        with b.if_(level == 3, False):
            b.ret(-2)
        with b.if_(s.virt != 0):
            # what HS could not access either is illegal
            timer = (number == STIMECMP) | (number == VSTIMECMP)
            with b.if_(timer & (~s.mcounteren.bit(TM) | ~s.menvcfg.bit(Envcfg.STCE)), False):
                b.ret(-2)
            with b.if_((level == 2) | ((level == 1) & (s.prv == 0)), False):
                b.ret(-22)
        with b.if_((s.virt == 0) & (s.prv == 0) & (level != 0), False):
            b.ret(-2)
    _gates(b, number)
    with b.if_((s.virt != 0) & (level == 1)):
        b.switch(number, {alias: (lambda: b.ret(number + 0x100)) for alias in VS_ALIASES})
    b.ret(number)
