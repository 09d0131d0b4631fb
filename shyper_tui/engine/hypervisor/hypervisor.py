"""The hypervisor: software at HS-mode of every hart, with Rust-Shyper's behaviour."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter_ns

from shyper_tui.engine.firmware.firmware import Firmware
from shyper_tui.engine.firmware.ports import HartPort
from shyper_tui.engine.firmware.sbi import Extension
from shyper_tui.engine.hart.fields import INTERRUPT_BIT, Interrupt
from shyper_tui.engine.hypervisor.core import Core
from shyper_tui.engine.hypervisor.exits import EXITS, Trap
from shyper_tui.engine.hypervisor.exits.faults import describe
from shyper_tui.engine.hypervisor.exits.record import cause_name
from shyper_tui.engine.hypervisor.manager import Manager
from shyper_tui.engine.hypervisor.physical_plic import PhysicalPlic
from shyper_tui.engine.hypervisor.platform import Platform
from shyper_tui.engine.hypervisor.vcpu import Vcpu
from shyper_tui.engine.hypervisor.vm import RUNNING, Vm

SOFTWARE, TIMER, EXTERNAL = (INTERRUPT_BIT | number for number in (Interrupt.SSI, Interrupt.STI, Interrupt.SEI))


class Hypervisor:
    """`Supervisor` of the firmware: entered on every hart that starts in HS-mode, and at every trap into HS-mode.

    `cores` are by hart id. `manager` configures, boots and stops VMs, for hypercalls and for the workstation alike;
    its methods may be called from a trap or, between slices, from outside.
    """

    def __init__(self, harts: Sequence[HartPort], firmware: Firmware, platform: Platform) -> None:
        self.firmware = firmware
        self.platform = platform
        self.cores = {hart.hart_id: Core(hart, firmware, platform.log, platform.host_time) for hart in harts}
        self.physical_plic = PhysicalPlic(harts[0], platform.plic_base)
        self._active: Core | None = None
        self.caller: Vcpu | None = None
        """The vCPU that made the hypercall which is served now, or was served last."""
        self._booted = False
        self.manager = Manager(self)

    # Entered by the firmware

    def enter(self, hart: HartPort, opaque: int) -> None:
        """A hart has started at HS-mode. The first one starts the others."""
        core = self.cores[hart.hart_id]
        self._active = core
        core.set_up()
        self.physical_plic.set_up(hart.hart_id)
        if not self._booted:
            self._booted = True
            for other in self.cores:
                if other != hart.hart_id:
                    self.firmware.call(hart, Extension.HSM, 0, [other, 0, opaque])
        core.take_messages()
        core.leave()
        self._active = None

    def trap(self, hart: HartPort) -> None:
        """A trap into HS-mode (`TrapHandler`)."""
        begin = perf_counter_ns()
        core = self.cores[hart.hart_id]
        self._active = core
        timed = bool(core.ready or core.waiting)  # else nobody asks for the vCPU's share of the core
        if timed:
            core.begin_trap()
        cause = hart.csr.scause
        vcpu = core.current
        if cause & INTERRUPT_BIT:
            self._interrupt(core, cause)
        elif vcpu is not None:
            self._exception(vcpu, Trap(hart, cause))
        else:
            where = f"core {core.hart_id} at {hart.csr.sepc:#x}"
            self.platform.log(f"{where}: unexpected {cause_name(cause)} without a guest")
        core.leave()
        if timed:
            core.end_trap()
        self._active = None
        if vcpu is not None:
            vcpu.vm.exits.add(cause, perf_counter_ns() - begin)

    def bill_for(self, hart: int) -> Callable[[int], None] | None:
        """Counts ticks as used by the vCPU that hart `hart` runs now."""
        vcpu = self.cores[hart].current
        return None if vcpu is None else vcpu.charge

    def on_core(self, core: Core, action: Callable[[], None]) -> None:
        """Do `action` on `core`: now if this is that core, else by a message to it."""
        if core is self._active:
            action()
        else:
            core.post(action)

    def set_external(self, vcpu: Vcpu, level: bool) -> None:
        """The vPLIC's output for `vcpu` has changed."""
        self._deliver(vcpu, vcpu.apply_external)

    def send_software(self, vcpu: Vcpu) -> None:
        """An IPI for `vcpu`."""
        self._deliver(vcpu, vcpu.raise_software)

    def _deliver(self, vcpu: Vcpu, apply: Callable[[], None]) -> None:
        """Do `apply`, which changes an interrupt of `vcpu`, and wake the vCPU if that ends its WFI.

        Only a vCPU that is on another core's hart, or that must be woken there, costs that core an interrupt: one that
        cannot notice (it has stopped, or waits for its turn anyway) lets its senders cost its neighbours nothing.
        """
        core = vcpu.core

        def change() -> None:
            apply()
            core.notice(vcpu)

        if core is self._active:
            change()
        elif vcpu.loaded:
            core.post(change)
        else:
            apply()
            if vcpu.waiting and vcpu.interrupt_pending(core.now()):
                core.post(partial(core.notice, vcpu))

    def stop_faulty(self, vcpu: Vcpu, trap: Trap, reason: str) -> None:
        """Stop the VM of `vcpu`, and only that, because of what the trap shows."""
        record = describe(vcpu, trap, reason)
        vcpu.vm.faults.append(record)
        self.platform.log(str(record))
        self.manager.fail(vcpu.vm, str(record))

    def _exception(self, vcpu: Vcpu, trap: Trap) -> None:
        handler = EXITS.get(trap.cause)
        if handler is None:
            self.stop_faulty(vcpu, trap, f"the hypervisor has no answer to an {cause_name(trap.cause)}")
            return
        try:
            handler(self, vcpu, trap)
        except Exception as error:  # whatever a guest may have provoked, it stops that guest and nothing else
            self.platform.log(traceback.format_exc())
            self.stop_faulty(vcpu, trap, f"the hypervisor failed to serve it: {type(error).__name__}: {error}")

    def _interrupt(self, core: Core, cause: int) -> None:
        core.interrupted = True
        if cause == SOFTWARE:
            core.take_messages()
        elif cause == TIMER:
            core.timer()
        elif cause == EXTERNAL:
            self._external(core)

    def _external(self, core: Core) -> None:
        """Hand every pending physical irq to the VM that owns it; it is completed when that guest completes it."""
        while source := self.physical_plic.claim(core.hart_id):
            vm = self._owner(core, source)
            if vm is None or vm.vplic is None:
                self.physical_plic.switch_off(core.hart_id, source)
                self.physical_plic.complete(core.hart_id, source)
                self.platform.log(f"physical irq {source} on core {core.hart_id} belongs to no VM: switched off")
            else:
                vm.vplic.forward(source, core.hart_id)

    def _owner(self, core: Core, source: int) -> Vm | None:
        """The first VM that runs and has enabled `source` on that core."""
        for vm in self.manager.vms():
            if vm.state in RUNNING and vm.vplic is not None and vm.vplic.wants(source, core.hart_id):
                return vm
        return None
