"""The managing VM's consoles: Rust-Shyper's two, and one for each further guest."""

from __future__ import annotations

import fdt
import pytest

from shyper_tui import images
from shyper_tui.engine.board.virt_tree import virt_tree
from shyper_tui.engine.hypervisor.definition import CpuSpec, DeviceType, EmulatedDevice, VmDefinition
from shyper_tui.engine.hypervisor.guest_tree import Cpu, mvm_tree
from shyper_tui.engine.hypervisor.layout import HVC_IRQ
from shyper_tui.engine.hypervisor.mvm import MAX_CONSOLES, console_for, mvm_definition
from tests.hypervisor.station import Station, guest

MVM, GVM = b"mvm# ", b"gvm# "


def consoles(definition: VmDefinition) -> dict[str, EmulatedDevice]:
    return {device.name: device for device in definition.devices if device.type == DeviceType.VIRTIO_CONSOLE}


def test_the_first_two_consoles_and_the_network_device_are_rust_shypers() -> None:
    for count in range(2, 8):
        devices = {device.name: device for device in mvm_definition(count).devices}
        first, second = devices["virtio_console@40001000"], devices["virtio_console@40002000"]
        assert (first.base_ipa, first.irq_id, first.cfg_list) == (0x4000_1000, 66, (1, 0x4000_1000))
        assert (second.base_ipa, second.irq_id, second.cfg_list) == (0x4000_2000, 67, (2, 0x4000_2000))
        assert (first.length, second.length) == (0x1000, 0x1000)
        net = devices["virtio_net@40003000"]
        assert (net.base_ipa, net.irq_id, net.cfg_list) == (0x4000_3000, 68, (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD0))
        assert (devices["shyper"].irq_id, devices["shyper"].base_ipa, devices["shyper"].length) == (HVC_IRQ, 0, 0)


def test_two_consoles_make_rust_shypers_definition() -> None:
    names = ["plic", "virtio_console@40001000", "virtio_console@40002000", "virtio_net@40003000", "shyper"]
    assert [device.name for device in mvm_definition(2).devices] == names


def test_there_is_one_for_every_guest_and_none_is_in_the_way_of_another() -> None:
    definition = mvm_definition()
    paired = {device.cfg_list[0]: device for device in consoles(definition).values()}
    assert sorted(paired) == list(range(1, MAX_CONSOLES + 1))
    assert all(device.cfg_list == (vm_id, device.base_ipa) for vm_id, device in paired.items())
    assert (paired[3].base_ipa, paired[3].irq_id) == (0x4000_4000, 70)
    assert (paired[7].base_ipa, paired[7].irq_id) == (0x4000_8000, 74)
    irqs = [device.irq_id for device in definition.devices if device.irq_id] + definition.passthrough_irqs
    bases = [device.base_ipa for device in definition.devices]
    assert len(set(irqs)) == len(irqs)
    assert len(set(bases)) == len(bases)
    assert max(irqs) <= 95


@pytest.mark.parametrize("count", [0, 1, 8])
def test_a_number_of_consoles_that_cannot_be_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="2 to 7 consoles"):
        mvm_definition(count)
    with pytest.raises(ValueError, match="ids 1 to 7"):
        console_for(8 * count)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_linux_meets_vm_2_s_console_first_and_vm_1_s_second_with_any_number(count: int) -> None:
    board = virt_tree(harts=4, ram_size=8 << 30, isa="rv64imafdch_zicntr_zicsr_zifencei_sstc")
    tree = fdt.parse_dtb(mvm_tree(board, mvm_definition(count), Cpu(), 0, b""))
    nodes = [node.name for node in tree.get_node("soc").nodes]
    found = [name for name in nodes if name.startswith("virtio_console@")]
    assert found == [console_for(vm_id).name for vm_id in (2, 1, *range(3, count + 1))]
    networks = [name for name in nodes if name.startswith(("virtio_net@", "virtio_mmio@"))]
    assert networks[0] == "virtio_net@40003000"  # eth0 is the virtual one
    assert nodes.index(found[-1]) < nodes.index(networks[1])


def machine(*ids: int) -> Station:
    """The supervisor and guests with these ids, all at their prompts."""
    station = Station(ram=8 << 30)
    station.manager.add(mvm_definition(), images.embedded("supervisor"))
    for vm_id in ids:
        own = console_for(vm_id).base_ipa
        definition = guest(vm_id, 0b1110, 32 << 20)
        definition.devices[1] = EmulatedDevice("console", own, 0x1000, 21, (0, own), DeviceType.VIRTIO_CONSOLE)
        definition.cpu = CpuSpec(1, 1 << (1 + vm_id % 3), None)
        station.manager.add(definition, images.embedded("guest"))
    for vm_id in (0, *ids):
        station.manager.boot(vm_id)
    station.until(lambda: MVM in station.consoles[0] and all(GVM in station.consoles[vm_id] for vm_id in ids))
    return station


def test_every_guests_console_is_used_from_the_managing_vm() -> None:
    station = machine(2, 3, 7)
    for vm_id in (2, 3, 7):
        before = len(station.consoles[0])
        station.type(0, b"console %d\r" % vm_id)
        station.until(lambda: b"ctrl+] leaves" in station.consoles[0][before:])  # noqa: B023 used at once
        station.type(0, b"echo I am VM %d\r" % vm_id)
        station.until(lambda: b"\nI am VM %d\r\n" % vm_id in station.consoles[0][before:])  # noqa: B023
        assert b"\nI am VM %d\r\n" % vm_id in station.consoles[vm_id]
        assert all(b"I am VM %d" % vm_id not in station.consoles[other] for other in {2, 3, 7} - {vm_id})
        station.type(0, b"\x1d")
        station.until(lambda: b"left the console" in station.consoles[0][before:])  # noqa: B023


def test_the_pane_of_a_guest_works_whether_anybody_is_at_the_other_end_or_not() -> None:
    station = machine(3)
    station.manager.stop(0)
    for round_number in range(3):
        assert station.command(3, f"echo alone {round_number}", GVM) == f"alone {round_number}\n"


def test_a_guest_whose_console_nobody_reads_in_the_managing_vm_never_waits_long() -> None:
    station = machine(3)
    peer = station.manager.vm(0).backends["virtio_console@40004000"]
    assert peer.transport is not None
    for queue in peer.transport.queues:
        queue.broken = True  # its driver has stopped giving buffers
    shown = station.command(3, "flood 3000", GVM, 400_000_000)
    assert shown.count("\n") >= 3000


def test_a_resize_reaches_the_guests_device_and_interrupts_it() -> None:
    station = machine(1)
    vm = station.manager.vm(1)
    before = vm.bus.read(0x4000_10FC, 4)
    vm.console.resize(101, 37)
    assert (vm.bus.read(0x4000_1100, 2), vm.bus.read(0x4000_1102, 2)) == (101, 37)
    assert vm.bus.read(0x4000_10FC, 4) == before + 1
    assert vm.bus.read(0x4000_1060, 4) & 2
    station.until(lambda: vm.bus.read(0x4000_1060, 4) == 0)  # the guest has taken the interrupt
    assert station.command(1, "echo still here", GVM) == "still here\n"
