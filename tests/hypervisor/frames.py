"""Network devices of three VMs on a switch, whose notifications a hart stores, and what their drivers may do."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from shyper_tui.engine.board.device import Line
from shyper_tui.engine.board.plic import Plic
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.mmio import VirtioMmio
from shyper_tui.engine.board.virtio.net import Net
from shyper_tui.engine.board.virtio.switch import Switch
from shyper_tui.engine.hart.direct import net_layout
from shyper_tui.engine.hart.direct.windows import DirectWindows
from shyper_tui.engine.hart.host_memory import Block
from shyper_tui.engine.hypervisor.devices.net import NET_FEATURES
from shyper_tui.engine.hypervisor.guest_memory import GuestMemory, RamRegion
from tests.board.driver import DriverCore, MemoryFrom
from tests.board.test_virtio_net import ethernet, mac
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
        self.memory.write(IPA, bytes(0x4000))  # where its rings lie
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

    def _output(self, number: int) -> Line:
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


FULL = [Step("give", number, ([2200], False)) for number in STATIONS for _ in range(4)]
"""Every station has buffers."""
