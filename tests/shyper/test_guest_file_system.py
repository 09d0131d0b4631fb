"""A Linux guest's ext4 on a disk of the daemon: what is synced survives a reboot by force, and is in the file below."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from shyper_tui import images

from .linux_station import LinuxStation, e2fsprogs, linux_configuration, make_ext4

pytestmark = pytest.mark.linux


def guest(station: LinuxStation, line: str) -> str:
    """What a command prints at the guest's shell."""
    start = len(station.consoles[1])
    station.type(1, f"{line}; echo do''ne\r")
    found = station.until(1, rb"\ndone\r\n", start)
    shown = bytes(station.consoles[1][start : found.start()]).decode("utf-8", "replace").replace("\r", "")
    return shown.partition("\n")[2]


def booted(station: LinuxStation, start: int = 0) -> None:
    ready = station.until(1, b"GUEST-READY", start)
    station.until(1, b"# ", ready.end())


def test_a_synced_file_is_there_after_a_reboot_and_in_the_image(module: bytes, tmp_path: Path) -> None:
    linux, disk = images.linux_images(), tmp_path / "disk.ext4"
    assert linux is not None
    make_ext4(disk)
    files = {"Image": linux.kernel.read_bytes(), "initrd": linux.initramfs.read_bytes()}
    files["vm1.json"] = linux_configuration(1).encode()
    station = LinuxStation(module, files, disk)
    station.boot()
    assert station("umount /mnt; insmod shyper_riscv64.ko") == " => 0"
    station.daemon("/dev/vda")
    assert station("./shyper vm config vm1.json 2> /dev/null; ./shyper vm boot 1").endswith(" => 0")
    booted(station)
    guest(station, "echo the text > /mnt/file; head -c 3000000 /dev/urandom > /mnt/random; sync")
    digest = guest(station, "md5sum /mnt/random").split()[0]
    start = len(station.consoles[1])
    assert station("./shyper vm reboot 1 --force") == " => 0"
    booted(station, start)
    assert guest(station, "cat /mnt/file") == "the text"
    assert guest(station, "md5sum /mnt/random").split()[0] == digest
    station.type(1, "poweroff\r")
    station.run(2)
    assert station("./shyper vm list").count("Pending") == 1
    assert station("killall shyper; wait").endswith(" => 0")
    station.close()

    checked = subprocess.run([e2fsprogs("e2fsck"), "-fn", str(disk)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    found = subprocess.run(
        [e2fsprogs("debugfs"), "-R", "cat /file", str(disk)], capture_output=True, text=True, check=True
    )
    assert found.stdout == "the text\n"
