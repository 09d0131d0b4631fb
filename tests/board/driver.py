"""A small virtio driver: it negotiates, lays out split virtqueues in real memory and serves its interrupt."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from shyper_tui.engine.board.device import Device
from shyper_tui.engine.board.memory import Memory, RamMemory
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.backend import (
    VIRTIO_F_EVENT_IDX,
    VIRTIO_F_INDIRECT_DESC,
    VIRTIO_F_RING_RESET,
    VIRTIO_F_VERSION_1,
    Backend,
)
from shyper_tui.engine.board.virtio.mmio import VirtioMmio
from tests.board.wires import RecordedLine, ram

RING_FEATURES = VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_RING_RESET


@dataclass
class Pending:
    """A request under way: where its writable buffers are."""

    buffers: list[tuple[int, int]]
    descriptors: list[int]


@dataclass
class DriverQueue:
    """The driver's end of one virtqueue."""

    driver: DriverCore
    index: int
    size: int
    desc: int = 0
    avail: int = 0
    used: int = 0
    avail_idx: int = 0
    used_seen: int = 0
    free: list[int] = field(default_factory=list)
    pending: dict[int, Pending] = field(default_factory=dict)

    def set_up(self) -> None:
        self.free = list(range(self.size))
        self.desc = self.driver.allocate(16 * self.size, 16)
        self.avail = self.driver.allocate(6 + 2 * self.size, 2)
        self.used = self.driver.allocate(6 + 8 * self.size, 4)
        put = self.driver.put
        put(mmio.QueueSel, self.index)
        assert self.driver.get(mmio.QueueReady) == 0
        assert self.driver.get(mmio.QueueNumMax) >= self.size
        put(mmio.QueueNum, self.size)
        for low, address in ((mmio.QueueDescLow, self.desc), (mmio.QueueDriverLow, self.avail),
                             (mmio.QueueDeviceLow, self.used)):  # fmt: skip
            put(low, address & 0xFFFF_FFFF)
            put(low + 4, address >> 32)
        put(mmio.QueueReady, 1)
        assert self.driver.get(mmio.QueueReady) == 1

    def add(self, readable: Sequence[bytes] = (), writable: Sequence[int] = (), *, indirect: bool = False) -> int:
        """Makes one chain available (without a notification); returns its head."""
        memory = self.driver.memory
        entries: list[tuple[int, int, int]] = []
        buffers: list[tuple[int, int]] = []
        for data in readable:
            address = self.driver.allocate(len(data), 1)
            memory.write(address, data)
            entries.append((address, len(data), 0))
        for size in writable:
            address = self.driver.allocate(size, 1)
            buffers.append((address, size))
            entries.append((address, size, 2))
        if indirect:
            table = self.driver.allocate(16 * len(entries), 16)
            self._write_chain(table, entries, list(range(len(entries))))
            entries = [(table, 16 * len(entries), 4)]
        slots = [self.free.pop(0) for _ in entries]
        self._write_chain(self.desc, entries, slots)
        self.pending[slots[0]] = Pending(buffers, slots)
        memory.write_u16(self.avail + 4 + 2 * (self.avail_idx % self.size), slots[0])
        self.avail_idx = (self.avail_idx + 1) & 0xFFFF
        memory.write_u16(self.avail + 2, self.avail_idx)
        return slots[0]

    def _write_chain(self, table: int, entries: list[tuple[int, int, int]], slots: list[int]) -> None:
        for position, ((address, length, flags), slot) in enumerate(zip(entries, slots, strict=True)):
            last = position == len(entries) - 1
            following = 0 if last else slots[position + 1]
            packed = struct.pack("<QIHH", address, length, flags if last else flags | 1, following)
            self.driver.memory.write(table + 16 * slot, packed)

    def notify(self) -> None:
        self.driver.put(mmio.QueueNotify, self.index)

    def collect(self) -> list[tuple[int, bytes]]:
        """What the device has returned: (written length, all writable bytes) of each chain, in order."""
        memory = self.driver.memory
        results = []
        while self.used_seen != memory.read_u16(self.used + 2):
            at = self.used + 4 + 8 * (self.used_seen % self.size)
            pending = self.pending.pop(memory.read_u32(at))
            self.free.extend(pending.descriptors)
            data = b"".join(memory.read(address, size) for address, size in pending.buffers)
            results.append((memory.read_u32(at + 4), data))
            self.used_seen = (self.used_seen + 1) & 0xFFFF
        memory.write_u16(self.avail + 4 + 2 * self.size, self.used_seen)  # used_event
        return results

    def request(self, *readable: bytes, writable: Sequence[int] = (), indirect: bool = False) -> tuple[int, bytes]:
        """One request from start to end."""
        self.add(readable, writable, indirect=indirect)
        self.notify()
        self.driver.wait(self)
        (result,) = self.collect()
        return result


class DriverMemory(Protocol):
    """Where a driver keeps its rings and buffers."""

    @property
    def base(self) -> int: ...
    def read(self, address: int, size: int) -> bytes: ...
    def write(self, address: int, data: bytes) -> None: ...
    def read_u16(self, address: int) -> int: ...
    def read_u32(self, address: int) -> int: ...
    def write_u16(self, address: int, value: int) -> None: ...
    def write_u64(self, address: int, value: int) -> None: ...


class MemoryFrom:
    """Memory from `base` on, for a driver's rings and buffers: a VM's, or the machine's."""

    def __init__(self, memory: Memory, base: int) -> None:
        self.base = base
        self.read, self.write = memory.read, memory.write

    def read_u16(self, address: int) -> int:
        return int.from_bytes(self.read(address, 2), "little")

    def read_u32(self, address: int) -> int:
        return int.from_bytes(self.read(address, 4), "little")

    def write_u16(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(2, "little"))

    def write_u64(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(8, "little"))


class DriverCore:
    """The driver itself, whichever device it drives."""

    def __init__(self, memory: DriverMemory, device: Device, device_queues: Sequence[int]) -> None:
        self.memory = memory
        self.device = device
        self.queues: list[DriverQueue] = []
        self._device_queues = device_queues
        self._next = memory.base + 0x1000

    def get(self, register: int, width: int = 4) -> int:
        return self.device.read(register, width)

    def put(self, register: int, value: int) -> None:
        self.device.write(register, 4, value)

    def wait(self, queue: DriverQueue) -> None:
        """Returns when the device has served what was made available. Our own devices do so while notified."""

    def allocate(self, size: int, alignment: int) -> int:
        address = -(-self._next // alignment) * alignment
        self._next = address + size
        return address

    def features(self) -> int:
        value = 0
        for selector in (0, 1):
            self.put(mmio.DeviceFeaturesSel, selector)
            value |= self.get(mmio.DeviceFeatures) << 32 * selector
        return value

    def accept(self, features: int) -> bool:
        """Negotiates; False when the device refuses."""
        self.put(mmio.Status, 0)
        self.put(mmio.Status, mmio.ACKNOWLEDGE)
        self.put(mmio.Status, mmio.ACKNOWLEDGE | mmio.DRIVER)
        for selector in (0, 1):
            self.put(mmio.DriverFeaturesSel, selector)
            self.put(mmio.DriverFeatures, features >> 32 * selector & 0xFFFF_FFFF)
        self.put(mmio.Status, mmio.ACKNOWLEDGE | mmio.DRIVER | mmio.FEATURES_OK)
        return bool(self.get(mmio.Status) & mmio.FEATURES_OK)

    def start(self, *, without: int = 0, sizes: Sequence[int] | None = None) -> Self:
        """Takes every feature on offer except `without`, sets up all queues and goes to DRIVER_OK."""
        assert self.get(mmio.MagicValue) == 0x7472_6976
        assert self.accept(self.features() & ~without | VIRTIO_F_VERSION_1)
        self.queues = []
        for index, size in enumerate(sizes or [min(16, size) for size in self._device_queues]):
            queue = DriverQueue(self, index, size)
            queue.set_up()
            self.queues.append(queue)
        self.put(mmio.Status, self.get(mmio.Status) | mmio.DRIVER_OK)
        return self

    def acknowledge(self) -> int:
        """The interrupt handler: which causes there were."""
        causes = self.get(mmio.InterruptStatus)
        self.put(mmio.InterruptACK, causes)
        return causes


class Driver(DriverCore):
    """A driver on a slot of its own, with memory of its own."""

    memory: RamMemory

    def __init__(self, backend: Backend, *, memory: RamMemory | None = None, size: int = 8 << 20) -> None:
        self.line = RecordedLine()
        own = memory if memory is not None else ram(size)
        self.transport = VirtioMmio(own, self.line, backend)
        super().__init__(own, self.transport, backend.queue_sizes)
