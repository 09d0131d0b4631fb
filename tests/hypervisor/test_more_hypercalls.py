"""Hypercalls that Rust-Shyper does not have: a VM's configuration as text, its ramdisk, the names of its files."""

from __future__ import annotations

import pytest

from shyper_tui import images
from shyper_tui.engine.board.dtb_reader import read_tree
from shyper_tui.engine.hypervisor.definition import MemoryRegion, VmError
from shyper_tui.engine.hypervisor.images import FileKind
from shyper_tui.engine.hypervisor.placement import place
from tests.hypervisor.disk_driver import Lab
from tests.hypervisor.station import GUEST_BASE, RAM_BASE, guest
from tests.hypervisor.test_image_keys import flat_guest
from tests.hypervisor.tree_tools import cells, node_at

CONFIGURATION, KERNEL, RAMDISK, NAME = 0x0A00_0109, 0x0A00_1109, 0x0A00_110C, 0x0A00_110D
BUFFER = 0x9200_0000
MIB = 1 << 20


@pytest.fixture
def lab() -> Lab:
    """VM 1 is being configured."""
    lab = Lab()
    lab.station.manager.define(guest(1, 0b0010, 64 * MIB))
    return lab


def upload(lab: Lab, number: int, data: bytes, chunk: int = MIB, vm: int = 1) -> list[int]:
    """Sends a file in pieces; returns what the calls returned."""
    answers = []
    for offset in range(0, len(data), chunk):
        piece = data[offset : offset + chunk]
        lab.mvm.memory.write(BUFFER, piece)
        answers.append(lab.call(number, vm, len(data), BUFFER, offset, len(piece)))
    return answers


def initrd(lab: Lab) -> tuple[int, int]:
    """Start and end of the ramdisk as the booted VM's device tree has them."""
    vm = lab.station.manager.vm(1)
    chosen = node_at(read_tree(vm.memory.read(vm.definition.device_tree_load_ipa, 0x2000)), "/chosen")
    (_, start), (_, end) = cells(chosen, "linux,initrd-start"), cells(chosen, "linux,initrd-end")
    return start, end


@pytest.mark.parametrize("ramdisk_first", [True, False])
def test_a_ramdisk_without_an_address_is_placed_where_it_fits(lab: Lab, ramdisk_first: bool) -> None:
    ramdisk = bytes(range(251)) * 10_000
    parts = [(RAMDISK, ramdisk), (KERNEL, flat_guest())]
    for number, data in parts if ramdisk_first else parts[::-1]:
        assert set(upload(lab, number, data)) == {0}
    lab.station.manager.boot(1)
    start, end = initrd(lab)
    assert end - start == len(ramdisk)
    assert start % (2 * MIB) == 0
    assert start >= RAM_BASE + 8 * MIB + 2 * MIB  # behind the device tree, where most is free
    assert end <= RAM_BASE + 64 * MIB
    assert lab.station.manager.vm(1).memory.read(start, len(ramdisk)) == ramdisk
    lab.station.until(lambda: b"gvm# " in lab.station.consoles[1])


def test_a_ramdisk_with_an_address_lies_there_and_is_there_again_after_a_reboot(lab: Lab) -> None:
    lab.station.manager.entry(1).definition.ramdisk_load_ipa = 0x8300_0000
    ramdisk = b"ramdisk!" * 100
    assert upload(lab, RAMDISK, ramdisk) == [0]
    assert upload(lab, KERNEL, flat_guest()) == [0]
    lab.station.manager.boot(1)
    vm = lab.station.manager.vm(1)
    assert initrd(lab) == (0x8300_0000, 0x8300_0000 + len(ramdisk))
    vm.memory.write(0x8300_0000, bytes(len(ramdisk)))
    lab.station.manager.reboot(1)
    lab.station.until(lambda: vm.boots == 2)
    assert vm.memory.read(0x8300_0000, len(ramdisk)) == ramdisk


def test_pieces_of_a_ramdisk_that_do_not_fit_are_refused(lab: Lab) -> None:
    lab.mvm.memory.write(BUFFER, b"x" * 4096)
    assert lab.call(RAMDISK, 1, 8192, BUFFER, 4096, 4096) == -1  # not the first
    assert lab.call(RAMDISK, 1, 8192, BUFFER, 0, 4096) == 0
    assert lab.call(RAMDISK, 1, 8193, BUFFER, 4096, 4096) == -1  # another file
    assert lab.call(RAMDISK, 1, 0, BUFFER, 0, 0) == -1
    assert lab.call(RAMDISK, 1, 65 * MIB, BUFFER, 0, 4096) == -1  # more than the VM's memory
    assert lab.call(RAMDISK, 1, 1 << 63, BUFFER, 0, 4096) == -1
    assert lab.call(RAMDISK, 1, 4096, 0x1000, 0, 4096) == -1
    assert lab.call(RAMDISK, 2, 4096, BUFFER, 0, 4096) == -1
    assert lab.call(RAMDISK, 0, 4096, BUFFER, 0, 4096) == -1  # the managing VM's is the workstation's


def test_half_a_ramdisk_is_not_booted(lab: Lab) -> None:
    lab.mvm.memory.write(BUFFER, b"x" * 4096)
    assert lab.call(RAMDISK, 1, 8192, BUFFER, 0, 4096) == 0
    assert upload(lab, KERNEL, flat_guest()) == [-1]
    assert lab.call(RAMDISK, 1, 8192, BUFFER, 4096, 4096) == 0
    assert upload(lab, KERNEL, flat_guest()) == [0]
    assert lab.call(RAMDISK, 1, 8192, BUFFER, 0, 4096) == 0
    with pytest.raises(VmError, match="the ramdisk has not arrived in full: 4096 of 8192 bytes"):
        lab.station.manager.boot(1)


def test_the_ramdisk_of_a_vm_that_runs_stands(lab: Lab) -> None:
    assert upload(lab, KERNEL, flat_guest()) == [0]
    lab.station.manager.boot(1)
    assert lab.call(RAMDISK, 1, 4096, BUFFER, 0, 4096) == -1


def test_a_ramdisk_that_fits_nowhere_is_refused(lab: Lab) -> None:
    assert set(upload(lab, KERNEL, flat_guest())) == {0}
    assert set(upload(lab, RAMDISK, bytes(60 * MIB), 16 * MIB)) == {0}
    with pytest.raises(VmError, match="fits nowhere in its memory"):
        lab.station.manager.boot(1)


def test_the_largest_gap_is_taken() -> None:
    regions = [MemoryRegion(0x8000_0000, 64 * MIB), MemoryRegion(0x9000_0000, 32 * MIB)]
    kernel, tree = (GUEST_BASE, GUEST_BASE + 20 * MIB), (0x8200_0000, 0x8220_0000)
    assert place(regions, [kernel, tree], MIB) == 0x91E0_0000  # 32 MiB, none of it taken
    assert place(regions[:1], [kernel, tree], MIB) == 0x83E0_0000  # 30 MiB behind the tree
    assert place(regions[:1], [tree, kernel], 30 * MIB) == 0x8220_0000
    assert place(regions[:1], [kernel, tree], 30 * MIB + 1) is None
    assert place(regions[:1], [(0x7000_0000, 0x8100_0000), (0x8000_0000, 0x9000_0000)], 1) is None
    assert place([], [kernel], 1) is None


def test_files_have_names_that_a_terminal_can_show(lab: Lab) -> None:
    for kind, name in enumerate([b"Image\0", b"vm1 \xe4\xb8\xad.json\0", b"\x1b[2Jinitrd\0"]):
        lab.mvm.memory.write(BUFFER, name)
        assert lab.call(NAME, 1, kind, BUFFER) == 0
    files = lab.station.manager.entry(1).files
    assert files[FileKind.KERNEL] == "Image"
    assert files[FileKind.CONFIGURATION] == "vm1 中.json"
    assert files[FileKind.RAMDISK] == "?[2Jinitrd"
    assert lab.call(NAME, 1, 3, BUFFER) == -1
    assert lab.call(NAME, 1, 1 << 32, BUFFER) == -1
    assert lab.call(NAME, 3, 0, BUFFER) == -1
    lab.mvm.memory.write(BUFFER, b"n" * 256 + b"\0")
    assert lab.call(NAME, 1, 0, BUFFER) == -1


def test_a_configuration_is_written_as_far_as_there_is_room(lab: Lab) -> None:
    assert lab.call(CONFIGURATION, 1, BUFFER, 4096) == -1  # nobody can write it
    lab.platform.describe = lambda vm: f'{{"name": "vm {vm}, 中"}}'
    text = '{"name": "vm 1, 中"}'.encode()
    lab.mvm.memory.write(BUFFER, b"#" * 64)
    assert lab.call(CONFIGURATION, 1, BUFFER, 4096) == len(text)
    assert lab.mvm.memory.read(BUFFER, 64) == text.ljust(64, b"#")
    assert lab.call(CONFIGURATION, 1, 0, 0) == len(text)
    assert lab.call(CONFIGURATION, 1, BUFFER + 64, 5) == len(text)
    assert lab.mvm.memory.read(BUFFER + 64, 6) == text[:5] + b"\0"
    assert lab.call(CONFIGURATION, 1, 0x1000, 4096) == -1
    assert lab.call(CONFIGURATION, 1, 0x9400_0000 - 4, 4096) == -1
    assert lab.call(CONFIGURATION, 4, BUFFER, 4096) == -1


def test_only_the_managing_vm_may_make_them(lab: Lab) -> None:
    from shyper_tui.engine.hypervisor.calls import call

    vm = lab.station.manager.add(guest(2, 0b0100), images.embedded("guest"))
    for number in (CONFIGURATION, RAMDISK, NAME):
        assert call(lab.station.hypervisor, vm.vcpus[0], number, [1, 1, RAM_BASE, 0, 1, 0, 0]) == -1
