"""Addresses of emulated devices: each virtio device has 4 KiB at least, and the rest of a longer window reads 0."""

from __future__ import annotations

import pytest

from shyper_tui.engine.board.device import AccessFault
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice
from shyper_tui.engine.hypervisor.vm import Vm
from tests.hypervisor.station import Station, guest

BASE = 0x5000_0000
MAGIC = 0x7472_6976
PLIC = EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC)


def network_card(length: int) -> Vm:
    device = EmulatedDevice("net", BASE, length, 20, (2, 0, 0, 0, 0, 1), DeviceType.VIRTIO_NET)
    return Station().manager.add(guest(devices=[PLIC, device]), b"\x73\0\0\0")


@pytest.mark.parametrize("length", [0, 0x200, 0x1000])
def test_a_short_window_has_4_kib(length: int) -> None:
    vm = network_card(length)
    assert vm.bus.read(BASE, 4) == MAGIC
    assert vm.bus.read(BASE + 0xFF8, 8) == 0
    with pytest.raises(AccessFault):
        vm.bus.read(BASE + 0x1000, 4)


def test_a_long_window_has_the_registers_once() -> None:
    vm = network_card(0x4000)
    assert vm.bus.read(BASE, 4) == MAGIC
    for offset in (0x1000, 0x3FFC):
        assert vm.bus.read(BASE + offset, 4) == 0
    with pytest.raises(AccessFault):
        vm.bus.read(BASE + 0x4000, 4)


def test_the_controller_has_its_full_window_whatever_its_length() -> None:
    short = EmulatedDevice("plic@c000000", 0x0C00_0000, 0x1000, 0, (), DeviceType.PLIC)
    vm = Station().manager.add(guest(devices=[short]), b"\x73\0\0\0")
    vm.bus.write(0x0C20_1000, 4, 5)
    assert vm.bus.read(0x0C20_1000, 4) == 5
