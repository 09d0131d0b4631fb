"""A physical core: the vCPUs bound to it, who runs, who waits, and messages from other cores.

Several vCPUs that want the core take turns of one time slice. What a vCPU uses is counted (`Vcpu.runtime`) and the one
that has had least goes next: with vCPUs that never wait this is round robin. One that is woken runs at once unless it
has had more than the vCPU that runs, so the timer of a vCPU that uses less than its share is exact, and waking often
gains nothing. Ticks are counted, or the host's time where the clock follows the host's: ticks of different guests cost
it differently much. A single vCPU runs undisturbed: its WFI waits in the hart and no slice timer is set.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable

from shyper_tui.engine.firmware.firmware import Firmware
from shyper_tui.engine.firmware.ports import HartPort
from shyper_tui.engine.firmware.sbi import Extension
from shyper_tui.engine.hypervisor.csr_bits import (
    HENVCFG_ADUE,
    HENVCFG_STCE,
    HSTATUS_VTW,
    SIE_SEIE,
    SIE_SSIE,
    SIE_STIE,
    SIP_SSIP,
    SSTATUS_SIE,
)
from shyper_tui.engine.hypervisor.layout import SLICE, TRAP_TICKS
from shyper_tui.engine.hypervisor.vcpu import NEVER, Vcpu, VcpuState

HEDELEG = 0xB1FF
"""Every exception that VS-mode may handle by itself: a guest's own faults never reach the hypervisor."""
HIDELEG = 0x444
HCOUNTEREN = 0xFFFF_FFFF
"""Guests read all counters; those of Zihpm count nothing and read as 0."""
UNKNOWN = -1

Message = Callable[[], None]
"""Work for a core, done on that core."""


class Core:
    """Hart `hart` and its vCPUs; `report` takes lines for the log. `current` is loaded on the hart, `ready` want to
    run (longest waiting first), `waiting` are in WFI."""

    def __init__(
        self,
        hart: HartPort,
        firmware: Firmware,
        report: Callable[[str], None],
        host_time: Callable[[int], int] | None = None,
    ) -> None:
        """`host_time(hart)`: see `Platform`."""
        self.hart = hart
        self.hart_id = hart.hart_id
        self._firmware = firmware
        self._report = report
        self.current: Vcpu | None = None
        self.ready: list[Vcpu] = []
        self.waiting: list[Vcpu] = []
        self.messages: deque[Message] = deque()
        self.float_owner: Vcpu | None = None  # whose FP registers are on the hart, saved or not
        self._slice_start = 0
        self._counted_to = 0  # `current.ran` holds its ticks before this time, …
        self._used_to = 0  # … and `current.runtime` what it used before the core had come to this
        self._host_time = host_time
        self._entered: int | None = None  # what the core had used when the present trap began
        self._cause: Vcpu | None = None  # whose doing that trap is
        self._floor = 0  # runtime that a vCPU which has waited long is taken to have had, plus one slice
        self._changed = False
        self.interrupted = False  # this trap is an interrupt of the core, not the current vCPU's doing
        self._armed = UNKNOWN  # deadline the core's timer is set to

    def set_up(self) -> None:
        """HS-level CSRs of this hart, once after it has started."""
        csr = self.hart.csr
        csr.hedeleg, csr.hideleg, csr.hcounteren = HEDELEG, HIDELEG, HCOUNTEREN
        csr.henvcfg = HENVCFG_STCE | HENVCFG_ADUE
        csr.htimedelta = 0
        csr.hvip = 0
        csr.satp = 0
        csr.sie = SIE_SSIE | SIE_STIE | SIE_SEIE
        self._armed = UNKNOWN
        self._clear_guest()

    # Messages

    def post(self, message: Message) -> None:
        """Queue work for this core and interrupt it; messages are done in the order in which they came."""
        self.messages.append(message)
        if len(self.messages) == 1:
            self._firmware.send_ipi(self.hart_id)

    def take_messages(self) -> None:
        """Software interrupt: clear it, then do all the work that is queued."""
        csr = self.hart.csr
        csr.sip = csr.sip & ~SIP_SSIP
        while self.messages:
            message = self.messages.popleft()
            try:
                message()
            except Exception:  # one message that fails must not cost the others, nor the machine
                self._report(f"core {self.hart_id}: a message failed\n{traceback.format_exc()}")

    # What happens to vCPUs; to be called on this core

    def start(self, vcpu: Vcpu) -> None:
        """`vcpu` has been given its first registers: it is the next to run."""
        self.hart.hfence_gvma(vmid=vcpu.vm.stage2.vmid)  # the VMID may have belonged to another VM before
        self._join(vcpu)

    def block(self) -> None:
        """The current vCPU executed WFI: it has nothing to do until one of its interrupts."""
        csr = self.hart.csr
        if not csr.hip & csr.hie:  # else WFI ends at once
            self.sleep()

    def sleep(self) -> None:
        """Take the current vCPU off the hart until one of its interrupts, which may be pending already."""
        now = self.now()
        vcpu = self._unload(now)
        if vcpu.interrupt_pending(now):
            self._join(vcpu)
        else:
            vcpu.state = VcpuState.SLEEP
            vcpu.waiting = True
            self.waiting.append(vcpu)

    def remove(self, vcpu: Vcpu) -> None:
        """Take `vcpu` off this core: stopped, paused, or its VM is going away."""
        if vcpu is self.current:
            self._unload(self.now())
        if vcpu in self.ready:
            self.ready.remove(vcpu)
        if vcpu in self.waiting:
            self.waiting.remove(vcpu)
        vcpu.waiting = False
        if vcpu.state is not VcpuState.INVALID:
            vcpu.state = VcpuState.SLEEP
        self._changed = True

    def put_back(self, vcpu: Vcpu) -> None:
        """A paused vCPU may run again."""
        self._join(vcpu)

    def notice(self, vcpu: Vcpu) -> None:
        """An interrupt of `vcpu` has changed: wake it if that ends its WFI."""
        if vcpu.waiting and vcpu.interrupt_pending(self.now()):
            self._wake(vcpu)

    def timer(self) -> None:
        """The core's supervisor timer: a waiting vCPU's timer is due, or the slice is over."""
        self._changed = True

    def time_on_core(self, vcpu: Vcpu) -> int:
        """Ticks for which `vcpu` has been on this core since it was made; never moved for fairness, as `runtime` is."""
        return vcpu.ran + (self.now() - self._counted_to if vcpu is self.current else 0)

    # Traps

    def begin_trap(self) -> None:
        """A trap into HS-mode: what it takes of the host's time is for the vCPU that it is for."""
        if self._host_time is not None:
            self._entered, self._cause = self._host_time(self.hart_id), self.current
            if self.current is not None:
                self.current.runtime += self._entered - self._used_to
                self._used_to = self._entered

    def end_trap(self) -> None:
        """The hart goes back to its guest."""
        if self._host_time is not None and self._entered is not None:
            self._used_to = self._host_time(self.hart_id)
            if self._cause is not None:
                self._cause.runtime += self._used_to - self._entered
            self._entered = self._cause = None

    # Leaving HS-mode

    def leave(self) -> None:
        """End of a trap: go on with the current vCPU, with the one whose turn it is, or wait."""
        if self._changed or self.current is None:
            self._schedule()
        self.interrupted = False
        if self.current is not None:
            self.hart.sret()
        else:
            self._idle()

    def _schedule(self) -> None:
        now = self.now()
        if self.waiting:
            for vcpu in [vcpu for vcpu in self.waiting if vcpu.interrupt_pending(now)]:
                self._wake(vcpu)
        self.interrupted = False
        if self.current is not None and self.ready:
            self._count(now)
            self._yield(self.current, now)
        if self.current is None and self.ready:
            self._dispatch(self._next(), now)
        elif self.current is not None:
            self._set_sharing()
        for vcpu in self.ready:
            vcpu.woken = False
        self._changed = False
        self._arm()

    def _next(self) -> Vcpu:
        """Whose turn it is: the ready vCPU that has had least, of equals the one that has waited longest."""
        return min(self.ready, key=_runtime)

    def _yield(self, current: Vcpu, now: int) -> None:
        """Others want the core: `current` leaves it when its slice is over or one that is due more has just come."""
        slice_over = now - self._slice_start >= SLICE
        if not slice_over and not any(vcpu.woken for vcpu in self.ready):
            return
        least = self._next().runtime
        if least < current.runtime or (slice_over and least == current.runtime):
            self._unload(now)
            self.ready.append(current)
        elif slice_over:
            self._slice_start = now

    def _dispatch(self, vcpu: Vcpu, now: int) -> None:
        self.ready.remove(vcpu)
        self._floor = max(self._floor, vcpu.runtime)
        vcpu.woken = False
        vcpu.end_suspend()
        vcpu.load(self.hart, self._shared)
        self.current = vcpu
        self._slice_start = self._counted_to = now
        self._used_to = self._used(now)

    def _join(self, vcpu: Vcpu) -> None:
        """`vcpu` wants to run. However long it has waited, that gives it no more than one slice ahead of the others."""
        if self.current is not None:
            self._count(self.now())
        others = [*self.ready, self.current] if self.current is not None else self.ready
        if others:
            self._floor = max(self._floor, min(map(_runtime, others)))
        vcpu.runtime = max(vcpu.runtime, self._floor - SLICE)
        vcpu.state = VcpuState.READY
        vcpu.woken = True
        self.ready.append(vcpu)
        self._changed = True

    def _wake(self, vcpu: Vcpu) -> None:
        self.waiting.remove(vcpu)
        vcpu.waiting = False
        self._join(vcpu)
        if self.interrupted and self.current is not None:
            # the interrupt took its time from the current vCPU and was for this one
            if self._host_time is None:
                self.current.runtime -= TRAP_TICKS
                vcpu.runtime += TRAP_TICKS
            self._cause = vcpu
            self.interrupted = False

    def _unload(self, now: int) -> Vcpu:
        vcpu = self.current
        assert vcpu is not None
        self._count(now)
        vcpu.save(self.hart)
        self.current = None
        self._changed = True
        return vcpu

    def _count(self, now: int) -> None:
        """Add what the current vCPU has used up to now."""
        assert self.current is not None
        self.current.ran += now - self._counted_to
        self._counted_to = now
        used = self._used(now)
        self.current.runtime += used - self._used_to
        self._used_to = used

    def _used(self, now: int) -> int:
        """What the core has used: its ticks, or the host's time, without the present trap's."""
        if self._host_time is None:
            return now
        return self._host_time(self.hart_id) if self._entered is None else self._entered

    @property
    def _shared(self) -> bool:
        """Other vCPUs live on the core: then WFI traps, so that waiting is not counted as running. That of a single one
        waits in the hart."""
        return bool(self.ready or self.waiting)

    def _set_sharing(self) -> None:
        csr = self.hart.csr
        hstatus = csr.hstatus
        wanted = hstatus | HSTATUS_VTW if self._shared else hstatus & ~HSTATUS_VTW
        if wanted != hstatus:
            csr.hstatus = wanted

    def _arm(self) -> None:
        """Set the core's timer to the next thing it must do."""
        deadline = min((vcpu.timer_deadline() for vcpu in self.waiting), default=NEVER)
        if self.current is not None and self.ready:
            deadline = min(deadline, self._slice_start + SLICE)
        if deadline != self._armed:
            self._armed = deadline
            self._firmware.call(self.hart, Extension.TIME, 0, [deadline])

    def _idle(self) -> None:
        self._clear_guest()
        csr = self.hart.csr
        csr.sstatus = csr.sstatus | SSTATUS_SIE
        self.hart.wait()

    def _clear_guest(self) -> None:
        """No guest interrupt may wake an empty core."""
        csr = self.hart.csr
        csr.vsie = 0
        csr.hvip = 0
        csr.vstimecmp = NEVER

    def now(self) -> int:
        """The hart's time in ticks."""
        return self.hart.time


def _runtime(vcpu: Vcpu) -> int:
    return vcpu.runtime
