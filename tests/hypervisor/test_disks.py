"""Block devices of VMs: which disk each of them gets, and disks that the workstation serves itself."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from shyper_tui.engine.board.virtio.block import VIRTIO_BLK_F_RO, RequestType
from shyper_tui.engine.board.virtio.disk import MemoryDisk, RawFile
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, VmError
from shyper_tui.engine.hypervisor.devices.disks import MediatedDisks
from shyper_tui.engine.hypervisor.devices.flush import SYNC_TICKS
from tests.hypervisor.disk_driver import (
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
    pattern,
)

OK, IOERR = 0, 1
ADD_VM, DELETE_VM, ADD_DEVICE = 0x0A00_1100, 0x0A00_1101, 0x0A00_1104
STRUCT, NAME, SETTINGS = 0x9200_0000, 0x9200_1000, 0x9200_2000


def disk(sectors: int = 64, first: int = 0) -> MemoryDisk:
    return MemoryDisk(bytearray(pattern(first, sectors)))


def three(irq: int = 19, mediated: bool = True) -> list[EmulatedDevice]:
    """Three block devices with windows of their own."""
    bases = (0x1000_1000, 0x1000_2000, 0x1000_3000)
    kind = DeviceType.VIRTIO_BLK
    return [
        EmulatedDevice(f"virtio_blk@{base:x}", base, 0x1000, irq + 3 * index, (8 * index, 16), kind, mediated)
        for index, base in enumerate(bases)
    ]


# Assignment


def test_disks_are_taken_in_the_order_of_configuration_whatever_the_ids() -> None:
    lab = Lab(*(disk(first=100 * number) for number in range(3)))
    for vm_id in (5, 2, 7):
        lab.guest(vm_id)
    assert [GuestDisk(lab.station.manager.vm(vm_id)).read(0)[0] for vm_id in (5, 2, 7)] == [
        pattern(0), pattern(100), pattern(200),
    ]  # fmt: skip
    lab.remove(2)
    assert GuestDisk(lab.guest(1)).read(0)[0] == pattern(100)


def test_each_device_of_a_vm_has_a_disk_and_a_window_of_its_own() -> None:
    lab = Lab(*(disk(first=100 * number) for number in range(4)))
    vm = lab.guest(1, *three())
    devices = [GuestDisk(vm, device.name) for device in three()]
    assert [entry.owner is None for entry in lab.disks.disks] == [False, False, False, True]
    for index, device in enumerate(devices):
        assert device.get(0x100, 8) == 16
        assert device.read(0, 2) == (pattern(100 * index + 8 * index, 2), OK)
        assert device.send(OUT, 15, b"%d" % index * 512) == OK
        assert device.read(16) == (bytes(512), IOERR)
    for index, device in enumerate(devices):
        assert device.read(15) == (b"%d" % index * 512, OK)
    lab.remove(1)
    assert [entry.owner for entry in lab.disks.disks] == [None] * 4


def test_each_device_call_of_a_configuration_takes_the_next_disk() -> None:
    lab = Lab(disk(), disk(), disk())
    memory = lab.mvm.memory
    memory.write(STRUCT, struct.pack("<8Q", NAME, 4, 0, NAME, 0, 0x8020_0000, 0, 0))
    memory.write(NAME, b"blk\0")
    memory.write(SETTINGS, struct.pack("<16Q", 0, 16, *[0] * 14))
    assert [lab.call(ADD_VM, STRUCT), lab.call(ADD_VM, STRUCT)] == [1, 2]

    def device(vm_id: int, number: int) -> int:
        kind = DeviceType.VIRTIO_BLK_MEDIATED
        return lab.call(ADD_DEVICE, vm_id, NAME, 0x1000_1000 + 0x1000 * number, 0x1000, 19 + number, SETTINGS, kind)

    assert [device(1, 0), device(2, 0), device(1, 1), device(2, 1)] == [0, 0, 0, -1]
    table = lab.station.manager.table
    assert [device.disk for device in table[1].definition.devices] == [0, 2]
    assert [device.disk for device in table[2].definition.devices] == [1]
    assert lab.call(DELETE_VM, 1) == 0
    assert [device(2, 1), device(2, 2)] == [0, 0]
    assert [device.disk for device in table[2].definition.devices] == [1, 0, 2]


def test_serial_numbers_tell_the_devices_of_a_vm_apart() -> None:
    lab = Lab(*(disk() for _ in range(3)))
    vm = lab.guest(3, *three())
    serials = []
    for device in three():
        driver = GuestDisk(vm, device.name)
        driver.ask(GET_ID, room=20)
        ((length, data, status),) = driver.answers()
        assert (length, status) == (21, OK)
        serials.append(data)
    assert serials == [name.ljust(20, b"\0") for name in (b"virtio-blk-vm3", b"virtio-blk-vm3-1", b"virtio-blk-vm3-2")]


def test_a_daemons_disks_go_before_the_workstations() -> None:
    lab = Lab(disk(first=500))
    daemons = [Daemon(lab, number) for number in range(2)]
    for daemon in daemons:
        daemon.register()
    taken = lab.guest(1, *three())
    assert [device.disk for device in taken.definition.devices[1:]] == [1, 2, 0]
    assert GuestDisk(taken, "virtio_blk@10003000").read(0) == (pattern(516), OK)
    lab.remove(1)
    lab.mvm.reset_devices()  # nobody serves the daemon's disks now
    assert GuestDisk(lab.guest(2)).read(0) == (pattern(500), OK)
    assert lab.disks.take(object()) is None


def test_disks_of_daemons_are_taken_in_the_order_of_the_last_daemon() -> None:
    lab = Lab()
    first, second = (Daemon(lab, number) for number in range(2))
    first.register()
    second.register()
    lab.mvm.reset_devices()
    second.register()
    first.register()
    assert [lab.disks.take(object()), lab.disks.take(object())] == [1, 0]


def test_without_a_disk_there_is_scratch_space_and_the_log_says_so() -> None:
    lab = Lab()
    vm = GuestDisk(lab.guest())
    assert vm.read(3) == (bytes(512), OK)
    assert vm.send(OUT, 3, b"a" * 512) == OK
    assert vm.read(3) == (b"a" * 512, OK)
    assert any("no mediated disk is free" in line for line in lab.log)
    lab.remove(1)
    assert GuestDisk(lab.guest()).read(3) == (bytes(512), OK)


def test_a_device_that_is_not_mediated_takes_no_disk() -> None:
    lab = Lab(disk())
    vm = lab.guest(1, *three(mediated=False))
    assert GuestDisk(vm, "virtio_blk@10001000").read(0) == (bytes(512), OK)
    assert lab.disks.disks[0].owner is None


def test_a_definition_that_cannot_be_built_gives_its_disks_back() -> None:
    lab = Lab(disk(), disk())
    with pytest.raises(VmError, match="lies behind the end of disk1"):
        lab.guest(1, blk(), blk("virtio_blk@10002000", 20, start=64))
    assert [entry.owner for entry in lab.disks.disks] == [None, None]


@pytest.mark.parametrize("by_daemon", [False, True])
def test_a_capacity_beyond_the_disk_is_cut(by_daemon: bool) -> None:
    lab = Lab() if by_daemon else Lab(disk())
    if by_daemon:
        Daemon(lab).register()
    guest = GuestDisk(lab.guest(1, blk(start=60, sectors=8192000)))
    assert guest.get(0x100, 8) == 4
    assert any("has 4 sectors from sector 60, so the capacity is that and not 8192000" in line for line in lab.log)
    assert guest.read(4) == (bytes(512), IOERR)
    with pytest.raises(VmError, match="its cfg_list must be"):
        lab.guest(2, blk(sectors=0), cores=0b0100)


# Files


def image(tmp_path: Path, name: str = "disk.img", sectors: int = 64) -> Path:
    path = tmp_path / name
    path.write_bytes(pattern(0, sectors))
    return path


def test_a_daemons_list_of_files_is_used_in_place_and_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = image(tmp_path)
    lab = Lab()
    lab.disks.offer(path.name, path, writable=True)
    guest = GuestDisk(lab.guest())
    synced: list[int] = []
    fsync = os.fsync

    def recorded(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", recorded)
    assert guest.send(OUT, 7, b"k" * 512) == OK
    assert path.read_bytes() == pattern(0, 7) + b"k" * 512 + pattern(8, 56)
    assert synced == []
    guest.ask(FLUSH)
    lab.time.advance(SYNC_TICKS - 1)
    assert guest.answers() == []
    lab.time.advance(1)
    assert guest.answers() == [(1, b"", OK)]
    assert synced == [path.stat().st_ino]
    lab.disks.close()
    assert guest.read(0)[1] == IOERR


def test_files_that_are_not_writable_are_copied_on_write(tmp_path: Path) -> None:
    path = image(tmp_path)
    lab = Lab()
    lab.disks.offer(path.name, path, writable=False)
    guest = GuestDisk(lab.guest())
    assert guest.send(OUT, 7, b"k" * 512) == OK
    assert guest.read(7) == (b"k" * 512, OK)
    assert path.read_bytes() == pattern(0, 64)


def test_a_file_that_cannot_be_used_keeps_its_place_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "tiny.img").write_bytes(b"x")
    (tmp_path / "file.qcow2").write_bytes(b"QFI\xfb\0\0\0\3".ljust(4096, b"\0"))
    os.mkfifo(tmp_path / "pipe")
    names = ["missing.img", "tiny.img", "first.img", "first.img", "file.qcow2", "pipe", ".", "second.img"]
    for name in ("first.img", "second.img"):
        image(tmp_path, name)
    disks = MediatedDisks()
    assert [disks.offer(name, tmp_path / name, writable=True) for name in names[:3]] == [0, 1, 2]
    assert [disks.offer(f"again/{name}", tmp_path / name, writable=True) for name in names[3:]] == [3, 4, 5, 6, 7]
    reasons = ["No such file", "not even one sector", "", "another disk of this machine uses it"]
    reasons += ["it is a qcow2 disk container", "it is a pipe", "it is a directory", ""]
    for entry, reason in zip(disks.disks, reasons, strict=True):
        assert reason in entry.problem
        assert bool(reason) == bool(entry.problem)
    disks.close()


def test_a_vm_whose_disk_cannot_be_served_is_refused_and_gets_no_other(tmp_path: Path) -> None:
    """The image may be used again later: then the same place has it."""
    first, second = image(tmp_path, "first.img"), image(tmp_path, "second.img")
    lab = Lab()
    elsewhere = RawFile(first)
    for path in (first, second):
        lab.disks.offer(path.name, path, writable=True)
    for _ in range(2):
        with pytest.raises(VmError, match=r"its disk, number 0, cannot be served: .*first\.img: .* another disk"):
            lab.guest()
        assert [entry.owner for entry in lab.disks.disks] == [None, None]
    elsewhere.close()
    assert lab.disks.offer(first.name, first, writable=True) == 0
    assert GuestDisk(lab.guest()).send(OUT, 3, b"1" * 512) == OK
    assert GuestDisk(lab.guest(2, cores=0b0100)).send(OUT, 4, b"2" * 512) == OK
    assert first.read_bytes() == pattern(0, 3) + b"1" * 512 + pattern(4, 60)
    assert second.read_bytes() == pattern(0, 4) + b"2" * 512 + pattern(5, 59)


def test_an_image_without_write_permission_is_a_read_only_disk(tmp_path: Path) -> None:
    path = image(tmp_path)
    path.chmod(0o444)
    lab = Lab()
    lab.disks.offer(path.name, path, writable=True)
    guest = GuestDisk(lab.guest())
    assert guest.block.features & VIRTIO_BLK_F_RO
    assert guest.read(7) == (pattern(7), OK)
    assert [guest.send(kind, 7, b"k" * 512) for kind in (OUT, WRITE_ZEROES, DISCARD)] == [IOERR] * 3
    assert path.read_bytes() == pattern(0, 64)


@pytest.mark.parametrize("writable", [True, False])
def test_an_image_that_was_cut_while_in_use_is_an_io_error_and_one_line(tmp_path: Path, writable: bool) -> None:
    """What is behind the new end neither reads as zeros nor can be written; what is before it still can."""
    path = image(tmp_path)
    lab = Lab()
    lab.disks.offer(path.name, path, writable)
    guest = GuestDisk(lab.guest())
    os.truncate(path, 16 * 512)
    assert guest.read(15) == (pattern(15), OK)
    assert guest.send(OUT, 15, b"k" * 512) == (OK if writable else IOERR)  # the copy is of a whole cluster
    assert guest.read(16)[1] == guest.read(8, 16)[1] == IOERR
    assert guest.send(OUT, 40, b"k" * 512) == guest.send(WRITE_ZEROES, 0, struct.pack("<QII", 40, 8, 0)) == IOERR
    assert path.stat().st_size == 16 * 512
    (line,) = [line for line in lab.log if "somebody has cut it" in line]
    assert "later errors are only counted" in line


def test_an_error_of_the_host_is_an_io_error_and_one_line(tmp_path: Path) -> None:
    path = image(tmp_path)
    lab = Lab()
    lab.disks.offer(path.name, path, writable=False)
    guest = GuestDisk(lab.guest())
    lab.disks.close()
    assert [guest.read(1)[1], guest.send(OUT, 1, b"x" * 512), guest.read(2)[1]] == [IOERR] * 3
    assert (guest.block.errors, guest.block.requests[RequestType.IN]) == (3, 2)
    lines = [line for line in lab.log if "IN at sector 1 failed" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: VM 1 (guest-1), device virtio_blk@10001000: ")
    assert sum("failed" in line for line in lab.log) == 1


# Requests and time


def test_a_long_request_is_done_in_pieces_and_does_not_hold_up_others() -> None:
    lab = Lab(disk(20480), disk(first=900))
    greedy = GuestDisk(lab.guest(1, blk(sectors=20480)))
    neighbour = GuestDisk(lab.guest(2, cores=0b0100))
    memory = greedy.memory
    buffer = memory.base + (1 << 20)
    head = greedy.queues[0].add([struct.pack("<IIQ", IN, 0, 0)], [64, 1])
    first = greedy.queues[0].pending[head].descriptors[1]
    memory.write(greedy.queues[0].desc + 16 * first, struct.pack("<QI", buffer, 10 << 20))
    greedy.queues[0].notify()
    expected = pattern(0, 20480)
    moved = 1 << 20
    assert memory.read(buffer, moved) == expected[:moved]
    assert memory.read(buffer + (6 << 20), 512) == bytes(512)
    assert greedy.answers() == []
    assert neighbour.read(1) == (pattern(901), OK)  # at once
    lab.time.advance(1_000_000)  # 100 ms
    ((length, _, status),) = greedy.answers()
    assert (length, status) == ((10 << 20) + 1, OK)
    assert memory.read(buffer, 10 << 20) == expected


def test_a_reset_ends_a_long_request() -> None:
    lab = Lab(disk(20480))
    greedy = GuestDisk(lab.guest(1, blk(sectors=20480)))
    memory = greedy.memory
    buffer = memory.base + (1 << 20)
    head = greedy.queues[0].add([struct.pack("<IIQ", IN, 0, 0)], [64, 1])
    first = greedy.queues[0].pending[head].descriptors[1]
    memory.write(greedy.queues[0].desc + 16 * first, struct.pack("<QI", buffer, 10 << 20))
    greedy.queues[0].notify()
    greedy.start()
    greedy.ask(IN, 3, room=512)
    lab.time.advance(1_000_000)
    assert greedy.answers() == [(513, pattern(3), OK)]
    assert memory.read(buffer + (9 << 20), 512) == bytes(512)


def test_many_requests_of_one_notification_are_taken_over_time_and_all_answered() -> None:
    lab = Lab(disk())
    guest = GuestDisk(lab.guest())
    guest.start(sizes=[256])
    queue = guest.queues[0]
    for number in range(250):
        queue.add([struct.pack("<IIQ", IN, 0, number % 64)], [*[32] * 16, 1], indirect=True)
    queue.notify()
    first = guest.answers()
    assert 50 < len(first) < 250
    lab.time.advance(1_000_000)
    assert first + guest.answers() == [(513, pattern(number % 64), OK) for number in range(250)]
