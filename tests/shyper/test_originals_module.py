"""`shyper` over a kernel module that can only do what Rust-Shyper's can: it tells of messages by SIGUSR1 alone, its
poll() is ready at all times, and it refuses what this project has added."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from shyper_tui import images
from shyper_tui.engine.hypervisor.calls.table import CONFIG, HANDLERS, MEDIATED, VMM
from shyper_tui.images.cross_compiler import cross_compilers
from shyper_tui.images.driver_build import build_module, driver_sources
from shyper_tui.images.kernel_headers import unpack_headers
from tests.driver.station import driver_packages

from .linux_station import LinuxStation

pytestmark = pytest.mark.linux
POLL = "    .poll = daemon_poll,\n"
EXTENSION = ((VMM, 0x9), (MEDIATED, 0x33), (MEDIATED, 0x34), (MEDIATED, 0x35), (CONFIG, 0xC), (CONFIG, 0xD))


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinuxStation]:
    linux = images.linux_images()
    headers = [package for package in driver_packages() if package.name.startswith("linux-headers-")]
    if linux is None or len(headers) < 2:
        pytest.skip("needs the Linux images and their kernel headers: shyper-tui images fetch --refresh")
    folder = tmp_path_factory.mktemp("module")
    sources = shutil.copytree(driver_sources(), folder / "sources")
    device = (sources / "device.c").read_text()
    assert POLL in device
    (sources / "device.c").write_text(device.replace(POLL, ""))
    try:
        compiler = next(iter(cross_compilers(lambda text, done, total: None)))
    except images.ImageError as error:
        pytest.skip(str(error))
    module = build_module(unpack_headers(headers, linux.release, folder), compiler, sources)
    station = LinuxStation(module)
    station.boot()
    assert station("insmod shyper_riscv64.ko; truncate -s 4M a.img b.img") == " => 0"
    with pytest.MonkeyPatch.context() as patch:
        for call in EXTENSION:
            patch.delitem(HANDLERS, call)
        yield station
    station.close()


def test_guests_get_their_disks_and_kernels(station: LinuxStation) -> None:
    station.manager.loader.keep = 1  # the hypervisor asks for kernels again
    station.daemon("a.img", "b.img")
    station.log_of_daemon("MEDBLK1")
    for vm in (1, 2):
        station.boot_guest(vm)
    for number in range(20):  # both at once
        starts = {vm: len(station.consoles[vm]) for vm in (1, 2)}
        for vm in starts:
            station.type(vm, f"blk write {number} text {number} of {vm}\r")
        for vm, start in starts.items():
            station.until(vm, b"sector %d written" % number, start)
    for vm, image in ((1, "a.img"), (2, "b.img")):
        shown = station(f"dd if={image} bs=512 skip=19 count=1 2> /dev/null | head -c 12; echo")
        assert shown.startswith(f"text 19 of {vm}")
    station("killall -9 shyper; wait")
    start = len(station.consoles[1])
    station.type(1, "blk read 19\r")
    station.run(2)
    station("./shyper system daemon disks.json 2> log &")
    station.until(1, rb"\|text 19 of 1", start)
    start = len(station.consoles[2])
    assert station("./shyper vm reboot 2") == " => 0"
    station.until(2, b"gvm# ", start)
    assert "VM [2] wants its kernel again: /root/guest.bin" in station.log_of_daemon("wants")
    assert station("cat /proc/loadavg; killall shyper; wait; tail -n 1 log").endswith("] Ended by SIGTERM\n => 0")


def test_an_idle_daemon_takes_no_time(station: LinuxStation) -> None:
    """A poll() that is always ready must not be asked again and again."""
    station.daemon("a.img", "b.img")
    station.log_of_daemon("MEDBLK1")
    station.run(3)
    ticks = station("cut -d ' ' -f 14,15 /proc/$(pidof shyper)/stat").split()
    assert int(ticks[0]) + int(ticks[1]) < 50  # of 300; starting takes a few
