"""SBI 2.0 as guests see it: hart ids are vCPU indices, addresses are guest-physical, nothing reaches another VM.

The legacy calls of SBI 0.1 are in `legacy_sbi`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.firmware.console import terminal_lines
from shyper_tui.engine.firmware.sbi import (
    MASK64,
    NO_RETURN,
    SPEC_VERSION,
    SUCCESS,
    Extension,
    HsmState,
    ResetType,
    SbiError,
    SbiResult,
    SbiTable,
    failure,
    select_harts,
)
from shyper_tui.engine.hypervisor.layout import PAGE

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vcpu import Vcpu

TABLE: SbiTable[Hypervisor, Vcpu] = SbiTable()
Args = Sequence[int]

IMPLEMENTATION_ID, IMPLEMENTATION_VERSION, MIMPID = 4, 0x400, 3
CONSOLE_CHUNK = 4 << 10
"""Most bytes one DBCN call moves: the specification lets a call do less than it was asked, and a guest that writes
without end shall not take more of the host's time than of its own."""
MAX_FENCED_PAGES = 8
"""A larger remote fence drops everything, which costs less than going page by page."""
REMOTE_FENCE_I, REMOTE_HFENCE_VVMA_ASID, REMOTE_HFENCE_VVMA = 0, 5, 6


@TABLE.on(Extension.BASE, 0)
def get_spec_version(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return SbiResult(0, SPEC_VERSION)


@TABLE.on(Extension.BASE, 1)
def get_impl_id(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return SbiResult(0, IMPLEMENTATION_ID)


@TABLE.on(Extension.BASE, 2)
def get_impl_version(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return SbiResult(0, IMPLEMENTATION_VERSION)


@TABLE.on(Extension.BASE, 3)
def probe_extension(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return SbiResult(0, int(TABLE.has(args[0])))


@TABLE.on(Extension.BASE, 4)
@TABLE.on(Extension.BASE, 5)
def get_vendor_or_architecture(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return SbiResult(0, 0)


@TABLE.on(Extension.BASE, 6)
def get_mimpid(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return SbiResult(0, MIMPID)


@TABLE.on(Extension.TIME, 0)
def set_timer(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    vcpu.set_timer(args[0])
    return SUCCESS


@TABLE.on(Extension.IPI, 0)
def send_ipi(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    selected = select_harts(args[0], args[1], range(len(vcpu.vm.vcpus)))
    if selected is None:
        return failure(SbiError.INVALID_PARAM)
    for index in selected:
        hypervisor.send_software(vcpu.vm.vcpus[index])
    return SUCCESS


def remote_fence(hypervisor: Hypervisor, vcpu: Vcpu, function: int, args: Args) -> SbiResult:
    """Fence the harts of the vCPUs in the hart mask args[0..1], for the range args[2..3] of the caller's VMID.

    Start and size 0, or size all ones, mean every address. `function` is the firmware's.
    """
    selected = select_harts(args[0], args[1], range(len(vcpu.vm.vcpus)))
    if selected is None:
        return failure(SbiError.INVALID_PARAM)
    start, size = args[2], args[3]
    everything = size == MASK64 or start == size == 0
    if not everything and start + size > 1 << 64:
        return failure(SbiError.INVALID_ADDRESS)
    if everything or size > MAX_FENCED_PAGES * PAGE:
        start = size = 0
    elif size == 0:
        return SUCCESS
    mask = 0
    for index in selected:
        mask |= 1 << vcpu.vm.vcpus[index].core.hart_id
    return hypervisor.firmware.call(vcpu.core.hart, Extension.RFENCE, function, [mask, 0, start, size, args[4]])


@TABLE.on(Extension.RFENCE, 0)
def remote_fence_i(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return remote_fence(hypervisor, vcpu, REMOTE_FENCE_I, (args[0], args[1], 0, 0, 0))


@TABLE.on(Extension.RFENCE, 1)
def remote_sfence_vma(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return remote_fence(hypervisor, vcpu, REMOTE_HFENCE_VVMA, args)


@TABLE.on(Extension.RFENCE, 2)
def remote_sfence_vma_asid(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return remote_fence(hypervisor, vcpu, REMOTE_HFENCE_VVMA_ASID, args)


@TABLE.on(Extension.HSM, 0)
def hart_start(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    vm = vcpu.vm
    index, address, opaque = args[0], args[1], args[2]
    if index >= len(vm.vcpus):
        return failure(SbiError.INVALID_PARAM)
    target = vm.vcpus[index]
    if target.hsm is not HsmState.STOPPED:
        return failure(SbiError.ALREADY_AVAILABLE)
    if not vm.memory.contains(address, 2):
        return failure(SbiError.INVALID_ADDRESS)
    target.hsm = HsmState.START_PENDING
    target.start_at = (address, opaque)
    hypervisor.on_core(target.core, target.begin)
    return SUCCESS


@TABLE.on(Extension.HSM, 1)
def hart_stop(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    vcpu.hsm = HsmState.STOPPED
    vcpu.core.remove(vcpu)
    return NO_RETURN


@TABLE.on(Extension.HSM, 2)
def hart_get_status(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    if args[0] >= len(vcpu.vm.vcpus):
        return failure(SbiError.INVALID_PARAM)
    target = vcpu.vm.vcpus[args[0]]
    return SbiResult(0, HsmState.RESUME_PENDING if target.suspend_ended else int(target.hsm))


@TABLE.on(Extension.HSM, 3)
def hart_suspend(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    """The vCPU leaves its core until one of its interrupts; a non-retentive suspend goes on at args[1]."""
    kind = args[0]
    if kind not in (0, 0x8000_0000):
        platform_specific = 0x1000_0000 <= kind <= 0x7FFF_FFFF or 0x9000_0000 <= kind <= 0xFFFF_FFFF
        return failure(SbiError.NOT_SUPPORTED if platform_specific else SbiError.INVALID_PARAM)
    if kind and not vcpu.vm.memory.contains(args[1], 2):
        return failure(SbiError.INVALID_ADDRESS)
    x = vcpu.core.hart.x
    x[10] = x[11] = 0
    vcpu.hsm = HsmState.SUSPENDED
    vcpu.resume_at = (args[1], args[2]) if kind else None
    vcpu.core.sleep()
    return NO_RETURN


@TABLE.on(Extension.SRST, 0)
def system_reset(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    kind, reason = args[0], args[1]
    if 0xF000_0000 <= kind <= 0xFFFF_FFFF:
        return failure(SbiError.NOT_SUPPORTED)
    if kind > ResetType.WARM_REBOOT or not (reason <= 1 or 0xE000_0000 <= reason <= 0xFFFF_FFFF):
        return failure(SbiError.INVALID_PARAM)
    hypervisor.manager.guest_reset(vcpu.vm, ResetType(kind))
    return NO_RETURN


@TABLE.on(Extension.DBCN, 0)
def console_write(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    size = min(args[0], CONSOLE_CHUNK)
    try:
        data = vcpu.vm.memory.read(args[1] | args[2] << 64, size) if size else b""
    except BadAddress:
        return failure(SbiError.INVALID_PARAM)
    vcpu.vm.console.write(terminal_lines(data))
    return SbiResult(0, len(data))


@TABLE.on(Extension.DBCN, 1)
def console_read(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    size, address = min(args[0], CONSOLE_CHUNK), args[1] | args[2] << 64
    if size and not vcpu.vm.memory.contains(address, size):
        return failure(SbiError.INVALID_PARAM)
    data = vcpu.vm.console.take(size)
    if data:
        vcpu.vm.memory.write(address, data)
    return SbiResult(0, len(data))


@TABLE.on(Extension.DBCN, 2)
def console_write_byte(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    vcpu.vm.console.write(terminal_lines(bytes([args[0] & 0xFF])))
    return SUCCESS
