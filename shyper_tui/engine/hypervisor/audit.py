"""What guests were refused: kept so that a user can see which VM tried what."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

KEPT = 256
LOGGED_AT_ONCE = 16
"""Refusals of a guest VM that each get a line in the log; later ones only when their number is a power of two."""
LOGGED_OF_MVM = 1024
"""The same for the managing VM, whose user reads the log to see what went wrong."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A hypercall `number` (a7) of a guest that was refused. `time_ticks`: `time` when it was made."""

    time_ticks: int
    vm: int
    vcpu: int
    number: int
    reason: str

    def __str__(self) -> str:
        return f"VM {self.vm} vCPU {self.vcpu}: hypercall {self.number:#x} refused: {self.reason}"


def new_audit() -> deque[AuditEntry]:
    """An empty list of refusals that keeps the latest `KEPT`."""
    return deque(maxlen=KEPT)


def worth_a_line(count: int, at_once: int = LOGGED_AT_ONCE) -> bool:
    """Whether a VM's refusal number `count` goes to the log: a VM that only makes bad calls must not fill it."""
    return count <= at_once or count & count - 1 == 0
