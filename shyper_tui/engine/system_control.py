"""Shutting down and rebooting the whole machine: the managing VM and all guests.

The managing VM is asked first, for it may want to end its own services; when it is off, the rest of the machine
follows. By force, or when it does not listen, everything happens at once.
"""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hypervisor.mvm import MVM_ID
from shyper_tui.engine.hypervisor.vm import RUNNING, VmState
from shyper_tui.engine.vm_control import VmControl
from shyper_tui.ipc.vm_messages import VmAnswer


class SystemControl:
    """`later(call)` performs a call between two turns of the machine."""

    def __init__(self, vms: VmControl, later: Callable[[Callable[[], None]], None]) -> None:
        self._vms, self._later = vms, later
        self._asked: ResetType | None = None

    def end(self, kind: ResetType, force: bool) -> VmAnswer:
        """Powers everything off, or (a kind of reboot) begins again with the VMs that ran. The answer is about the
        managing VM."""
        self._asked = None
        manager = self._vms.manager
        mvm = manager.vm(MVM_ID)
        if not force and mvm.state is VmState.ACTIVE and mvm.listens:
            request = self._vms.shutdown if kind is ResetType.SHUTDOWN else self._vms.reboot
            answer = request(MVM_ID, False)
            if answer.asked:
                self._asked = kind
                return answer
        manager.reset_machine(kind)
        return VmAnswer(self._vms.info(MVM_ID), asked=False)

    def changed(self) -> None:
        """A VM's state has changed: the managing VM may have done what it was asked for."""
        kind = self._asked
        if kind is not None and self._vms.manager.vm(MVM_ID).state not in RUNNING:
            self._asked = None
            self._later(lambda: self._vms.manager.reset_machine(kind))
