"""Both ends of a mediated disk for tests: a driver in the guest's memory, and a daemon in the managing VM's."""

from __future__ import annotations

import struct

from shyper_tui import images
from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.board.virtio.block import Block
from shyper_tui.engine.board.virtio.disk import Disk
from shyper_tui.engine.board.virtio.mmio import VirtioMmio
from shyper_tui.engine.hypervisor.calls import call
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, MemoryRegion
from shyper_tui.engine.hypervisor.devices.disks import MediatedDisks
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vm import Vm, VmState
from tests.board.driver import DriverCore, MemoryFrom
from tests.hypervisor.caller import PROGRAM
from tests.hypervisor.station import RAM_BASE, Station, guest

APPEND, DONE, FAILED, FEATURES, DETACH = 0x0A00_0330, 0x0A00_0331, 0x0A00_0333, 0x0A00_0334, 0x0A00_0335
RING = 0x9300_0000
IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES = 0, 1, 4, 8, 11, 13


def blk(name: str = "virtio_blk@10001000", irq: int = 19, start: int = 0, sectors: int = 64) -> EmulatedDevice:
    """A mediated block device at the address its name ends with."""
    base = int(name.partition("@")[2], 16)
    return EmulatedDevice(name, base, 0x1000, irq, (start, sectors), DeviceType.VIRTIO_BLK, True)


class Lab:
    """A machine whose VMs do not run: a managing VM with its message ring prepared, and guests that tests drive.

    Time stands still unless `time` is moved.
    """

    def __init__(self, *disks: Disk) -> None:
        self.station = Station(ram=1 << 30)
        self.time = ManualTimebase()
        self.platform = self.station.platform
        self.platform.timebase = self.time
        self.platform.disks = MediatedDisks(disks)
        definition = mvm_definition()
        definition.memory = [MemoryRegion(0x9000_0000, 64 << 20)]
        definition.device_tree_load_ipa = 0x9100_0000
        self.mvm = self.station.manager.add(definition, PROGRAM)
        self.mvm.state = VmState.ACTIVE
        self.mvm.mailbox.prepare(RING)

    @property
    def disks(self) -> MediatedDisks:
        return self.platform.disks

    @property
    def log(self) -> list[str]:
        return self.station.log

    def call(self, number: int, *args: int) -> int:
        """A hypercall of the managing VM; returns a0."""
        return call(self.station.hypervisor, self.mvm.vcpus[0], number, [*args, *[0] * (7 - len(args))])

    def messages(self) -> int:
        """Takes the messages that the managing VM has: how many were {3, 0x32}."""
        vplic = self.mvm.vplic
        assert vplic is not None
        vplic.write(4 * 69, 4, 1)
        vplic.write(0x2080 + 4 * (69 // 32), 4, 1 << 69 % 32)
        count = 0
        while vplic.read(0x20_1004, 4) == 69:
            vplic.write(0x20_1004, 4, 69)
            count += 1
        return count

    def guest(self, vm_id: int = 1, *devices: EmulatedDevice, cores: int = 0b0010) -> Vm:
        """A guest VM with these block devices."""
        plic = EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC)
        definition = guest(vm_id, cores, 16 << 20, [plic, *(devices or [blk()])])
        return self.station.manager.add(definition, images.embedded("guest"))

    def remove(self, vm_id: int) -> None:
        """Removes a guest, to the end."""
        entry = self.station.manager.entry(vm_id)
        self.station.manager.remove(vm_id)
        self.station.until(lambda: entry.vm is None)


class GuestDisk(DriverCore):
    """The driver of one block device of a guest VM, in that VM's RAM."""

    def __init__(self, vm: Vm, name: str = "virtio_blk@10001000") -> None:
        backend = vm.backends[name]
        assert isinstance(backend, Block)
        assert isinstance(backend.transport, VirtioMmio)
        self.block = backend
        self.transport = backend.transport
        super().__init__(MemoryFrom(vm.memory, RAM_BASE + (4 << 20)), self.transport, backend.queue_sizes)
        self.start()

    def ask(self, kind: int, sector: int = 0, data: bytes = b"", room: int = 0, pieces: int = 1) -> int:
        """Makes a request available and notifies; returns its head. `room` is what a read may return, in `pieces`."""
        writable = [room // pieces] * pieces if room else []
        readable = [struct.pack("<IIQ", kind, 0, sector), *([data] if data else [])]
        head = self.queues[0].add(readable, [*writable, 1])
        self.queues[0].notify()
        return head

    def answers(self) -> list[tuple[int, bytes, int]]:
        """What has come back, in order: used length, data, status."""
        return [(length, data[:-1], data[-1]) for length, data in self.queues[0].collect()]

    def read(self, sector: int, count: int = 1, pieces: int = 1) -> tuple[bytes, int]:
        """A whole read: data and status. For disks that answer at once."""
        self.ask(IN, sector, room=512 * count, pieces=pieces)
        ((length, data, status),) = self.answers()
        assert length == (len(data) + 1 if status == 0 else 1)
        return data, status

    def send(self, kind: int, sector: int = 0, data: bytes = b"") -> int:
        """Status of a request that returns no data."""
        self.ask(kind, sector, data)
        ((length, _, status),) = self.answers()
        assert length == 1
        return status


class Daemon:
    """The kernel module's and the daemon's part for one disk, as bytes in the managing VM's RAM.

    `store` is the file. It serves when it is told to.
    """

    def __init__(
        self, lab: Lab, number: int = 0, sectors: int = 64, cache_size: int = 8192, most: int = 65536, name: str = ""
    ) -> None:
        self.lab = lab
        self.memory = lab.mvm.memory
        self.page = 0x9200_0000 + 0x1000 * number
        self.cache = 0x9210_0000 + 0x10_0000 * number
        self.name = name or f"MEDBLK{number}"
        self.sectors, self.cache_size, self.most = sectors, cache_size, most
        self.store = bytearray().join(struct.pack("<I", sector) * 128 for sector in range(sectors))
        self.served: list[tuple[int, int, int]] = []

    def descriptor(self) -> bytes:
        path = f"/root/{self.name}.img"
        sizes = self.sectors, self.most, self.cache_size
        text = (self.name.encode(), path.encode())
        return struct.pack("<32s32sQQQHB5xQQQ", *text, *sizes, 0, 0, self.cache, self.cache, 0xDEAD)

    def register(self) -> int:
        """Offers the disk; returns a0."""
        self.memory.write(self.page, struct.pack("<Q", 77) + self.descriptor())
        return self.lab.call(APPEND, 3, self.page)

    @property
    def nreq(self) -> int:
        return self.memory.read_u64(self.page)

    @property
    def request(self) -> tuple[int, int, int]:
        """Type, sector, count."""
        kind, sector, count = struct.unpack("<I4xQQ", self.memory.read(self.page + 128, 24))
        return kind, sector, count

    def take(self) -> tuple[int, int, int]:
        """The module delivers a request."""
        assert self.nreq == 1
        self.memory.write(self.page, bytes(8))
        return self.request

    def serve(self) -> int:
        """Does what the page says, and says done; returns a0."""
        kind, sector, count = self.take()
        self.served.append((kind, sector, count))
        at, size = 512 * sector, 512 * count
        if kind == IN:
            self.memory.write(self.cache, bytes(self.store[at : at + size]))
        else:
            self.store[at : at + size] = self.memory.read(self.cache, size)
        return self.done()

    def done(self) -> int:
        return self.lab.call(DONE, self.page)

    def serve_all(self) -> None:
        while self.nreq:
            assert self.serve() == 0


def one(lab: Lab, cache_size: int = 8192, most: int = 65536) -> tuple[Daemon, GuestDisk]:
    """A registered disk and the guest that has it."""
    daemon = Daemon(lab, cache_size=cache_size, most=most)
    assert daemon.register() == 0
    return daemon, GuestDisk(lab.guest())


def pattern(first: int, count: int = 1) -> bytes:
    """What sectors of a fresh store hold."""
    return b"".join(struct.pack("<I", sector) * 128 for sector in range(first, first + count))
