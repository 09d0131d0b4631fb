"""Entries of `dtb_device_list`: nodes for devices of the machine, which the guest thereby finds and uses."""

from __future__ import annotations

import pytest

from shyper_tui import images
from shyper_tui.engine.hypervisor.definition import DtbDevice, PassthroughRegion, VmDefinition
from tests.hypervisor.station import Station
from tests.hypervisor.station import guest as small_guest

from .tree_tools import board, cells, guest, node_at, text, tree_of

CONSOLE, GICD, PLIC = 0, 1, 4
GVM = b"gvm# "


def with_entry(entry: DtbDevice, region: PassthroughRegion | None = None) -> VmDefinition:
    definition = guest()
    definition.dtb_devices = [entry]
    if region is not None:
        definition.passthrough = [region]
        definition.passthrough_irqs = list(entry.irqs)
    return definition


def test_a_passthrough_device_is_described_as_the_machine_describes_it() -> None:
    entry = DtbDevice("virtio@20007000", CONSOLE, (7,), 0x2000_7000, 0x1000)
    tree = tree_of(with_entry(entry, PassthroughRegion(0x2000_7000, 0x1000_7000, 0x1000)), board())
    node = node_at(tree, "/soc/virtio@20007000")
    assert text(node, "compatible") == "virtio,mmio"
    assert cells(node, "reg") == [0, 0x2000_7000, 0, 0x1000]
    assert cells(node, "interrupts") == [7]
    assert cells(node, "interrupt-parent") == cells(node_at(tree, "/soc/plic@c000000"), "phandle")
    assert "stdout-path" not in node_at(tree, "/chosen").properties


def test_the_clock_is_found_by_its_usual_driver() -> None:
    entry = DtbDevice("rtc@101000", CONSOLE, (11,), 0x10_1000, 0x1000)
    tree = tree_of(with_entry(entry, PassthroughRegion(0x10_1000, 0x10_1000, 0x1000)), board())
    assert text(node_at(tree, "/soc/rtc@101000"), "compatible") == "google,goldfish-rtc"


def test_a_console_of_which_the_machine_knows_nothing_is_a_16550() -> None:
    tree = tree_of(with_entry(DtbDevice("serial@30000000", CONSOLE, (40,), 0x3000_0000, 0x100)), board())
    node = node_at(tree, "/soc/serial@30000000")
    assert text(node, "compatible") == "ns16550a"
    assert cells(node, "clock-frequency") == [3_686_400]
    assert text(node_at(tree, "/chosen"), "stdout-path") == "/soc/serial@30000000"
    assert text(node_at(tree, "/aliases"), "serial0") == "/soc/serial@30000000"


@pytest.mark.parametrize("name", ["", "a/b", "plic@c000000", "virtio_net@50000000"])
def test_an_entry_that_cannot_be_a_node_or_is_one_already_changes_nothing(name: str) -> None:
    entry = DtbDevice(name, CONSOLE, (40,), 0x3000_0000, 0x100)
    assert tree_of(with_entry(entry), board()).to_bytes() == tree_of(guest(), board()).to_bytes()


@pytest.mark.parametrize("kind", [GICD, PLIC, 99])
def test_types_without_a_device_on_this_machine_change_nothing(kind: int) -> None:
    entry = DtbDevice("gicd@8000000", kind, (1 << 40,), 0x800_0000, 0x1000)
    assert tree_of(with_entry(entry), board()).to_bytes() == tree_of(guest(), board()).to_bytes()


def test_numbers_that_a_guest_gives_too_large_are_cut() -> None:
    entry = DtbDevice("serial@30000000", CONSOLE, ((1 << 40) + 5,), 0x3000_0000, (1 << 64) - 1)
    assert cells(node_at(tree_of(with_entry(entry), board()), "/soc/serial@30000000"), "interrupts") == [5]


def test_a_guest_uses_the_serial_port_that_an_entry_tells_of() -> None:
    """Output, input by interrupts (physical irq 10, forwarded and completed), and the console named by the tree."""
    station = Station(ram=1 << 30)
    definition = small_guest(1, 0b0010, 64 << 20)
    definition.devices = definition.devices[:1]  # the PLIC; no virtio console
    definition.passthrough = [PassthroughRegion(0x3000_0000, 0x1000_0000, 0x1000)]
    definition.passthrough_irqs = [10]
    definition.dtb_devices = [DtbDevice("serial@30000000", CONSOLE, (10,), 0x3000_0000, 0x100)]
    station.manager.add(definition, images.embedded("guest"))
    station.manager.boot(1)
    station.until(lambda: GVM in station.consoles[0])
    assert station.command(0, "echo through the serial port", GVM) == "through the serial port\n"
    assert station.command(0, "echo once more", GVM) == "once more\n"


def test_without_the_entry_the_same_guest_does_not_find_it() -> None:
    station = Station(ram=1 << 30)
    definition = small_guest(1, 0b0010, 64 << 20)
    definition.devices = definition.devices[:1]
    definition.passthrough = [PassthroughRegion(0x3000_0000, 0x1000_0000, 0x1000)]
    definition.passthrough_irqs = [10]
    station.manager.add(definition, images.embedded("guest"))
    station.manager.boot(1)
    station.until(lambda: GVM in station.consoles[1])  # the SBI debug console
    assert station.consoles[0] == b""
