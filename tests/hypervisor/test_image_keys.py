"""Keys of a configuration's `image` that count here: entry point, ramdisk; and interrupts beyond the 63 of old."""

from __future__ import annotations

import io
from dataclasses import replace

from elftools.elf.elffile import ELFFile

from shyper_tui import images
from shyper_tui.engine.board.dtb_reader import read_tree
from tests.hypervisor.station import GUEST_BASE, Station, guest

from .tree_tools import cells, node_at

GVM = b"gvm# "


def flat_guest() -> bytes:
    """The embedded guest as it lies in memory from its link address on, as `objcopy -O binary` makes it."""
    data = bytearray()
    for segment in ELFFile(io.BytesIO(images.embedded("guest"))).iter_segments():
        if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
            at = segment["p_paddr"] - GUEST_BASE
            data.extend(bytes(at + segment["p_filesz"] - len(data)))
            data[at : at + segment["p_filesz"]] = segment.data()
    return bytes(data)


def test_a_raw_kernel_starts_at_its_entry_point() -> None:
    station = Station()
    padding = 0x1000
    definition = guest(memory=64 << 20, kernel_load_ipa=GUEST_BASE - padding, kernel_entry_point=GUEST_BASE)
    station.manager.add(definition, bytes(padding) + flat_guest())  # at the load address there is no instruction
    station.manager.boot(1)
    station.until(lambda: GVM in station.consoles[1])


def test_entry_point_0_is_the_load_address() -> None:
    station = Station()
    station.manager.add(guest(memory=64 << 20, kernel_entry_point=0), flat_guest())
    station.manager.boot(1)
    station.until(lambda: GVM in station.consoles[1])


def test_a_ramdisk_lies_where_the_device_tree_says() -> None:
    station = Station()
    ramdisk = bytes(range(256)) * 33
    definition = guest(memory=64 << 20, ramdisk_load_ipa=0x8300_0000)
    vm = station.manager.add(definition, images.embedded("guest"), ramdisk)
    station.manager.boot(1)
    tree = read_tree(vm.memory.read(definition.device_tree_load_ipa, 0x2000))
    chosen = node_at(tree, "/chosen")
    assert cells(chosen, "linux,initrd-start") == [0, 0x8300_0000]
    assert cells(chosen, "linux,initrd-end") == [0, 0x8300_0000 + len(ramdisk)]
    assert vm.memory.read(0x8300_0000, len(ramdisk)) == ramdisk


def test_a_device_with_an_interrupt_above_63_works() -> None:
    station = Station()
    definition = guest(memory=64 << 20)
    definition.devices[1] = replace(definition.devices[1], irq_id=127)
    station.manager.add(definition, images.embedded("guest"))
    station.manager.boot(1)
    station.until(lambda: GVM in station.consoles[1])
    assert station.command(1, "echo typed by interrupt", GVM) == "typed by interrupt\n"
