"""Frames that native code brings from one VM's network device to another's: nobody can tell it from the devices'
Python."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.engine.board.plic import Plic
from shyper_tui.engine.board.virtio import mmio, net
from shyper_tui.engine.board.virtio.backend import VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC
from shyper_tui.engine.board.virtio.mmio import VirtioMmio
from shyper_tui.engine.board.virtio.net import Net
from shyper_tui.engine.board.virtio.switch import BROADCAST, Switch
from shyper_tui.engine.hart.direct import net_layout, windows_layout
from shyper_tui.engine.hart.direct.windows import DirectWindows
from shyper_tui.engine.hart.host_memory import Block
from shyper_tui.engine.hypervisor.devices.net import NET_FEATURES
from shyper_tui.engine.hypervisor.guest_memory import GuestMemory, RamRegion
from tests.board.driver import DriverCore, MemoryFrom
from tests.board.test_virtio_net import PLAIN, ethernet, mac
from tests.hart.bench import RAM, Bench

STATIONS = (0, 1, 2)
IPA, MIB = 0x9000_0000, 1 << 20
REGISTERS = 0x6000_0000
NEEDS_CSUM = struct.pack("<BBHHHH", 1, 0, 0, 0, 34, 6) + b"\0\0"
SEGMENTED = struct.pack("<BBHHHH", 1, 1, 54, 1448, 34, 16) + b"\0\0"
UNKNOWN = b"\x52\x54\0\0\1\1"


class Notifying:
    """The registers of a transport, whose QueueNotify is stored to by the hart."""

    def __init__(self, bench: Bench, transport: VirtioMmio, base: int) -> None:
        self._bench, self._transport, self._base = bench, transport, base

    def read(self, offset: int, width: int) -> int:
        return self._transport.read(offset, width)

    def write(self, offset: int, width: int, value: int) -> None:
        if offset == mmio.QueueNotify:
            self._bench.hart.x[11] = value
            assert self._bench.load(self._base + offset, operation="sw") is None
        else:
            self._transport.write(offset, width, value)


class Station:
    """A VM's network device and its driver."""

    def __init__(self, wires: Wires, number: int, without: int) -> None:
        self.mac = mac(number)
        self.memory = GuestMemory(wires.machine.memory, [RamRegion(IPA, RAM + (number + 1) * MIB, MIB)])
        self.net = Net(self.mac, features=NET_FEATURES, timebase=wires.machine, sent_length=True)
        self.net.join(wires.switch, f"station {number}", number)
        self.transport = VirtioMmio(self.memory, wires.plic.line(number + 1), self.net)
        base = REGISTERS + 0x1000 * number
        wires.machine.board.bus.attach(base, 0x1000, self.transport, f"net {number}")
        wires.windows.add(base, 0x1000, self.transport)
        self._device = Notifying(wires.bench, self.transport, base)
        self._without = without
        self.start()

    def start(self) -> None:
        self.driver = DriverCore(MemoryFrom(self.memory, IPA), self._device, (16, 16, 16))
        self.driver.start(without=self._without)
        self.receiveq, self.transmitq = self.driver.queues[:2]

    def state(self) -> list[object]:
        """Everything that must not depend on who did the work."""
        card, counters = self.net, ("received", "sent")
        port = card.port
        assert port is not None
        return [
            [tuple(queue.words[index] for index in range(5, 14)) for queue in self.transport.queues],
            self.memory.read(IPA, self.driver._next - IPA),
            [getattr(card, f"{name}_{what}") for name in counters for what in ("frames", "bytes", "dropped")],
            [getattr(port, f"{way}_{what}") for way in ("in", "out") for what in ("frames", "bytes", "dropped")],
            self.transport.snapshot(),
            card.words[net_layout.HELD // 8],
            card.words[net_layout.SIGNAL_AT // 8] == net_layout.NEVER,
            card.words[net_layout.WAITING // 8],
        ]


class Wires:
    """Three of them on a switch, driven by the first hart. Their interrupts go to bits of words that belong to no
    hart."""

    def __init__(self, direct: bool, without: int = 0, harts: int = 1) -> None:
        self.bench = Bench(harts)
        self.machine = self.bench.machine
        self.switch = Switch(now=self.machine.now)
        self._block = Block(8 * len(STATIONS))
        self.words = self._block.bytes.cast("Q")
        self.plic = Plic(8, len(STATIONS), [self._output(number) for number in STATIONS])
        self.windows = DirectWindows()
        self.bench.hart.use_direct_physical(self.windows if direct else None)
        self.stations = [Station(self, number, without) for number in STATIONS]
        for number in STATIONS:
            self.plic.route(number, self._block.address + 8 * number, 0x400)
            self.plic.set_priority(number + 1, 1)
            self.plic.write(0x2000 + 0x80 * number, 4, 2 << number)

    def _output(self, number: int):  # type: ignore[no-untyped-def]
        def line(level: bool) -> None:
            self.words[number] = 0x400 * level

        return line

    def state(self) -> object:
        words = self.words[: len(STATIONS)].tolist()
        return [station.state() for station in self.stations], self.plic.snapshot(), self.plic.statistics(), words


@dataclass(frozen=True)
class Step:
    """`what` is done by `station`: a method of `Doer`, with its other arguments."""

    what: str
    station: int = 0
    arguments: tuple[object, ...] = field(default=())


class Doer:
    """Does steps to one of the two machines; each returns what the driver saw."""

    def __init__(self, wires: Wires) -> None:
        self.wires = wires

    def do(self, step: Step) -> object:
        return getattr(self, step.what)(self.wires.stations[step.station], *step.arguments)

    def send(
        self, station: Station, to: bytes, source: bytes | None, length: int, header: bytes, cut: int, indirect: bool
    ) -> None:
        if len(station.transmitq.free) < 3:
            return
        frame = ethernet(to, source or station.mac, bytes(index % 253 for index in range(length)))
        pieces = [piece for piece in (header[:cut], header[cut:] + frame[:20], frame[20:]) if piece]
        station.transmitq.add(pieces, indirect=indirect)

    def notify(self, station: Station, queue: int) -> None:
        station.driver.put(mmio.QueueNotify, queue)

    def give(self, station: Station, sizes: list[int], indirect: bool) -> None:
        if len(station.receiveq.free) >= len(sizes):
            station.receiveq.add(writable=sizes, indirect=indirect)

    def collect(self, station: Station, queue: int) -> object:
        return station.driver.queues[queue].collect()

    def handle(self, station: Station) -> object:
        """The interrupt handler."""
        context = self.wires.stations.index(station)
        source = self.wires.plic.claim(context)
        causes = station.driver.acknowledge()
        return source, causes, self.wires.plic.complete(context, source)

    def suppress(self, station: Station, queue: int, yes: bool) -> None:
        place = station.driver.queues[queue]
        station.memory.write(place.avail, struct.pack("<H", yes))

    def expect_later(self, station: Station, queue: int, ahead: int) -> None:
        place = station.driver.queues[queue]
        event = place.used_seen + ahead & 0xFFFF
        station.memory.write(place.avail + 4 + 2 * place.size, struct.pack("<H", event))

    def link(self, station: Station, up: bool) -> None:
        station.net.set_link(up)

    def mask(self, station: Station, threshold: int) -> None:
        context = self.wires.stations.index(station)
        self.wires.plic.write(0x20_0000 + 0x1000 * context, 4, threshold)

    def corrupt(self, station: Station, queue: int, slot: int, word: bytes) -> None:
        """Puts something into the descriptor table."""
        station.memory.write(station.driver.queues[queue].desc + 16 * slot, word)

    def reset(self, station: Station) -> None:
        station.start()


_stations = st.sampled_from(STATIONS)
_macs = st.sampled_from([*(mac(number) for number in STATIONS), BROADCAST, UNKNOWN])
_lengths = st.sampled_from([0, 1, 28, 46, 600, 1486, 2033, 2034, 2035, 2500])
_headers = st.sampled_from([PLAIN, PLAIN, PLAIN, NEEDS_CSUM, SEGMENTED, b"\0\0\1\0" + bytes(8)])
_sizes = st.sampled_from([[1526], [12, 1514], [12, 4096], [60], [12, 100, 0, 3000], [2200], [1], [12] + [256] * 10])
_descriptors = st.sampled_from(
    [
        struct.pack("<QIHH", IPA + MIB, 100, 2, 0),
        struct.pack("<QIHH", 0, 1526, 2, 0),
        struct.pack("<QIHH", IPA, 60, 1, 0),
        struct.pack("<QIHH", IPA, 0xFFFF_FFFF, 0, 0),
        struct.pack("<QIHH", IPA + 0x100, 64, 4, 0),
        struct.pack("<QIHH", IPA + 0x100, 60, 5, 3),
        struct.pack("<QIHH", IPA, 1526, 3, 99),
    ]
)


def _step(what: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    return st.builds(Step, st.just(what), _stations, st.tuples(*arguments))


_send = _step(
    "send", _macs, st.one_of(st.none(), st.none(), _macs), _lengths, _headers, st.sampled_from([12, 10, 0]),
    st.booleans(),
)  # fmt: skip
_steps = st.one_of(
    st.tuples(_send, _step("notify", st.just(1))).map(lambda pair: [pair[0], Step("notify", pair[0].station, (1,))]),
    st.tuples(_step("give", _sizes, st.booleans()), st.booleans()).map(
        lambda pair: [pair[0], *([Step("notify", pair[0].station, (0,))] if pair[1] else [])]
    ),
    st.one_of(
        _send,
        _step("notify", st.sampled_from([0, 1, 2, 7])),
        _step("collect", st.sampled_from([0, 1])),
        _step("handle"),
        _step("suppress", st.sampled_from([0, 1]), st.booleans()),
        _step("expect_later", st.sampled_from([0, 1]), st.sampled_from([0, 1, 3, 0x8000])),
        _step("link", st.booleans()),
        _step("mask", st.sampled_from([0, 7])),
        _step("corrupt", st.sampled_from([0, 1]), st.integers(0, 15), _descriptors),
        _step("reset"),
    ).map(lambda step: [step]),
)
FULL = [Step("give", number, ([2200], False)) for number in STATIONS for _ in range(4)]
"""Every station has buffers."""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_steps, max_size=14),
    st.sampled_from([0, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, net.VIRTIO_NET_F_MRG_RXBUF, 0xFFFF]),
)
def test_frames_go_the_same_way_whoever_brings_them(steps: list[list[Step]], without: int) -> None:
    direct, python = Wires(True, without), Wires(False, without)
    doers = Doer(direct), Doer(python)
    for step in (*FULL, *(step for several in steps for step in several)):
        seen, expected = (doer.do(step) for doer in doers)
        assert seen == expected, step
        assert direct.state() == python.state(), step
    assert python.windows.stores == 0


def _exchange(wires: Wires) -> None:
    doer = Doer(wires)
    for step in FULL:
        doer.do(step)
    sender, receiver = wires.stations[:2]
    doer.send(sender, receiver.mac, None, 84, PLAIN, 12, indirect=False)
    sender.transmitq.notify()


def test_a_frame_stays_in_native_code() -> None:
    wires = Wires(True)
    _exchange(wires)
    sender, receiver, other = wires.stations
    assert wires.windows.stores == 1
    assert (wires.words[0], wires.words[1], wires.words[2]) == (0, 0x400, 0)
    ((length, data),) = receiver.receiveq.collect()
    assert data[:12] == PLAIN
    assert data[12:length] == ethernet(receiver.mac, sender.mac, bytes(range(84)))
    assert [length for length, _ in sender.transmitq.collect()] == [98]
    assert (sender.net.sent_frames, receiver.net.received_frames, other.net.received_frames) == (1, 1, 0)


def test_the_interrupt_for_the_frame_sent_comes_with_the_alarm() -> None:
    wires = Wires(True)
    _exchange(wires)
    sender = wires.stations[0]
    assert sender.transport.interrupt_status == 0
    due = wires.machine.alarm.tick
    assert due == sender.net.words[net_layout.SIGNAL_AT // 8]
    assert 0 <= due - net.SENT_DELAY < 10
    wires.machine.alarm.ring(due - 1)  # somebody else's
    assert sender.transport.interrupt_status == 0
    assert wires.machine.alarm.tick == due
    wires.machine.alarm.ring(due)
    assert sender.transport.interrupt_status == mmio.USED_BUFFER
    assert (sender.net.words[net_layout.HELD // 8], wires.machine.alarm.tick) == (0, net_layout.NEVER)


def test_a_sender_that_is_ahead_rests_as_ever() -> None:
    """Native code pays the same price, so that a flood ends in Python's rest."""
    wires = Wires(True)
    doer = Doer(wires)
    sender, receiver = wires.stations[:2]
    for _ in range(200):
        doer.give(receiver, [1526], False)
        doer.send(sender, receiver.mac, None, 1400, PLAIN, 12, False)
        sender.transmitq.notify()
        receiver.receiveq.collect()
        sender.transmitq.collect()
    assert 90 <= sender.net.sent_frames <= 120
    assert 80 <= wires.windows.stores <= sender.net.sent_frames


def test_a_device_that_has_left_the_switch_is_not_reached() -> None:
    wires = Wires(True)
    wires.stations[1].net.leave()
    _exchange(wires)
    sender, receiver = wires.stations[:2]
    assert wires.windows.stores == 0
    assert (receiver.net.received_frames, sender.net.sent_frames) == (0, 1)
    wires.stations[0].net.leave()
    Doer(wires).send(sender, wires.stations[2].mac, None, 84, PLAIN, 12, indirect=False)
    sender.transmitq.notify()
    assert wires.windows.stores == 0
    assert wires.stations[2].net.received_frames == 1  # the first one, which was flooded


@pytest.mark.parametrize("elsewhere", [False, True], ids=["code in the buffer", "code elsewhere"])
def test_code_in_a_receivers_buffer_is_dropped_when_a_frame_comes(elsewhere: bool) -> None:
    """The receiver executes from a page that a buffer of it lies in."""
    wires = Wires(True)
    sender, receiver = wires.stations[:2]
    head = receiver.receiveq.add(writable=[1526])
    ((buffer, _),) = receiver.receiveq.pending[head].buffers
    physical = receiver.memory.physical(buffer) + (0x4_0000 if elsewhere else 26)
    assert wires.bench.execute(0x0010_0293, at=physical, pc=physical) is None  # addi x5, x0, 1
    assert wires.bench.hart.x[5] == 1
    Doer(wires).send(sender, receiver.mac, None, 84, PLAIN, 12, indirect=False)
    sender.transmitq.notify()
    assert wires.windows.stores == elsewhere
    ((length, data),) = receiver.receiveq.collect()
    assert data[12:length] == ethernet(receiver.mac, sender.mac, bytes(range(84)))


def test_a_full_table_of_windows_needs_no_native_way() -> None:
    wires = Wires(True)
    wires.windows.clear()
    for number in range(windows_layout.MOST):
        wires.windows.add(0x1000 * number, 0x1000, wires.stations[0].transport)
    wires.windows.add(REGISTERS, 0x1000, wires.stations[0].transport)
    _exchange(wires)
    assert wires.windows.stores == 0
    assert wires.stations[1].net.received_frames == 1
