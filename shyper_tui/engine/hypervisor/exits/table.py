"""The table of VM exits: which handler serves which cause of a trap from a guest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from shyper_tui.engine.firmware.ports import HartPort
from shyper_tui.engine.hart.fields import Cause
from shyper_tui.engine.hypervisor.exits.inject import inject

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vcpu import Vcpu

GUEST_PAGE_FAULTS = (Cause.INSTRUCTION_GUEST_PAGE, Cause.LOAD_GUEST_PAGE, Cause.STORE_GUEST_PAGE)


class Trap:
    """A synchronous trap from VS- or VU-mode, as the HS-level CSRs of `hart` describe it.

    `pc` is the address of the instruction (sepc), `value` is stval: the faulting guest virtual address, or instruction
    bits.
    """

    __slots__ = ("cause", "hart", "pc", "value")

    def __init__(self, hart: HartPort, cause: int) -> None:
        self.hart = hart
        self.cause = cause
        csr = hart.csr
        self.pc = csr.sepc
        self.value = csr.stval

    @property
    def guest_physical(self) -> int:
        """The guest-physical address of a guest-page fault: htval holds it without its two lowest bits."""
        htval = self.hart.csr.htval
        return htval << 2 | self.value & 3 if self.cause in GUEST_PAGE_FAULTS else 0

    def advance(self, length: int) -> None:
        """The instruction is done; the guest goes on behind it."""
        self.hart.csr.sepc = self.pc + length & (1 << 64) - 1

    def inject(self, cause: int, tval: int) -> None:
        """The guest takes exception `cause` at this instruction."""
        inject(self.hart, cause, tval)


ExitHandler = Callable[["Hypervisor", "Vcpu", Trap], None]
EXITS: dict[int, ExitHandler] = {}


def on_exit(*causes: int) -> Callable[[ExitHandler], ExitHandler]:
    """Register the decorated function for exits with these causes."""

    def register(handler: ExitHandler) -> ExitHandler:
        for cause in causes:
            EXITS[cause] = handler
        return handler

    return register
