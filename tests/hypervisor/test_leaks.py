"""What VMs leave behind when they go: nothing, after 200 cycles of configuring, booting and removing."""

from __future__ import annotations

import gc
import os
import struct
import time
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from shyper_tui.engine.board.virtio.disk import MemoryDisk
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, MemoryRegion, VmDefinition, VmError
from shyper_tui.engine.hypervisor.devices.disks import MediatedDisks
from shyper_tui.engine.hypervisor.stage2 import ROOT_PAGES
from shyper_tui.engine.hypervisor.vm import Vm, VmState
from tests.hypervisor.caller import Call, Caller
from tests.hypervisor.station import GUEST_BASE, RAM_BASE, Station, guest
from tests.hypervisor.test_hypercalls import hypercall, perform_with
from tests.hypervisor.test_lifecycle import MIB, PAGE, SPIN, UPLOAD, idle_mvm

CYCLES = 200
PAGE_SIZE = 4096
GIB = 1 << 30
MAC = (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD1)
CONSOLE = 0x4000_1000


def definition() -> VmDefinition:
    """VM 1 with a device of every kind and a passthrough irq."""
    devices = [
        EmulatedDevice("plic", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC),
        EmulatedDevice("blk", 0x1000_1000, 0x1000, 19, (0, 2048), DeviceType.VIRTIO_BLK, True),
        EmulatedDevice("net", 0x5000_0000, 0x1000, 20, MAC, DeviceType.VIRTIO_NET),
        EmulatedDevice("console", CONSOLE, 0x1000, 21, (0, 0x4000_1000), DeviceType.VIRTIO_CONSOLE),
        EmulatedDevice("shyper", 0, 0, 22, (), DeviceType.SHYPER),
    ]
    return guest(1, 0b0110, devices=devices, passthrough_irqs=[40])


@pytest.fixture
def station() -> Station:
    station = Station()
    station.platform.disks = MediatedDisks([MemoryDisk(bytearray(MIB)) for _ in range(2)])
    station.manager.add(idle_mvm(), SPIN)
    station.manager.boot(0)
    station.run(100_000)
    return station


def held(station: Station) -> dict[str, object]:
    """Everything that VMs take and give back."""
    manager, platform, board = station.manager, station.platform, station.machine.board
    return {
        "table": list(manager.table),
        "pool": sorted(manager.pool.regions),
        "page tables": manager.pages.in_use,
        "switch ports": len(platform.switch.ports),
        "disks": [disk.owner for disk in platform.disks.disks],
        "console": platform.consoles.console((1, CONSOLE)),
        "irqs": [source.source for source in board.plic.snapshot().sources if source.enabled and source.source > 11],
        "messages": [len(core.messages) for core in station.hypervisor.cores.values()],
        "vCPUs": [(core.current and core.current.vm.id) for core in station.hypervisor.cores.values()],
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


def by_workstation(station: Station, cycle: int) -> Vm:
    vm = station.manager.add(definition(), SPIN, b"ramdisk")
    if cycle % 3:
        station.manager.boot(1)
        station.run(30_000)
    return vm


def by_hypercalls(station: Station, cycle: int) -> Vm:
    """What the calls of the managing VM do, one by one."""
    manager, wanted = station.manager, definition()
    entry = manager.define(replace(wanted, devices=[], passthrough_irqs=[]))
    for device in wanted.devices:
        disk = station.platform.disks.take(entry) if device.mediated else None
        entry.definition.devices.append(replace(device, disk=disk))
    entry.definition.passthrough_irqs.append(40)
    for offset in range(0, 4, 2):
        manager.upload(1, offset, SPIN[offset : offset + 2], len(SPIN))
    if cycle % 3:
        manager.boot(1)
        station.run(30_000)
    return manager.vm(1)


@pytest.mark.parametrize("make", [by_workstation, by_hypercalls])
def test_200_cycles_leave_nothing_behind(station: Station, make: Callable[[Station, int], Vm]) -> None:
    """In turn: created and never booted, running, paused, off, waiting for a restart."""
    manager = station.manager
    vms: weakref.WeakSet[Vm] = weakref.WeakSet()
    objects: Counter[str] = Counter()
    for cycle in range(CYCLES):
        vm = make(station, cycle)
        assert vm.vplic is not None
        vm.vplic.write(4 * 40, 4, 1)
        vm.vplic.write(0x2080 + 4, 4, 1 << 8)  # the guest enables its passthrough irq
        assert held(station)["irqs"] == [40]
        if cycle % 3 and cycle % 4 == 1:
            manager.pause(1)
        elif cycle % 3 and cycle % 4 == 2:
            manager.shutdown(1)
        elif cycle % 3 and cycle % 4 == 3:
            manager.reboot(1)
        manager.remove(1) if cycle % 2 else manager.delete(1)
        station.run(30_000)
        if cycle == 10:
            gc.collect()  # what tests before have left behind
            before = held(station)
            objects = Counter(type(each).__name__ for each in gc.get_objects())
        vms.add(vm)
        del vm
    assert held(station) == before
    station.run(2_000_000)  # timers that were cancelled are gone, too
    gc.collect()
    assert len(vms) == 0
    grown = Counter(type(each).__name__ for each in gc.get_objects())
    grown.subtract(objects)
    assert {name: count for name, count in grown.items() if count >= CYCLES // 4} == {}
    assert len(station.machine._events) < 10
    assert manager.state(0) is VmState.ACTIVE


def test_the_whole_way_through_hypercalls_gives_everything_back() -> None:
    """As `vm config`, `vm boot` and `vm remove` do it in the managing VM, again and again without a pause."""
    mvm = Caller(Station())
    station = mvm.station
    station.platform.disks = MediatedDisks([MemoryDisk(bytearray(MIB))])
    memory = {
        PAGE: struct.pack("<8Q", PAGE + 0x1000, 5, 0, PAGE + 0x1010, 0, GUEST_BASE, RAM_BASE + 8 * MIB, 0),
        PAGE + 0x1000: b"guest\0".ljust(16, b"\0") + b"\0".ljust(16, b"\0") + b"plic\0",
        PAGE + 0x2000: struct.pack("<16Q", 0, 2048, *[0] * 14),
        PAGE + 0x3000: SPIN,
    }
    calls: list[Call] = []
    for _ in range(10):
        calls += [
            hypercall(0x11, 0, PAGE),
            hypercall(0x11, 3, 1, RAM_BASE, 16 * MIB),
            hypercall(0x11, 2, 1, 2, 0b0110, 1),
            hypercall(0x11, 4, 1, PAGE + 0x1020, 0x0C00_0000, 0x60_0000, 0, PAGE + 0x2000, DeviceType.PLIC),
            hypercall(0x11, 4, 1, PAGE + 0x1000, 0x1000_1000, 0x1000, 19, PAGE + 0x2000, 7),
            hypercall(0x11, UPLOAD, 1, len(SPIN), PAGE + 0x3000, 0, len(SPIN)),
            hypercall(1, 2, 1),
            hypercall(1, 16, 1),
        ]
    before = held(station)
    assert perform_with(mvm, memory, *calls) == [1, 0, 0, 0, 0, 0, 0, 0] * 10
    station.run(200_000)
    assert held(station) == {**before, "vCPUs": [0, None, None, None]}


def test_memory_comes_back_zeroed(station: Station) -> None:
    manager = station.manager
    vm = manager.add(definition(), SPIN)
    (region,) = vm.memory.regions
    manager.boot(1)
    station.run(30_000)
    for offset in (0, 5 * MIB + 123, 16 * MIB - 8):
        vm.memory.write(RAM_BASE + offset, b"secret!!")
    manager.remove(1)
    station.run(100_000)
    assert station.machine.memory.read(region.physical, region.length) == bytes(region.length)


def test_a_creation_that_fails_half_way_gives_everything_back(station: Station) -> None:
    """The memory is there, the page tables are not; then a device cannot be built."""
    manager = station.manager
    before = held(station)
    hoard = []
    while True:
        try:
            hoard.append(manager.pages.page())
        except Exception:
            break
    root = next(page for page in hoard if page % (ROOT_PAGES * PAGE_SIZE) == 0)
    manager.pages.free(root, ROOT_PAGES)
    with pytest.raises(VmError, match="memory for page tables is used up"):
        manager.add(definition(), SPIN)
    for page in hoard:
        if not root <= page < root + ROOT_PAGES * PAGE_SIZE:
            manager.pages.free(page)
    wrong = definition()
    wrong.devices[4] = replace(wrong.devices[4], type=DeviceType.VIRTIO_NET, base_ipa=CONSOLE)
    with pytest.raises(VmError):
        manager.add(wrong, SPIN)
    assert held(station) == before


def test_a_gigabyte_is_mapped_by_one_leaf_and_made_in_no_time() -> None:
    station = Station(ram=8 * GIB)
    station.manager.add(idle_mvm(), SPIN)
    wanted = guest(1, 0b0010, GIB)
    start = time.process_time()
    vm = station.manager.add(wanted, SPIN)
    made = time.process_time() - start
    translation = vm.stage2.translate(RAM_BASE + GIB // 2)
    assert translation is not None
    assert translation.leaf_size == GIB
    assert made < 0.050
    vm.memory.write(RAM_BASE + GIB - 8, b"the end!")
    station.manager.boot(1)
    station.run(100_000)
    start = time.process_time()
    station.manager.remove(1)
    station.run(20_000)
    assert time.process_time() - start < 0.050


@pytest.mark.parametrize(("start", "size", "leaf"), [
    (RAM_BASE, 64 * MIB, 2 * MIB),
    (RAM_BASE + 0x1000, 64 * MIB, 4096),  # its first page; from the next 2 MiB on large leaves
    (RAM_BASE + MIB, 3 * MIB, 4096),
])  # fmt: skip
def test_leaves_are_as_large_as_the_guests_addresses_allow(station: Station, start: int, size: int, leaf: int) -> None:
    wanted = replace(guest(1, 0b0010), memory=[MemoryRegion(start, size)], device_tree_load_ipa=0)
    wanted.kernel_load_ipa = start + 2 * MIB
    vm = station.manager.add(wanted, SPIN)
    first, inside = vm.stage2.translate(start), vm.stage2.translate((start + 2 * MIB) & -(2 * MIB))
    assert first is not None
    assert inside is not None
    assert (first.leaf_size, inside.leaf_size) == (leaf, 2 * MIB)


def test_the_logs_of_a_removed_vm_go_with_it(station: Station) -> None:
    """The audit stays: it tells of VMs that are gone."""
    vm = station.manager.add(definition(), SPIN)
    vm.refused_calls = 5
    station.manager.remove(1)
    again = station.manager.add(definition(), SPIN)
    assert (again.refused_calls, len(list(again.faults)), again.boots, again.message) == (0, 0, 0, "")
