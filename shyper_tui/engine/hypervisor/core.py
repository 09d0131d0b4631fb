"""A physical core: the vCPUs bound to it, who runs, who waits, and messages from other cores.

Round robin with a time slice when several vCPUs want the core; a vCPU that is woken goes first while it has budget
left, so
its timer is exact. A single vCPU runs undisturbed: its WFI waits in the hart and no slice timer is set.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable

from shyper_tui.engine.firmware.firmware import Firmware
from shyper_tui.engine.firmware.ports import HartPort
from shyper_tui.engine.firmware.sbi import Extension
from shyper_tui.engine.hypervisor.layout import SLICE
from shyper_tui.engine.hypervisor.vcpu import HSTATUS_VTW, NEVER, SSTATUS_SIE, Vcpu, VcpuState

HEDELEG = 0xB1FF
"""Every exception that VS-mode may handle by itself: a guest's own faults never reach the hypervisor."""
HIDELEG = 0x444
HCOUNTEREN = 0x7
HENVCFG_STCE, HENVCFG_ADUE = 1 << 63, 1 << 61
SIE_SSIE, SIE_STIE, SIE_SEIE = 1 << 1, 1 << 5, 1 << 9
SIP_SSIP = 1 << 1

Message = Callable[[], None]
"""Work for a core, done on that core."""


class Core:
    """Hart `hart` and its vCPUs; `report` takes lines for the log. `current` is loaded on the hart, `ready` want to
    run, `waiting` are in WFI."""

    def __init__(self, hart: HartPort, firmware: Firmware, report: Callable[[str], None]) -> None:
        self.hart = hart
        self.hart_id = hart.hart_id
        self._firmware = firmware
        self._report = report
        self.current: Vcpu | None = None
        self.ready: deque[Vcpu] = deque()
        self.waiting: list[Vcpu] = []
        self.messages: deque[Message] = deque()
        self._slice_start = 0
        self._changed = False

    def set_up(self) -> None:
        """HS-level CSRs of this hart, once after it has started."""
        csr = self.hart.csr
        csr.hedeleg, csr.hideleg, csr.hcounteren = HEDELEG, HIDELEG, HCOUNTEREN
        csr.henvcfg = HENVCFG_STCE | HENVCFG_ADUE
        csr.htimedelta = 0
        csr.hvip = 0
        csr.satp = 0
        csr.sie = SIE_SSIE | SIE_STIE | SIE_SEIE
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
        vcpu.state = VcpuState.READY
        vcpu.budget = SLICE
        vcpu.woken = True
        self.hart.hfence_gvma(vmid=vcpu.vm.stage2.vmid)  # the VMID may have belonged to another VM before
        self.ready.appendleft(vcpu)
        self._changed = True

    def block(self) -> None:
        """The current vCPU has nothing to do until one of its interrupts."""
        vcpu = self._unload()
        if vcpu.interrupt_pending(self._now()):
            self.ready.append(vcpu)
        else:
            vcpu.state = VcpuState.SLEEP
            vcpu.waiting = True
            self.waiting.append(vcpu)

    def remove(self, vcpu: Vcpu) -> None:
        """Take `vcpu` off this core: stopped, paused, or its VM is going away."""
        if vcpu is self.current:
            self._unload()
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
        vcpu.state = VcpuState.READY
        self.ready.append(vcpu)
        self._changed = True

    def notice(self, vcpu: Vcpu) -> None:
        """An interrupt of `vcpu` has changed: wake it if that ends its WFI."""
        if vcpu.waiting and vcpu.interrupt_pending(self._now()):
            self._wake(vcpu)

    def time_on_core(self, vcpu: Vcpu) -> int:
        """Ticks for which `vcpu` has been on this core since it was made."""
        return vcpu.ran + (self._now() - self._slice_start if vcpu is self.current else 0)

    def timer(self) -> None:
        """The core's supervisor timer: a waiting vCPU's timer is due, or the slice is over."""
        self._changed = True

    # Leaving HS-mode

    def leave(self) -> None:
        """End of a trap: go on with the current vCPU, with the one whose turn it is, or wait."""
        if self._changed or self.current is None:
            self._schedule()
        if self.current is not None:
            self.hart.sret()
        else:
            self._idle()

    def _schedule(self) -> None:
        now = self._now()
        for vcpu in [vcpu for vcpu in self.waiting if vcpu.interrupt_pending(now)]:
            self._wake(vcpu)
        if self.current is not None and self.ready:
            self._yield(now)
        if self.current is None and self.ready:
            vcpu = self.ready.popleft()
            if vcpu.budget <= 0:
                vcpu.budget = SLICE
            vcpu.end_suspend()
            vcpu.load(self.hart)
            self.current = vcpu
            self._slice_start = now
        self._changed = False
        self._set_sharing()
        self._arm()

    def _yield(self, now: int) -> None:
        """Others want the core: the current vCPU goes to the end when its slice is over, behind a woken one
        otherwise."""
        current = self.current
        assert current is not None
        left = current.budget - (now - self._slice_start)
        if left <= 0:
            self._unload()
            current.budget = SLICE
            self.ready.append(current)
        elif self.ready[0].budget > 0 and self.ready[0].woken:
            self._unload()
            self.ready.insert(1, current)
        for vcpu in self.ready:
            vcpu.woken = False

    def _wake(self, vcpu: Vcpu) -> None:
        self.waiting.remove(vcpu)
        vcpu.waiting = False
        vcpu.state = VcpuState.READY
        if vcpu.budget > 0:
            vcpu.woken = True
            self.ready.appendleft(vcpu)
        else:
            vcpu.budget = SLICE
            self.ready.append(vcpu)
        self._changed = True

    def _unload(self) -> Vcpu:
        vcpu = self.current
        assert vcpu is not None
        vcpu.save(self.hart)
        ran = self._now() - self._slice_start
        vcpu.budget -= ran
        vcpu.ran += ran
        self.current = None
        self._changed = True
        return vcpu

    def _set_sharing(self) -> None:
        """WFI traps while another vCPU could use the core, else it waits in the hart."""
        if self.current is not None:
            hstatus = self.hart.csr.hstatus
            self.hart.csr.hstatus = hstatus | HSTATUS_VTW if self.ready else hstatus & ~HSTATUS_VTW

    def _arm(self) -> None:
        """Set the core's timer to the next thing it must do."""
        deadline = min((vcpu.timer_deadline() for vcpu in self.waiting), default=NEVER)
        if self.current is not None and self.ready:
            deadline = min(deadline, self._slice_start + self.current.budget)
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

    def _now(self) -> int:
        return self.hart.csr.time
