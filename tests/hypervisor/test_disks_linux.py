"""Linux on two disks: one that the supervisor's daemon serves, one that the workstation serves from a file."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from shyper_tui import images
from shyper_tui.engine.board.virtio.block import Block, RequestType
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from tests.hypervisor.disk_driver import blk
from tests.hypervisor.station import Station, guest

pytestmark = pytest.mark.skipif(images.linux_images() is None, reason="needs the Linux images: shyper-tui images fetch")

BLOCKS = 24  # of 64 KiB
SIZE = BLOCKS << 16
PROMPT = b"/# "


def command(station: Station, line: str) -> str:
    """What a command prints, at the shell of the smallest initramfs."""
    start = len(station.consoles[1])
    station.type(1, f"{line}; echo do''ne\r".encode())
    station.until(lambda: b"\ndone\r\n/# " in station.consoles[1][start:], 5_000_000_000)
    return station.consoles[1][start:].decode()


def test_linux_copies_from_a_file_of_the_host_to_a_disk_of_the_managing_vm_and_back(tmp_path: Path) -> None:
    path, data = tmp_path / "disk.img", random.Random(7).randbytes(SIZE)
    path.write_bytes(data + bytes(SIZE))
    station = Station(ram=8 << 30)
    station.platform.disks.offer(path.name, path, writable=True)
    station.manager.add(mvm_definition(), images.embedded("supervisor"))
    station.manager.boot(0)
    station.until(lambda: b"mvm# " in station.consoles[0])
    station.command(0, "shyper system daemon 131072", b"mvm# ")
    devices = [
        EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC),
        blk("virtio_blk@10001000", 19, 0, 131072),
        blk("virtio_blk@10002000", 20, 0, 8192000),
        EmulatedDevice("virtio_console@40001000", 0x4000_1000, 0x1000, 21, (0, 0x4000_1000), DeviceType.VIRTIO_CONSOLE),
    ]
    definition = guest(1, 0b0010, 256 << 20, devices, device_tree_load_ipa=0x8F00_0000, ramdisk_load_ipa=0x8800_0000)
    definition.cmdline = "console=hvc0 rdinit=/init panic=-1"
    kernel, ramdisk = images.path("linux/Image"), images.path("linux/initramfs-min.cpio")
    vm = station.manager.add(definition, kernel.read_bytes(), ramdisk.read_bytes())
    station.manager.boot(1)
    station.until(lambda: PROMPT in station.consoles[1], 5_000_000_000)

    command(station, "mkdir -p /sys; mount -t sysfs s /sys")
    assert "\n131072\r\n" in command(station, "cat /sys/block/vda/size")
    assert f"\n{2 * SIZE // 512}\r\n" in command(station, "cat /sys/block/vdb/size")  # cut to what the file has
    assert "\nvirtio-blk-vm1-1\r\n" in command(station, "echo $(cat /sys/block/vdb/serial)")
    shown = command(station, f"dd if=/dev/vdb of=/dev/vda bs=64k count={BLOCKS} conv=fsync")
    assert f"{BLOCKS}+0 records out" in shown
    command(station, "echo 3 > /proc/sys/vm/drop_caches")
    shown = command(station, f"dd if=/dev/vda bs=64k count={BLOCKS} | md5sum")
    assert hashlib.md5(data).hexdigest() in shown
    command(station, f"dd if=/dev/vda of=/dev/vdb bs=64k count={BLOCKS} seek={BLOCKS} conv=fsync")
    assert path.read_bytes() == data + data

    assert "0 out of range, 0 not answered" in station.command(0, "shyper system daemon", b"mvm# ")
    for name in ("virtio_blk@10001000", "virtio_blk@10002000"):
        device = vm.backends[name]
        assert isinstance(device, Block)
        assert device.errors == 0
        assert device.requests[RequestType.FLUSH] >= 1
