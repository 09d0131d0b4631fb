"""`shyper system` in a managing VM's Linux: the machine."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hypervisor.vm import VmState

from .linux_station import LinuxStation

pytestmark = pytest.mark.linux


def test_the_machine_is_tested_started_again_and_turned_off(station: LinuxStation) -> None:
    assert station("./shyper system test") == "sys test fd 3\nhypervisor: test call of VM 0\n => 0"
    start = len(station.consoles[0])
    station.type(0, "./shyper system reboot --force\r")
    station.until(0, b"sys reboot fd 3\r\n", start)
    station.until(0, b"GUEST-READY", start)
    assert station.manager.vm(0).boots == 2
    station.boot(start)
    assert station("insmod shyper_riscv64.ko") == " => 0"
    station.type(0, "./shyper system shutdown\r")
    station.until(0, b"sys shutdown fd 3\r\n", start)
    station.run(0.5)
    assert station.manager.vm(0).state is VmState.PENDING
    assert "the machine goes off: all VMs are stopped" in station.log
