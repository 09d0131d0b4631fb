"""Supervisor Binary Interface 2.0: numbers, results and the call table (RISC-V SBI specification 2.0).

Both sides of the interface use this file: the firmware serves HS-mode, the hypervisor serves its guests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

Owner = TypeVar("Owner")
Caller = TypeVar("Caller")

MASK64 = (1 << 64) - 1
SPEC_VERSION = 0x0200_0000
"""SBI 2.0 as `sbi_get_spec_version` encodes it: major in bits 30..24, minor below."""


class Extension(IntEnum):
    """Extension ids (register a7)."""

    LEGACY_SET_TIMER = 0x00
    LEGACY_CONSOLE_PUTCHAR = 0x01
    LEGACY_CONSOLE_GETCHAR = 0x02
    LEGACY_CLEAR_IPI = 0x03
    LEGACY_SEND_IPI = 0x04
    LEGACY_REMOTE_FENCE_I = 0x05
    LEGACY_REMOTE_SFENCE_VMA = 0x06
    LEGACY_REMOTE_SFENCE_VMA_ASID = 0x07
    LEGACY_SHUTDOWN = 0x08
    BASE = 0x10
    TIME = 0x54494D45
    IPI = 0x735049
    RFENCE = 0x52464E43
    HSM = 0x48534D
    SRST = 0x53525354
    DBCN = 0x4442434E


class SbiError(IntEnum):
    """Error codes (register a0 after the call)."""

    SUCCESS = 0
    FAILED = -1
    NOT_SUPPORTED = -2
    INVALID_PARAM = -3
    DENIED = -4
    INVALID_ADDRESS = -5
    ALREADY_AVAILABLE = -6
    ALREADY_STARTED = -7
    ALREADY_STOPPED = -8


class HsmState(IntEnum):
    """Hart states of the HSM extension, as `hart_get_status` returns them."""

    STARTED = 0
    STOPPED = 1
    START_PENDING = 2
    STOP_PENDING = 3
    SUSPENDED = 4
    SUSPEND_PENDING = 5
    RESUME_PENDING = 6


class ResetType(IntEnum):
    """First argument of `system_reset`."""

    SHUTDOWN = 0
    COLD_REBOOT = 1
    WARM_REBOOT = 2


@dataclass(frozen=True, slots=True)
class SbiResult:
    """What a call returns: `error` (negative or 0) for a0 and `value` (64 bit) for a1.

    `keeps_a1` marks the legacy calls, which return one value in a0 and leave a1 alone. `returns` is False when the call
    does not return to its caller (hart_stop, system_reset): then no register is written.
    """

    error: int = 0
    value: int = 0
    keeps_a1: bool = False
    returns: bool = True


SUCCESS = SbiResult()
NO_RETURN = SbiResult(returns=False)


def failure(error: SbiError) -> SbiResult:
    """A call that failed with `error`; a1 is 0."""
    return SbiResult(int(error), 0)


def legacy(value: int) -> SbiResult:
    """The result of a legacy call: `value` in a0, a1 untouched."""
    return SbiResult(value, 0, keeps_a1=True)


class SbiTable(Generic[Owner, Caller]):
    """One table from (extension, function) to a handler `handler(owner, caller, args) -> SbiResult`.

    `args` are the registers a0..a5, unsigned 64 bit. Legacy extensions have no function number: they are entered with
    function None.
    """

    def __init__(self) -> None:
        self._handlers: dict[tuple[int, int | None], Callable[[Owner, Caller, Sequence[int]], SbiResult]] = {}

    def on(
        self, extension: Extension, function: int | None
    ) -> Callable[
        [Callable[[Owner, Caller, Sequence[int]], SbiResult]], Callable[[Owner, Caller, Sequence[int]], SbiResult]
    ]:
        """Register the decorated function as the handler of (extension, function)."""

        def register(
            handler: Callable[[Owner, Caller, Sequence[int]], SbiResult],
        ) -> Callable[[Owner, Caller, Sequence[int]], SbiResult]:
            self._handlers[int(extension), function] = handler
            return handler

        return register

    def has(self, extension: int) -> bool:
        """Whether any function of `extension` is implemented (what `sbi_probe_extension` reports)."""
        return any(key[0] == extension for key in self._handlers)

    def call(self, owner: Owner, caller: Caller, extension: int, function: int, args: Sequence[int]) -> SbiResult:
        """Perform a call; an unknown extension or function is NOT_SUPPORTED, never an exception."""
        handler = self._handlers.get((extension, function)) or self._handlers.get((extension, None))
        if handler is None:
            return failure(SbiError.NOT_SUPPORTED)
        return handler(owner, caller, args)


def select_harts(mask: int, base: int, existing: Iterable[int]) -> list[int] | None:
    """Hart ids named by a hart mask (SBI "Hart list parameter"); None when the list names a hart that does not exist.

    `base` = all ones means every hart.
    """
    known = sorted(existing)
    if base & MASK64 == MASK64:
        return known
    selected = [base + bit for bit in range(64) if mask >> bit & 1]
    return selected if set(selected) <= set(known) else None
