"""`shyper system daemon` in a managing VM's Linux: disks of guests, trouble with them, and its end."""

from __future__ import annotations

import re

import pytest

from shyper_tui.engine.hypervisor.calls.table import CONFIG, HANDLERS, MEDIATED, VMM
from shyper_tui.engine.hypervisor.devices.daemon_disk import DaemonDisk

from .linux_station import LinuxStation, plain

pytestmark = pytest.mark.linux


def written(station: LinuxStation, file: str, sector: int) -> str:
    """The text at the start of a sector of an image."""
    shown = station(f"dd if={file} bs=512 skip={sector} count=1 2> /dev/null | head -c 16; echo")
    return shown.split("\n")[0].rstrip("\0")


def daemon_disks(station: LinuxStation) -> list[DaemonDisk]:
    return [disk.backing for disk in station.built.platform.disks.disks if isinstance(disk.backing, DaemonDisk)]


def test_two_guests_have_their_disks(station: LinuxStation) -> None:
    assert station("truncate -s 4M a.img; truncate -s 2M b.img") == " => 0"
    log = station.daemon("/root/a.img", "b.img")
    assert "[WARN  shyper_cli_rust::daemon] /root/a.img is not a block device, it is used as an image file\n" in log
    log = station.log_of_daemon("MEDBLK1")
    assert "[INFO  shyper_cli_rust::daemon] MEDBLK0: /root/a.img, 8192 sectors\n" in log
    assert "[INFO  shyper_cli_rust::daemon] MEDBLK1: b.img, 4096 sectors\n" in log
    station.boot_guest(1)
    station.boot_guest(2)
    for vm, image, sectors in ((1, "a.img", 8192), (2, "b.img", 4096)):
        assert f"{sectors} sectors of 512 bytes" in station.guest(vm, "blk")
        assert station.guest(vm, f"blk write {sectors - 1} text of {vm}") == f"sector {sectors - 1} written"
        assert "|text of" in station.guest(vm, f"blk read {sectors - 1}")
        assert written(station, image, sectors - 1) == f"text of {vm}"
    assert station("killall shyper; wait; tail -n 1 log").endswith("] Ended by SIGTERM\n => 0")
    assert [disk.online for disk in daemon_disks(station)[-2:]] == [False, False]


def test_what_cannot_be_served_is_told_and_the_next_disks_go_on(station: LinuxStation) -> None:
    station("truncate -s 4M a.img; ln a.img same.img; ln -s a.img link.img; truncate -s 511 tiny.img; mkdir folder")
    station("head -c 1300 /dev/zero > odd.img; truncate -s 1M locked.img; mkfifo pipe")
    station.daemon("none.img", "a.img", "same.img", "link.img", "tiny.img", "folder", "pipe", "/dev/null", "odd.img")
    log = station.log_of_daemon("MEDBLK1")
    for path, problem in {
        "none.img": "there is no such file",
        "same.img": "it is the same image as a.img; two guests would destroy it",
        "link.img": "it is the same image as a.img; two guests would destroy it",
        "tiny.img": "it has not even one sector of 512 bytes; make it larger, for example: truncate -s 64M FILE",
        "folder": "it is a directory",
        "pipe": "it is a pipe",
        "/dev/null": "it is a character device",
    }.items():
        assert f"[WARN  shyper_cli_rust::daemon] Add mediated disk {path} failed: {problem}\n" in log
    assert "odd.img: its last 276 bytes are no whole sector and are not used\n" in log
    assert "MEDBLK1: odd.img, 2 sectors\n" in log

    again = plain(station("./shyper system daemon disks.json"))
    assert re.search(
        r"Another daemon is running: process (\d+) \(./shyper system daemon disks.json\); end it first", again
    )
    assert again.endswith(" => 1")
    station("killall shyper; wait")
    station.write("none.json", '{"mediated": ["none.img"]}')
    again = plain(station("./shyper system daemon none.json"))
    assert again.endswith("[ERROR shyper_cli_rust::daemon] No disk of none.json can be served\n => 1")


def test_an_image_that_another_process_has_locked_is_refused(station: LinuxStation) -> None:
    """The lock of the daemon itself is taken away, so that a second one comes to the images."""
    station("truncate -s 4M a.img; truncate -s 4M b.img")
    station.daemon("a.img")
    station("rm -r /run/shyper")
    station.write("other.json", '{"mediated": ["a.img", "b.img"]}')
    station("./shyper system daemon other.json 2> other &")
    station.run(0.5)
    shown = plain(station("cat other"))
    holder = r"process \d+ \(./shyper system daemon disks.json\)"
    problem = f"Add mediated disk a.img failed: it is in use by {holder}; two writers would destroy it"
    assert re.search(problem, shown)


def test_io_errors_reach_the_guest(station: LinuxStation) -> None:
    station("truncate -s 4M a.img; chmod a-w a.img; mkdir -p /small; mount -t tmpfs -o size=64k none /small")
    station("truncate -s 1M /small/b.img")
    log = station.daemon("a.img", "/small/b.img")
    log = station.log_of_daemon("MEDBLK1")
    assert "a.img cannot be written, so guests get errors when they write\n" in log
    station.boot_guest(1)
    station.boot_guest(2)
    assert station.guest(1, "blk write 1 text").startswith("blk: write of sector 1: ")
    assert "000  00 00" in station.guest(1, "blk read 1")
    log = station.log_of_daemon("read-only")
    assert "MEDBLK0: writing 1 sectors at 1 of a.img failed: the disk is read-only\n" in log

    answers = [station.guest(2, f"blk write {sector} text") for sector in range(0, 160, 8)]
    assert [answer.endswith("written") for answer in answers] == [True] * 16 + [False] * 4
    log = station.log_of_daemon("No space left")
    assert log.count("No space left on device") == 1  # four errors are one line
    assert station.guest(2, "blk write 0 again") == "sector 0 written"

    station("truncate -s 512K /small/b.img")
    assert station.guest(2, "blk read 2000").startswith("blk: read of sector 2000: ")
    assert "failed: the file has become shorter" in station.log_of_daemon("shorter")
    assert "|again" in station.guest(2, "blk read 0")
    station("killall shyper; wait; umount /small")


def test_a_killed_daemon_can_be_started_again(station: LinuxStation) -> None:
    station("truncate -s 4M a.img; truncate -s 4M b.img")
    station.daemon("a.img", "b.img")
    station.log_of_daemon("MEDBLK1")
    station.boot_guest(1)
    station.boot_guest(2)
    before = daemon_disks(station)
    for number in range(3):
        assert station.guest(1, f"blk write {number} first") == f"sector {number} written"
        station("killall -9 shyper; wait")
        start = len(station.consoles[1]), len(station.consoles[2])
        station.type(1, f"blk write {number} waits\r")
        station.type(2, f"blk read {number}\r")
        station.run(1)
        assert b"written" not in station.consoles[1][start[0] :]
        station("./shyper system daemon disks.json 2> log &")
        if number == 2:  # once more, without waiting for its end
            station("killall -9 shyper; ./shyper system daemon disks.json 2> log &")
        station.until(1, b"sector %d written" % number, start[0])
        station.until(2, b"gvm# ", start[1])
        assert written(station, "a.img", number) == "waits"
    assert daemon_disks(station) == before  # the same disks, not new ones


def test_ctrl_c_ends_the_daemon_in_the_foreground(station: LinuxStation) -> None:
    station("truncate -s 1M a.img")
    station.write("disks.json", '{"mediated": ["a.img"]}')
    start = len(station.consoles[0])
    station.type(0, "./shyper system daemon disks.json\r")
    station.until(0, b"MEDBLK0: a.img, 2048 sectors", start)
    station.type(0, "\x03")
    station.until(0, b"Ended by Ctrl-C", start)
    station.until(0, b"mvm# ", start + 40)


def test_a_closed_terminal_does_not_end_it(station: LinuxStation) -> None:
    station("truncate -s 1M a.img")
    station.daemon("a.img")
    assert station("killall -HUP shyper; sleep 0.2; killall -0 shyper") == " => 0"


def test_a_kernel_is_uploaded_again_when_the_hypervisor_wants_it(station: LinuxStation) -> None:
    """The daemon runs in another folder, and the name is longer than the module holds."""
    keep, station.manager.loader.keep = station.manager.loader.keep, 1
    station("mkdir -p other; truncate -s 1M other/a.img; mv guest.bin the-kernel-of-the-very-first-guest.bin")
    station.write("other/disks.json", '{"mediated": ["a.img"]}')
    station("cd other; ../shyper system daemon disks.json 2> ../log & cd /root")
    station.log_of_daemon("MEDBLK0")
    for vm, name in ((1, "the-kernel-of-the-very-first-guest.bin"), (2, "guest.bin")):
        station("cp the-kernel-of-the-very-first-guest.bin guest.bin")
        station.boot_guest(vm, disk=False, image_kernel_filename=name)
        start = len(station.consoles[vm])
        assert station(f"./shyper vm reboot {vm}") == " => 0"
        station.until(vm, b"gvm# ", start)
        assert f"VM [{vm}] wants its kernel again: /root/{name}" in station.log_of_daemon(f"VM .{vm}. wants")
    station("rm guest.bin; ./shyper vm reboot 2")
    log = station.log_of_daemon("could not")
    assert "VM [2] could not be started again: the kernel /root/guest.bin cannot be read: no such file" in log
    station.manager.loader.keep = keep


def test_without_huge_pages_normal_ones_do(station: LinuxStation) -> None:
    station("echo 0 > /proc/sys/vm/nr_hugepages; echo never > /sys/kernel/mm/transparent_hugepage/enabled")
    station("truncate -s 4M a.img")
    station.daemon("a.img")
    station.boot_guest(1)
    assert station.guest(1, "blk write 77 normal pages") == "sector 77 written"
    assert written(station, "a.img", 77) == "normal pages"


def test_a_hypervisor_without_the_extension_is_served(station: LinuxStation, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = ((VMM, 0x9), (MEDIATED, 0x33), (MEDIATED, 0x34), (MEDIATED, 0x35), (CONFIG, 0xC), (CONFIG, 0xD))
    for call in calls:
        monkeypatch.delitem(HANDLERS, call)
    station("truncate -s 4M a.img; truncate -s 4M b.img; chmod a-w b.img")
    station.daemon("a.img", "b.img")
    log = station.log_of_daemon("MEDBLK1")
    assert "MEDBLK0: a.img, 8192 sectors; every write is stored at once, as the kernel module knows no flush\n" in log
    station.boot_guest(1)
    station.boot_guest(2)
    assert station.guest(1, "blk write 5 text") == "sector 5 written"
    assert written(station, "a.img", 5) == "text"
    assert station.guest(2, "blk write 5 text") == "sector 5 written"  # the guest cannot know better
    log = station.log_of_daemon("cannot report")
    assert "MEDBLK1: the kernel module cannot report errors, so the guest takes its request for done\n" in log
    assert station("killall shyper; wait; tail -n 1 log").endswith("] Ended by SIGTERM\n => 0")


def test_a_bad_file_is_told_with_the_place_of_the_mistake(station: LinuxStation) -> None:
    station.write("bad.json", '{"mediated": ["a.img" "b.img"]}')
    shown = plain(station("./shyper system daemon bad.json"))
    mistake = "bad.json:1:22: error[syntax]: A comma is missing after this value. Add a comma."
    assert shown == f"[ERROR shyper_cli_rust::daemon] {mistake}\n => 1"
