"""Chains of hundreds of descriptors that carry nothing: a driver that makes them pays with its own time alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.board.virtio import console, net
from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.board.virtio.block import Block
from shyper_tui.engine.board.virtio.console import Console
from shyper_tui.engine.board.virtio.disk import MemoryDisk
from shyper_tui.engine.board.virtio.disk_server import DiskServer
from shyper_tui.engine.board.virtio.net import VIRTIO_NET_F_CTRL_VQ, Net
from shyper_tui.engine.board.virtio.pace import BURST, DESCRIPTOR_TICKS
from tests.board.driver import Driver

CHAINS, NOTHINGS = 40, 400
AT_ONCE = BURST // (DESCRIPTOR_TICKS * NOTHINGS) + 1
"""Chains that the burst pays for, and the one that ends it."""
MAC = b"\x52\x54\0\0\0\1"
FRAME = MAC + MAC + b"\x08\0payload"


def block(timebase: ManualTimebase) -> Block:
    return Block(DiskServer(MemoryDisk(bytearray(1 << 20))), timebase=timebase)


def network(timebase: ManualTimebase) -> Net:
    return Net(MAC, features=VIRTIO_NET_F_CTRL_VQ, timebase=timebase)


def serial(timebase: ManualTimebase) -> Console:
    return Console(bytearray().extend, timebase=timebase)


def send_frames(device: Backend) -> None:
    assert isinstance(device, Net)
    for _ in range(CHAINS):
        device.deliver(net.Frame(FRAME))


def type_much(device: Backend) -> None:
    assert isinstance(device, Console)
    for _ in range(CHAINS):
        device.receive(bytes(1 << 10))


def nothing(device: Backend) -> None:
    """The driver's notification is enough."""


@pytest.mark.parametrize(
    ("make", "queue", "room", "act"),
    [
        (block, 0, 1, nothing),
        (network, net.TRANSMITQ, 0, nothing),
        (network, net.CONTROLQ, 1, nothing),
        (network, net.RECEIVEQ, 2000, send_frames),
        (serial, console.TRANSMITQ, 0, nothing),
        (serial, console.RECEIVEQ, 1 << 10, type_much),
    ],
    ids=["block", "net transmit", "net control", "net receive", "console transmit", "console receive"],
)
def test_long_chains_wait_for_the_machines_time(
    make: Callable[[ManualTimebase], Backend], queue: int, room: int, act: Callable[[Backend], None]
) -> None:
    timebase = ManualTimebase()
    device = make(timebase)
    driver = Driver(device).start(sizes=[64] * len(device.queue_sizes))
    ring = driver.queues[queue]
    for _ in range(CHAINS):
        if room > 1:
            ring.add(writable=[room, *[0] * NOTHINGS], indirect=True)
        else:
            ring.add([bytes(16), *[b""] * NOTHINGS], [1] * room, indirect=True)
    act(device)
    ring.notify()
    for _ in range(3):
        ring.notify()  # asking again changes nothing
    answered = len(ring.collect())
    assert 0 < answered <= AT_ONCE
    timebase.advance(10_000_000)
    assert answered + len(ring.collect()) == CHAINS
