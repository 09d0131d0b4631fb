"""Random virtqueues in a guest's memory, for every kind of virtio device: corrupt tables, rings, sizes, addresses."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st

from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.hypervisor.vm import Vm
from tests.fuzz.cases import fuzz, numbers
from tests.fuzz.puppet import BLOCK, CONSOLE, MVM_BASE, NET, Puppets, guest_with_devices
from tests.hypervisor.station import RAM_BASE

AREA = RAM_BASE + (4 << 20)
"""Where the rings lie: one page for each part, and buffers behind them."""
TABLE, AVAIL, USED, INDIRECT, BUFFERS = (AREA + 0x1000 * page for page in range(5))
END = RAM_BASE + (16 << 20)
PLACES = (TABLE, AVAIL, USED, INDIRECT, BUFFERS, BUFFERS + 0x200, END - 8, END, RAM_BASE, 0x8020_0000, MVM_BASE, BLOCK)
MVM_NET, MVM_CONSOLE = 0x4000_3000, 0x4000_1000
FEATURES = (1 << 32) - 1
NO_OFFLOADS = 1 << 5 | 1 << 16
"""MAC and STATUS alone: the device has to finish checksums and to cut segments."""

addresses = st.one_of(st.sampled_from([BUFFERS + 0x100 * index for index in range(8)]), numbers(*PLACES))
lengths = st.one_of(st.sampled_from([0, 1, 8, 12, 16, 26, 60, 512, 4096]), st.integers(0, 0xFFFF_FFFF))
flags = st.one_of(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7]), st.integers(0, 0xFFFF))
links = st.one_of(st.integers(0, 9), st.integers(0, 0xFFFF))
indices = st.one_of(st.integers(0, 9), st.sampled_from([15, 16, 17, 255, 256, 257, 0xFFFF]))
descriptors = st.builds(lambda *fields: struct.pack("<QIHH", *fields), addresses, lengths, flags, links)
tables = st.lists(descriptors, min_size=1, max_size=8).map(b"".join)
contents = st.one_of(
    st.binary(max_size=64),
    st.builds(lambda kind, sector: struct.pack("<IIQ", kind, 0, sector), st.integers(0, 14), numbers(8191, 8192)),
    st.builds(
        lambda *parts: struct.pack("<BBHHHHH", *parts[:7]) + parts[7],
        *(st.integers(0, 7), st.sampled_from([0, 1, 3, 4, 0x81, 255])),
        *(st.one_of(st.integers(0, 80), st.integers(0, 0xFFFF)) for _ in range(5)),
        st.sampled_from([b"\xff" * 12, bytes.fromhex("7456aa0f47d1" "7456aa0f47d0")]).map(
            lambda head: head + b"\x08\x00\x45\x00\x00\x30" + bytes(60)
        ),
    ),
)  # what requests and frames begin with


@dataclass(frozen=True)
class Ring:
    """What the driver prepares before it notifies a queue."""

    queue: int
    size: int
    table: bytes
    indirect: bytes
    heads: list[int]
    index: int
    """The available index, as far ahead as it likes."""
    places: tuple[int, int, int]
    data: bytes
    event: int


ordinary = st.just((TABLE, AVAIL, USED))
rings = st.builds(
    Ring,
    queue=st.integers(0, 4),
    size=st.one_of(st.sampled_from([8, 16, 256]), st.sampled_from([0, 1, 3, 255, 512, 1024, 32768, 65535])),
    table=tables,
    indirect=tables,
    heads=st.lists(indices, max_size=8),
    index=st.one_of(st.integers(0, 9), st.integers(0, 0xFFFF)),
    places=st.one_of(ordinary, ordinary, st.tuples(*[numbers(*PLACES)] * 3)),
    data=contents,
    event=st.integers(0, 0xFFFF),
)
registers = st.tuples(st.sampled_from(range(0, 0x110, 4)), numbers(*PLACES))
"""A register written out of turn."""


@pytest.fixture(scope="module")
def puppets() -> Puppets:
    return Puppets(guest_with_devices)


class Slot:
    """The transport at `base` of a VM, written as a driver does."""

    def __init__(self, vm: Vm, base: int) -> None:
        self.vm = vm
        self.base = base

    def put(self, register: int, value: int) -> None:
        self.vm.bus.write(self.base + register, 4, value & 0xFFFF_FFFF)

    def get(self, register: int) -> int:
        return self.vm.bus.read(self.base + register, 4)

    def negotiate(self, features: int) -> None:
        self.put(mmio.Status, 0)
        self.put(mmio.Status, mmio.ACKNOWLEDGE | mmio.DRIVER)
        for selector in (0, 1):
            self.put(mmio.DeviceFeaturesSel, selector)
            self.put(mmio.DriverFeaturesSel, selector)
            chosen = self.get(mmio.DeviceFeatures) & (features if not selector else 1)
            self.put(mmio.DriverFeatures, chosen)
        self.put(mmio.Status, mmio.ACKNOWLEDGE | mmio.DRIVER | mmio.FEATURES_OK)

    def prepare(self, ring: Ring) -> None:
        memory = self.vm.memory
        memory.write(AREA, bytes(0x6000))
        memory.write(TABLE, ring.table)
        memory.write(INDIRECT, ring.indirect)
        heads = struct.pack(f"<HH{len(ring.heads)}H", 0, ring.index, *ring.heads)
        memory.write(AVAIL, heads + struct.pack("<H", ring.event))
        for index in range(8):
            memory.write(BUFFERS + 0x100 * index, ring.data)
        self.set_up(ring.queue, ring.size, ring.places)

    def set_up(self, queue: int, size: int, places: tuple[int, int, int]) -> None:
        self.put(mmio.QueueSel, queue)
        self.put(mmio.QueueNum, size)
        for register, place in zip((mmio.QueueDescLow, mmio.QueueDriverLow, mmio.QueueDeviceLow), places, strict=True):
            self.put(register, place)
            self.put(register + 4, place >> 32)
        self.put(mmio.QueueReady, 1)


def attach_neighbour(vm: Vm) -> None:
    """The managing VM takes frames and console output as a correct driver does: 16 buffers of 2 KiB each."""
    for number, base in enumerate((MVM_NET, MVM_CONSOLE)):
        slot, area = Slot(vm, base), MVM_BASE + (1 << 20) + 0x10000 * number
        slot.negotiate(NO_OFFLOADS)
        buffers = [struct.pack("<QIHH", area + 0x4000 + 2048 * index, 2048, 2, 0) for index in range(16)]
        vm.memory.write(area, b"".join(buffers))
        vm.memory.write(area + 0x1000, struct.pack("<HH16H", 0, 16, *range(16)))
        vm.memory.write(area + 0x2000, bytes(4))
        slot.set_up(0, 16, (area, area + 0x1000, area + 0x2000))
        slot.put(mmio.Status, slot.get(mmio.Status) | mmio.DRIVER_OK)
        slot.put(mmio.QueueNotify, 0)


@fuzz("virtqueues", share=0.15, quick=80, base=st.sampled_from([BLOCK, NET, CONSOLE]),
      features=st.one_of(st.just(FEATURES), st.integers(0, FEATURES)),
      prepared=st.lists(rings, min_size=1, max_size=4), stray=st.lists(registers, max_size=2))  # fmt: skip
def test_a_corrupt_ring_hurts_its_own_device_alone(
    puppets: Puppets, base: int, features: int, prepared: list[Ring], stray: list[tuple[int, int]]
) -> None:
    station = puppets.begin()
    neighbour = puppets.manager.vm(0).memory
    before = neighbour.read(MVM_BASE, 4096)
    attach_neighbour(puppets.manager.vm(0))
    slot = Slot(puppets.check_guest(1), base)
    slot.negotiate(features)
    for ring in prepared:
        slot.prepare(ring)
    slot.put(mmio.Status, slot.get(mmio.Status) | mmio.DRIVER_OK)
    for ring in prepared:
        slot.put(mmio.QueueNotify, ring.queue)
    for register, value in stray:
        slot.put(register, value)
    for ring in prepared:
        slot.put(mmio.QueueNotify, ring.queue)
    station.type(1, b"typed")
    station.run(2000)
    assert neighbour.read(MVM_BASE, 4096) == before
    slot.put(mmio.Status, 0)
    assert slot.get(mmio.Status) == 0
    puppets.settle()
