"""Drivers that do anything at all to their device: it may stop, and nobody else may notice."""

from __future__ import annotations

import random
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.engine.board.device import AccessFault, ManualTimebase
from shyper_tui.engine.board.virtio import mmio, net
from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.board.virtio.console import Console
from shyper_tui.engine.board.virtio.entropy import Entropy
from shyper_tui.engine.board.virtio.net import Net
from shyper_tui.engine.board.virtio.switch import Switch
from shyper_tui.engine.hypervisor.devices.consoles import ConsoleHub
from tests.board.driver import Driver
from tests.board.test_virtio_net import PLAIN, ethernet, mac
from tests.board.wires import RAM_BASE

SIZE = 1 << 17
ADDRESSES = (0, RAM_BASE - 8, RAM_BASE, RAM_BASE + 0x1000, RAM_BASE + SIZE - 4, RAM_BASE + SIZE, 1 << 40, (1 << 64) - 8)
WORDS = (0, 1, 2, 3, 4, 8, 12, 15, 16, 17, 64, 128, 0xFFFF, 0x1_0000, 0x8000_0000, 0xFFFF_FFFF)


class Vandal:
    """A driver on `backend` that knows where its rings are and fills them with nonsense."""

    def __init__(self, backend: Backend, chance: random.Random) -> None:
        self.driver = Driver(backend, size=SIZE).start()
        self._random = chance

    def step(self) -> None:
        self._random.choice((self._register, self._descriptor, self._descriptor, self._index, self._byte, self._kick))()

    def _kick(self) -> None:
        for index in range(len(self.driver.queues)):
            self.driver.put(mmio.QueueNotify, index)

    def _register(self) -> None:
        width = self._random.choice((4, 4, 4, 1, 2, 8))
        offset = self._random.randrange(0, 0x120) & -width
        value = self._random.choice((*WORDS, RAM_BASE, self._random.getrandbits(32))) & (1 << 8 * width) - 1
        try:
            self.driver.transport.write(offset, width, value)
            assert 0 <= self.driver.transport.read(offset, width) < 1 << 8 * width
        except AccessFault:
            assert width != 4

    def _descriptor(self) -> None:
        queue = self._random.choice(self.driver.queues)
        address = self._random.choice((*ADDRESSES, queue.desc, queue.avail, queue.used))
        flags = self._random.choice((0, 0, 1, 2, 2, 3, 4, 5, 7, 0xFFFF))
        packed = struct.pack("<QIHH", address, self._random.choice(WORDS) & 0xFFFF_FFFF, flags,
                             self._random.randrange(queue.size + 2))  # fmt: skip
        self.driver.memory.write(queue.desc + 16 * self._random.randrange(queue.size), packed)

    def _index(self) -> None:
        queue = self._random.choice(self.driver.queues)
        position = self._random.randrange(queue.size)
        self.driver.memory.write_u16(queue.avail + 4 + 2 * position, self._random.randrange(queue.size + 2))
        ahead = self._random.choice((0, 1, 1, 2, queue.size, queue.size + 1, 0x8000))
        queue.avail_idx = queue.avail_idx + ahead & 0xFFFF
        self.driver.memory.write_u16(queue.avail + 2, queue.avail_idx)
        self.driver.put(mmio.QueueNotify, queue.index)

    def _byte(self) -> None:
        queue = self._random.choice(self.driver.queues)
        area = self._random.choice((queue.desc, queue.avail, queue.used))
        self.driver.memory.write(area + self._random.randrange(64), self._random.randbytes(2))


def make(kind: str, timebase: ManualTimebase, switch: Switch, hub: ConsoleHub) -> Backend:
    if kind == "net":
        device = Net(mac(1), features=0x0023_7DA3, timebase=timebase, backlog=8)
        device.port = switch.attach("vandal", device.deliver, mac=device.mac, vm=1)
        return device
    if kind == "console":
        return hub.add((1, 0), (2, 0), None, timebase)
    return Entropy(bytes)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["net", "console", "entropy"]), st.integers(0, 2**32))
def test_no_driver_makes_a_device_raise_or_disturbs_its_neighbours(kind: str, seed: int) -> None:
    timebase, switch, hub = ManualTimebase(), Switch(), ConsoleHub()
    vandal = Vandal(make(kind, timebase, switch, hub), random.Random(seed))
    neighbours: list[Driver] = []
    for number in (2, 3):
        device = Net(mac(number), timebase=timebase)
        device.port = switch.attach(f"neighbour {number}", device.deliver, mac=device.mac, vm=number)
        neighbours.append(Driver(device, size=SIZE).start())
    outputs = [bytearray(), bytearray()]
    console = Driver(Console(outputs[0].extend, timebase=timebase), size=SIZE).start()
    peer = Driver(hub.add((2, 0), (1, 0), None, timebase), size=SIZE).start()
    for _ in range(40):
        vandal.step()
        timebase.advance(1000)

    receiver, sender = neighbours
    sent = ethernet(mac(2), mac(3))
    sender.queues[net.TRANSMITQ].request(PLAIN, sent)
    frames: list[bytes] = []
    while sent not in frames:  # after what the vandal has sent, which is bounded by the backlog
        receiver.queues[net.RECEIVEQ].add(writable=[2000])
        receiver.queues[net.RECEIVEQ].notify()
        ((length, data),) = receiver.queues[net.RECEIVEQ].collect()
        frames.append(data[12:length])
    console.queues[1].request(b"unharmed")
    assert bytes(outputs[0]) == b"unharmed"
    peer.queues[1].add([b"to the vandal"])
    peer.queues[1].notify()
    timebase.advance(10_000_000)
    assert len(peer.queues[1].collect()) == 1
    for driver in (*neighbours, console, peer):
        assert not driver.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET
    vandal.driver.start()  # and after a reset the device is as good as new
    vandal.driver.transport.reset()
