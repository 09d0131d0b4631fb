"""SBI 2.0 as guests see it: hart ids are vCPU indices, addresses are guest-physical, nothing reaches another VM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.firmware.console import terminal_lines
from shyper_tui.engine.firmware.sbi import (
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
    legacy,
    select_harts,
)

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.vcpu import Vcpu

TABLE: SbiTable[Hypervisor, Vcpu] = SbiTable()
Args = Sequence[int]

IMPLEMENTATION_ID, IMPLEMENTATION_VERSION, MIMPID = 4, 0x400, 3
CONSOLE_CHUNK = 64 << 10
"""Most bytes one DBCN call moves."""
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


def _targets(vcpu: Vcpu, args: Args) -> list[Vcpu] | None:
    """The vCPUs of a hart mask in args[0..1]."""
    selected = select_harts(args[0], args[1], range(len(vcpu.vm.vcpus)))
    return None if selected is None else [vcpu.vm.vcpus[index] for index in selected]


@TABLE.on(Extension.IPI, 0)
def send_ipi(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    targets = _targets(vcpu, args)
    if targets is None:
        return failure(SbiError.INVALID_PARAM)
    for target in targets:
        hypervisor.send_software(target)
    return SUCCESS


def _fence(hypervisor: Hypervisor, vcpu: Vcpu, function: int, args: Args) -> SbiResult:
    """Pass a remote fence on to the harts of the selected vCPUs; it acts on the caller's VMID there."""
    targets = _targets(vcpu, args)
    if targets is None:
        return failure(SbiError.INVALID_PARAM)
    mask = 0
    for target in targets:
        mask |= 1 << target.core.hart_id
    return hypervisor.firmware.call(vcpu.core.hart, Extension.RFENCE, function, [mask, 0, *args[2:5]])


@TABLE.on(Extension.RFENCE, 0)
def remote_fence_i(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return _fence(hypervisor, vcpu, REMOTE_FENCE_I, args)


@TABLE.on(Extension.RFENCE, 1)
def remote_sfence_vma(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return _fence(hypervisor, vcpu, REMOTE_HFENCE_VVMA, args)


@TABLE.on(Extension.RFENCE, 2)
def remote_sfence_vma_asid(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    return _fence(hypervisor, vcpu, REMOTE_HFENCE_VVMA_ASID, args)


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

    def begin() -> None:
        if target.hsm is HsmState.START_PENDING:
            target.fresh(address, target.index, opaque)
            target.hsm = HsmState.STARTED
            target.core.start(target)

    hypervisor.on_core(target.core, begin)
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
    return SbiResult(0, int(vcpu.vm.vcpus[args[0]].hsm))


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
    vcpu.core.block()
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


@TABLE.on(Extension.LEGACY_CONSOLE_PUTCHAR, None)
def legacy_putchar(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    vcpu.vm.console.write(terminal_lines(bytes([args[0] & 0xFF])))
    return legacy(0)


@TABLE.on(Extension.LEGACY_CONSOLE_GETCHAR, None)
def legacy_getchar(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    data = vcpu.vm.console.take(1)
    return legacy(data[0] if data else -1)


@TABLE.on(Extension.LEGACY_SHUTDOWN, None)
def legacy_shutdown(hypervisor: Hypervisor, vcpu: Vcpu, args: Args) -> SbiResult:
    hypervisor.manager.guest_reset(vcpu.vm, ResetType.SHUTDOWN)
    return NO_RETURN
