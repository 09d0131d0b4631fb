"""Guests with a `shyper` device get the hypervisor's messages, too: asked to, they power off or start again."""

from __future__ import annotations

import pytest

from shyper_tui import images
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.station import guest
from tests.hypervisor.supervisor import Supervisor

GVM = b"gvm# "
HVC_IRQ = 69


def started(listening: bool) -> Supervisor:
    """The supervisor, and the embedded guest as VM 1 at its prompt."""
    mvm = Supervisor().boot()
    definition = guest(1, 0b0110)
    if listening:
        definition.devices.append(EmulatedDevice("shyper", 0, 0, HVC_IRQ, (), DeviceType.SHYPER))
    mvm.station.manager.add(definition, images.embedded("guest"))
    mvm.station.manager.boot(1)
    mvm.station.until(lambda: GVM in mvm.station.consoles[1])
    return mvm


def test_a_listening_guest_is_asked_to_power_off_and_does_it_itself() -> None:
    mvm = started(listening=True)
    vm = mvm.station.manager.vm(1)
    mvm.command("shyper vm shutdown 1")
    mvm.station.until(lambda: vm.state is VmState.PENDING)
    assert "by the guest" in vm.message
    assert "vm state: Pending" in mvm.command("shyper vm list")


def test_a_listening_guest_is_asked_to_reboot_and_does_it_itself() -> None:
    mvm = started(listening=True)
    vm = mvm.station.manager.vm(1)
    shown = len(mvm.station.consoles[1])
    mvm.command("shyper vm reboot 1")
    mvm.station.until(lambda: GVM in mvm.station.consoles[1][shown:])
    assert vm.boots == 2
    log = mvm.station.command(1, "log", GVM)
    assert "under the hypervisor as VM 1" in log


@pytest.mark.parametrize("listening", [True, False])
def test_force_asks_nobody(listening: bool) -> None:
    mvm = started(listening)
    vm = mvm.station.manager.vm(1)
    mvm.command("shyper vm shutdown 1 --force")
    mvm.station.until(lambda: vm.state is VmState.PENDING)
    assert "by the guest" not in vm.message


def test_a_guest_that_does_not_listen_is_stopped() -> None:
    mvm = started(listening=False)
    vm = mvm.station.manager.vm(1)
    mvm.command("shyper vm shutdown 1")
    mvm.station.until(lambda: vm.state is VmState.PENDING)
    assert "by the guest" not in vm.message
