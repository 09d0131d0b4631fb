"""Random virtqueues in a guest's memory, for every kind of virtio device: corrupt tables, rings, sizes, addresses."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st

from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.hypervisor.vm import Vm
from tests.fuzz.cases import fuzz, mostly, numbers
from tests.fuzz.puppet import BLOCK, CONSOLE, MVM_BASE, NET, Puppets, guest_with_devices
from tests.hypervisor.station import RAM_BASE

AREA = RAM_BASE + (4 << 20)
"""Where the rings lie: one page for each part, and buffers behind them."""
TABLE, AVAIL, USED, INDIRECT, BUFFERS = (AREA + 0x1000 * page for page in range(5))
END = RAM_BASE + (16 << 20)
PLACES = (TABLE, AVAIL, USED, INDIRECT, BUFFERS, BUFFERS + 0x200, END - 8, END, RAM_BASE, 0x8020_0000, MVM_BASE, BLOCK)
MVM_NET, MVM_CONSOLE = 0x4000_3000, 0x4000_1000
FEATURES = (1 << 32) - 1
U32 = (1 << 32) - 1
NO_OFFLOADS = 1 << 5 | 1 << 16
"""MAC and STATUS alone: the device has to finish checksums and to cut segments."""

places = mostly(st.sampled_from([BUFFERS + 0x100 * index for index in range(8)]), numbers(*PLACES))
lengths = mostly(
    st.sampled_from([0, 1, 8, 12, 16, 26, 60, 512, 1536, 4096]), st.one_of(st.integers(0, 0xFFFF), st.integers(0, U32))
)
Part = tuple[int, int, int]
"""A descriptor before it is linked: address, length, flags."""

anything: st.SearchStrategy[list[Part]] = st.lists(
    st.tuples(places, lengths, mostly(st.sampled_from([0, 2]), st.integers(0, 0xFFFF))), min_size=1, max_size=5
)
frames = mostly(st.sampled_from([26, 54, 66, 100, 174]), lengths).map(lambda length: [(BUFFERS, length, 0)])
requests = st.builds(
    lambda data, write, status: [(BUFFERS, 16, 0), *((BUFFERS + 0x800, size, write) for size in data), (status, 1, 2)],
    st.lists(st.sampled_from([16, 20, 32, 512, 1024, 4096]), max_size=3),
    st.sampled_from([0, 2]),
    mostly(st.just(BUFFERS + 0x3000), places),
)
free_buffers = st.just([(BUFFERS + 0x1000, 1536, 2)])
chains = st.one_of(frames, requests, free_buffers, anything)

spoil = st.tuples(
    st.sampled_from([TABLE, TABLE, AVAIL, INDIRECT]), st.integers(0, 160), st.one_of(st.binary(min_size=1, max_size=8))
)
"""Bytes written over what the driver has prepared."""

block_header = st.builds(
    lambda kind, sector: struct.pack("<IIQ", kind, 0, sector),
    mostly(st.sampled_from([0, 0, 0, 1, 1, 1, 4, 8, 11, 13]), st.integers(0, U32)),
    mostly(st.integers(0, 8), numbers(8191, 8192)),
)
small = st.one_of(st.integers(0, 80), st.integers(0, 0xFFFF))
MACS = [b"\xff" * 12, bytes.fromhex("7456aa0f47d07456aa0f47d1"), bytes.fromhex("3333000000017456aa0f47d1")]
IP = bytes.fromhex("08004500003000000000400600000a0000020a0000010014001500000000000000005010000000000000")
frame_header = st.builds(
    lambda flags, gso, one, two, three, four, macs: struct.pack("<BBHHHHH", flags, gso, one, two, three, four, 0)
    + macs + IP + bytes(range(120)),
    st.integers(0, 7), st.sampled_from([0, 0, 1, 3, 4, 0x81, 255]), small, small, small, small, st.sampled_from(MACS),
)  # fmt: skip
QUEUES = {BLOCK: [0, 0, 0, 0, 0, 0, 1, 5], NET: [1, 1, 1, 1, 0, 0, 2, 5], CONSOLE: [1, 1, 1, 0, 0, 2, 3, 5]}
"""Queues of a device, those that carry its data more often."""


@dataclass(frozen=True)
class Ring:
    """What the driver prepares before it notifies a queue."""

    queue: int
    """Place in the device's row of `QUEUES`."""
    size: int
    chains: list[list[Part]]
    indirect: bool
    ahead: int
    """How much further the available index is than the chains it has."""
    places: tuple[int, int, int]
    spoils: list[tuple[int, int, bytes]]
    header: bytes
    """What a request to a disk begins with."""
    frame: bytes
    """What is sent elsewhere."""


ordinary = st.just((TABLE, AVAIL, USED))
rings = st.builds(
    Ring,
    queue=st.integers(0, 7),
    size=mostly(st.sampled_from([16, 64]), st.sampled_from([0, 1, 3, 255, 512, 1024, 32768, 65535])),
    chains=st.lists(chains, min_size=1, max_size=4),
    indirect=st.booleans(),
    ahead=mostly(st.just(0), st.integers(0, 0xFFFF)),
    places=mostly(ordinary, st.tuples(*[numbers(*PLACES)] * 3)),
    spoils=mostly(st.just([]), st.lists(spoil, max_size=3)),
    header=mostly(block_header, st.binary(max_size=64)),
    frame=mostly(frame_header, st.binary(max_size=64)),
)
registers = st.tuples(st.sampled_from(range(0, 0x110, 4)), numbers(*PLACES))
"""A register written out of turn."""


@pytest.fixture(scope="module")
def puppets() -> Puppets:
    return Puppets(guest_with_devices)


def linked(chain: list[Part], first: int) -> bytes:
    """The descriptors of a chain that begins with number `first` of its table."""
    last = len(chain) - 1
    return b"".join(
        struct.pack("<QIHH", address, length, flags | (index != last), first + index + 1)
        for index, (address, length, flags) in enumerate(chain)
    )


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
        """Writes tables and rings, then the queue's registers."""
        memory = self.vm.memory
        memory.write(AREA, bytes(0x4000))
        table, indirect, heads = b"", b"", []
        for chain in ring.chains:
            first, base = len(table) // 16, len(indirect) // 16
            if ring.indirect:
                heads.append(first)
                table += struct.pack("<QIHH", INDIRECT + 16 * base, 16 * len(chain), 4, 0)
                indirect += linked(chain, 0)
            else:
                heads.append(first)
                table += linked(chain, first)
        memory.write(TABLE, table)
        memory.write(INDIRECT, indirect)
        memory.write(AVAIL, struct.pack(f"<HH{len(heads)}H", 0, len(heads) + ring.ahead & 0xFFFF, *heads))
        for index in range(8):
            memory.write(BUFFERS + 0x100 * index, ring.header if self.base == BLOCK else ring.frame)
        for place, offset, data in ring.spoils:
            memory.write(place + offset, data)
        self.set_up(QUEUES[self.base][ring.queue], ring.size, ring.places)

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


@fuzz("virtqueues", share=0.12, quick=80, base=st.sampled_from([BLOCK, NET, CONSOLE]),
      features=mostly(st.sampled_from([FEATURES, FEATURES & ~(1 << 29)]), st.integers(0, FEATURES)),
      prepared=st.lists(rings, min_size=1, max_size=3), stray=st.lists(registers, max_size=2))  # fmt: skip
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
        slot.put(mmio.QueueNotify, QUEUES[base][ring.queue])
    for register, value in stray:
        slot.put(register, value)
    for ring in prepared:
        slot.put(mmio.QueueNotify, QUEUES[base][ring.queue])
    station.type(1, b"typed")
    station.run(2000)
    assert neighbour.read(MVM_BASE, 4096) == before
    slot.put(mmio.Status, 0)
    assert slot.get(mmio.Status) == 0
    puppets.settle()
