"""A guest with random block requests, and a daemon in the managing VM that answers when and what it likes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st

from shyper_tui.engine.board.virtio import mmio
from tests.fuzz.cases import fuzz, numbers
from tests.fuzz.puppet import BLOCK, MVM_BASE, MVM_SIZE, Puppets, guest_with_devices
from tests.fuzz.test_fuzz_rings import (
    AREA,
    AVAIL,
    BUFFERS,
    FEATURES,
    NO_OFFLOADS,
    TABLE,
    USED,
    Ring,
    Slot,
    linked,
    rings,
)

MESSAGES, PAGES, CACHE = MVM_BASE + (1 << 20), MVM_BASE + (2 << 20), MVM_BASE + (3 << 20)
UPDATE_MESSAGE_QUEUE, APPEND, DONE = 0x0A00_0200, 0x0A00_0330, 0x0A00_0331
CACHE_SIZE = 8192
DATA = BUFFERS + 0x10000
READY = mmio.ACKNOWLEDGE | mmio.DRIVER | mmio.FEATURES_OK | mmio.DRIVER_OK


def page(number: int) -> int:
    """Where the disk page `number` lies."""
    return PAGES + 0x1000 * number


@dataclass(frozen=True)
class Requests:
    """The guest prepares a ring and notifies its disk."""

    ring: Ring


@dataclass(frozen=True)
class Submit:
    """One request of a driver that knows its business: `count` sectors from `sector`."""

    kind: int
    sector: int
    count: int


@dataclass(frozen=True)
class Done:
    """The daemon says that it has finished."""

    page: int


@dataclass(frozen=True)
class Register:
    """The daemon offers a disk, whatever its page says now."""

    page: int


@dataclass(frozen=True)
class Scribble:
    """The daemon writes into a page or into the cache."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Reset:
    """The guest resets its disk."""


Step = Requests | Submit | Done | Register | Scribble | Reset | int
numbered = st.sampled_from([0, 0, 0, 1, 2])
scribbles = st.builds(
    Scribble,
    st.builds(int.__add__, st.sampled_from([page(0), page(0) + 8 + 64, page(0) + 128, page(1), CACHE]),
              st.integers(0, 130)),
    st.one_of(st.binary(max_size=24), numbers(CACHE, MVM_BASE + MVM_SIZE, 0x8000_0000).map(struct.Struct("<Q").pack)),
)  # fmt: skip
submits = st.builds(
    Submit, st.sampled_from([0, 0, 1, 1, 4, 8]), st.sampled_from([0, 7, 8190, 8192]), st.sampled_from([1, 2, 40])
)
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        submits, submits, submits, rings.map(Requests), numbered.map(Done), numbered.map(Done), numbered.map(Register),
        scribbles, st.just(Reset()), st.just(3000),
    ),
    min_size=2,
    max_size=14,
)  # fmt: skip


class Driver(Slot):
    """VM 1's driver: a queue of 16 descriptors, three for each request, the oldest used again."""

    made = 0

    def start(self) -> None:
        self.put(mmio.Status, 0)
        self.vm.memory.write(AREA, bytes(0x4000))
        self.negotiate(NO_OFFLOADS)
        self.set_up(0, 16, (TABLE, AVAIL, USED))
        self.put(mmio.Status, self.get(mmio.Status) | mmio.DRIVER_OK)
        self.made = 0

    def submit(self, request: Submit) -> None:
        """Begins anew when the last ring has broken the device."""
        if self.get(mmio.Status) != READY:
            self.start()
        memory, first = self.vm.memory, 3 * (self.made % 5)
        header = BUFFERS + 0x100 * (self.made % 5)
        memory.write(header, struct.pack("<IIQ", request.kind, 0, request.sector))
        writable = 0 if request.kind == 1 else 2
        chain = [(header, 16, 0), (DATA, 512 * request.count, writable), (header + 32, 1, 2)]
        memory.write(TABLE + 16 * first, linked(chain, first))
        memory.write(AVAIL + 4 + 2 * (self.made % 16), struct.pack("<H", first))
        self.made += 1
        memory.write(AVAIL + 2, struct.pack("<H", self.made & 0xFFFF))
        self.put(mmio.QueueNotify, 0)


class MediatedPuppets(Puppets):
    """VM 1's disk is served by a daemon in VM 0, which is the fuzzer."""

    def _guest(self) -> None:
        mvm = self.manager.vm(0)
        self.ecall(mvm, UPDATE_MESSAGE_QUEUE, 0, (MESSAGES, MESSAGES + 0x1000))
        for number in range(3):
            self.describe(number)
        assert self.ecall(mvm, APPEND, 0, (0, page(0))) == 0
        super()._guest()

    def describe(self, number: int) -> None:
        """An honest descriptor of a disk of 4 MiB."""
        fields = (f"disk{number}".encode(), b"/dev/vda", 8192, 16, CACHE_SIZE, 0, 0, 0, CACHE, 0)
        self.manager.vm(0).memory.write(page(number), bytes(4096))
        self.manager.vm(0).memory.write(page(number) + 8, struct.pack("<32s32sQQQHB5xQQQ", *fields))


@pytest.fixture(scope="module")
def puppets() -> MediatedPuppets:
    return MediatedPuppets(guest_with_devices)


@fuzz("mediated disks", share=0.04, quick=50, chosen=steps)
def test_neither_guest_nor_daemon_breaks_the_mediated_protocol(puppets: MediatedPuppets, chosen: list[Step]) -> None:
    station = puppets.begin()
    mvm = puppets.check_guest(0)
    slot = Driver(puppets.check_guest(1), BLOCK)
    for step in chosen:
        if isinstance(step, Submit):
            slot.submit(step)
        elif isinstance(step, Requests):
            slot.negotiate(FEATURES)
            slot.prepare(step.ring)
            slot.put(mmio.Status, slot.get(mmio.Status) | mmio.DRIVER_OK)
            slot.put(mmio.QueueNotify, 0)
        elif isinstance(step, Done):
            puppets.ecall(mvm, DONE, 0, (page(step.page),))
        elif isinstance(step, Register):
            puppets.ecall(mvm, APPEND, 0, (0, page(step.page)))
        elif isinstance(step, Scribble):
            mvm.memory.write(step.address, step.data)
        elif isinstance(step, Reset):
            slot.put(mmio.Status, 0)
        else:
            station.run(step)
    slot.put(mmio.Status, 0)
    assert slot.get(mmio.Status) == 0
    puppets.settle()
