"""Two Linux guests on disks that `shyper system daemon` serves: thousands of random reads and writes, with trouble."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shyper_tui import images
from shyper_tui.engine.board.virtio.block import Block, RequestType
from shyper_tui.images.cpio import CpioArchive

from .linux_station import LinuxStation, linux_configuration, make_ext4, plain

pytestmark = pytest.mark.linux
PROGRAM = Path(__file__).parents[1] / "programs" / "linux_random_io.elf"
MANY = int(os.environ.get("SHYPER_RANDOM_IO", "5000"))
FEW = 1000
"""Requests of a guest, before it reads its whole disk once more."""
SHELL = rb"\n/# "
RESULT = rb"random_io reads (\d+) writes (\d+) errors (\d+) wrong (\d+)"


@pytest.fixture(scope="module")
def station(module: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinuxStation]:
    """Two guests at their shells. The first one's disk is on an ext4 file system, the other's in memory."""
    linux = images.linux_images()
    assert linux is not None
    disk = tmp_path_factory.mktemp("disk") / "disk.ext4"
    make_ext4(disk)
    archive = CpioArchive()
    archive.file("bin/random_io", PROGRAM.read_bytes(), 0o755)
    ramdisk = linux.initramfs_min.read_bytes() + archive.to_bytes()
    files = {"Image": linux.kernel.read_bytes(), "initrd": ramdisk}
    station = LinuxStation(module, files, disk)
    station.boot()
    assert station("insmod shyper_riscv64.ko; truncate -s 8M /mnt/a.img b.img") == " => 0"
    station.daemon("/mnt/a.img", "b.img")
    station.log_of_daemon("MEDBLK1")
    for vm in (1, 2):
        station.write(f"vm{vm}.json", linux_configuration(vm))
        shown = station(f"./shyper vm config vm{vm}.json; ./shyper vm boot {vm}")
        assert f"Config VM [{vm}] successfully" in shown
        station.until(vm, SHELL)
    yield station
    station.close()


def kill_and_restart(station: LinuxStation, pause: float) -> None:
    """No daemon for `pause` seconds."""
    assert station("killall -9 shyper; wait").endswith(" => 0")
    station.run(pause)
    station("./shyper system daemon disks.json 2> log &")
    station.log_of_daemon("MEDBLK1")


def begin(station: LinuxStation, vm: int, count: int) -> int:
    """Start the load in a guest; where its console is now."""
    start = len(station.consoles[vm])
    station.type(vm, f"random_io /dev/vda {count} {vm}\r")
    return start


def result(station: LinuxStation, vm: int, start: int) -> tuple[int, ...]:
    """Reads, writes, errors, and blocks that were wrong."""
    return tuple(map(int, station.until(vm, RESULT, start, limit=600).groups()))


def test_nothing_is_lost_while_the_daemon_is_killed_and_started_again(station: LinuxStation) -> None:
    starts = {vm: begin(station, vm, MANY) for vm in (1, 2)}
    for at, pause in ((MANY // 5, 0.5), (MANY // 2, 3)):
        station.until(1, b"random_io at %d\r" % (at // 250 * 250), starts[1])
        kill_and_restart(station, pause)
    for vm, start in starts.items():
        reads, writes, errors, wrong = result(station, vm, start)
        assert (reads + writes, errors, wrong) == (MANY + 256, 0, 0)
    assert b"I/O error" not in station.consoles[1] + station.consoles[2]
    assert "ERROR" not in station("cat log")


def test_a_disk_that_stands_still_stops_nobody_else(station: LinuxStation) -> None:
    """The file system of the first disk is frozen: its writes wait, and the thread that does them."""
    assert station("fsfreeze --freeze /mnt") == " => 0"
    first = begin(station, 1, FEW)
    station.run(0.5)
    assert result(station, 2, begin(station, 2, FEW))[2:] == (0, 0)
    assert b"random_io at" not in station.consoles[1][first:]
    assert station("./shyper vm list | grep -c Active") == "3\n => 0"
    assert station("fsfreeze --unfreeze /mnt") == " => 0"
    assert result(station, 1, first)[2:] == (0, 0)


def flushes(station: LinuxStation) -> int:
    """How often the managing VM's own disk was asked to store everything for good."""
    backend = station.machine.board.slots[0].backend
    assert isinstance(backend, Block)
    return backend.requests[RequestType.FLUSH]


def test_a_flush_of_the_guest_reaches_the_disk_below(station: LinuxStation) -> None:
    assert station("sync") == " => 0"
    for command, expected in (("conv=notrunc", False), ("conv=notrunc,fsync", True)):
        before, start = flushes(station), len(station.consoles[1])
        station.type(1, f"dd if=/dev/zero of=/dev/vda bs=4k count=4 oflag=direct {command}; echo do''ne\r")
        station.until(1, rb"\ndone\r\n", start)
        assert (flushes(station) > before) is expected


def test_without_a_daemon_requests_end_with_errors_and_go_on_with_the_next_one(station: LinuxStation) -> None:
    start = begin(station, 1, FEW)
    station.until(1, b"random_io at 250\r", start)
    kill_and_restart(station, 35)  # more than the hypervisor waits
    reads, writes, errors, wrong = result(station, 1, start)
    assert (reads + writes, wrong) == (FEW + 256, 0)
    assert errors > 0
    assert b"I/O error, dev vda" in station.consoles[1][start:]
    assert result(station, 1, begin(station, 1, 250))[2:] == (0, 0)


def test_a_block_device_is_served_unless_it_is_mounted(station: LinuxStation) -> None:
    station("./shyper vm remove 1; ./shyper vm remove 2; killall shyper; wait")
    station.write("device.json", '{"mediated": ["/dev/vda"]}')
    shown = plain(station("./shyper system daemon device.json"))
    assert "Add mediated disk /dev/vda failed: it is mounted or otherwise in use here; unmount it first\n" in shown
    assert shown.endswith("No disk of device.json can be served\n => 1")
    station("umount /mnt; ./shyper system daemon device.json 2> log &")
    sectors = int(station("cat /sys/block/vda/size").split()[0])
    assert station.log_of_daemon("MEDBLK") == f"[INFO  shyper_cli_rust::daemon] MEDBLK0: /dev/vda, {sectors} sectors\n"
    assert station("mount -t ext4 /dev/vda /mnt 2> /dev/null").endswith(" => 255")
