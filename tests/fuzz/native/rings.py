"""Native networking: three drivers with corrupt rings, rings in odd memory and at the end of a VM's memory, code in the
pages of rings, ports and links that come and go, devices that are reset or removed while others send to them."""

from __future__ import annotations

import random
import struct
from collections import Counter

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.hart.hart import Mode
from tests.board.driver import DriverCore, MemoryFrom
from tests.board.test_virtio_net import PLAIN, mac
from tests.core.encoding import assemble
from tests.hart.bench import LOOP, RAM
from tests.hypervisor.frames import IPA, MIB, NEEDS_CSUM, SEGMENTED, STATIONS, UNKNOWN, Doer, Station, Wires

PAGE = 4096
SIZES = ([1526], [12, 1514], [60], [2200], [1], [12] + [256] * 10, [4096])
GUARD = b"\x5a" * PAGE
"""Around every station's memory."""


def _descriptor(random: random.Random) -> bytes:
    places = (IPA, IPA + MIB - 8, IPA + MIB, IPA - 8, 0, (1 << 64) - 8, IPA + 0x800, random.getrandbits(64))
    length = random.choice((0, 1, 12, 16, 60, 1526, 4096, 0xFFFF_FFFF, random.getrandbits(32)))
    flags, following = random.choice((0, 1, 2, 3, 4, 5, 7)), random.choice((0, 1, 15, 16, 0xFFFF))
    return struct.pack("<QIHH", random.choice(places), length, flags, following)


class Traffic(Wires):
    """The three stations, and what may happen to them."""

    def __init__(self, random: random.Random) -> None:
        super().__init__(True, random.choice((0, 0, 1 << 29, 1 << 28, 0xFFFF)))
        self.random = random
        self.done: Counter[str] = Counter()
        self.doer = Doer(self)

    def _notify(self, station: Station) -> None:
        before = self.windows.stores
        station.driver.put(mmio.QueueNotify, self.random.choice((*[1] * 16, 0, 2, 0xFFFF_FFFF)))
        self.done["notifications answered by native code" if self.windows.stores != before else "notifications"] += 1

    def rest(self) -> None:
        """Time passes, so that what the devices did is paid for, and late interrupts come."""
        self.bench.hart.set("waiting", 1)
        self.machine.run_round(self.machine.cycle + 30_000)

    def send(self, station: Station) -> None:
        r = self.random
        to = mac(r.choice(STATIONS)) if r.randrange(8) else r.choice((UNKNOWN, b"\xff" * 6))
        header = r.choice((PLAIN, PLAIN, PLAIN, NEEDS_CSUM, SEGMENTED))
        length = r.choice((0, 28, 46, 100, 600, 1486, 2033, 2034, 2035, 2036))
        self.doer.send(station, to, None, length, header, r.choice((0, 10, 12)), r.randrange(2) == 1)
        self._notify(station)
        if r.randrange(3):
            for other in self.stations:
                self._finish(other)

    def _finish(self, station: Station) -> None:
        """Takes back what was used, and gives new buffers."""
        try:
            for queue in (0, 1):
                station.driver.queues[queue].collect()
            for _ in range(3):
                sizes = self.random.choice(SIZES) if self.random.randrange(12) == 0 else [2200]
                self.doer.give(station, sizes, self.random.randrange(2) == 1)
        except (BadAddress, AssertionError, LookupError, ValueError):  # a driver that believes a corrupt ring
            self._restart(station)

    def spoil(self, station: Station) -> None:
        """Something in the rings, in any of the queues."""
        queue = station.driver.queues[self.random.randrange(2)]
        what = self.random.randrange(4)
        if what == 0:
            station.memory.write(queue.desc + 16 * self.random.randrange(queue.size), _descriptor(self.random))
        elif what == 1:
            index = self.random.choice((0, 1, 16, 17, 0x7FFF, 0xFFFF, self.random.getrandbits(16)))
            station.memory.write(queue.avail + 2, struct.pack("<H", index))
        elif what == 2:
            head = self.random.choice((0, 15, 16, 0xFFFF))
            place = queue.avail + 4 + 2 * self.random.randrange(queue.size + 1)
            station.memory.write(place, struct.pack("<H", head))
        else:
            station.memory.write(queue.used, self.random.randbytes(8))
        self._notify(station)

    def execute(self, station: Station) -> None:
        """The page of a ring holds code, too, for a moment."""
        queue = station.driver.queues[self.random.randrange(2)]
        page = self.random.choice((queue.desc, queue.avail, queue.used)) & -PAGE
        place = station.memory.physical(page) + PAGE - 4
        kept = self.machine.memory.read(place, 4)
        self.machine.memory.write(place, assemble(LOOP))
        self.bench.enter(Mode.M, place)
        self.bench.run(4)
        self._notify(station)
        self.machine.memory.write(place, kept)
        self.done["pages of rings executed"] += 1

    def _restart(self, station: Station) -> None:
        place = self.random.choice((IPA, IPA + 0x3000, IPA + 0x7F0, IPA + MIB - 0x3000))
        station.memory.write(IPA, bytes(0x4000))
        station.driver = DriverCore(MemoryFrom(station.memory, place), station._device, (16, 16, 16))
        try:
            station.driver.start(without=station._without)
            station.receiveq, station.transmitq = station.driver.queues[:2]
            for _ in range(4):
                self.doer.give(station, [2200], False)
        except (AssertionError, BadAddress):  # no room for its rings there
            station.start()

    def restart(self, station: Station) -> None:
        self._restart(station)
        self.done["drivers started"] += 1

    def leave(self, station: Station) -> None:
        """Its device goes, with or without its registers, while the others go on; then it comes back."""
        station.net.leave()
        for other in self.stations:
            if other is not station:
                self.send(other)
        self._notify(station)
        station.net.join(self.switch, "again", self.stations.index(station))
        self.done["devices removed"] += 1

    def link(self, station: Station) -> None:
        """The cable is out for one frame."""
        station.net.set_link(False)
        self.send(station)
        station.net.set_link(True)

    def windows_go(self, station: Station) -> None:
        """As when a VM is stopped: native code answers nothing, and a new table is made."""
        self.windows.clear()
        self._notify(station)
        for number, other in enumerate(self.stations):
            self.windows.add(0x6000_0000 + 0x1000 * number, 0x1000, other.transport)
        self.done["tables of registers cleared"] += 1

    def handle(self, station: Station) -> None:
        self.doer.handle(station)
        self.done["interrupts handled"] += 1

    STEPS = ("send",) * 30 + ("spoil",) * 4 + ("handle",) * 4 + ("execute", "restart", "leave", "link", "windows_go")


def episode(random: random.Random, wanted: int) -> Counter[str]:
    """One network, until it has done its share. What lies around the VMs' memory stays as it is."""
    traffic = Traffic(random)
    memory = traffic.machine.memory
    places = [RAM + number * MIB - PAGE for number in (1,)] + [RAM + 4 * MIB]
    for place in places:
        memory.write(place, GUARD)
    while traffic.done.total() < min(wanted, 3000):
        station = random.choice(traffic.stations)
        traffic.rest()
        try:
            getattr(traffic, random.choice(Traffic.STEPS))(station)
        except BadAddress:  # of the driver, which never frees a buffer, or has none after a corrupt ring
            traffic.restart(station)
        if station.transport.read(mmio.Status, 4) & mmio.DEVICE_NEEDS_RESET:
            traffic.restart(station)
    for place in places:
        assert memory.read(place, PAGE) == GUARD, f"something was stored outside of all VMs, at {place:#x}"
    return traffic.done
