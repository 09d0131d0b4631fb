"""What stopped a VM: kept so that a user can see which instruction at which address did it."""

from __future__ import annotations

from dataclasses import dataclass

CAUSES = {
    0: "instruction address misaligned",
    1: "instruction access fault",
    2: "illegal instruction",
    3: "breakpoint",
    4: "load address misaligned",
    5: "load access fault",
    6: "store/AMO address misaligned",
    7: "store/AMO access fault",
    8: "environment call from U-mode",
    9: "environment call from HS-mode",
    10: "environment call from VS-mode",
    12: "instruction page fault",
    13: "load page fault",
    15: "store/AMO page fault",
    20: "instruction guest-page fault",
    21: "load guest-page fault",
    22: "virtual instruction",
    23: "store/AMO guest-page fault",
}
INTERRUPTS = {1: "supervisor software interrupt", 5: "supervisor timer interrupt", 9: "supervisor external interrupt"}


def cause_name(cause: int) -> str:
    """The specification's words for a cause register's value."""
    if cause >> 63:
        number = cause & (1 << 63) - 1
        return INTERRUPTS.get(number, f"interrupt {number}")
    return CAUSES.get(cause, f"exception {cause}")


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """One fault of a VM. Addresses: `pc` and `guest_virtual` as the guest sees them, `guest_physical` its stage-2
    input."""

    time_ticks: int
    vm: int
    vcpu: int
    cause: int
    pc: int
    guest_virtual: int
    guest_physical: int
    instruction: int
    reason: str

    def __str__(self) -> str:
        return (
            f"VM {self.vm} vCPU {self.vcpu}: {self.reason} ({cause_name(self.cause)} at pc {self.pc:#x}, "
            f"address {self.guest_virtual:#x}, guest-physical {self.guest_physical:#x})"
        )
