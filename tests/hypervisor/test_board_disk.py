"""The disk in a slot of the board, which the managing VM drives: it is as fast as it was, but has breaks."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.board.virtio.block import Block, BlockStatus
from shyper_tui.engine.board.virtio.disk import MemoryDisk, RawFile
from shyper_tui.engine.board.virtio.disk_server import CHUNK, DiskServer
from shyper_tui.engine.board.virtio.pace import BURST
from shyper_tui.engine.clock import VirtualClock
from shyper_tui.engine.hart.program import program
from shyper_tui.engine.hypervisor.devices.paced_server import BOARD_SPEED, PacedServer
from shyper_tui.engine.machine import Machine
from shyper_tui.engine.shyper_machine import Hooks, ShyperMachine, board_disk
from tests.board.driver import Driver
from tests.hypervisor.disk_driver import pattern

IN, OUT = 0, 1
MIB = 1 << 20
SECTORS = MIB // 512


class Counted(MemoryDisk):
    """Counts the bytes that are read and written."""

    moved = 0

    def read(self, offset: int, size: int) -> bytes:
        self.moved += size
        return super().read(offset, size)

    def write(self, offset: int, data: bytes) -> None:
        self.moved += len(data)
        super().write(offset, data)


class Lab:
    """The device with a driver; time stands still unless it is moved."""

    def __init__(self, megabytes: int) -> None:
        self.time = ManualTimebase()
        self.disk = Counted(bytearray(pattern(0, megabytes * SECTORS)))
        self.driver = Driver(board_disk(self.disk, self.time), size=(megabytes + 8) * MIB)
        self.driver.start(sizes=[256])
        self.queue = self.driver.queues[0]

    def buffer(self, sector: int) -> int:
        """Where the data of a sector are in the driver's memory."""
        return self.driver.memory.base + 8 * MIB + 512 * sector

    def ask(self, kind: int, sector: int, size: int) -> None:
        """Makes a request available whose data are one buffer of `size` bytes."""
        header = struct.pack("<IIQ", kind, 0, sector)
        head = self.queue.add([header], [1, 1]) if kind == IN else self.queue.add([header, b"x"], [1])
        _, slot, _ = self.queue.pending[head].descriptors
        self.driver.memory.write(self.queue.desc + 16 * slot, struct.pack("<QI", self.buffer(sector), size))

    def statuses(self) -> list[int]:
        return [data[-1] for _, data in self.queue.collect()]


@pytest.mark.parametrize("kind", [IN, OUT])
def test_a_request_of_64_mib_is_done_in_pieces_and_no_slower_than_the_host(kind: int) -> None:
    lab = Lab(64)
    expected = pattern(0, 64 * SECTORS) if kind == IN else b"k" * (64 * MIB)
    if kind == OUT:
        lab.driver.memory.write(lab.buffer(0), expected)
    lab.ask(kind, 0, 64 * MIB)
    lab.queue.notify()
    at_once = lab.disk.moved
    assert BURST * BOARD_SPEED / 2 < at_once <= BURST * BOARD_SPEED + CHUNK
    assert lab.statuses() == []
    lab.time.advance(64 * MIB // BOARD_SPEED)  # 26 ms
    assert lab.statuses() == [0]
    found = lab.driver.memory.read(lab.buffer(0), 64 * MIB) if kind == IN else lab.disk.read(0, 64 * MIB)
    assert found == expected


def test_many_large_requests_of_one_notification_have_breaks_too() -> None:
    lab = Lab(64)
    for number in range(64):
        lab.ask(IN, number * SECTORS, MIB)
    lab.queue.notify()
    assert lab.disk.moved <= BURST * BOARD_SPEED + CHUNK
    breaks, moved = 0, 0
    while (tick := lab.time.next_tick()) is not None:
        moved = lab.disk.moved
        lab.time.advance_to(tick)
        assert lab.disk.moved - moved <= BURST * BOARD_SPEED + CHUNK
        breaks += 1
    assert breaks >= 64 * MIB // (BURST * BOARD_SPEED + CHUNK)
    assert lab.statuses() == [0] * 64
    assert lab.time.now() < 1.05 * 64 * MIB / BOARD_SPEED
    assert lab.driver.memory.read(lab.buffer(0), 64 * MIB) == pattern(0, 64 * SECTORS)


def test_the_managing_vms_disk_is_paced_and_that_of_machine_mode_is_not(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(pattern(0, 8))
    built = ShyperMachine(VirtualClock(), program(), Hooks(lambda *_: None, lambda: None, lambda _: None), path, None)
    backend = built.machine.board.slots[0].backend
    assert isinstance(backend, Block)
    assert isinstance(backend.server, PacedServer)
    assert backend.server.disk.read(0, 4096) == pattern(0, 8)
    built.close()
    bare = Machine(drives=[MemoryDisk(pattern(0, 8))]).board.slots[0].backend
    assert isinstance(bare, Block)
    assert type(bare.server) is DiskServer


def test_the_first_error_of_a_drive_is_told(tmp_path: Path) -> None:
    """In machine mode, too."""
    path, told = tmp_path / "disk.img", list[str]()
    path.write_bytes(pattern(0, 8))
    bare = Machine(drives=[RawFile(path)], report=told.append).board.slots[0].backend
    assert isinstance(bare, Block)
    driver = Driver(Block(bare.server))
    driver.start()
    path.write_bytes(b"")
    for _ in range(2):
        driver.queues[0].add([struct.pack("<IIQ", IN, 0, 3)], [512, 1])
        driver.queues[0].notify()
        ((_, data),) = driver.queues[0].collect()
        assert data[-1] == BlockStatus.IOERR
    (line,) = told
    assert line.startswith("drive0: IN at sector 3 failed: the image file is shorter than the disk")
