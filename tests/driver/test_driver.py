"""The kernel module in real Linux: its calls, and daemons that serve disks through it, with guests asking."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shyper_tui import images
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice
from shyper_tui.engine.hypervisor.devices.daemon_disk import DaemonDisk
from shyper_tui.engine.hypervisor.vm import Vm
from shyper_tui.images import ImageError
from shyper_tui.images.cpio import CpioArchive
from shyper_tui.images.driver_build import driver_module
from tests.driver.station import LinuxStation, driver_packages
from tests.hypervisor.disk_driver import FLUSH, IN, OUT, GuestDisk, blk
from tests.hypervisor.station import guest

pytestmark = pytest.mark.linux

PROGRAM = Path(__file__).parents[1] / "programs" / "linux_abi_test.elf"
OK, IOERR = 0, 1
SECTORS = 2048


@pytest.fixture(scope="module")
def module() -> bytes:
    linux = images.linux_images()
    if linux is None:
        pytest.skip("no Linux images; run `shyper-tui images fetch`")
    packages = driver_packages()
    if not any(package.name.startswith("linux-headers-") for package in packages):
        pytest.skip("no kernel headers; run `shyper-tui images fetch --refresh`")
    try:
        return driver_module(linux.release, packages, lambda text, done, total: None)
    except ImageError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def booted(module: bytes) -> Iterator[LinuxStation]:
    files = {"lib/shyper.ko": module, "lib/other.ko": for_another_kernel(module), "bin/abi_test": PROGRAM.read_bytes()}
    station = LinuxStation(files)
    station.platform.describe = lambda vm: f'{{"name": "vm {vm}", "text": "{"x" * 500}"}}'
    assert station.command("insmod /lib/shyper.ko") == ""
    yield station
    station.close()


@pytest.fixture
def station(booted: LinuxStation) -> Iterator[LinuxStation]:
    """Without daemons and guests afterwards, and with nothing wrong in what daemons have printed."""
    booted.command("rm -f /out*; for i in 0 1 2; do dd if=/dev/zero of=/disk$i bs=512 count=2048 2>/dev/null; done")
    yield booted
    kill_daemons(booted)
    remove_guests(booted)
    assert "FAIL" not in booted.command("cat /out* 2>/dev/null")
    assert pinned(booted) == 0


def pinned(station: LinuxStation) -> int:
    """Pages of processes that the kernel holds for devices, and here for the hypervisor."""
    shown = station.command("echo 1 > /proc/sys/vm/stat_refresh; cat /proc/vmstat")
    counts = dict(re.findall(r"nr_foll_pin_(\w+) (\d+)", shown))
    return int(counts["acquired"]) - int(counts["released"])


def kill_daemons(station: LinuxStation) -> None:
    station.command("kill -9 $(pidof abi_test)")
    station.run(0.1)


def start_daemon(station: LinuxStation, arguments: str, output: str = "/out") -> None:
    start = len(station.shown)
    station.command(f"abi_test daemon {arguments} > {output} 2>&1 & echo pid")
    for _ in range(50):
        if "serving" in station.command(f"cat {output}"):
            return
        station.run(0.05)
    raise AssertionError(bytes(station.shown[start:]).decode())


def asking_guests(station: LinuxStation, count: int = 1) -> list[GuestDisk]:
    """Guest VMs with a disk each, which this test drives: the VMs themselves do not run."""
    plic = EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC)
    disks = []
    for _ in range(count):
        definition = guest(station.manager.free_id(), 0b0010, 16 << 20, [plic, blk(sectors=SECTORS)])
        disks.append(GuestDisk(station.manager.add(definition, images.embedded("guest"))))
    return disks


def remove_guests(station: LinuxStation) -> None:
    for vm_id in [vm_id for vm_id in station.manager.table if vm_id]:
        station.manager.remove(vm_id)
    station.run(0.1)


def answer(station: LinuxStation, disk: GuestDisk, limit: float = 10) -> tuple[bytes, int]:
    """Data and status of the one request that is under way."""
    for _ in range(int(limit * 50)):
        found = disk.answers()
        if found:
            ((_, data, status),) = found
            return data, status
        station.run(0.02)
    raise AssertionError("no answer; the daemon has printed: " + station.command("cat /out"))


def daemon_disks(station: LinuxStation) -> list[DaemonDisk]:
    return [entry.backing for entry in station.platform.disks.disks if isinstance(entry.backing, DaemonDisk)]


def pattern(seed: int, sectors: int) -> bytes:
    return b"".join(struct.pack("<II", seed, sector) * 64 for sector in range(sectors))


def test_calls_of_a_command_do_what_they_say(station: LinuxStation) -> None:
    shown = station.command("abi_test calls")
    assert re.search(r"calls: \d\d+ checks, 0 failures", shown), shown
    assert "test call of VM 0" in station.log
    assert sorted(station.manager.table) == [0]


def test_names_of_files_reach_the_hypervisor(station: LinuxStation) -> None:
    named: list[dict[str, str]] = []
    station.platform.on_change = lambda: named.extend(
        {kind.name: name for kind, name in entry.files.items()} for entry in station.manager.table.values()
    )
    station.command("abi_test calls")
    station.platform.on_change = lambda: None
    assert {"KERNEL": "Image-of-a-kernel-31-characters", "CONFIGURATION": "p" * 255} in named


def test_bad_addresses_lengths_and_numbers_are_refused(station: LinuxStation) -> None:
    shown = station.command("abi_test refused")
    assert re.search(r"refused: \d{4,} checks, 0 failures", shown), shown
    assert sorted(station.manager.table) == [0]
    assert not re.search("Oops|BUG|WARN|Call Trace", station.command("dmesg"))


def test_disks_are_registered_again_by_any_process_and_refused_with_bad_caches(station: LinuxStation) -> None:
    shown = station.command("abi_test disks")
    assert re.search(r"\ndisks: \d{3,} checks, 0 failures", shown), shown
    assert shown.count(", 0 failures") == 3
    assert not any(disk.online for disk in daemon_disks(station))


@pytest.mark.parametrize("way", ["once", "poll", "drain badread"])
def test_a_guest_reads_and_writes_what_a_daemon_serves(station: LinuxStation, way: str) -> None:
    start_daemon(station, f"{way} /disk0")
    (disk,) = asking_guests(station)
    data = pattern(1, 300)  # more than the daemon's cache
    disk.ask(OUT, 7, data)
    assert answer(station, disk) == (b"", OK)
    disk.ask(IN, 7, room=len(data))
    assert answer(station, disk) == (data, OK)
    shown = station.command("cat /out")
    assert re.findall(r"disk 0 type (\d) sector (\d+) count (\d+)", shown) == [
        (kind, sector, count)
        for kind in "10"
        for sector, count in (("7", "128"), ("135", "128"), ("263", "44"))
    ]
    stored = bytes(7 * 512) + data
    shown = station.command(f"dd if=/disk0 bs=512 count={len(stored) // 512} 2>/dev/null | md5sum")
    assert hashlib.md5(stored).hexdigest() in shown


def test_requests_of_several_disks_survive_signals_that_coalesce(station: LinuxStation) -> None:
    for way in ("once", "drain"):
        start_daemon(station, f"{way} /disk0 /disk1 /disk2")
        disks = asking_guests(station, 3)
        station.command("kill -STOP $(pidof abi_test)")
        for number, disk in enumerate(disks):
            disk.ask(OUT, number, pattern(number, 1))
            station.run(0.05)  # each request raises the signal, one of them stays pending
        station.command("kill -CONT $(pidof abi_test)")
        for disk in disks:
            assert answer(station, disk, limit=0.5) == (b"", OK)  # before the hypervisor repeats its message
        kill_daemons(station)
        remove_guests(station)


def test_a_killed_daemon_is_forgotten_at_once_and_another_serves_its_request(station: LinuxStation) -> None:
    start_daemon(station, "/disk0")
    (disk,) = asking_guests(station)
    pages = [backing.page for backing in daemon_disks(station)]
    for round_ in range(5):
        station.command("kill -STOP $(pidof abi_test)")
        disk.ask(OUT, round_, pattern(round_, 1))
        station.run(0.05)
        assert pinned(station) == 16
        kill_daemons(station)
        assert not any(backing.online for backing in daemon_disks(station))
        assert pinned(station) == 0
        assert disk.answers() == []
        start_daemon(station, "/disk0")
        assert answer(station, disk) == (b"", OK)
    assert [backing.page for backing in daemon_disks(station) if backing.online] == [p for p in pages if p is not None]
    disk.ask(IN, 0, room=5 * 512)
    assert answer(station, disk) == (b"".join(pattern(round_, 1) for round_ in range(5)), OK)


def test_a_second_daemon_takes_over_the_disk_of_one_that_lives(station: LinuxStation) -> None:
    start_daemon(station, "/disk0")
    (disk,) = asking_guests(station)
    start_daemon(station, "/disk0", "/out2")
    disk.ask(OUT, 3, pattern(3, 1))
    assert answer(station, disk) == (b"", OK)
    assert "sector 3" not in station.command("cat /out")
    assert "sector 3" in station.command("cat /out2")


def test_two_daemons_serve_their_own_disks_though_they_number_them_alike(station: LinuxStation) -> None:
    start_daemon(station, "/disk0")
    start_daemon(station, "once /disk1", "/out2")
    first, second = asking_guests(station, 2)
    for _ in range(3):
        first.ask(OUT, 1, pattern(1, 1))
        second.ask(OUT, 2, pattern(2, 1))
        assert answer(station, first) == answer(station, second) == (b"", OK)
    assert set(re.findall(r"disk 0 .*", station.command("cat /out"))) == {"disk 0 type 1 sector 1 count 1"}
    assert set(re.findall(r"disk 0 .*", station.command("cat /out2"))) == {"disk 0 type 1 sector 2 count 1"}


def test_errors_and_flushes_reach_the_guest_and_the_daemon(station: LinuxStation) -> None:
    start_daemon(station, "flush bad=9 /disk0")
    (disk,) = asking_guests(station)
    for kind, sector, status in ((IN, 8, OK), (IN, 9, IOERR), (OUT, 9, IOERR), (IN, 10, OK), (FLUSH, 0, OK)):
        disk.ask(kind, sector, pattern(0, 1) if kind == OUT else b"", room=512 if kind == IN else 0)
        assert answer(station, disk)[1] == status
    shown = station.command("cat /out")
    assert shown.count("failed") == 2
    assert "disk 0 type 2 sector 0 count 0" in shown


def test_the_kernel_of_a_vm_is_asked_for_again(station: LinuxStation) -> None:
    start_daemon(station, "once /disk0")
    mvm: Vm | None = station.manager.table[0].vm
    assert mvm is not None
    for vm_id in (3, 4, 5):
        assert mvm.notify(0x11, 9, vm_id)  # seven fit into the ring at once
    station.run(0.2)
    assert re.findall(r"upload vm (\d)", station.command("cat /out")) == ["3", "4", "5"]


def test_more_messages_than_the_ring_has_slots_all_arrive(station: LinuxStation) -> None:
    start_daemon(station, "poll /disk0")  # poll() counts without asking for signals
    start_daemon(station, "drain /disk1", "/out2")
    mvm = station.manager.table[0].vm
    assert mvm is not None
    for number in range(60):
        assert mvm.notify(0x11, 9, number)
    station.run(0.5)
    found = re.findall(r"upload vm (\d+)", station.command("cat /out2"))
    assert found == [str(number) for number in range(60)]


def test_messages_whose_interrupts_have_merged_or_that_skip_a_slot_arrive(station: LinuxStation) -> None:
    start_daemon(station, "drain /disk0")
    mvm = station.manager.table[0].vm
    assert mvm is not None
    assert mvm.vplic is not None
    assert mvm.mailbox_irq is not None
    mailbox, interrupt = mvm.mailbox, mvm.mailbox._interrupt
    for number in range(20):
        mailbox._interrupt = lambda: None
        assert mvm.notify(0x11, 9, 2 * number)
        mailbox._interrupt, mailbox._raised = interrupt, False
        assert mvm.notify(0x11, 9, 2 * number + 1)
        mailbox._in_flight = 1  # one interrupt for both, and no other
        station.run(0.02)
    uploads = re.compile(r"upload vm (\d+)")
    assert uploads.findall(station.command("cat /out")) == [str(number) for number in range(40)]
    for number in range(20):
        mvm.vplic.plic.pulse(mvm.mailbox_irq)  # for nothing: the hypervisor skips a slot
        station.run(0.02)
        assert mvm.notify(0x11, 9, 40 + number)
        station.run(0.02)
    assert uploads.findall(station.command("cat /out")) == [str(number) for number in range(60)]


@pytest.mark.parametrize(("event", "program"), [(3, "poweroff"), (4, "reboot")])
def test_a_request_to_power_off_or_reboot_runs_the_systems_own_program(
    station: LinuxStation, event: int, program: str
) -> None:
    station.command(f"mkdir -p /sbin; printf '#!/bin/busybox sh\\necho $0 > /asked\\n' > /sbin/{program}")
    station.command(f"chmod +x /sbin/{program}; rm -f /asked")
    mvm = station.manager.table[0].vm
    assert mvm is not None
    assert mvm.notify(1, event, 0)
    station.run(0.5)
    assert f"/sbin/{program}" in station.command("cat /asked")


def test_the_module_stays_while_a_daemon_has_it_and_comes_back_afterwards(station: LinuxStation) -> None:
    start_daemon(station, "/disk0")
    assert "Resource temporarily unavailable" in station.command("rmmod shyper_riscv64")
    kill_daemons(station)
    for _ in range(3):
        station.command("rmmod shyper_riscv64")
        assert "shyper_riscv64" not in station.command("cat /proc/modules")
        assert not station.command("ls /dev | grep shyper")
        assert station.command("insmod /lib/shyper.ko") == ""
        start_daemon(station, "once /disk0")
        (disk,) = asking_guests(station)
        disk.ask(OUT, 0, pattern(0, 1))
        assert answer(station, disk, limit=0.5) == (b"", OK)
        kill_daemons(station)
        remove_guests(station)


def for_another_kernel(module: bytes) -> bytes:
    """The module with another version of the kernel's structures: the CRC stands 8 bytes before the symbol's name. In
    kernels without versions the release counts."""
    at = module.find(b"module_layout\0") - 8
    if at < 0:
        return module.replace(b" SMP ", b" UP  ", 1)
    return module[:at] + bytes((module[at] ^ 1,)) + module[at + 1 :]


def test_a_module_for_another_kernel_is_refused_with_one_line(station: LinuxStation) -> None:
    station.command("rmmod shyper_riscv64")
    assert station.command("insmod /lib/other.ko") == "insmod: can't insert '/lib/other.ko': invalid module format"
    assert re.search("disagrees about version|version magic", station.command("dmesg | tail -1"))
    assert station.command("insmod /lib/shyper.ko") == ""


@pytest.mark.oracle
def test_without_the_hypervisor_the_module_is_refused_with_one_line(module: bytes, tmp_path: Path) -> None:
    qemu, linux = shutil.which("qemu-system-riscv64"), images.linux_images()
    assert linux is not None
    if qemu is None:
        pytest.skip("qemu-system-riscv64 is not installed")
    archive = CpioArchive()
    archive.file("lib/shyper.ko", module)
    ramdisk = tmp_path / "initrd"
    ramdisk.write_bytes(linux.initramfs_min.read_bytes() + archive.to_bytes())
    script = 'run="insmod /lib/shyper.ko; dmesg | grep Shyper; ls /dev/shyper; cat /proc/modules; poweroff"'
    command = [
        qemu, "-M", "virt", "-m", "512M", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
        "-kernel", str(linux.kernel), "-initrd", str(ramdisk), "-append", f"console=ttyS0 quiet {script}",
    ]  # fmt: skip
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True)
    shown = done.stdout.decode(errors="replace").partition("GUEST-READY")[2]
    assert "insmod: can't insert '/lib/shyper.ko': No such device" in shown
    lines = {line.partition("] ")[2] for line in shown.splitlines() if "[Shyper MOD" in line}  # on the console, too
    assert lines == {"[Shyper MOD WARNING] there is no hypervisor below this system, or one that is not known"}
    assert "shyper_riscv64" not in shown
    assert "/dev/shyper: No such file" in shown


@pytest.fixture(scope="module")
def two_vcpus(module: bytes) -> Iterator[LinuxStation]:
    station = LinuxStation({"lib/shyper.ko": module, "bin/abi_test": PROGRAM.read_bytes()}, vcpus=2)
    assert station.command("insmod /lib/shyper.ko; nproc") == "2"
    yield station
    station.close()


def test_daemons_on_either_vcpu_of_the_managing_vm_have_their_own_memory_as_cache(two_vcpus: LinuxStation) -> None:
    station = two_vcpus
    station.command("for i in 0 1; do dd if=/dev/zero of=/disk$i bs=512 count=2048 2>/dev/null; done")
    for cpu in (0, 1):
        station.command(f"taskset {1 << cpu} abi_test daemon drain /disk{cpu} > /out{cpu} 2>&1 & echo")
        station.run(0.3)
    disks = asking_guests(station, 2)
    for number in range(10):
        data = [pattern(number + 100 * index, 128 + number) for index in range(2)]
        for index, disk in enumerate(disks):
            disk.ask(OUT, 50 * number, data[index])
        assert [answer(station, disk) for disk in disks] == [(b"", OK)] * 2
        for disk in disks:
            disk.ask(IN, 50 * number, room=len(data[0]))
        assert [answer(station, disk) for disk in disks] == [(data[0], OK), (data[1], OK)]
    assert any("lies scattered" in line for line in station.log)  # else this would prove nothing
    assert "FAIL" not in station.command("cat /out*")


def test_daemons_killed_at_any_moment_lose_and_repeat_nothing(two_vcpus: LinuxStation) -> None:
    station, random_ = two_vcpus, random.Random(5)
    kill_daemons(station)
    remove_guests(station)
    station.command("for i in 0 1; do dd if=/dev/zero of=/disk$i bs=512 count=2048 2>/dev/null; done")
    expected = [bytearray(2048 * 512) for _ in range(2)]
    start_daemon(station, "drain /disk0 /disk1")
    disks = asking_guests(station, 2)
    for number in range(60):
        for index, disk in enumerate(disks):
            sector, data = random_.randrange(2048 - 200), random_.randbytes(512 * random_.randrange(1, 200))
            disk.ask(OUT, sector, data)
            expected[index][512 * sector : 512 * sector + len(data)] = data
        station.run(random_.random() * 0.004)
        if number % 4 == 0:
            station.command("kill -9 $(pidof abi_test); abi_test daemon drain /disk0 /disk1 > /out 2>&1 &")
        assert [answer(station, disk) for disk in disks] == [(b"", OK)] * 2
    for index, content in enumerate(expected):
        assert hashlib.md5(content).hexdigest() in station.command(f"md5sum /disk{index}")
    assert "FAIL" not in station.command("cat /out")


def test_the_kernel_has_nothing_to_complain_about(station: LinuxStation) -> None:
    assert not re.search("Oops|BUG:|Call Trace|lockdep", station.command("dmesg"))
