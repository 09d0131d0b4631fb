"""Devices that are passed through and do DMA: their addresses are those of the VM that has them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shyper_tui.engine.board.virtio.block import Block
from shyper_tui.engine.board.virtio.disk import MemoryDisk
from shyper_tui.engine.board.virtio.disk_server import DiskServer
from shyper_tui.engine.hypervisor.definition import MemoryRegion, PassthroughRegion
from shyper_tui.engine.hypervisor.vm import Vm
from tests.board.driver import DriverCore, MemoryFrom
from tests.hypervisor.station import RAM_BASE, Station, guest
from tests.hypervisor.test_lifecycle import MIB, SPIN, idle_mvm

SLOT, IPA = 0x1000_1000, 0x6000_0000
HYPERVISOR_MEMORY = 0x8020_0000


class Wired:
    """A station whose first virtio slot has a disk, which VM 2 has at `IPA`."""

    def __init__(self) -> None:
        self.station = Station()
        self.disk = MemoryDisk(bytearray(b"\x5a" * MIB))
        self.station.machine.board.connect(0, Block(DiskServer(self.disk)))
        definition = guest(2, 0b1000, passthrough=[PassthroughRegion(IPA, SLOT, 0x1000)])
        self.vm = self.station.manager.add(definition, SPIN)

    def driver(self, vm: Vm) -> DriverCore:
        """What the VM's driver does, with its rings in its RAM."""
        transport = self.station.machine.board.slots[0]
        return DriverCore(MemoryFrom(vm.memory, RAM_BASE + 4 * MIB), transport, (16,)).start()


def test_a_guest_uses_a_disk_of_the_board_with_its_own_addresses() -> None:
    wired = Wired()
    region = wired.vm.memory.regions[0]
    assert region.ipa != region.physical
    queue = wired.driver(wired.vm).queues[0]
    _, data = queue.request(b"\0" * 16, writable=[512, 1])
    assert data == b"\x5a" * 512 + b"\0"


def test_physical_addresses_mean_nothing_to_it() -> None:
    """An address of the hypervisor's memory, where stage-2 tables lie, is one of the guest's own RAM."""
    wired = Wired()
    memory = wired.station.machine.memory
    before = memory.read(HYPERVISOR_MEMORY, MIB)
    assert before.strip(b"\0")
    queue = wired.driver(wired.vm).queues[0]
    queue.add([b"\0" * 16], [512, 1])
    queue.driver.memory.write_u64(queue.desc + 16, HYPERVISOR_MEMORY)
    queue.notify()
    assert memory.read(HYPERVISOR_MEMORY, MIB) == before
    assert wired.vm.memory.read(HYPERVISOR_MEMORY, 512) == b"\x5a" * 512


@pytest.mark.parametrize("target", [0x9000_0000, RAM_BASE + 16 * MIB, SLOT, 1 << 63], ids=hex)
def test_it_reaches_nothing_that_is_not_the_guests(target: int) -> None:
    wired = Wired()
    board, memory = wired.station.machine.board, wired.station.machine.memory
    before = memory.read(target, 512) if memory.base <= target < memory.base + memory.size else b""
    driver = wired.driver(wired.vm)
    queue = driver.queues[0]
    queue.add([b"\0" * 16], [512, 1])
    descriptor = queue.desc + 16  # of the data buffer
    driver.memory.write_u64(descriptor, target)
    queue.notify()
    assert board.slots[0].status & 64  # DEVICE_NEEDS_RESET
    if before:
        assert memory.read(target, 512) == before


def test_a_removed_vms_device_reaches_nothing_at_all() -> None:
    wired = Wired()
    driver = wired.driver(wired.vm)
    physical = wired.vm.memory.regions[0].physical
    wired.station.manager.remove(2)
    wired.station.run(1_000_000)
    memory = wired.station.machine.memory
    before = memory.read(physical, 16 * MIB)
    driver.queues[0].notify()
    assert memory.read(physical, 16 * MIB) == before
    assert wired.station.machine.board.slots[0].status & 64


def test_the_managing_vms_devices_follow_its_memory_wherever_it_is() -> None:
    station = Station()
    station.machine.board.connect(0, Block(DiskServer(MemoryDisk(bytearray(b"\x77" * MIB)))))
    definition = replace(idle_mvm(), memory=[MemoryRegion(RAM_BASE, 64 * MIB)], kernel_load_ipa=RAM_BASE)
    definition.device_tree_load_ipa = 0
    vm = station.manager.add(definition, SPIN)
    assert vm.memory.regions[0].physical != RAM_BASE
    driver = DriverCore(MemoryFrom(vm.memory, RAM_BASE + 4 * MIB), station.machine.board.slots[0], (16,)).start()
    _, data = driver.queues[0].request(b"\0" * 16, writable=[512, 1])
    assert data == b"\x77" * 512 + b"\0"
