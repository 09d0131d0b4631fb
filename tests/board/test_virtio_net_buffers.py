"""Receive buffers that are merged (VIRTIO 1.2, section 5.1.6.4)."""

from __future__ import annotations

import pytest

from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.board.virtio import net
from shyper_tui.engine.board.virtio.pace import BURST
from shyper_tui.engine.board.virtio.switch import Switch
from tests.board.test_virtio_net import Station, ethernet

MERGE = net.VIRTIO_NET_F_MRG_RXBUF


class Pair:
    """A station that sends, and one with mergeable buffers."""

    def __init__(self, timebase: ManualTimebase | None = None) -> None:
        switch = Switch()
        self.sender = Station(switch, 1, known=True)
        self.receiver = Station(switch, 2, MERGE, known=True, timebase=timebase)
        self.queue = self.receiver.queues[net.RECEIVEQ]

    def send(self, length: int) -> bytes:
        """A frame of that length."""
        pattern = bytes(index % 251 for index in range(length - 14))
        frame = ethernet(self.receiver.mac, self.sender.mac, pattern)
        self.sender.send(frame)
        return frame

    def packets(self) -> list[tuple[int, bytes]]:
        """Number of buffers and frame of each packet received."""
        buffers = [data[:length] for length, data in self.queue.collect()]
        found = []
        while buffers:
            count = int.from_bytes(buffers[0][10:12], "little")
            assert buffers[0][:10] == bytes(10)
            found.append((count, b"".join(buffers[:count])[12:]))
            del buffers[:count]
        return found


def test_a_frame_that_fits_takes_one_buffer() -> None:
    pair = Pair()
    pair.receiver.give_buffers(count=3, size=200)
    frames = [pair.send(60), pair.send(188)]
    assert pair.packets() == [(1, frames[0]), (1, frames[1])]
    assert pair.receiver.transport.queues[net.RECEIVEQ].last_avail == 2


@pytest.mark.parametrize(("length", "buffers"), [(188, 1), (189, 2), (388, 2), (389, 3), (1500, 8), (1588, 8)])
def test_a_long_frame_is_spread_over_as_many_buffers_as_it_needs(length: int, buffers: int) -> None:
    pair = Pair()
    pair.receiver.give_buffers(count=8, size=200)
    frame = pair.send(length)
    assert pair.packets() == [(buffers, frame)]
    assert pair.receiver.net.received_bytes == length
    assert pair.receiver.line.rises == 1


def test_a_frame_waits_until_there_are_enough_buffers() -> None:
    pair = Pair()
    pair.receiver.give_buffers(count=3, size=200)
    frames = [pair.send(1000), pair.send(60)]
    assert pair.packets() == []
    assert pair.receiver.transport.queues[net.RECEIVEQ].in_flight == 0
    pair.receiver.give_buffers(count=4, size=200)
    assert pair.packets() == [(6, frames[0]), (1, frames[1])]


def test_a_frame_that_all_buffers_together_cannot_hold_is_dropped() -> None:
    pair = Pair()
    size = pair.receiver.transport.queues[net.RECEIVEQ].size
    for _ in range(size):
        pair.queue.add(writable=[12])
    pair.queue.notify()
    pair.send(12 * size)
    short = pair.send(60)
    assert pair.packets() == [(6, short)]
    assert pair.receiver.net.received_dropped == 1


def test_a_driver_with_tiny_buffers_is_not_served_faster_than_its_time_goes_by() -> None:
    timebase = ManualTimebase()
    pair = Pair(timebase)
    size = pair.receiver.transport.queues[net.RECEIVEQ].size
    for _ in range(size):
        pair.queue.add(writable=[1])
    pair.queue.notify()
    looks = BURST // (size * 5) + 2
    for _ in range(looks + 100):
        pair.send(600)
    dropped = pair.receiver.net.received_dropped
    assert dropped <= looks
    timebase.advance(2 * BURST)
    assert pair.receiver.net.received_dropped > dropped


def test_without_the_feature_a_frame_takes_one_buffer_or_none() -> None:
    switch = Switch()
    sender, receiver = Station(switch, 1, known=True), Station(switch, 2, known=True)
    receiver.give_buffers(count=4, size=200)
    sender.send(ethernet(receiver.mac, sender.mac, bytes(500)))
    assert (receiver.frames(), receiver.net.received_dropped) == ([], 1)
