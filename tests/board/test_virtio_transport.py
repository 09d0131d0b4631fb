"""The MMIO transport: registers, negotiation, reset, and what a driver cannot do to it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.engine.board.device import AccessFault
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.backend import (
    VIRTIO_F_EVENT_IDX,
    VIRTIO_F_RING_RESET,
    VIRTIO_F_VERSION_1,
    Backend,
)
from shyper_tui.engine.board.virtio.mmio import VirtioMmio
from shyper_tui.engine.board.virtio.queue import QueueError
from tests.board.driver import RING_FEATURES, Driver
from tests.board.wires import RAM_BASE, RecordedLine, ram

FEATURE_A, FEATURE_B = 1 << 3, 1 << 50


class Echo(Backend):
    """Copies what it reads from each chain into the chain's writable part. Its configuration is 9 bytes."""

    device_id = 42
    features = FEATURE_A | FEATURE_B
    queue_sizes = (16, 8)

    def __init__(self) -> None:
        self.written: list[tuple[int, bytes]] = []
        self.starts = 0

    def config(self) -> bytes:
        return b"123456789"

    def config_write(self, offset: int, data: bytes) -> None:
        self.written.append((offset, data))

    def activated(self) -> None:
        self.starts += 1

    def process(self, index: int) -> None:
        queue = self.queue(index)
        for _ in range(queue.size):
            chain = queue.pop()
            if chain is None:
                break
            self.finish(queue, chain, chain.write(0, chain.read(0, 1 << 16)))


def test_identity_and_configuration_space() -> None:
    driver = Driver(Echo())
    assert [driver.get(register) for register in (0, 4, 8, 12)] == [0x7472_6976, 2, 42, mmio.VENDOR_ID]
    assert driver.get(0x100, 1) == ord("1")
    assert driver.get(0x102, 2) == int.from_bytes(b"34", "little")
    assert driver.get(0x100, 8) == int.from_bytes(b"12345678", "little")
    assert (driver.get(0x108, 4), driver.get(0x200, 4)) == (ord("9"), 0)
    driver.transport.write(0x104, 2, 0x4241)
    assert isinstance(driver.transport.backend, Echo)
    assert driver.transport.backend.written == [(4, b"AB")]
    assert [driver.get(0xB0 + 4 * index) for index in range(4)] == [0xFFFF_FFFF] * 4


def test_an_empty_slot_has_device_id_0() -> None:
    line = RecordedLine()
    slot = VirtioMmio(ram(4096), line, vendor_id=0x8888)
    assert [slot.read(register, 4) for register in (0, 4, 8, 12)] == [0x7472_6976, 2, 0, 0x8888]
    for register in range(0, 0x120, 4):
        slot.write(register, 4, 0xFFFF_FFFF)
    assert (slot.read(mmio.Status, 4), slot.read(0x100, 4), line.rises) == (0, 0, 0)


@pytest.mark.parametrize(("offset", "width"), [(0, 1), (0x70, 8), (0x72, 2), (0xFC, 2)])
def test_control_registers_are_32_bits_wide(offset: int, width: int) -> None:
    driver = Driver(Echo())
    with pytest.raises(AccessFault):
        driver.transport.read(offset, width)
    with pytest.raises(AccessFault):
        driver.transport.write(offset, width, 0)


def test_features_are_offered_in_words_and_must_be_a_subset() -> None:
    driver = Driver(Echo())
    assert driver.features() == FEATURE_A | FEATURE_B | VIRTIO_F_VERSION_1 | RING_FEATURES
    driver.put(mmio.DeviceFeaturesSel, 2)
    assert driver.get(mmio.DeviceFeatures) == 0
    assert driver.accept(FEATURE_B | VIRTIO_F_VERSION_1)
    assert driver.transport.driver_features == FEATURE_B | VIRTIO_F_VERSION_1
    assert not driver.accept(FEATURE_B)  # version 2 of the layout has no legacy drivers
    assert not driver.accept(VIRTIO_F_VERSION_1 | 1 << 5)
    assert driver.transport.driver_features == 0


@pytest.mark.parametrize("bit", [5, 33, 64, 127])
def test_a_feature_that_is_not_on_offer_is_refused_with_a_reason(bit: int) -> None:
    driver = Driver(Echo())
    driver.put(mmio.Status, mmio.ACKNOWLEDGE | mmio.DRIVER)
    for selector, word in ((1, 1), (bit // 32, 1 << bit % 32 | (bit // 32 == 1))):
        driver.put(mmio.DriverFeaturesSel, selector)
        driver.put(mmio.DriverFeatures, word)
    driver.put(mmio.Status, mmio.ACKNOWLEDGE | mmio.DRIVER | mmio.FEATURES_OK)
    assert driver.get(mmio.Status) == mmio.ACKNOWLEDGE | mmio.DRIVER
    assert driver.transport.last_error == f"the driver accepts features {1 << bit:#x}, which are not on offer"
    driver.put(mmio.Status, mmio.ACKNOWLEDGE | mmio.DRIVER | mmio.FEATURES_OK | mmio.DRIVER_OK)
    assert not driver.transport.active


def test_a_device_refuses_features_that_cannot_go_together() -> None:
    class Picky(Echo):
        def missing(self, features: int) -> str | None:
            return "B needs A" if features & FEATURE_B and not features & FEATURE_A else None

    driver = Driver(Picky())
    assert not driver.accept(VIRTIO_F_VERSION_1 | FEATURE_B)
    assert driver.transport.last_error == "B needs A"
    assert driver.accept(VIRTIO_F_VERSION_1 | FEATURE_A | FEATURE_B)


def test_features_are_frozen_and_driver_ok_needs_them() -> None:
    driver = Driver(Echo())
    assert driver.accept(VIRTIO_F_VERSION_1)
    driver.put(mmio.DriverFeaturesSel, 0)
    driver.put(mmio.DriverFeatures, FEATURE_A)
    assert driver.transport.driver_features == VIRTIO_F_VERSION_1
    driver.put(mmio.Status, 0)
    driver.put(mmio.Status, mmio.ACKNOWLEDGE | mmio.DRIVER | mmio.DRIVER_OK)
    assert not driver.get(mmio.Status) & mmio.DRIVER_OK


@pytest.mark.parametrize("without", [0, RING_FEATURES, VIRTIO_F_EVENT_IDX])
@pytest.mark.parametrize("indirect", [False, True])
def test_chains_travel_in_order_with_any_ring_feature(without: int, indirect: bool) -> None:
    driver = Driver(Echo()).start(without=without)
    queue = driver.queues[1]
    for round_number in range(40):  # several times around the ring of 8
        text = b"message %d" % round_number
        indirect_now = indirect and not without & (1 << 28)
        length, data = queue.request(text[:3], text[3:], writable=[5, 60], indirect=indirect_now)
        assert (length, data.rstrip(b"\0")) == (len(text), text)
    assert driver.line.high()
    assert driver.acknowledge() == mmio.USED_BUFFER
    assert not driver.line.high()


def test_indices_wrap_at_65536() -> None:
    driver = Driver(Echo()).start(sizes=[2, 2])
    queue = driver.queues[0]
    device = driver.transport.queues[0]
    queue.avail_idx = queue.used_seen = device.last_avail = device.used_idx = 0xFFFE
    driver.memory.write_u16(queue.avail + 2, 0xFFFE)
    driver.memory.write_u16(queue.used + 2, 0xFFFE)
    for number in range(5):
        assert queue.request(bytes((number,)), writable=[1]) == (1, bytes((number,)))
    assert queue.avail_idx == 3


def test_no_interrupt_when_the_driver_asks_for_none() -> None:
    driver = Driver(Echo()).start(without=RING_FEATURES)
    queue = driver.queues[0]
    driver.memory.write_u16(queue.avail, 1)  # VIRTQ_AVAIL_F_NO_INTERRUPT
    queue.request(b"x", writable=[1])
    assert (driver.line.rises, driver.get(mmio.InterruptStatus)) == (0, 0)
    driver.memory.write_u16(queue.avail, 0)
    queue.request(b"x", writable=[1])
    assert driver.line.rises == 1


def test_event_index_delays_the_interrupt_until_the_asked_for_entry() -> None:
    driver = Driver(Echo()).start()
    queue = driver.queues[0]
    queue.request(b"x", writable=[1])
    driver.acknowledge()
    driver.memory.write_u16(queue.avail + 4 + 2 * queue.size, 3)  # used_event: interrupt when entry 3 is used
    for _ in range(2):
        queue.add([b"x"], [1])
        queue.notify()
    assert not driver.line.high()
    queue.add([b"x"], [1])
    queue.notify()
    assert driver.line.high()
    # and the device asks to be told about the next chain (avail_event)
    assert driver.memory.read_u16(queue.used + 4 + 8 * queue.size) == 4


def test_nothing_is_used_before_driver_ok_or_after_reset() -> None:
    driver = Driver(Echo()).start()
    queue = driver.queues[0]
    driver.put(mmio.Status, 0)
    queue.add([b"x"], [1])
    queue.notify()
    assert (queue.collect(), driver.line.high(), driver.get(mmio.Status)) == ([], False, 0)
    driver.put(mmio.QueueSel, 0)
    assert driver.get(mmio.QueueReady) == 0
    driver.start()
    assert driver.queues[0].request(b"again", writable=[5]) == (5, b"again")


def test_one_queue_is_reset_and_used_again_while_the_other_goes_on() -> None:
    driver = Driver(Echo()).start()
    for queue in driver.queues:
        assert queue.request(b"before", writable=[6]) == (6, b"before")
    backend = driver.transport.backend
    assert backend is not None
    taken = driver.transport.queues[0].pop() if driver.queues[0].add([b"late"], [4]) >= 0 else None
    assert taken is not None
    driver.put(mmio.QueueSel, 0)
    driver.put(mmio.QueueReset, 1)
    assert (driver.get(mmio.QueueReset), driver.get(mmio.QueueReady)) == (0, 0)
    assert taken.stale
    assert taken.write(0, b"late") == 0  # the buffer belongs to the driver again
    backend.finish(driver.transport.queues[0], taken, 4)
    driver.queues[0].notify()
    assert driver.queues[0].collect() == []
    assert driver.queues[1].request(b"other", writable=[5]) == (5, b"other")
    driver.queues[0] = type(driver.queues[0])(driver, 0, 8)  # smaller than before
    driver.queues[0].set_up()
    assert driver.queues[0].request(b"again", writable=[5]) == (5, b"again")
    assert not driver.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET


def test_a_queue_is_not_reset_without_the_feature() -> None:
    driver = Driver(Echo()).start(without=VIRTIO_F_RING_RESET)
    driver.put(mmio.QueueSel, 0)
    driver.put(mmio.QueueReset, 1)
    assert driver.get(mmio.QueueReady) == 1
    assert driver.queues[0].request(b"still", writable=[5]) == (5, b"still")


WRITE_ONLY = (
    mmio.DeviceFeaturesSel, mmio.DriverFeatures, mmio.DriverFeaturesSel, mmio.QueueSel, mmio.QueueNum, mmio.QueueNotify,
    mmio.InterruptACK, mmio.QueueDescLow, mmio.QueueDescHigh, mmio.QueueDriverLow, mmio.QueueDriverHigh,
    mmio.QueueDeviceLow, mmio.QueueDeviceHigh, mmio.SHMSel,
)  # fmt: skip
READ_ONLY = (
    mmio.MagicValue, mmio.Version, mmio.DeviceID, mmio.VendorID, mmio.DeviceFeatures, mmio.QueueNumMax,
    mmio.InterruptStatus, mmio.SHMLenLow, mmio.SHMLenHigh, mmio.SHMBaseLow, mmio.SHMBaseHigh, mmio.ConfigGeneration,
)  # fmt: skip


def test_write_only_registers_read_0_and_read_only_ones_keep_their_value() -> None:
    driver = Driver(Echo()).start()
    assert [driver.get(register) for register in WRITE_ONLY] == [0] * len(WRITE_ONLY)
    before = [driver.get(register) for register in READ_ONLY]
    for register in READ_ONLY:
        driver.put(register, 0x5555_5555)
    assert [driver.get(register) for register in READ_ONLY] == before
    reserved = [offset for offset in range(0, 0x100, 4) if offset not in WRITE_ONLY + READ_ONLY]
    for offset in set(reserved) - {mmio.QueueReady, mmio.QueueReset, mmio.Status}:
        driver.put(offset, 0xFFFF_FFFF)
        assert driver.get(offset) == 0
    assert driver.queues[0].request(b"fine", writable=[4]) == (4, b"fine")


def test_a_ready_queue_keeps_its_size_and_addresses() -> None:
    driver = Driver(Echo()).start()
    driver.put(mmio.QueueSel, 0)
    driver.put(mmio.QueueNum, 3)
    driver.put(mmio.QueueDescLow, 0)
    driver.put(mmio.QueueReady, 1)
    assert driver.queues[0].request(b"fine", writable=[4]) == (4, b"fine")


def test_a_notification_before_the_queue_is_ready_or_of_no_queue_does_nothing() -> None:
    driver = Driver(Echo())
    for value in (0, 1, 2, 0xFFFF_FFFF):
        driver.put(mmio.QueueNotify, value)  # before anything
    assert driver.accept(VIRTIO_F_VERSION_1)
    driver.put(mmio.Status, driver.get(mmio.Status) | mmio.DRIVER_OK)
    driver.put(mmio.QueueNotify, 0)  # DRIVER_OK, and no queue is ready
    driver.start()
    driver.queues[0].add([b"x"], [1])
    driver.put(mmio.QueueNotify, 0x1_0000)  # no queue 65536, and not queue 0
    assert driver.queues[0].collect() == []
    assert (driver.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET, driver.line.rises) == (0, 0)
    driver.queues[0].notify()
    assert driver.queues[0].collect() == [(1, b"x")]


def test_a_chain_from_before_a_reset_is_never_returned() -> None:
    driver = Driver(Echo()).start()
    backend = driver.transport.backend
    assert backend is not None
    driver.queues[0].add([b"x"], [1])
    device = driver.transport.queues[0]
    chain = device.pop()
    assert chain is not None
    driver.start()
    backend.finish(device, chain, 1)
    assert (driver.queues[0].collect(), device.used_idx, driver.line.rises) == ([], 0, 0)


def test_a_configuration_change_interrupts_and_counts() -> None:
    driver = Driver(Echo()).start()
    before = driver.get(mmio.ConfigGeneration)
    assert driver.get(mmio.ConfigGeneration) == before  # it changes with the configuration only
    driver.transport.config_changed()
    assert driver.get(mmio.ConfigGeneration) == before + 1
    assert driver.acknowledge() == mmio.CONFIG_CHANGE
    assert not driver.line.high()


def test_selecting_a_queue_that_is_not_there_is_harmless() -> None:
    driver = Driver(Echo()).start()
    for selector in (2, 0xFFFF_FFFF):
        driver.put(mmio.QueueSel, selector)
        assert (driver.get(mmio.QueueNumMax), driver.get(mmio.QueueReady)) == (0, 0)
        driver.put(mmio.QueueNum, 4)
        driver.put(mmio.QueueReady, 1)
        driver.put(mmio.QueueNotify, selector)
    assert driver.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET == 0


@pytest.mark.parametrize(
    ("register", "value"), [(mmio.QueueNum, 0), (mmio.QueueNum, 12), (mmio.QueueNum, 32), (mmio.QueueDescLow, 8)]
)
def test_a_queue_that_cannot_be_needs_a_reset(register: int, value: int) -> None:
    driver = Driver(Echo()).start()
    driver.put(mmio.QueueSel, 0)
    driver.put(mmio.QueueReady, 0)
    driver.put(register, value)
    driver.put(mmio.QueueReady, 1)
    assert driver.get(mmio.QueueReady) == 0
    assert driver.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET
    assert driver.acknowledge() == mmio.CONFIG_CHANGE
    assert driver.transport.last_error is not None
    driver.start()
    assert driver.queues[0].request(b"fine", writable=[4]) == (4, b"fine")


@pytest.mark.parametrize("area", [mmio.QueueDescLow, mmio.QueueDriverLow, mmio.QueueDeviceLow])
@pytest.mark.parametrize("address", [0, RAM_BASE - 16, RAM_BASE + (8 << 20) - 16, (1 << 64) - 16])
def test_a_ring_outside_of_memory_is_refused_when_it_is_enabled(area: int, address: int) -> None:
    driver = Driver(Echo()).start()
    driver.put(mmio.QueueSel, 1)
    driver.put(mmio.QueueReady, 0)
    driver.put(mmio.QueueNum, 8)
    for low in (mmio.QueueDescLow, mmio.QueueDriverLow, mmio.QueueDeviceLow):
        chosen = address if low == area else RAM_BASE
        driver.put(low, chosen & 0xFFFF_FFFF)
        driver.put(low + 4, chosen >> 32)
    driver.put(mmio.QueueReady, 1)
    assert driver.get(mmio.QueueReady) == 0
    assert "is not in memory" in str(driver.transport.last_error)
    driver.start()
    assert driver.queues[1].request(b"fine", writable=[4]) == (4, b"fine")


def test_a_device_that_needs_a_reset_takes_nothing_from_any_queue() -> None:
    driver = Driver(Echo()).start()
    driver.transport.fail("a test")
    for queue in driver.queues:
        queue.add([b"x"], [1])
        queue.notify()
        assert queue.collect() == []
    assert driver.transport.queues[1].pop() is None


def descriptor(address: int, length: int, flags: int, following: int) -> bytes:
    return struct.pack("<QIHH", address, length, flags, following)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ([descriptor(RAM_BASE, 1, 1, 1), descriptor(RAM_BASE, 1, 1, 0)], "loop"),
        ([descriptor(RAM_BASE, 1, 1, 99)], "outside of a table"),
        ([descriptor(RAM_BASE, 1, 3, 1), descriptor(RAM_BASE, 1, 0, 0)], "readable descriptor follows"),
        ([descriptor(RAM_BASE, 24, 4, 0)], "multiple of 16"),
        ([descriptor(RAM_BASE, 16, 5, 0)], "indirect"),
        ([descriptor(RAM_BASE + (1 << 40), 16, 4, 0)], "not in memory"),
        ([descriptor(RAM_BASE - 1, 16, 0, 0)], "not in memory"),
        ([descriptor((1 << 64) - 1, 16, 0, 0)], "not in memory"),
    ],
)
def test_a_corrupt_chain_stops_the_device_with_a_reason(table: list[bytes], complaint: str) -> None:
    driver = Driver(Echo()).start()
    queue = driver.queues[0]
    head = queue.add([b"x"], [1])
    driver.memory.write(queue.desc + 16 * head, b"".join(table))
    queue.notify()
    assert driver.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET
    assert complaint in str(driver.transport.last_error)
    assert driver.acknowledge() == mmio.CONFIG_CHANGE


def test_an_indirect_table_inside_an_indirect_table_is_refused() -> None:
    driver = Driver(Echo()).start()
    table = driver.allocate(16, 16)
    driver.memory.write(table, descriptor(table, 16, 4, 0))
    queue = driver.queues[0]
    head = queue.add([b"x"])
    driver.memory.write(queue.desc + 16 * head, descriptor(table, 16, 4, 0))
    queue.notify()
    assert "indirect" in str(driver.transport.last_error)


def test_an_available_index_too_far_ahead_is_refused() -> None:
    driver = Driver(Echo()).start()
    queue = driver.queues[0]
    driver.memory.write_u16(queue.avail + 2, 17)
    queue.notify()
    assert "17 ahead" in str(driver.transport.last_error)
    device = driver.transport.queues[0]
    device.broken = False
    with pytest.raises(QueueError):
        device.pop()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_ring_content_makes_the_device_raise(data: st.DataObject) -> None:
    driver = Driver(Echo(), size=1 << 16).start(without=data.draw(st.sampled_from([0, RING_FEATURES])))
    queue = driver.queues[data.draw(st.integers(0, 1))]
    addresses = st.one_of(
        st.integers(0, (1 << 64) - 1), st.integers(RAM_BASE - 64, RAM_BASE + (1 << 16) + 64), st.just(queue.desc),
        st.just(queue.used), st.just(queue.avail),
    )  # fmt: skip
    lengths = st.one_of(st.integers(0, 96), st.integers(0, 0xFFFF_FFFF))
    flags = st.one_of(st.integers(0, 7), st.integers(0, 0xFFFF))
    table = st.lists(st.tuples(addresses, lengths, flags, st.integers(0, queue.size + 1)), max_size=queue.size)
    for entry, fields in enumerate(data.draw(table)):
        driver.memory.write(queue.desc + 16 * entry, descriptor(*fields))
    ring = data.draw(st.binary(min_size=2 * queue.size, max_size=2 * queue.size))
    driver.memory.write(queue.avail + 4, ring)
    for index in data.draw(st.lists(st.integers(0, 20), min_size=1, max_size=3)):
        driver.memory.write_u16(queue.avail + 2, index)
        queue.notify()
    driver.start()  # and it works again after a reset
    assert driver.queues[0].request(b"alive", writable=[5]) == (5, b"alive")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 0x120), st.sampled_from([1, 2, 4, 8]),
                          st.integers(0, (1 << 64) - 1)), max_size=40))  # fmt: skip
def test_no_register_access_raises_anything_but_an_access_fault(steps: list[tuple[bool, int, int, int]]) -> None:
    driver = Driver(Echo(), size=1 << 16).start()
    for write, offset, width, value in steps:
        offset &= -width
        try:
            if write:
                driver.transport.write(offset, width, value & (1 << 8 * width) - 1)
            else:
                assert 0 <= driver.get(offset, width) < 1 << 8 * width
        except AccessFault:
            assert width != 4
