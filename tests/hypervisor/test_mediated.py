"""Mediated disks that a daemon in the managing VM serves: the protocol of page, cache, message and answer."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.backend import VIRTIO_F_VERSION_1
from shyper_tui.engine.board.virtio.block import (
    VIRTIO_BLK_F_DISCARD,
    VIRTIO_BLK_F_FLUSH,
    VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_SIZE_MAX,
    VIRTIO_BLK_F_WRITE_ZEROES,
)
from tests.hypervisor.disk_driver import (
    APPEND,
    DISCARD,
    FLUSH,
    GET_ID,
    IN,
    OUT,
    WRITE_ZEROES,
    Daemon,
    GuestDisk,
    Lab,
    blk,
    one,
    pattern,
)

OK, IOERR, UNSUPP = 0, 1, 2


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_registering_clears_nreq_and_tells_where_the_cache_is(lab: Lab) -> None:
    daemon = Daemon(lab)
    before = daemon.descriptor()
    assert daemon.register() == 0
    page = daemon.memory.read(daemon.page, 4096)
    assert page[:8] == bytes(8)
    assert page[8:120] == before[:112]
    assert struct.unpack("<Q", page[120:128]) == (daemon.memory.physical(daemon.cache),)
    assert any("MEDBLK0" in line and "64 sectors" in line for line in lab.log)


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (64, 0, "has 0 sectors"),
        (64, (1 << 40) + 1, "sectors; 1 to"),
        (80, 0, "holds no sector"),
        (80, 511, "holds no sector"),
        (80, 1 << 40, "not all in the VM's memory"),
        (80, (1 << 64) - 1, "not all in the VM's memory"),
        (104, 0x8000_0000, "not all in the VM's memory"),
        (104, 0x93FF_F000, "not all in the VM's memory"),
        (104, (1 << 64) - 512, "not all in the VM's memory"),
    ],
)
def test_a_descriptor_that_cannot_be_a_disk_is_refused(lab: Lab, offset: int, value: int, reason: str) -> None:
    daemon = Daemon(lab)
    good = daemon.descriptor()
    daemon.memory.write(daemon.page + 8, good[:offset] + struct.pack("<Q", value) + good[offset + 8 :])
    assert lab.call(APPEND, 3, daemon.page) == -1
    assert reason in lab.log[-1]
    assert lab.disks.disks == []
    for page in (0x8000_0000, 0x93FF_F800, (1 << 64) - 8):
        assert lab.call(APPEND, 3, page) == -1


def test_reads_and_writes_go_through_page_and_cache(lab: Lab) -> None:
    daemon, disk = one(lab)
    disk.ask(IN, 5, room=1024, pieces=2)
    assert (daemon.nreq, daemon.request) == (1, (0, 5, 2))
    assert (disk.answers(), lab.messages()) == ([], 1)
    assert daemon.serve() == 0
    assert disk.answers() == [(1025, pattern(5, 2), OK)]
    assert disk.acknowledge() == mmio.USED_BUFFER
    disk.ask(OUT, 63, b"w" * 512)
    assert (daemon.nreq, daemon.request) == (1, (1, 63, 1))
    assert daemon.memory.read(daemon.cache, 512) == b"w" * 512
    assert daemon.serve() == 0
    assert disk.answers() == [(1, b"", OK)]
    assert daemon.store[63 * 512 :] == b"w" * 512
    assert lab.messages() == 1


def test_the_first_sector_of_the_configuration_is_added(lab: Lab) -> None:
    daemon = Daemon(lab)
    daemon.register()
    disk = GuestDisk(lab.guest(1, blk(start=40, sectors=10)))
    assert disk.get(0x100, 8) == 10
    disk.ask(IN, 9, room=512)
    assert daemon.request == (0, 49, 1)
    daemon.serve()
    assert disk.answers() == [(513, pattern(49), OK)]
    assert disk.read(10) == (bytes(512), IOERR)


def test_a_request_larger_than_the_cache_goes_in_pieces(lab: Lab) -> None:
    daemon, disk = one(lab, cache_size=5 * 512 + 100)
    disk.ask(IN, 3, room=12 * 512, pieces=3)
    daemon.serve_all()
    assert disk.answers() == [(12 * 512 + 1, pattern(3, 12), OK)]
    data = bytes(range(256)) * 2 * 7
    disk.ask(OUT, 20, data)
    daemon.serve_all()
    assert disk.answers() == [(1, b"", OK)]
    assert daemon.store[20 * 512 : 27 * 512] == data
    assert daemon.served == [(0, 3, 5), (0, 8, 5), (0, 13, 2), (1, 20, 5), (1, 25, 2)]


def test_no_request_is_larger_than_the_daemon_transfers_at_once(lab: Lab) -> None:
    daemon, disk = one(lab, most=3)
    disk.ask(IN, 0, room=4 * 512)
    daemon.serve_all()
    assert daemon.served == [(0, 0, 3), (0, 3, 1)]
    assert disk.answers() == [(4 * 512 + 1, pattern(0, 4), OK)]


def test_a_cache_of_32_mib_is_not_copied_all_at_once(lab: Lab) -> None:
    """The machine stands still while data are copied, and the guest chooses how much that is."""
    daemon = Daemon(lab, sectors=20480, cache_size=0x1F0_0000)
    daemon.register()
    disk = GuestDisk(lab.guest(1, blk(sectors=20480)))
    memory, queue = disk.memory, disk.queues[0]
    head = queue.add([struct.pack("<IIQ", IN, 0, 0)], [64, 1])
    first = queue.desc + 16 * queue.pending[head].descriptors[1]
    memory.write(first, struct.pack("<QI", memory.base + (1 << 20), 9 << 20))
    queue.notify()
    daemon.serve_all()
    assert daemon.served == [(0, 0, 8192), (0, 8192, 8192), (0, 16384, 2048)]
    assert memory.read(memory.base + (1 << 20), 9 << 20) == pattern(0, 18432)


def test_requests_of_one_disk_go_one_at_a_time_and_in_order(lab: Lab) -> None:
    daemon, disk = one(lab)
    for sector in (7, 3, 9):
        disk.ask(IN, sector, room=512)
    disk.ask(OUT, 1, b"x" * 512)
    for _ in range(4):
        assert daemon.nreq == 1
        daemon.serve()
    assert daemon.served == [(0, 7, 1), (0, 3, 1), (0, 9, 1), (1, 1, 1)]
    assert [data for _, data, _ in disk.answers()] == [pattern(7), pattern(3), pattern(9), b""]
    assert daemon.nreq == 0


def test_disks_of_different_vms_do_not_wait_for_each_other(lab: Lab) -> None:
    daemons = [Daemon(lab, number) for number in range(2)]
    for daemon in daemons:
        daemon.register()
    guests = [GuestDisk(lab.guest(number, cores=1 << number)) for number in (1, 2)]
    for disk in guests:
        disk.ask(IN, 4, room=512)
    assert [daemon.nreq for daemon in daemons] == [1, 1]
    assert lab.messages() == 2
    daemons[1].serve()
    assert (guests[0].answers(), guests[1].answers()) == ([], [(513, pattern(4), OK)])
    daemons[0].serve()
    assert guests[0].answers() == [(513, pattern(4), OK)]


def test_the_status_byte_is_written_after_the_data(lab: Lab) -> None:
    daemon, disk = one(lab)
    head = disk.ask(IN, 5, room=512)
    (data, _), (status, _) = disk.queues[0].pending[head].buffers
    disk.memory.write(status, b"\xee")
    assert disk.memory.read(data, 512) == bytes(512)
    assert disk.memory.read(status, 1) == b"\xee"
    daemon.serve()
    assert (disk.memory.read(data, 512), disk.memory.read(status, 1)) == (pattern(5), b"\0")


def test_a_flush_ends_when_everything_before_it_is_done(lab: Lab) -> None:
    daemon, disk = one(lab)
    disk.ask(OUT, 1, b"x" * 512)
    disk.ask(FLUSH)
    disk.ask(IN, 1, room=512)
    assert disk.answers() == []
    daemon.serve()
    assert disk.answers() == [(1, b"", OK), (1, b"", OK)]
    daemon.serve()
    assert disk.answers() == [(513, b"x" * 512, OK)]


def test_what_needs_no_daemon_is_answered_without_one(lab: Lab) -> None:
    daemon, disk = one(lab)
    assert disk.read(64) == (bytes(512), IOERR)
    assert disk.read((1 << 64) - 1) == (bytes(512), IOERR)
    assert disk.send(OUT, 64, bytes(512)) == IOERR
    assert disk.send(OUT, 0, bytes(100)) == IOERR
    assert [disk.send(kind) for kind in (2, 3, 99)] == [UNSUPP] * 3
    disk.ask(GET_ID, room=20)
    assert disk.answers() == [(21, b"virtio-blk-vm1".ljust(20, b"\0"), OK)]
    assert (daemon.nreq, lab.messages()) == (0, 0)


def test_zeroing_and_discarding_are_not_offered(lab: Lab) -> None:
    _, disk = one(lab)
    assert not disk.features() & (VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES)
    expected = VIRTIO_F_VERSION_1 | VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_FLUSH
    assert disk.features() & expected == expected
    assert [disk.send(kind, 0, struct.pack("<QII", 0, 1, 0)) for kind in (DISCARD, WRITE_ZEROES)] == [UNSUPP] * 2
