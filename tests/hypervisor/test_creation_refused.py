"""Definitions that no VM can be made from: one sentence each, nothing left behind, and the managing VM goes on."""

from __future__ import annotations

import re
import struct
from dataclasses import replace

import pytest

from shyper_tui.engine.hypervisor.definition import (
    CpuSpec,
    DeviceType,
    EmulatedDevice,
    MemoryRegion,
    PassthroughRegion,
    VmDefinition,
    VmError,
)
from shyper_tui.engine.hypervisor.images import Upload
from shyper_tui.engine.hypervisor.stage2 import IPA_BITS
from tests.hypervisor.caller import Caller
from tests.hypervisor.station import GUEST_BASE, RAM_BASE, Station, guest
from tests.hypervisor.test_hypercalls import hypercall, perform_with
from tests.hypervisor.test_lifecycle import MIB, PAGE, SPIN, UPLOAD, configuration, idle_mvm

PLIC = EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 1, (), DeviceType.PLIC)
CONSOLE = EmulatedDevice("console", 0x4000_1000, 0x1000, 21, (0, 0x4000_1000), DeviceType.VIRTIO_CONSOLE)
NET = EmulatedDevice("net", 0x5000_0000, 0x1000, 20, (2, 0, 0, 0, 0, 1), DeviceType.VIRTIO_NET)


def devices(*others: EmulatedDevice) -> VmDefinition:
    return guest(2, 0b1000, devices=[PLIC, CONSOLE, *others])


def regions(*ranges: tuple[int, int]) -> VmDefinition:
    return replace(guest(2, 0b1000), memory=[MemoryRegion(*found) for found in ranges])


def cores(num: int, bitmap: int) -> VmDefinition:
    return guest(2, 0b1000, cpu=CpuSpec(num, bitmap))


def passthrough(pa: int, length: int = 0x1000, ipa: int = 0x6000_0000) -> VmDefinition:
    return guest(2, 0b1000, passthrough=[PassthroughRegion(ipa, pa, length)])


RAM = (RAM_BASE, 16 * MIB)
MISTAKES: list[tuple[str, VmDefinition, str]] = [
    ("no memory", regions(), "has no memory region"),
    ("half a page", regions(RAM, (0xC000_0000, 0x1800)), "0xc0000000 .* is not made of whole pages"),
    ("odd start", regions(RAM, (0xC000_0800, 0x1000)), "is not made of whole pages"),
    ("empty region", regions(RAM, (0xC000_0000, 0)), "is not made of whole pages"),
    ("overlapping regions", regions(RAM, (RAM_BASE + 8 * MIB, 16 * MIB)), "overlaps memory region 0x80000000"),
    ("the same region twice", regions(RAM, RAM), "overlaps memory region 0x80000000"),
    ("region beyond", regions(RAM, ((1 << IPA_BITS) - 0x1000, 0x2000)), "beyond the 41 bits"),
    ("region wraps", regions(RAM, ((1 << 64) - 0x1000, 0x2000)), "beyond the 41 bits"),
    ("too much", regions((RAM_BASE, 2 << 30)), "2048 MiB of VM memory are wanted and"),
    ("far too much", regions((RAM_BASE, 1 << 40)), "1048576 MiB of VM memory are wanted"),
    ("no kernel address", guest(2, 0b1000, kernel_load_ipa=0), "has no kernel_load_ipa"),
    ("kernel outside", guest(2, 0b1000, kernel_load_ipa=0x9000_0000), "kernel_load_ipa 0x90000000 .* not in its"),
    ("kernel at the end", guest(2, 0b1000, kernel_load_ipa=RAM_BASE + 16 * MIB - 2), "needs 0x4 bytes at 0x80fffffe"),
    ("tree outside", guest(2, 0b1000, device_tree_load_ipa=0xA000_0000), "device_tree_load_ipa 0xa0000000 .* not in"),
    ("tree at the end", guest(2, 0b1000, device_tree_load_ipa=RAM_BASE + 16 * MIB - 8), "device tree of VM 2 .* needs"),
    ("tree in the kernel", guest(2, 0b1000, device_tree_load_ipa=GUEST_BASE), "would overwrite the kernel of VM 2"),
    ("bad overlay", guest(2, 0b1000, overlay=b"no device tree at all"), "overlay"),
    ("cut overlay", guest(2, 0b1000, overlay=struct.pack(">2I", 0xD00D_FEED, 400) + bytes(60)), "overlay"),
    ("empty bitmap", cores(0, 0), "has no CPU: its num is 0, its bitmap 0b0"),
    ("num 0", cores(0, 0b1000), "has no CPU: its num is 0, its bitmap 0b1000"),
    ("more CPUs than cores", cores(3, 0b1100), "has 3 CPUs and 2 cores"),
    ("core 4", cores(1, 0b1_0000), "wants core 4, and the machine has 4 harts"),
    ("core 31", cores(2, 1 << 31 | 0b1000), "wants core 31"),
    ("core 0", cores(2, 0b0011), "core 0, which belongs to the managing VM alone"),
    ("type 3", guest(2, 0b1000, type=3), r"has type 3; possible are 0 \(LINUX\), 1 \(BARE_METAL\), 2 \(FREERTOS\)"),
    ("id 8", guest(8, 0b1000), "8 is no id of a VM: they are 0 to 7"),
    ("no name", guest(2, 0b1000, name=""), "'' is no name"),
    ("name of 32 bytes", guest(2, 0b1000, name="n" * 32), "has 32 bytes; 31 are possible"),
    ("name of 32 bytes in UTF-8", guest(2, 0b1000, name="ä" * 16), "has 32 bytes; 31 are possible"),
    ("name with an escape", guest(2, 0b1000, name="a\x1b[2Jb"), "is no name"),
    ("stream ids", guest(2, 0b1000, stream_ids=[5]), "the machine has no IOMMU"),
    ("device type 1", devices(replace(NET, type=1)), "type GICD does not exist on RISC-V"),
    ("device type 0", devices(replace(NET, type=0)), "type CONSOLE does not exist on RISC-V"),
    ("device type 14", devices(replace(NET, type=14)), "type APLIC does not exist on RISC-V"),
    ("device type 99", devices(replace(NET, type=99)), "type 99 does not exist"),
    ("two controllers", devices(replace(PLIC, base_ipa=0x1C00_0000)), "has 2 interrupt controllers"),
    ("device on device", devices(replace(NET, base_ipa=0x4000_1800)), "overlaps console"),
    ("device in RAM", devices(replace(NET, base_ipa=RAM_BASE + MIB)), "overlaps memory region"),
    ("device beyond", devices(replace(NET, base_ipa=(1 << IPA_BITS) - 0x800)), "beyond the 41 bits"),
    ("device without end", devices(replace(NET, length=(1 << 64) - 1)), "beyond the 41 bits"),
    ("device name", devices(replace(NET, name="a/b")), "is no name for a device"),
    ("device without a name", devices(replace(NET, name="")), "is no name for a device"),
    ("irq twice", devices(replace(NET, irq_id=21)), "irq 21 is used twice, console has it, too"),
    ("irq 0", devices(replace(NET, irq_id=0)), "irq 0 is not a source"),
    ("irq 512", devices(replace(NET, irq_id=512)), "irq 512 is beyond the 511 sources"),
    ("irq of 32 bits", devices(replace(NET, irq_id=0xFFFF_FFFF)), "beyond the 511 sources"),
    ("shyper irq", devices(EmulatedDevice("shyper", 0, 0, 4000, (), DeviceType.SHYPER)), "beyond the 511 sources"),
    ("short MAC", devices(replace(NET, cfg_list=(1, 2))), "MAC address"),
    ("block of no size", devices(replace(NET, type=DeviceType.VIRTIO_BLK, cfg_list=(0, 0))), "cfg_list must be"),
    ("passthrough irq in use", guest(2, 0b1000, passthrough_irqs=[10]), "irq 10 .* belongs to VM 0 already"),
    ("passthrough irq 0", guest(2, 0b1000, passthrough_irqs=[0]), "passthrough irq 0 .* none of the machine's 1 to 95"),
    ("passthrough irq 96", guest(2, 0b1000, passthrough_irqs=[96]), "passthrough irq 96"),
    ("passthrough irq of 64 bits", guest(2, 0b1000, passthrough_irqs=[(1 << 64) - 1]), "none of the machine's"),
    ("both kinds of irq", guest(2, 0b1000, passthrough_irqs=[21]), "irq 21 is used twice"),
    ("the hypervisor's memory", passthrough(0x8020_0000), "would open RAM of the hypervisor"),
    ("another VM's memory", passthrough(0x9400_0000), "would open RAM of the hypervisor or of a VM"),
    ("into RAM", passthrough(0x7FFF_F000, 0x2000), "would open RAM"),
    ("physical controller", passthrough(0x0C20_1000), "would open the machine's interrupt controller"),
    ("timers", passthrough(0x0200_4000), "would open the machine's timers"),
    ("power switch", passthrough(0x0010_0000), "would open the machine's power switch"),
    ("everything", passthrough(0, 0x8000_0000), "would open"),
    ("beyond the devices", passthrough(0x4_0000_0000), "beyond the machine's devices"),
    ("passthrough wraps", passthrough((1 << 64) - 0x1000, 0x2000), "beyond the machine's devices"),
    ("passthrough half a page", passthrough(0x1000_2000, 0x800), "whole pages"),
    ("passthrough over RAM", passthrough(0x1000_2000, ipa=RAM_BASE + 0x1000), "overlaps memory region"),
    ("passthrough over a device", passthrough(0x1000_2000, ipa=0x4000_1000), "overlaps passthrough region"),
    ("passthrough ipa", passthrough(0x1000_2000, ipa=1 << IPA_BITS), "beyond the 41 bits"),
    ("VM 1's device", passthrough(0x1000_8000), "would open a device of VM 1"),
]


@pytest.fixture(scope="module")
def station() -> Station:
    """The managing VM and VM 1, which has a device of its own."""
    station = Station()
    station.manager.add(idle_mvm(), SPIN)
    definition = guest(1, 0b0010, passthrough=[PassthroughRegion(0x6000_0000, 0x1000_8000, 0x1000)])
    station.manager.add(definition, SPIN)
    return station


def holdings(station: Station) -> tuple[object, ...]:
    """What VMs hold."""
    manager, platform = station.manager, station.platform
    return (
        list(manager.table),
        sorted(manager.pool.regions),
        manager.pages.in_use,
        len(platform.switch.ports),
        platform.consoles.console((2, CONSOLE.base_ipa)),
        [disk.owner for disk in platform.disks.disks],
    )


@pytest.mark.parametrize(("definition", "sentence"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(
    station: Station, definition: VmDefinition, sentence: str
) -> None:
    before = holdings(station)
    with pytest.raises(VmError) as caught:
        station.manager.add(definition, SPIN)
    assert re.search(sentence, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert holdings(station) == before


def test_the_definition_without_a_mistake_is_accepted(station: Station) -> None:
    vm = station.manager.add(devices(NET), SPIN)
    assert station.manager.vm(2) is vm
    station.manager.remove(2)


def test_memory_of_the_managing_vm_has_its_own_addresses_where_they_are_free() -> None:
    station = Station()
    vm = station.manager.add(idle_mvm(), SPIN)
    assert [(region.ipa, region.physical) for region in vm.memory.regions] == [(0x9000_0000, 0x9000_0000)]


def test_a_mac_address_that_another_vm_has_is_told() -> None:
    station = Station()
    station.manager.add(guest(1, 0b0010, devices=[PLIC, CONSOLE, NET]), SPIN)
    station.manager.add(devices(NET), SPIN)
    assert "VM 2 and VM 1 have the same MAC address 02:00:00:00:00:01: give one of them another" in station.log


def test_a_mistake_in_hypercalls_is_minus_one_at_the_first_piece_of_the_kernel() -> None:
    """The managing VM is told and goes on; the configuration can be deleted and made again."""
    mvm = Caller(Station())
    manager = mvm.station.manager
    free = manager.pool.free_bytes
    upload = hypercall(0x11, UPLOAD, 1, len(SPIN), PAGE + 0x4000, 0, len(SPIN))
    add = hypercall(0x11, 0, PAGE)
    ram = hypercall(0x11, 3, 1, RAM_BASE, 16 * MIB)
    cpu = hypercall(0x11, 2, 1, 1, 0b0010, 1)
    again = [hypercall(0x11, 1, 1), add]
    answers = perform_with(
        mvm,
        configuration(),
        *[add, upload],  # nothing
        *[ram, upload],  # no CPU
        *[hypercall(0x11, 2, 1, 1, 0b0001, 0), upload],  # core 0
        *[hypercall(0x11, 2, 1, 1, 0b1_0000, 4), upload],  # no such core
        *[cpu, hypercall(0x11, 3, 1, RAM_BASE, 4096), upload],  # overlap
        *[*again, ram, cpu, hypercall(0x11, 3, 1, 0x1_0000_0000, 1 << 40), upload],  # too much
        *[*again, ram, cpu, hypercall(0x11, 4, 1, PAGE + 0x1000, 0x4000_0000, 4096, 9, PAGE, 99), upload],  # type
        *[*again, ram, cpu, hypercall(0x11, 5, 1, 0x6000_0000, 0x8020_0000, 4096), upload],  # hypervisor's memory
        *[*again, ram, cpu, hypercall(0x11, 11, 1, 64, PAGE + 0x4000, 0, 64), upload],  # bad overlay
        *[*again, ram, cpu, hypercall(0x11, UPLOAD, 1, 15 * MIB, PAGE, 0, 4096)],  # larger than its memory
        *[hypercall(1, 2, 1), upload, hypercall(1, 2, 1)],
    )
    assert answers == [
        1, -1, 0, -1, 0, -1, 0, -1, 0, 0, -1,
        0, 1, 0, 0, 0, -1, 0, 1, 0, 0, 0, -1, 0, 1, 0, 0, 0, -1, 0, 1, 0, 0, 0, -1, 0, 1, 0, 0, -1, -1, 0, 0,
    ]  # fmt: skip
    assert manager.pool.free_bytes == free - 16 * MIB
    assert manager.vm(1).boots == 1


def test_a_refused_first_piece_leaves_no_vm() -> None:
    mvm = Caller(Station())
    calls = [hypercall(0x11, 0, PAGE), hypercall(0x11, 3, 1, RAM_BASE, 16 * MIB), hypercall(0x11, 2, 1, 1, 2, 1)]
    before = holdings(mvm.station)[1:]
    bad = [hypercall(0x11, UPLOAD, 1, 4, PAGE, 0, 4)]
    answers = perform_with(mvm, configuration(), *calls, hypercall(0x11, 11, 1, 64, PAGE, 0, 64), *bad)
    assert answers == [1, 0, 0, 0, -1]
    assert mvm.station.manager.entry(1).vm is None
    assert holdings(mvm.station)[1:] == before


# the pieces of a kernel


KERNEL = bytes(range(256)) * 64  # 16 KiB in PAGE + 0x4000...


def upload(size: int, offset: int, piece: int, buffer: int = PAGE) -> tuple[int, ...]:
    return (1, size, buffer + offset, offset, piece)


def kernel_caller() -> tuple[Caller, dict[int, bytes]]:
    """Four pages of a kernel, and a VM to put them into."""
    mvm = Caller(Station())
    memory = {PAGE + 0x1000 * page: KERNEL[0x1000 * page : 0x1000 * (page + 1)] for page in range(4)}
    definition = guest(1, 0b0010)
    mvm.station.manager.define(definition)
    return mvm, memory


def test_the_last_piece_may_be_announced_with_the_size_of_the_whole_file() -> None:
    mvm, memory = kernel_caller()
    pieces = [(0, 0x1800), (0x1800, 0x1800), (0x3000, 0x3F00)]
    calls = [hypercall(0x11, UPLOAD, *upload(0x3F00, offset, size)) for offset, size in pieces]
    assert perform_with(mvm, memory, *calls, hypercall(1, 2, 1)) == [0, 0, 0, 0]
    assert mvm.station.manager.vm(1).memory.read(GUEST_BASE, 0x4000) == KERNEL[:0x3F00] + bytes(0x100)
    kept = mvm.station.manager.entry(1).images.upload
    assert kept is not None
    assert kept.data == KERNEL[:0x3F00]


def test_a_kernel_that_has_not_arrived_in_full_is_not_booted() -> None:
    mvm, memory = kernel_caller()
    first, second = (hypercall(0x11, UPLOAD, *upload(0x2000, offset, 0x1000)) for offset in (0, 0x1000))
    boot = hypercall(1, 2, 1)
    assert perform_with(mvm, memory, first, boot, second, boot) == [0, -1, 0, 0]
    assert any("has not arrived in full: 4096 of 8192 bytes" in line for line in mvm.station.log)


def test_pieces_that_cannot_be_are_refused() -> None:
    mvm, memory = kernel_caller()
    huge = (1 << 64) - 0x1000
    bad = [
        upload(0x2000, 0x1000, 0x1000),  # begins in the middle
        upload(0, 0, 0),  # nothing
        upload(0x2000, 0x3000, 0x1000),  # behind its own end
        (1, 0x2000, PAGE, huge, 0x2000),  # wraps around
        (1, huge, PAGE, 0, 0x1000),  # larger than any memory
        (1, 0x2000, PAGE + (64 << 20), 0, 0x2000),  # the buffer is not the caller's
        (1, 0x2000, huge, 0, 0x2000),
        (1, 65 << 20, PAGE, 0, 65 << 20),  # in one piece
        (7, 0x2000, PAGE, 0, 0x2000),  # no such VM
        (0, 0x2000, PAGE, 0, 0x2000),  # the managing VM itself
    ]
    answers = perform_with(mvm, memory, *[hypercall(0x11, UPLOAD, *args) for args in bad])
    assert answers == [-1] * len(bad)
    assert list(mvm.station.manager.table) == [0, 1]
    assert mvm.station.manager.entry(1).images.upload is None
    assert not any("Traceback" in line for line in mvm.station.log)


def test_an_upload_begins_anew_with_its_first_piece() -> None:
    mvm, memory = kernel_caller()
    calls = [(1, 0x2000, PAGE, 0, 0x2000), (1, 0x10, PAGE + 0x2001, 0, 0x10)]
    assert perform_with(mvm, memory, *[hypercall(0x11, UPLOAD, *args) for args in calls]) == [0, 0]
    assert mvm.station.manager.vm(1).memory.read(GUEST_BASE, 0x20) == KERNEL[0x2001:0x2011] + bytes(0x10)


def test_a_piece_that_comes_twice_counts_once() -> None:
    mvm, memory = kernel_caller()
    pieces = [(0, 0x1000), (0x1000, 0x1000), (0x1000, 0x1000), (0x2000, 0x1000)]
    calls = [hypercall(0x11, UPLOAD, *upload(0x3000, offset, size)) for offset, size in pieces]
    assert perform_with(mvm, memory, *calls, hypercall(1, 2, 1)) == [0] * 5
    kept = mvm.station.manager.entry(1).images.upload
    assert kept is not None
    assert kept.data == KERNEL[:0x3000]
    assert mvm.station.manager.vm(1).memory.read(GUEST_BASE, 0x3000) == KERNEL[:0x3000]


def test_a_piece_that_comes_again_and_again_copies_nothing_but_itself() -> None:
    kept = Upload(size=0x4000)
    kept.add(0, KERNEL[:0x3FFF])
    before = kept.data
    for _ in range(3):
        kept.add(0x3FFE, KERNEL[0x3FFE:0x4000])
    assert kept.data.obj is before.obj
    assert kept.data == KERNEL[:0x4000]
    assert kept.received == 0x4000
