"""The SBI calls the firmware offers: one table from (extension, function) to a handler.

Every wrong argument is answered with an SBI error; no call raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.firmware.console import terminal_lines
from shyper_tui.engine.firmware.ports import HartPort
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
    from shyper_tui.engine.firmware.firmware import Firmware, HartContext

TABLE: SbiTable[Firmware, HartContext] = SbiTable()
Args = Sequence[int]

IMPLEMENTATION_ID = 0x5354
IMPLEMENTATION_VERSION = 0x0001_0000
CONSOLE_CHUNK = 64 << 10
"""Most bytes one DBCN call moves; the specification lets a call do less than it was asked."""
PAGE = 4096
MAX_FENCED_PAGES = 64
"""A larger remote fence drops everything instead of going page by page."""


@TABLE.on(Extension.BASE, 0)
def get_spec_version(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return SbiResult(0, SPEC_VERSION)


@TABLE.on(Extension.BASE, 1)
def get_impl_id(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return SbiResult(0, IMPLEMENTATION_ID)


@TABLE.on(Extension.BASE, 2)
def get_impl_version(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return SbiResult(0, IMPLEMENTATION_VERSION)


@TABLE.on(Extension.BASE, 3)
def probe_extension(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return SbiResult(0, int(TABLE.has(args[0])))


@TABLE.on(Extension.BASE, 4)
def get_mvendorid(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return SbiResult(0, caller.hart.csr.mvendorid)


@TABLE.on(Extension.BASE, 5)
def get_marchid(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return SbiResult(0, caller.hart.csr.marchid)


@TABLE.on(Extension.BASE, 6)
def get_mimpid(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return SbiResult(0, caller.hart.csr.mimpid)


@TABLE.on(Extension.TIME, 0)
def set_timer(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    firmware.set_timer(caller, args[0])
    return SUCCESS


@TABLE.on(Extension.IPI, 0)
def send_ipi(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    targets = select_harts(args[0], args[1], firmware.contexts)
    if targets is None:
        return failure(SbiError.INVALID_PARAM)
    for hart_id in targets:
        firmware.send_ipi(hart_id)
    return SUCCESS


def _fence(
    firmware: Firmware,
    args: Args,
    fence: Callable[[HartPort, int | None], None],
) -> SbiResult:
    """Run `fence(hart, address or None for everything)` on the harts of args[0..1] for the range args[2..3]."""
    targets = select_harts(args[0], args[1], firmware.contexts)
    if targets is None:
        return failure(SbiError.INVALID_PARAM)
    start, size = args[2], args[3]
    everything = start == size == 0 or size > MAX_FENCED_PAGES * PAGE
    if not everything and start + size > 1 << 64:
        return failure(SbiError.INVALID_ADDRESS)
    addresses: list[int | None] = [None]
    if not everything:
        addresses = list(range(start & ~(PAGE - 1), start + size, PAGE))
    for hart_id in targets:
        for address in addresses:
            fence(firmware.contexts[hart_id].hart, address)
    return SUCCESS


@TABLE.on(Extension.RFENCE, 0)
def remote_fence_i(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return _fence(firmware, [*args[:2], 0, 0], lambda hart, address: hart.fence_i())


@TABLE.on(Extension.RFENCE, 1)
def remote_sfence_vma(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return _fence(firmware, args, lambda hart, address: hart.sfence_vma(address))


@TABLE.on(Extension.RFENCE, 2)
def remote_sfence_vma_asid(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return _fence(firmware, args, lambda hart, address: hart.sfence_vma(address, args[4] & 0xFFFF))


@TABLE.on(Extension.RFENCE, 3)
def remote_hfence_gvma_vmid(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return _fence(firmware, args, lambda hart, address: hart.hfence_gvma(address, args[4] & 0x3FFF))


@TABLE.on(Extension.RFENCE, 4)
def remote_hfence_gvma(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return _fence(firmware, args, lambda hart, address: hart.hfence_gvma(address))


@TABLE.on(Extension.RFENCE, 5)
def remote_hfence_vvma_asid(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return _hfence_vvma(firmware, caller, args, args[4] & 0xFFFF)


@TABLE.on(Extension.RFENCE, 6)
def remote_hfence_vvma(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    return _hfence_vvma(firmware, caller, args, None)


def _hfence_vvma(firmware: Firmware, caller: HartContext, args: Args, asid: int | None) -> SbiResult:
    """HFENCE.VVMA acts on the hart's current hgatp.VMID, so each target borrows the caller's for the fence."""
    hgatp = caller.hart.csr.hgatp

    def fence(hart: HartPort, address: int | None) -> None:
        own = hart.csr.hgatp
        if own == hgatp:
            hart.hfence_vvma(address, asid)
        else:
            hart.csr.hgatp = hgatp
            hart.hfence_vvma(address, asid)
            hart.csr.hgatp = own

    return _fence(firmware, args, fence)


@TABLE.on(Extension.HSM, 0)
def hart_start(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    target = firmware.contexts.get(args[0])
    if target is None:
        return failure(SbiError.INVALID_PARAM)
    if target.state is not HsmState.STOPPED:
        return failure(SbiError.ALREADY_AVAILABLE)
    if firmware.supervisor is None and not _is_ram(firmware, args[1]):
        return failure(SbiError.INVALID_ADDRESS)
    firmware.start(target, args[1], args[2])
    return SUCCESS


@TABLE.on(Extension.HSM, 1)
def hart_stop(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    firmware.stop(caller)
    return NO_RETURN


@TABLE.on(Extension.HSM, 2)
def hart_get_status(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    target = firmware.contexts.get(args[0])
    return failure(SbiError.INVALID_PARAM) if target is None else SbiResult(0, int(target.state))


@TABLE.on(Extension.HSM, 3)
def hart_suspend(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    """Suspend, with a wake-up at once: both default types may resume for any reason the platform has."""
    kind = args[0]
    if kind == 0:
        return SUCCESS
    if kind != 0x8000_0000:
        platform_specific = 0x1000_0000 <= kind <= 0x7FFF_FFFF or 0x9000_0000 <= kind <= 0xFFFF_FFFF
        return failure(SbiError.NOT_SUPPORTED if platform_specific else SbiError.INVALID_PARAM)
    if not _is_ram(firmware, args[1]):
        return failure(SbiError.INVALID_ADDRESS)
    firmware.resume_at(caller, args[1], args[2])
    return NO_RETURN


@TABLE.on(Extension.SRST, 0)
def system_reset(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    kind, reason = args[0], args[1]
    if kind >= 0xF000_0000 and kind <= 0xFFFF_FFFF:
        return failure(SbiError.NOT_SUPPORTED)
    if kind > ResetType.WARM_REBOOT or not (reason <= 1 or 0xE000_0000 <= reason <= 0xFFFF_FFFF):
        return failure(SbiError.INVALID_PARAM)
    firmware.system_reset(caller, ResetType(kind), reason)
    return NO_RETURN


@TABLE.on(Extension.DBCN, 0)
def console_write(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    size = min(args[0], CONSOLE_CHUNK)
    try:
        data = firmware.memory.read(args[1] | args[2] << 64, size) if size else b""
    except BadAddress:
        return failure(SbiError.INVALID_PARAM)
    firmware.console.write(terminal_lines(data))
    return SbiResult(0, len(data))


@TABLE.on(Extension.DBCN, 1)
def console_read(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    size, address = min(args[0], CONSOLE_CHUNK), args[1] | args[2] << 64
    try:
        if size:
            firmware.memory.read(address, size)  # the whole buffer must be RAM before bytes are taken from the console
        data = firmware.console.read(size)
        if data:
            firmware.memory.write(address, data)
    except BadAddress:
        return failure(SbiError.INVALID_PARAM)
    return SbiResult(0, len(data))


@TABLE.on(Extension.DBCN, 2)
def console_write_byte(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    firmware.console.write(terminal_lines(bytes([args[0] & 0xFF])))
    return SUCCESS


@TABLE.on(Extension.LEGACY_CONSOLE_PUTCHAR, None)
def legacy_putchar(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    firmware.console.write(terminal_lines(bytes([args[0] & 0xFF])))
    return legacy(0)


@TABLE.on(Extension.LEGACY_CONSOLE_GETCHAR, None)
def legacy_getchar(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    data = firmware.console.read(1)
    return legacy(data[0] if data else -1)


@TABLE.on(Extension.LEGACY_SHUTDOWN, None)
def legacy_shutdown(firmware: Firmware, caller: HartContext, args: Args) -> SbiResult:
    firmware.system_reset(caller, ResetType.SHUTDOWN, 0)
    return NO_RETURN


def _is_ram(firmware: Firmware, address: int) -> bool:
    try:
        firmware.memory.read(address, 2)
    except BadAddress:
        return False
    return True
