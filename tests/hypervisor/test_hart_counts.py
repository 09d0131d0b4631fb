"""Machines with another number of harts than four: the managing VM and a guest on all the others."""

from __future__ import annotations

import fdt
import pytest

from shyper_tui import images
from shyper_tui.engine.hypervisor.definition import VmError
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vcpu import VcpuState
from tests.hypervisor.station import Station, guest
from tests.hypervisor.supervisor import PROMPT as MVM
from tests.hypervisor.supervisor import RAM

GVM = b"gvm# "
INCREMENTS = 100_000
"""What each hart adds to the counter of the guest's command `smp`."""


def machine(harts: int) -> Station:
    """The supervisor at its prompt."""
    station = Station(harts, RAM)
    station.manager.add(mvm_definition(), images.embedded("supervisor"))
    station.manager.boot(0)
    station.until(lambda: MVM in station.consoles[0])
    return station


@pytest.mark.parametrize("harts", [2, 3, 4, 8])
def test_the_managing_vm_and_a_guest_on_all_other_cores(harts: int) -> None:
    station = machine(harts)
    cores = (1 << harts) - 2
    vm = station.manager.add(guest(1, cores, 64 << 20), images.embedded("guest"))
    station.manager.boot(1)
    station.until(lambda: GVM in station.consoles[1])
    assert [vcpu.core.hart_id for vcpu in vm.vcpus] == list(range(1, harts))
    for hart in range(1, harts - 1):
        assert station.command(1, f"hart start {hart}", GVM) == f"hart {hart} started\n"
    counted = INCREMENTS * (harts - 1)
    assert f"counter {counted}, expected {counted}: ok" in station.command(1, "smp", GVM, 400_000_000)
    assert VcpuState.INVALID not in {vcpu.state for vcpu in vm.vcpus}
    shown = station.command(0, "shyper vm list", MVM)
    assert shown.count("vm state: Active") == 2


def test_a_machine_of_one_hart_has_the_managing_vm_alone() -> None:
    station = machine(1)
    assert station.command(0, "shyper vm list", MVM).count("vm id [") == 1
    with pytest.raises(VmError, match="wants core 1, and the machine has 1 harts"):
        station.manager.add(guest(1, 0b0010, 64 << 20), images.embedded("guest"))
    assert station.command(0, "echo goes on", MVM) == "goes on\n"


@pytest.mark.parametrize("harts", [2, 8])
def test_the_managing_vms_tree_has_its_own_hart_whatever_the_machine_has(harts: int) -> None:
    station = machine(harts)
    definition = mvm_definition()
    tree = fdt.parse_dtb(station.manager.vm(0).memory.read(definition.device_tree_load_ipa, 0x4000))
    assert [node.name for node in tree.get_node("cpus").nodes] == ["cpu@0"]
    plic = tree.get_node("soc/plic@c000000")
    assert plic.get_property("phandle").value == tree.get_node("soc/vm_service").get_property("interrupt-parent").value
