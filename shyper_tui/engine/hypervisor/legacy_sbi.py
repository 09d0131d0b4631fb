"""The legacy calls of SBI 0.1 (extensions 0 to 8): one value back in a0, a1 stays, hart masks by address.

The mask is a bit vector of unsigned longs at a *virtual* address of the caller, as long as the number of harts needs;
address 0 means all harts, as firmware has always taken it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shyper_tui.engine.firmware.console import terminal_lines
from shyper_tui.engine.firmware.sbi import (
    MASK64,
    NO_RETURN,
    Extension,
    ResetType,
    SbiError,
    SbiResult,
    legacy,
)
from shyper_tui.engine.hart.hart import GuestFault
from shyper_tui.engine.hypervisor.csr_bits import VSSIP
from shyper_tui.engine.hypervisor.guest_sbi import (
    REMOTE_FENCE_I,
    REMOTE_HFENCE_VVMA,
    REMOTE_HFENCE_VVMA_ASID,
    TABLE,
    Args,
    remote_fence,
)

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vcpu import Vcpu

LONG = 8
"""Bytes of an unsigned long."""


@TABLE.on(Extension.LEGACY_SET_TIMER, None)
def set_timer(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    vcpu.set_timer(args[0])
    return legacy(0)


@TABLE.on(Extension.LEGACY_CONSOLE_PUTCHAR, None)
def console_putchar(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    vcpu.vm.console.write(terminal_lines(bytes([args[0] & 0xFF])))
    return legacy(0)


@TABLE.on(Extension.LEGACY_CONSOLE_GETCHAR, None)
def console_getchar(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    """The next byte, or -1 when there is none."""
    data = vcpu.vm.console.take(1)
    return legacy(data[0] if data else -1)


@TABLE.on(Extension.LEGACY_CLEAR_IPI, None)
def clear_ipi(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    """1 when an IPI was pending for the caller, which no longer is, else 0."""
    csr = vcpu.core.hart.csr
    hvip = csr.hvip
    csr.hvip = hvip & ~VSSIP
    return legacy(int(bool(hvip & VSSIP)))


@TABLE.on(Extension.LEGACY_SEND_IPI, None)
def send_ipi(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    mask = _hart_mask(vcpu, args[0])
    if isinstance(mask, SbiError):
        return legacy(int(mask))
    for target in vcpu.vm.vcpus:
        if mask >> target.index & 1:
            hypervisor.send_software(target)
    return legacy(0)


@TABLE.on(Extension.LEGACY_REMOTE_FENCE_I, None)
def remote_fence_i(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return _fence(hypervisor, vcpu, REMOTE_FENCE_I, args[0], 0, 0, 0)


@TABLE.on(Extension.LEGACY_REMOTE_SFENCE_VMA, None)
def remote_sfence_vma(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return _fence(hypervisor, vcpu, REMOTE_HFENCE_VVMA, args[0], args[1], args[2], 0)


@TABLE.on(Extension.LEGACY_REMOTE_SFENCE_VMA_ASID, None)
def remote_sfence_vma_asid(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return _fence(hypervisor, vcpu, REMOTE_HFENCE_VVMA_ASID, args[0], args[1], args[2], args[3])


@TABLE.on(Extension.LEGACY_SHUTDOWN, None)
def shutdown(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    hypervisor.manager.guest_reset(vcpu.vm, ResetType.SHUTDOWN)
    return NO_RETURN


def _fence(
    hypervisor: Hypervisor, vcpu: Vcpu, function: int, mask_address: int, start: int, size: int, asid: int
) -> SbiResult:
    mask = _hart_mask(vcpu, mask_address)
    if isinstance(mask, SbiError):
        return legacy(int(mask))
    return legacy(remote_fence(hypervisor, vcpu, function, (mask, 0, start, size, asid)).error)


def _hart_mask(vcpu: Vcpu, address: int) -> int | SbiError:
    """The hart mask at a virtual address of the caller, read with the caller's rights."""
    harts = len(vcpu.vm.vcpus)
    everyone = (1 << harts) - 1
    if address == 0:
        return everyone
    longs = (harts + 8 * LONG - 1) // (8 * LONG)
    mask = 0
    try:
        for index in range(longs):
            mask |= vcpu.core.hart.hlv(address + LONG * index & MASK64, LONG) << 8 * LONG * index
    except GuestFault:
        return SbiError.INVALID_ADDRESS
    return SbiError.INVALID_PARAM if mask & ~everyone else mask
