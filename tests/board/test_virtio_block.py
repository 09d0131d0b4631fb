"""virtio-blk over real disks, driven as an operating system would."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.engine.board.virtio import block, mmio
from shyper_tui.engine.board.virtio.block import Block, BlockRequest, BlockStatus, RequestType
from shyper_tui.engine.board.virtio.disk import CLUSTER, Disk, DiskError, DiskWindow, MemoryDisk, Overlay, RawFile
from shyper_tui.engine.board.virtio.disk_server import DiskServer
from shyper_tui.engine.hypervisor.devices.scratch import Zeros
from tests.board.driver import Driver, DriverQueue

SECTORS = 300
OK, IOERR, UNSUPP = b"\0", b"\1", b"\2"


class BlockDriver(Driver):
    """Requests as Linux makes them: header, data, status byte."""

    def read(self, sector: int, count: int = 1, pieces: int = 1) -> tuple[bytes, bytes]:
        """Status and data."""
        sizes = [512 * count // pieces] * pieces
        _, data = self.queues[0].request(struct.pack("<IIQ", 0, 0, sector), writable=[*sizes, 1], indirect=True)
        return data[-1:], data[:-1]

    def send(self, kind: int, sector: int = 0, data: bytes = b"") -> bytes:
        """Status of a request that carries data to the device, or none."""
        pieces = [data[:7], data[7:]] if data else []
        length, status = self.queues[0].request(struct.pack("<IIQ", kind, 0, sector), *pieces, writable=[1])
        assert length == 1
        return status


def image(tmp_path: Path, sectors: int = SECTORS) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(b"".join(struct.pack("<I", sector) * 128 for sector in range(sectors)))
    return path


def sector_bytes(sector: int) -> bytes:
    return struct.pack("<I", sector) * 128


@pytest.fixture(params=["raw", "overlay"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    path = image(tmp_path)
    if request.param == "raw":
        return RawFile(path)
    return Overlay(RawFile(path, read_only=True), directory=tmp_path)


class Later(DiskServer):
    """Collects requests; the test serves them when it wants to."""

    def __init__(self, disk: Disk, depth: int | None = None) -> None:
        super().__init__(disk)
        self.depth = depth
        self.waiting: list[BlockRequest] = []

    def submit(self, request: BlockRequest) -> None:
        self.waiting.append(request)

    def serve(self, request: BlockRequest) -> None:
        super().submit(request)


def start(disk: Disk, features: int = ~0) -> BlockDriver:
    driver = BlockDriver(Block(DiskServer(disk), "serial-number-of-20-characters", features=features))
    driver.start()
    return driver


def test_what_is_written_is_read_back_across_clusters(disk: Disk) -> None:
    driver = start(disk)
    assert driver.get(0x100, 8) == SECTORS
    assert driver.read(5) == (OK, sector_bytes(5))
    data = bytes(range(256)) * 2 * 140
    assert driver.send(RequestType.OUT, 120, data) == OK  # crosses the end of the first 64 KiB cluster
    assert driver.read(120, 140, pieces=7) == (OK, data)
    assert driver.read(119) == (OK, sector_bytes(119))
    assert driver.read(260) == (OK, sector_bytes(260))
    assert driver.send(RequestType.FLUSH) == OK
    assert isinstance(driver.transport.backend, Block)
    assert driver.transport.backend.requests[RequestType.IN] == 4


def test_an_overlay_never_touches_its_base(tmp_path: Path) -> None:
    path = image(tmp_path)
    before = path.read_bytes()
    driver = start(Overlay(RawFile(path, read_only=True)))
    assert driver.send(RequestType.OUT, SECTORS - 1, bytes(512)) == OK  # the last, partial cluster
    assert driver.read(SECTORS - 1) == (OK, bytes(512))
    assert path.read_bytes() == before


def test_an_overlay_takes_no_memory_of_the_engine(tmp_path: Path) -> None:
    """What a guest writes lies in a file without a name."""
    disk, piece = Overlay(Zeros(64 << 20), directory=tmp_path), b"x" * (1 << 20)
    tracemalloc.start()
    for offset in range(0, 64 << 20, 1 << 20):
        disk.write(offset, piece)
    assert tracemalloc.get_traced_memory()[0] < 1 << 20
    tracemalloc.stop()
    assert list(tmp_path.iterdir()) == []
    assert disk.read(33 << 20, 1 << 20) == piece


def test_an_overlay_that_has_no_room_on_the_host_is_an_io_error(tmp_path: Path) -> None:
    driver = start(Overlay(RawFile(image(tmp_path), read_only=True), directory=tmp_path / "missing"))
    assert driver.send(RequestType.OUT, 3, b"x" * 512) == IOERR
    assert driver.read(3) == (OK, sector_bytes(3))


def test_an_overlay_is_bounded(tmp_path: Path) -> None:
    driver = start(Overlay(RawFile(image(tmp_path), read_only=True), limit=2 * CLUSTER))
    statuses = [driver.send(RequestType.OUT, sector, b"x" * 512) for sector in (0, 1, 128, 256)]
    assert statuses == [OK, OK, OK, IOERR]
    assert driver.read(256) == (OK, sector_bytes(256))
    assert driver.read(128) == (OK, b"x" * 512)


def test_a_raw_file_is_changed_in_place(tmp_path: Path) -> None:
    path = image(tmp_path)
    driver = start(RawFile(path))
    assert driver.send(RequestType.OUT, 1, b"A" * 512) == OK
    assert path.read_bytes()[512:1024] == b"A" * 512
    assert path.stat().st_size == 512 * SECTORS


@pytest.mark.parametrize(
    ("kind", "sector", "size"),
    [(0, SECTORS, 512), (0, SECTORS - 1, 1024), (0, (1 << 64) - 1, 512), (1, SECTORS, 512), (1, 0, 100)],
)
def test_requests_beyond_the_end_or_in_part_sectors_fail(tmp_path: Path, kind: int, sector: int, size: int) -> None:
    driver = start(RawFile(image(tmp_path)))
    if kind == RequestType.IN:
        _, data = driver.queues[0].request(struct.pack("<IIQ", kind, 0, sector), writable=[size, 1])
        assert data == bytes(size) + IOERR
    else:
        assert driver.send(kind, sector, bytes(size)) == IOERR
    assert driver.read(0) == (OK, sector_bytes(0))


def test_a_read_only_disk_says_so_and_refuses_writes(tmp_path: Path) -> None:
    driver = start(RawFile(image(tmp_path), read_only=True))
    assert driver.features() & block.VIRTIO_BLK_F_RO
    assert driver.send(RequestType.OUT, 0, bytes(512)) == IOERR
    assert driver.send(RequestType.WRITE_ZEROES, 0, struct.pack("<QII", 0, 1, 0)) == IOERR
    assert driver.read(0) == (OK, sector_bytes(0))


def test_get_id_and_unknown_types(disk: Disk) -> None:
    driver = start(disk)
    _, data = driver.queues[0].request(struct.pack("<IIQ", 8, 0, 0), writable=[20, 1])
    assert data == b"serial-number-of-20-" + OK
    for kind in (2, 3, 99, 0xFFFF_FFFF):
        assert driver.send(kind) == UNSUPP


def test_zeroes_and_discard(disk: Disk) -> None:
    driver = start(disk)
    assert driver.send(RequestType.WRITE_ZEROES, 0, struct.pack("<QII", 10, 200, 0)) == OK
    assert driver.read(10, 200) == (OK, bytes(200 * 512))
    assert driver.read(9) == (OK, sector_bytes(9))
    assert driver.read(210) == (OK, sector_bytes(210))
    assert driver.send(RequestType.DISCARD, 0, struct.pack("<QII", 0, 5, 0)) == OK
    assert driver.send(RequestType.DISCARD, 0, struct.pack("<QII", 0, 5, 1)) == UNSUPP
    assert driver.send(RequestType.WRITE_ZEROES, 0, struct.pack("<QII", SECTORS, 1, 0)) == IOERR
    assert driver.send(RequestType.WRITE_ZEROES, 0, b"short") == IOERR


def test_only_features_asked_for_are_offered(disk: Disk) -> None:
    features = block.VIRTIO_BLK_F_SIZE_MAX | block.VIRTIO_BLK_F_SEG_MAX
    driver = start(disk, features=features)
    assert driver.features() & 0xFFFF == features
    assert driver.send(RequestType.FLUSH) == UNSUPP
    assert driver.send(RequestType.WRITE_ZEROES, 0, struct.pack("<QII", 0, 1, 0)) == UNSUPP


def test_a_request_may_be_completed_later(tmp_path: Path) -> None:
    server = Later(RawFile(image(tmp_path)))
    waiting = server.waiting
    driver = BlockDriver(Block(server))
    driver.start()
    queue = driver.queues[0]
    queue.add([struct.pack("<IIQ", 0, 0, 3)], [512, 1])
    queue.add([struct.pack("<IIQ", 1, 0, 4), b"B" * 512], [1])
    queue.notify()
    assert (queue.collect(), driver.line.rises) == ([], 0)
    second, first = waiting[1], waiting[0]
    assert [length for _, length in first.segments] == [512]
    assert second.read_data(0, second.size) == b"B" * 512
    second.complete(BlockStatus.IOERR)
    server.serve(first)
    assert queue.collect() == [(1, IOERR), (513, sector_bytes(3) + OK)]
    queue.add([struct.pack("<IIQ", 0, 0, 3)], [512, 1])
    queue.notify()
    driver.start()  # a reset in between
    waiting[2].complete(BlockStatus.OK)
    assert driver.queues[0].collect() == []


def test_a_server_gets_no_more_requests_than_it_takes_at_a_time(tmp_path: Path) -> None:
    server = Later(RawFile(image(tmp_path)), depth=2)
    driver = BlockDriver(Block(server))
    driver.start()
    queue = driver.queues[0]
    for sector in range(5):
        queue.add([struct.pack("<IIQ", 0, 0, sector)], [512, 1], indirect=True)
    queue.notify()
    assert [request.sector for request in server.waiting] == [0, 1]
    server.serve(server.waiting[1])
    assert [request.sector for request in server.waiting] == [0, 1, 2]
    for request in server.waiting:  # grows while it is served
        if request.sector != 1:
            server.serve(request)
    assert [data for _, data in queue.collect()] == [sector_bytes(sector) + OK for sector in (1, 0, 2, 3, 4)]


def test_a_queue_reset_takes_back_the_requests_under_way(tmp_path: Path) -> None:
    server = Later(RawFile(image(tmp_path)), depth=1)
    driver = BlockDriver(Block(server))
    driver.start()
    queue = driver.queues[0]
    head = queue.add([struct.pack("<IIQ", 0, 0, 3)], [512, 1])
    buffer = queue.pending[head].buffers[0][0]
    queue.notify()
    driver.put(mmio.QueueSel, 0)
    driver.put(mmio.QueueReset, 1)
    queue = DriverQueue(driver, 0, 16)
    queue.set_up()
    queue.add([struct.pack("<IIQ", 0, 0, 4)], [512, 1])
    queue.notify()
    assert [request.stale for request in server.waiting] == [True, False]
    for request in server.waiting:
        server.serve(request)
    assert driver.memory.read(buffer, 512) == bytes(512)
    assert queue.collect() == [(513, sector_bytes(4) + OK)]


def test_host_errors_end_in_ioerr(tmp_path: Path) -> None:
    disk = RawFile(image(tmp_path))
    driver = start(disk)
    disk.close()
    assert driver.read(0)[0] == IOERR
    assert driver.send(RequestType.FLUSH) == IOERR
    short = start(DiskWindow(MemoryDisk(bytes(512 * 4)), 512, 512 * 10))
    assert short.read(2)[0] == OK
    assert short.read(3)[0] == IOERR


@pytest.mark.parametrize("writable", [[], [0]])
def test_a_request_without_room_for_its_status_needs_a_reset(disk: Disk, writable: list[int]) -> None:
    driver = start(disk)
    driver.queues[0].add([bytes(16)], writable)
    driver.queues[0].notify()
    assert driver.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET


def test_a_late_completion_into_no_memory_needs_a_reset(tmp_path: Path) -> None:
    server = Later(RawFile(image(tmp_path)))
    driver = BlockDriver(Block(server))
    driver.start()
    queue = driver.queues[0]
    head = queue.add([bytes(16)], [512, 1])
    status = queue.pending[head].descriptors[-1]
    driver.memory.write_u64(queue.desc + 16 * status, 1 << 40)
    queue.notify()
    server.waiting[0].complete(BlockStatus.OK)
    assert driver.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET


def test_a_missing_image_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"nothing\.img: cannot open the disk image: No such file"):
        RawFile(tmp_path / "nothing.img")


def test_a_writable_image_belongs_to_one_machine(tmp_path: Path) -> None:
    path = image(tmp_path)
    readers = [RawFile(path, read_only=True), RawFile(path, read_only=True)]
    with pytest.raises(DiskError, match="another disk of this machine uses it"):
        RawFile(path)
    for reader in readers:
        reader.close()
    writer = RawFile(path)
    with pytest.raises(DiskError, match="another disk of this machine uses it"):
        RawFile(path, read_only=True)
    writer.close()


def test_who_uses_an_image_is_told(tmp_path: Path) -> None:
    path = image(tmp_path)
    hold = (
        "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True); "
        "sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", hold, path], stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(DiskError, match=rf"another machine, process {other.pid} \(.*python.*\), uses it"):
            RawFile(path)
        other.communicate()
    RawFile(path).close()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3 * CLUSTER), st.binary(min_size=1, max_size=300), st.booleans()), max_size=12)
)
def test_an_overlay_is_like_memory(steps: list[tuple[int, bytes, bool]]) -> None:
    size = 3 * CLUSTER + 512
    expected = bytearray(bytes(range(256)) * (size // 256))
    overlay = Overlay(MemoryDisk(bytes(expected)))
    for offset, data, zero in steps:
        if zero:
            overlay.write_zeroes(offset, len(data))
            expected[offset : offset + len(data)] = bytes(len(data))
        else:
            overlay.write(offset, data)
            expected[offset : offset + len(data)] = data
    assert overlay.read(0, size) == expected
