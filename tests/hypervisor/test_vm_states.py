"""States of VMs as the managing VM reads them: the original's two numbers, whatever else there is here."""

from __future__ import annotations

from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.programs import STVEC, T0, Program
from tests.hypervisor.supervisor import Supervisor
from tests.hypervisor.workloads import BASE, boot, spinner

NOWHERE = 0x7000_0000


def test_a_paused_vm_is_active_and_a_failed_one_pending() -> None:
    mvm = Supervisor().boot()
    boot(mvm.station, 1, spinner(), 0b0010)
    boot(mvm.station, 2, Program(BASE).li(T0, NOWHERE).csrw(STVEC, T0).raw(0, 0).code(), 0b0100)
    manager = mvm.station.manager
    mvm.station.until(lambda: manager.state(2) is VmState.FAILED)
    manager.pause(1)
    assert manager.state(1) is VmState.PAUSED
    assert mvm.command("shyper vm state 1") == "VM [1] is Active\n"
    assert mvm.command("shyper vm state 2") == "VM [2] is Pending\n"
    shown = mvm.command("shyper vm list")
    assert "name: guest-1 type: 0\n\nvm type: Linux\nvm state: Active\n" in shown
    assert "name: guest-2 type: 0\n\nvm type: Linux\nvm state: Pending\n" in shown
