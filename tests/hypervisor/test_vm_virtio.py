"""The virtio devices of VMs as their guests see them: identity, limits, and the network between VMs."""

from __future__ import annotations

import pytest

from shyper_tui import images
from shyper_tui.engine.board.virtio.net import VIRTIO_NET_F_MRG_RXBUF, Net
from shyper_tui.engine.hypervisor.definition import CpuSpec, DeviceType, EmulatedDevice
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vm import Vm
from tests.hypervisor.station import Station, guest

BLOCK, NET, CONSOLE = 0x1000_1000, 0x5000_0000, 0x4000_1000
FEATURES = {
    NET: 0x1_0023_7DA3 | VIRTIO_NET_F_MRG_RXBUF,  # Rust-Shyper's, and one more
    CONSOLE: 0x1_0000_0001,
    BLOCK: 0x1_0000_0006,
}
RING_FEATURES = 1 << 28 | 1 << 29 | 1 << 40
GVM, MVM = b"gvm# ", b"mvm# "


def devices(vm_id: int) -> list[EmulatedDevice]:
    address = (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD0 + vm_id)
    return [
        EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC),
        EmulatedDevice("virtio_blk@10001000", BLOCK, 0x1000, 19, (0, 8192), DeviceType.VIRTIO_BLK),
        EmulatedDevice("virtio_net@50000000", NET, 0x1000, 20, address, DeviceType.VIRTIO_NET),
        EmulatedDevice("virtio_console@40001000", CONSOLE, 0x1000, 21, (0, CONSOLE), DeviceType.VIRTIO_CONSOLE),
    ]


@pytest.fixture(scope="module")
def idle() -> Vm:
    """A VM that does not run."""
    return Station(ram=1 << 30).manager.add(guest(1, devices=devices(1)), b"\x73\0\0\0")


@pytest.mark.parametrize(("base", "number"), [(NET, 1), (BLOCK, 2), (CONSOLE, 3)])
def test_devices_are_modern_with_rust_shypers_vendor(idle: Vm, base: int, number: int) -> None:
    assert [idle.bus.read(base + offset, 4) for offset in (0, 4, 8, 12)] == [0x7472_6976, 2, number, 0x8888]


@pytest.mark.parametrize("base", [NET, BLOCK, CONSOLE])
def test_they_offer_rust_shypers_features_and_those_of_the_rings(idle: Vm, base: int) -> None:
    offered = 0
    for selector in (0, 1):
        idle.bus.write(base + 0x14, 4, selector)
        offered |= idle.bus.read(base + 0x10, 4) << 32 * selector
    assert offered & FEATURES[base] == FEATURES[base]
    assert offered & RING_FEATURES == RING_FEATURES


@pytest.mark.parametrize(("base", "sizes"), [(NET, [256, 256, 256, 0]), (BLOCK, [256, 0]), (CONSOLE, [64, 64, 0])])
def test_their_queues_are_as_long_as_rust_shypers(idle: Vm, base: int, sizes: list[int]) -> None:
    found = []
    for index in range(len(sizes)):
        idle.bus.write(base + 0x30, 4, index)
        found.append(idle.bus.read(base + 0x34, 4))
    assert found == sizes


def test_configuration_is_read_in_any_width_and_ends_in_zeros(idle: Vm) -> None:
    assert bytes(idle.bus.read(NET + 0x100 + index, 1) for index in range(6)) == bytes.fromhex("7456aa0f47d1")
    assert idle.bus.read(NET + 0x104, 4) == 0x0001_D147
    assert idle.bus.read(NET + 0x100, 8) == 0x0001_D147_0FAA_5674
    assert (idle.bus.read(NET + 0x108, 8), idle.bus.read(NET + 0x1F8, 8), idle.bus.read(NET + 0xFF8, 8)) == (0, 0, 0)
    assert (idle.bus.read(CONSOLE + 0x100, 2), idle.bus.read(CONSOLE + 0x102, 2)) == (80, 25)


@pytest.fixture
def network() -> Station:
    """The managing VM and two guests on the switch."""
    station = Station(ram=8 << 30)
    station.manager.add(mvm_definition(), images.embedded("supervisor"))
    for vm_id in (1, 2):
        definition = guest(vm_id, 1 << vm_id, 32 << 20, devices(vm_id))
        definition.cpu = CpuSpec(1, 1 << vm_id, None)
        station.manager.add(definition, images.embedded("guest"))
    for vm_id in (0, 1, 2):
        station.manager.boot(vm_id)
    station.until(lambda: MVM in station.consoles[0] and all(GVM in station.consoles[vm_id] for vm_id in (1, 2)))
    return station


def net_of(station: Station, vm_id: int) -> Net:
    backends = station.manager.vm(vm_id).backends.values()
    return next(backend for backend in backends if isinstance(backend, Net))


def test_ports_say_whose_they_are_and_count(network: Station) -> None:
    ports = {port.vm: port for port in network.platform.switch.ports}
    assert [ports[vm].name for vm in (0, 1, 2)] == [
        "vm0 virtio_net@40003000", "vm1 virtio_net@50000000", "vm2 virtio_net@50000000"
    ]  # fmt: skip
    before = {vm: (port.in_frames, port.out_frames) for vm, port in ports.items()}
    assert "3 received" in network.command(1, "ping 10.0.0.3 3", GVM, 100_000_000)
    moved = {vm: (port.in_frames - before[vm][0], port.out_frames - before[vm][1]) for vm, port in ports.items()}
    assert moved[1][0] >= 3
    assert moved[2][0] >= 3
    assert moved[0] == (0, 1)  # of all that, the managing VM sees the question for the address alone
    assert all(port.dropped == 0 for port in ports.values())
    assert net_of(network, 1).sent_frames == ports[1].in_frames


def test_a_cable_that_is_pulled_out_and_put_back(network: Station) -> None:
    card = net_of(network, 2)
    card.set_link(False)
    assert network.manager.vm(2).bus.read(NET + 0x106, 2) == 0
    assert "nobody answers" in network.command(1, "ping 10.0.0.3 1", GVM, 400_000_000)
    assert card.received_dropped > 0
    card.set_link(True)
    assert "2 received" in network.command(1, "ping 10.0.0.3 2", GVM, 400_000_000)


def test_a_removed_vm_leaves_the_switch(network: Station) -> None:
    network.manager.remove(2)
    network.until(lambda: len(network.platform.switch.ports) == 2)
    assert "nobody answers" in network.command(1, "ping 10.0.0.3 1", GVM, 400_000_000)
    assert "1 received" in network.command(1, "ping 10.0.0.1 1", GVM, 400_000_000)
