"""Finds VMs that run and get nowhere: damaged kernels, most of all, which are silent and active for ever.

A guest handles its own exceptions, so the hypervisor hears of none. What can be known is seen from outside: where its
trap handler leads, whether any interrupt can end its waiting, and whether it has achieved anything at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from shyper_tui.engine.board.device import TICKS_PER_SECOND
from shyper_tui.engine.firmware.sbi import HsmState
from shyper_tui.engine.hart.fields import INTERRUPT_BIT, Cause
from shyper_tui.engine.hypervisor.definition import VmType
from shyper_tui.engine.hypervisor.exits.record import cause_name
from shyper_tui.engine.hypervisor.vcpu import Vcpu, VcpuState
from shyper_tui.engine.hypervisor.vm import Vm, VmState

QUIET = TICKS_PER_SECOND
"""A VM that has achieved nothing for so long is looked at more closely."""
HANDLER = 256
"""Bytes from the trap handler's start on in which a working kernel does not fault again and again."""


@dataclass(slots=True)
class Progress:
    """What a VM had achieved when it was last looked at, and since when that has been so."""

    achieved: int = -1
    since: int = 0
    at_boot: int = 0
    told: bool = False
    """Somebody was told that the VM gets nowhere."""
    asked: tuple[str, int] | None = None
    """What the VM was asked to do by itself, and the tick by which it should have done it."""

    def begin(self, vm: Vm, now: int) -> None:
        """The VM starts."""
        self.told, self.asked = False, None
        self.achieved = self.at_boot = achievements(vm)
        self.since = now

    def look(self, vm: Vm, now: int) -> bool:
        """Whether the VM has achieved nothing for a while."""
        achieved = achievements(vm)
        if achieved != self.achieved:
            self.achieved, self.since = achieved, now
        return now - self.since >= QUIET


def achievements(vm: Vm) -> int:
    """SBI calls and hypercalls that succeeded, and accesses that a device answered."""
    counts = vm.exits.counts
    refused = sum(
        record.count for record in vm.faults if record.cause in (Cause.LOAD_GUEST_PAGE, Cause.STORE_GUEST_PAGE)
    )
    accesses = counts[Cause.LOAD_GUEST_PAGE] + counts[Cause.STORE_GUEST_PAGE] - refused - vm.faults.unrecorded
    return vm.calls_served + max(0, accesses)


def stuck(vm: Vm, progress: Progress, now: int) -> str:
    """Why an active VM gets nowhere, as a sentence's end; "" as long as nothing speaks for that."""
    if vm.state is not VmState.ACTIVE or vm.stopping:
        return ""
    quiet = progress.look(vm, now)
    started = [vcpu for vcpu in vm.vcpus if vcpu.hsm is not HsmState.STOPPED]
    if not started:
        return "every vCPU has stopped itself, so nothing runs any more" if quiet else ""
    looks = [_Look(vcpu) for vcpu in started]
    for look in looks:
        if look.handler and look.exception and look.epc == look.handler:
            where = f"{cause_name(look.cause)} at {look.handler:#x}"
            return f"vCPU {look.index} only faults: its trap handler begins with: {where}; is its kernel damaged?"
    if not quiet:
        return ""
    if all(look.waits_for_ever for look in looks):
        first = looks[0]
        return f"vCPU {first.index} waits at {first.pc:#x} with every interrupt off, so it never goes on{first.after}"
    for look in looks:
        if look.handler and look.exception and 0 <= look.epc - look.handler < HANDLER:
            return f"vCPU {look.index} only faults: its trap handler faults itself{look.after}; is its kernel damaged?"
    faulted = next((look for look in looks if look.exception), None)
    if progress.achieved != progress.at_boot or (faulted is None and vm.definition.type != VmType.LINUX):
        return ""
    look = faulted or looks[0]
    nothing = "has made no successful call and reached no device since its start"
    return f"vCPU {look.index} runs at {look.pc:#x} and {nothing}{look.after}; is its kernel damaged?"


class _Look:
    """What the CSRs of one vCPU tell now."""

    def __init__(self, vcpu: Vcpu) -> None:
        self.index = vcpu.index
        if vcpu.loaded:
            hart = vcpu.core.hart
            names = ("vstvec", "vsepc", "vscause", "vstval", "vsie")
            vector, self.epc, self.cause, self.value, enabled = (int(getattr(hart.csr, name)) for name in names)
            self.pc = hart.pc if hart.mode.name in ("VS", "VU") else hart.csr.sepc
            waits = bool(getattr(hart, "waiting", False))
        else:
            names = ("vstvec", "vsepc", "vscause", "vstval", "vsie")
            vector, self.epc, self.cause, self.value, enabled = (vcpu.csrs[name] for name in names)
            self.pc = vcpu.pc
            waits = vcpu.state is VcpuState.SLEEP and vcpu.waiting
        self.handler = vector & ~3
        self.waits_for_ever = waits and not enabled

    @property
    def exception(self) -> bool:
        """Whether its latest trap was an exception (a vCPU begins with all of these CSRs 0)."""
        return bool(self.epc or self.cause) and not self.cause & INTERRUPT_BIT

    @property
    def after(self) -> str:
        """Its latest exception, if it has had one."""
        if not self.exception:
            return ""
        return f"; its last fault was: {cause_name(self.cause)} at {self.epc:#x}, address {self.value:#x}"
