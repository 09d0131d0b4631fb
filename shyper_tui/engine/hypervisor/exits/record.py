"""Faults of a VM, kept so that a user can see which instruction at which address did it, and what was missing there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from shyper_tui.engine.hart.fields import INTERRUPT_BIT, Cause, Interrupt

CAUSES = {
    Cause.INSTRUCTION_MISALIGNED: "instruction address misaligned",
    Cause.INSTRUCTION_ACCESS: "instruction access fault",
    Cause.ILLEGAL_INSTRUCTION: "illegal instruction",
    Cause.BREAKPOINT: "breakpoint",
    Cause.LOAD_MISALIGNED: "load address misaligned",
    Cause.LOAD_ACCESS: "load access fault",
    Cause.STORE_MISALIGNED: "store/AMO address misaligned",
    Cause.STORE_ACCESS: "store/AMO access fault",
    Cause.ECALL_U: "environment call from U-mode",
    Cause.ECALL_HS: "environment call from HS-mode",
    Cause.ECALL_VS: "environment call from VS-mode",
    Cause.INSTRUCTION_PAGE: "instruction page fault",
    Cause.LOAD_PAGE: "load page fault",
    Cause.STORE_PAGE: "store/AMO page fault",
    Cause.INSTRUCTION_GUEST_PAGE: "instruction guest-page fault",
    Cause.LOAD_GUEST_PAGE: "load guest-page fault",
    Cause.VIRTUAL_INSTRUCTION: "virtual instruction",
    Cause.STORE_GUEST_PAGE: "store/AMO guest-page fault",
}
INTERRUPTS = {
    Interrupt.SSI: "supervisor software interrupt",
    Interrupt.STI: "supervisor timer interrupt",
    Interrupt.SEI: "supervisor external interrupt",
}


def cause_name(cause: int) -> str:
    """The specification's words for a cause register's value."""
    if cause & INTERRUPT_BIT:
        number = cause & ~INTERRUPT_BIT
        return INTERRUPTS.get(number, f"interrupt {number}")
    return CAUSES.get(cause, f"exception {cause}")


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """One fault of a VM. Addresses: `pc` and `guest_virtual` as the guest sees them, `guest_physical` its stage-2
    input.

    `stage` ("VS-stage", "G-stage", or "" when translation is not concerned) and `level` (-1 unknown) name the
    page-table entry that ends the walk; `expected` says what should have been mapped. `count`: how many times this
    fault has come, the last time at `time_ticks`.
    """

    time_ticks: int
    vm: int
    vcpu: int
    cause: int
    pc: int
    guest_virtual: int
    guest_physical: int
    instruction: int
    reason: str
    stage: str = ""
    level: int = -1
    expected: str = ""
    count: int = 1

    def __str__(self) -> str:
        return (
            f"VM {self.vm} vCPU {self.vcpu}: {self.reason} ({cause_name(self.cause)} at pc {self.pc:#x}, "
            f"address {self.guest_virtual:#x}, guest-physical {self.guest_physical:#x})"
        )


class FaultLog:
    """The newest faults of a VM, oldest first: at most `LIMIT`.

    A guest may fault in a loop, so a fault that is known adds to its record's `count`, and of new ones only `LIMIT` are
    written down in a second of the guest's time; `unrecorded` counts the rest.
    """

    LIMIT = 64

    def __init__(self, ticks_per_second: int) -> None:
        self._records: dict[tuple[int, int, int, int], ExitRecord] = {}
        self._second = ticks_per_second
        self._window_start = 0
        self._in_window = 0
        self.unrecorded = 0

    def __iter__(self) -> Iterator[ExitRecord]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> ExitRecord:
        return list(self._records.values())[index]

    def repeat(self, vcpu: int, cause: int, pc: int, guest_virtual: int, now: int) -> bool:
        """Whether this fault is known, or too many new ones have come: then it has been counted, and that is all."""
        key = (vcpu, cause, pc, guest_virtual)
        known = self._records.pop(key, None)
        if known is not None:
            self._records[key] = replace(known, time_ticks=now, count=known.count + 1)
            return True
        if now - self._window_start >= self._second:
            self._window_start, self._in_window = now, 0
        if self._in_window >= self.LIMIT:
            self.unrecorded += 1
            return True
        return False

    def append(self, record: ExitRecord) -> None:
        """Write a fault down as the newest; the oldest makes room."""
        self._in_window += 1
        key = (record.vcpu, record.cause, record.pc, record.guest_virtual)
        self._records.pop(key, None)
        self._records[key] = record
        if len(self._records) > self.LIMIT:
            del self._records[next(iter(self._records))]

    def clear(self) -> None:
        """Forget all faults."""
        self._records.clear()
        self.unrecorded = 0
