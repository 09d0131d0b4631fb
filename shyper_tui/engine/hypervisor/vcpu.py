"""A virtual CPU: its registers while it does not run, and the world switch that puts them on a hart and takes them
off."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from shyper_tui.engine.firmware.ports import HartPort
from shyper_tui.engine.firmware.sbi import HsmState
from shyper_tui.engine.hypervisor.csr_bits import (
    FS_CLEAN,
    FS_DIRTY,
    HSTATUS_SPV,
    HSTATUS_SPVP,
    HSTATUS_VSXL_64,
    HSTATUS_VTW,
    SIE_STIE,
    SSTATUS_FS,
    SSTATUS_SPIE,
    SSTATUS_SPP,
    VSEIP,
    VSSIP,
    VSSTATUS_UXL_64,
    VSTIP,
)

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.core import Core
    from shyper_tui.engine.hypervisor.vm import Vm

NEVER = (1 << 64) - 1

VS_CSRS = (
    "vsstatus", "vsie", "vstvec", "vsscratch", "vsepc", "vscause", "vstval", "vsatp", "vstimecmp", "hvip",
    "scounteren", "senvcfg",
)  # fmt: skip
"""CSRs that belong to a vCPU. scounteren and senvcfg have no VS copy, so the switch carries them."""


class VcpuState(Enum):
    """As the contract names them: never started, waiting for its core, on its core, stopped or in WFI."""

    INVALID = "invalid"
    READY = "ready"
    RUNNING = "running"
    SLEEP = "sleep"


class Vcpu:
    """vCPU `index` of `vm`, bound to `core` for ever.

    `x`, `f`, `csrs` and `pc` are valid while the vCPU is not loaded. The vCPU's own core brings the level of
    `external`, and software interrupts, into hvip: the hart's when the vCPU is loaded, the saved one else.
    """

    def __init__(self, vm: Vm, index: int, core: Core) -> None:
        self.vm = vm
        self.index = index
        self.core = core
        self.state = VcpuState.INVALID
        self.hsm = HsmState.STOPPED
        self.loaded = False
        self.waiting = False  # in WFI on a shared core
        self.woken = False  # it became ready and the core has not yet looked whether it goes first
        self.paused = False
        self.runtime = 0  # ticks it has used of its core, as the core counts them
        self.ran = 0  # ticks on its core that were counted; `Core.time_on_core` adds the present ones
        self.start_at = (0, 0)  # (pc, opaque) of the start that is pending
        self.resume_at: tuple[int, int] | None = None  # (pc, opaque) after a non-retentive suspend
        self.fresh()

    @property
    def external(self) -> bool:
        """The present level of the vPLIC's output for this vCPU."""
        vplic = self.vm.vplic
        return vplic is not None and vplic.external(self.index)

    @property
    def name(self) -> str:
        return f"vm{self.vm.id}/vcpu{self.index}"

    def fresh(self, pc: int = 0, a0: int = 0, a1: int = 0) -> None:
        """Registers as SBI's hart_start defines them: VS-mode at `pc`, translation and interrupts off."""
        self.x = [0] * 32
        self.x[10], self.x[11] = a0, a1
        self.f = [0] * 32
        self.fcsr = 0
        if self.core.float_owner is self:
            self.core.float_owner = None
        self.pc = pc
        self.supervisor = True  # the mode to return to: VS (True) or VU
        self.csrs = dict.fromkeys(VS_CSRS, 0)
        self.csrs["vsstatus"] = VSSTATUS_UXL_64
        self.csrs["vstimecmp"] = NEVER
        self.csrs["scounteren"] = 0x7
        if self.external:
            self.csrs["hvip"] = VSEIP

    def begin(self) -> None:
        """Do the pending HSM start: the vCPU runs from `start_at`, or as soon as its VM is no longer paused."""
        if self.hsm is not HsmState.START_PENDING:
            return  # the VM has been stopped since
        pc, opaque = self.start_at
        self.fresh(pc, self.index, opaque)
        self.hsm = HsmState.STARTED
        if self.paused:
            self.state = VcpuState.SLEEP
        else:
            self.core.start(self)

    def end_suspend(self) -> None:
        """Leave SBI hart_suspend: a non-retentive one goes on as after a start, its timer and interrupts kept."""
        if self.resume_at is not None:
            kept = {name: self.csrs[name] for name in ("vstimecmp", "hvip")}
            pc, opaque = self.resume_at
            self.fresh(pc, self.index, opaque)
            self.csrs.update(kept)
            self.resume_at = None
        if self.hsm is HsmState.SUSPENDED:
            self.hsm = HsmState.STARTED

    def charge(self, ticks: int) -> None:
        """The host has worked for this vCPU while others were running."""
        self.runtime += ticks

    def load(self, hart: HartPort, wfi_traps: bool) -> None:
        """Put the vCPU on `hart`; the next SRET enters it. Of sstatus, only what that SRET and the guest's floating
        point need is set; HS-mode has no use for the rest."""
        csr = hart.csr
        # vsatp of the old guest must not be walked with the new guest's stage 2 and the other way round
        if csr.vsatp:
            csr.vsatp = 0
        csr.hgatp = self.vm.stage2.hgatp
        for name, value in self.csrs.items():
            setattr(csr, name, value)
        if self.core.float_owner is not self:
            csr.sstatus = FS_DIRTY  # writable while the registers are filled
            hart.f.fill(self.f)
            csr.fcsr = self.fcsr
            self.core.float_owner = self
        csr.sstatus = FS_CLEAN | SSTATUS_SPIE | (SSTATUS_SPP if self.supervisor else 0)
        mode = HSTATUS_SPV | HSTATUS_SPVP if self.supervisor else HSTATUS_SPV
        csr.hstatus = mode | HSTATUS_VSXL_64 | (HSTATUS_VTW if wfi_traps else 0)
        hart.x.fill(self.x)
        csr.sepc = self.pc
        hart.use_direct(self.vm.direct)
        if self.vm.vplic is not None:
            self.vm.vplic.load(self.index, hart)
        self.loaded = True
        self.state = VcpuState.RUNNING

    def save(self, hart: HartPort) -> None:
        """Take the vCPU off `hart` after a trap from it."""
        csr = hart.csr
        self.x = hart.x.list()
        self.pc = csr.sepc
        status = csr.sstatus
        self.supervisor = bool(status & SSTATUS_SPP)
        self.csrs = {name: getattr(csr, name) for name in VS_CSRS}
        if status & SSTATUS_FS == FS_DIRTY:
            self.f = hart.f.list()
            self.fcsr = csr.fcsr
        hart.use_direct(None)
        if self.vm.vplic is not None:
            self.vm.vplic.save(self.index)
        self.loaded = False
        if self.state is VcpuState.RUNNING:
            self.state = VcpuState.READY

    def timer_deadline(self) -> int:
        """`time` at which the saved vCPU's own timer ends its WFI; all ones when it does not."""
        return self.csrs["vstimecmp"] if self.csrs["vsie"] & SIE_STIE else NEVER

    def interrupt_pending(self, now: int) -> bool:
        """Whether the saved vCPU has an interrupt that ends WFI: pending and enabled, whatever sstatus.SIE says."""
        pending = self.csrs["hvip"] | (VSTIP if self.csrs["vstimecmp"] <= now else 0)
        return bool(pending & self.csrs["vsie"] << 1)

    # To be called on the vCPU's own core.

    def apply_external(self) -> None:
        """Bring hvip.VSEIP to the level of the vPLIC's output (`external`)."""
        self._set_hvip(VSEIP, self.external)

    def raise_software(self) -> None:
        """An IPI from another vCPU; the guest clears it in its sip."""
        self._set_hvip(VSSIP, True)

    def pause(self) -> None:
        """Leave the core until `unpause`; one that is stopped only remembers it."""
        if not self.paused:
            self.paused = True
            if self.hsm in (HsmState.STARTED, HsmState.SUSPENDED):
                self.core.remove(self)

    def unpause(self) -> None:
        if self.paused:
            self.paused = False
            if self.hsm in (HsmState.STARTED, HsmState.SUSPENDED):
                self.core.put_back(self)

    def set_timer(self, deadline: int) -> None:
        """SBI set_timer of the vCPU that runs now."""
        self.core.hart.csr.vstimecmp = deadline

    @property
    def suspend_ended(self) -> bool:
        """Whether an interrupt has ended its SBI suspend and it waits for its core."""
        return self.hsm is HsmState.SUSPENDED and not self.waiting and not self.paused

    def _set_hvip(self, bit: int, level: bool) -> None:
        if self.loaded:
            csr = self.core.hart.csr
            csr.hvip = csr.hvip | bit if level else csr.hvip & ~bit
        elif level:
            self.csrs["hvip"] |= bit
        else:
            self.csrs["hvip"] &= ~bit
