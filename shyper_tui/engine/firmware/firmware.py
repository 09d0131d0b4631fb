"""SBI firmware at M-mode, written in Python: trap handler of every hart and SBI 2.0 for HS-mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shyper_tui.engine.board.memory import Memory
from shyper_tui.engine.firmware import csr_setup, redirect, services
from shyper_tui.engine.firmware.console import Console
from shyper_tui.engine.firmware.ports import HartPort, Supervisor
from shyper_tui.engine.firmware.sbi import MASK64, HsmState, ResetType, SbiResult

INTERRUPT = 1 << 63
CAUSE_MACHINE_SOFTWARE = INTERRUPT | 3
CAUSE_MACHINE_TIMER = INTERRUPT | 7
CAUSE_ECALL_FROM_SUPERVISOR = 9

MSIP_OFFSET, MTIMECMP_OFFSET = 0x0, 0x4000
"""CLINT layout: one 32-bit msip and one 64-bit mtimecmp per hart (ACLINT specification, MSWI and MTIMER)."""


class HartContext:
    """What the firmware keeps of one hart."""

    def __init__(self, hart: HartPort) -> None:
        self.hart = hart
        self.state = HsmState.STOPPED
        self.start_address = 0
        self.opaque = 0
        self.sstc = False


class Firmware:
    """M-mode of all harts.

    `memory` is physical RAM (console buffers are read through it); `console` backs DBCN and the legacy console;
    `on_reset` is told of a system reset, after which the calling hart stays parked. `supervisor` is the software at
    HS-mode when that is Python too; None means that native code runs there.

    One thread runs all harts, so remote fences act at once on the other harts. Only starting a hart goes through its
    msip register, because a stopped hart has to wake up.
    """

    def __init__(
        self,
        harts: Sequence[HartPort],
        memory: Memory,
        console: Console,
        on_reset: Callable[[ResetType, int], None],
        supervisor: Supervisor | None = None,
        clint_base: int = 0x0200_0000,
    ) -> None:
        self.contexts = {hart.hart_id: HartContext(hart) for hart in harts}
        self.memory = memory
        self.console = console
        self.on_reset = on_reset
        self.supervisor = supervisor
        self.clint_base = clint_base

    def reset(self, entry: int, device_tree: int, boot_hart: int = 0) -> None:
        """Power-on: set every hart up; `boot_hart` enters S/HS-mode at `entry` with a1 = `device_tree`, the others
        stop."""
        for hart_id, context in self.contexts.items():
            context.sstc = csr_setup.prepare(context.hart)
            if hart_id != boot_hart:
                self._park(context)
        boot = self.contexts[boot_hart]
        boot.start_address, boot.opaque = entry, device_tree
        self._enter(boot)

    def trap(self, hart: HartPort) -> None:
        """A trap into M-mode (`TrapHandler`)."""
        cause = hart.csr.mcause
        context = self.contexts[hart.hart_id]
        if cause == CAUSE_ECALL_FROM_SUPERVISOR:
            self._ecall(context)
        elif cause == CAUSE_MACHINE_SOFTWARE:
            self._software_interrupt(context)
        elif cause == CAUSE_MACHINE_TIMER:
            self._timer_interrupt(hart)
            self._resume(context)
        elif cause & INTERRUPT:
            hart.csr.mie = hart.csr.mie & ~(1 << (cause & 63))  # nobody here serves it: it must not come again
            self._resume(context)
        elif redirect.redirect(hart) and self.supervisor is not None:
            self.supervisor.trap(hart)

    def call(self, hart: HartPort, extension: int, function: int, args: Sequence[int] = ()) -> SbiResult:
        """An SBI call by Python software at HS-mode; `args` are a0.. (missing ones are 0)."""
        registers = [value & MASK64 for value in args] + [0] * (6 - len(args))
        return services.TABLE.call(self, self.contexts[hart.hart_id], extension, function, registers)

    def send_ipi(self, hart_id: int) -> None:
        """Raise the supervisor software interrupt of one hart."""
        _set_mip(self.contexts[hart_id].hart, csr_setup.SSIP, True)

    def set_timer(self, context: HartContext, deadline: int) -> None:
        """Next supervisor timer interrupt of a hart at `deadline` ticks, by Sstc or else by mtimecmp."""
        csr = context.hart.csr
        if context.sstc:
            csr.stimecmp = deadline
            return
        context.hart.physical_write(self.clint_base + MTIMECMP_OFFSET + 8 * context.hart.hart_id, 8, deadline)
        _set_mip(context.hart, csr_setup.STIP, False)
        csr.mie = csr.mie | csr_setup.MTIP

    def start(self, context: HartContext, address: int, opaque: int) -> None:
        """Make a stopped hart enter S/HS-mode at `address` as soon as it runs."""
        context.start_address, context.opaque = address, opaque
        context.state = HsmState.START_PENDING
        self._set_msip(context, 1)

    def stop(self, context: HartContext) -> None:
        """Stop the hart: it waits in M-mode for the next start."""
        self._park(context)

    def resume_at(self, context: HartContext, address: int, opaque: int) -> None:
        """Resume from a non-retentive suspend: S/HS-mode at `address`, registers as after a start."""
        context.start_address, context.opaque = address, opaque
        self._enter(context)

    def system_reset(self, context: HartContext, kind: ResetType, reason: int) -> None:
        """Report a system reset to the machine and park the calling hart."""
        self._park(context)
        self.on_reset(kind, reason)

    def _ecall(self, context: HartContext) -> None:
        hart = context.hart
        x = hart.x
        result = services.TABLE.call(self, context, x[17], x[16], [x[10 + index] for index in range(6)])
        if not result.returns:
            return
        x[10] = result.error & MASK64
        if not result.keeps_a1:
            x[11] = result.value & MASK64
        hart.csr.mepc = hart.csr.mepc + 4
        hart.mret()

    def _software_interrupt(self, context: HartContext) -> None:
        self._set_msip(context, 0)
        if context.state is HsmState.START_PENDING:
            self._enter(context)
        else:
            self._resume(context)

    def _timer_interrupt(self, hart: HartPort) -> None:
        hart.csr.mie = hart.csr.mie & ~csr_setup.MTIP
        _set_mip(hart, csr_setup.STIP, True)

    def _resume(self, context: HartContext) -> None:
        """Back to what the interrupt interrupted: the supervisor, or this hart's own waiting."""
        if context.state is HsmState.STARTED:
            context.hart.mret()
        else:
            self._wait(context.hart)

    def _enter(self, context: HartContext) -> None:
        context.state = HsmState.STARTED
        csr_setup.enter_supervisor(context.hart, context.start_address, context.hart.hart_id, context.opaque)
        if self.supervisor is not None:
            self.supervisor.enter(context.hart, context.opaque)

    def _park(self, context: HartContext) -> None:
        context.state = HsmState.STOPPED
        context.hart.csr.mie = csr_setup.MSIP
        self._wait(context.hart)

    def _wait(self, hart: HartPort) -> None:
        hart.csr.mstatus = hart.csr.mstatus | csr_setup.MSTATUS_MIE
        hart.wait()

    def _set_msip(self, context: HartContext, value: int) -> None:
        hart = context.hart
        hart.physical_write(self.clint_base + MSIP_OFFSET + 4 * hart.hart_id, 4, value)


def _set_mip(hart: HartPort, bit: int, level: bool) -> None:
    """Set or clear a software-writable bit of mip.

    mip.SEIP reads as the PLIC's line or its own writable bit; writing back what was read would latch the line.
    """
    pending = hart.csr.mip & ~csr_setup.SEIP
    hart.csr.mip = pending | bit if level else pending & ~bit
