"""A host whose disk is slow: a guest's flush waits for it, and nothing else does."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.disk_sync import DiskSync, Sync
from shyper_tui.engine.clock import VirtualClock, WallClock
from shyper_tui.engine.hart.program import program
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice
from shyper_tui.engine.hypervisor.devices.flush import SYNC_TICKS
from shyper_tui.engine.hypervisor.manager import Manager
from shyper_tui.engine.hypervisor.vm import Vm
from shyper_tui.engine.machine import Machine
from shyper_tui.engine.shyper_machine import Hooks, ShyperMachine
from tests.hypervisor.disk_driver import FLUSH, OUT, GuestDisk, Lab, blk, pattern
from tests.hypervisor.programs import S0, S1, S2, S3, T0, T1, T2, Program
from tests.hypervisor.station import Station, guest
from tests.hypervisor.workloads import BASE, RESULTS, spinner, words

OK, IOERR = 0, 1
DEVICE = 0x1000_1000
SECONDS = 60


class SlowHost:
    """`os.fsync` that blocks until it is let go; `syncing` says that one is at work. `errors` are raised, in order."""

    def __init__(self) -> None:
        self.syncing = threading.Semaphore(0)
        self._go = threading.Semaphore(0)
        self._fsync = os.fsync
        self.errors: list[OSError] = []
        self.done = 0

    def fsync(self, fd: int) -> None:
        self.syncing.release()
        self._go.acquire()
        if self.errors:
            raise self.errors.pop(0)
        self._fsync(fd)
        self.done += 1

    def let_go(self, count: int = 1) -> None:
        self._go.release(count)

    def wait(self) -> None:
        """Until one more sync is at work."""
        assert self.syncing.acquire(timeout=SECONDS)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowHost]:
    slow = SlowHost()
    monkeypatch.setattr(os, "fsync", slow.fsync)
    yield slow
    slow.let_go(1 << 20)  # a test that has failed must not leave a thread behind


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "disk.img"
    file.write_bytes(pattern(0, 64))
    return file


def slow_lab(path: Path) -> tuple[Lab, GuestDisk]:
    """A guest with the file as its disk; neither runs by itself."""
    lab = Lab()
    lab.disks.offer(path.name, path, writable=True)
    return lab, GuestDisk(lab.guest())


def no_sync_under_way(lab: Lab) -> None:
    for entry in lab.disks.disks:
        assert entry.syncs is not None
        assert not entry.syncs.under_way


# Guests that run


def flusher() -> bytes:
    """Waits until a test has prepared the virtqueue (`prepare`), then flushes for ever and counts how often."""
    body = Program(BASE).li(S0, RESULTS).li(S3, DEVICE + mmio.QueueNotify)
    body.label("ready").op("ld", rd=S1, rs1=S0, imm=8).branch("beq", S1, 0, "ready").op("ld", rd=S2, rs1=S0, imm=16)
    body.label("again").op("lhu", rd=T0, rs1=S1, imm=0).op("addi", rd=T0, rs1=T0, imm=1)
    body.op("sh", rs1=S1, rs2=T0, imm=0).op("sw", rs1=S3, rs2=0, imm=0)
    body.label("wait").op("lhu", rd=T1, rs1=S2, imm=0).branch("bne", T1, T0, "wait")
    body.op("ld", rd=T2, rs1=S0, imm=0).op("addi", rd=T2, rs1=T2, imm=1).op("sd", rs1=S0, rs2=T2, imm=0)
    return body.jump("again").code()


def prepare(vm: Vm) -> Callable[[], int]:
    """The virtqueue of the program above: each of its requests is the same flush. Returns how to read the status."""
    driver = GuestDisk(vm)
    queue = driver.queues[0]
    head = queue.add([struct.pack("<IIQ", FLUSH, 0, 0)], [1])
    vm.memory.write(queue.avail + 2, struct.pack(f"<{1 + queue.size}H", 0, *[head] * queue.size))
    ((status, _),) = queue.pending[head].buffers
    vm.memory.write(RESULTS + 8, struct.pack("<QQ", queue.avail + 2, queue.used + 2))
    return lambda: vm.memory.read(status, 1)[0]


def two_guests(manager: Manager, run: Callable[[Callable[[], bool]], None]) -> tuple[Vm, Vm]:
    """VM 1 flushes, VM 2 counts, each on a core of its own; `run` lets the machine run until a condition holds."""
    plic = EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC)
    flushing = manager.add(guest(1, 0b0010, devices=[plic, blk()]), flusher())
    counting = manager.add(guest(2, 0b0100), spinner())
    manager.boot(1)
    manager.boot(2)
    run(lambda: words(counting, 1)[0] > 0)
    prepare(flushing)
    return flushing, counting


class Running:
    """Lets a machine run, as its owner does, until a condition holds."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __call__(self, condition: Callable[[], bool]) -> None:
        machine, failed = self._machine, [False]
        last = machine.now() + SECONDS * 10_000_000

        def look() -> None:
            failed[0] = machine.now() > last
            if condition() or failed[0]:
                machine.stop()
            else:
                machine.call_at(machine.now() + 5_000, look)

        machine.call_at(machine.now(), look)
        machine.run()
        assert not failed[0]


def test_a_slow_disk_holds_up_the_guest_that_flushes_and_no_other(host: SlowHost, path: Path) -> None:
    station = Station(clock=WallClock())
    station.platform.disks.offer(path.name, path, writable=True)
    running = Running(station.machine)
    flushing, counting = two_guests(station.manager, running)
    running(lambda: host.syncing.acquire(blocking=False))
    for _ in range(3):  # the host's disk is at work all the time
        before = words(counting, 1)[0]
        running(lambda: words(counting, 1)[0] > before + 100_000)  # noqa: B023
        assert words(flushing, 1) == (0,)
    host.let_go()
    running(lambda: words(flushing, 1)[0] == 1)
    host.let_go(5)
    running(lambda: words(flushing, 1)[0] == 6)
    assert host.done == 6
    entry = station.manager.entry(1)
    station.manager.remove(1)
    running(lambda: entry.vm is None)
    host.let_go(2)  # the seventh, which nobody waits for any more, and that of closing
    station.platform.disks.close()


def story(host: SlowHost, path: Path, flushes: int) -> tuple[str, int]:
    """What a machine with the virtual clock has done after some flushes, in every bit of both guests' RAM; and cycles
    that the flushes took."""
    station = Station()
    station.platform.disks.offer(path.name, path, writable=True)
    flushing, counting = two_guests(station.manager, station.until)
    begin = station.machine.cycle
    station.until(lambda: words(flushing, 1)[0] == flushes)
    took = station.machine.cycle - begin
    station.run(12_345)
    found = hashlib.sha256()
    for vm in (flushing, counting):
        for region in vm.memory.regions:
            found.update(vm.memory.read(region.ipa, region.length))
    for hart in station.machine.harts:
        found.update(struct.pack("<3Q", hart.pc, hart.cycle, hart.instructions))
    host.let_go(8)  # the flush under way, and that of closing
    entry = station.manager.entry(1)
    station.manager.remove(1)
    station.until(lambda: entry.vm is None)
    station.platform.disks.close()
    return found.hexdigest(), took


def test_with_the_virtual_clock_a_run_does_not_depend_on_the_speed_of_the_disk(
    host: SlowHost, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, waited = DiskSync.wait, []

    def only_now(syncs: DiskSync, sync: Sync) -> bool:
        """The disk needs until the machine waits for it."""
        waited.append(sync.ended)
        host.let_go()
        return wait(syncs, sync)

    with monkeypatch.context() as patch:
        patch.setattr(DiskSync, "wait", only_now)
        slow = story(host, path, 8)
    assert waited.count(False) >= 8
    host.let_go(1 << 10)
    fast = story(host, path, 8)
    assert slow == fast
    assert fast[1] >= 8 * SYNC_TICKS * VirtualClock().divider


# Order, resets, removal, errors


def test_a_flush_is_answered_when_the_sync_has_returned_and_includes_the_writes_before_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, pwrite = os.fsync, os.pwrite

    def recorded_fsync(fd: int) -> None:
        events.append("sync begins")
        fsync(fd)
        events.append("sync ends")

    def recorded_pwrite(fd: int, data: bytes, offset: int) -> int:
        events.append("write")
        return pwrite(fd, data, offset)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "pwrite", recorded_pwrite)
    lab, disk = slow_lab(path)
    for sector in range(3):
        disk.ask(OUT, sector, b"k" * 512)
    disk.ask(FLUSH)
    disk.ask(OUT, 9, b"l" * 512)  # waits until the flush has ended
    assert [status for _, _, status in disk.answers()] == [OK] * 3
    lab.time.advance(SYNC_TICKS)
    assert [status for _, _, status in disk.answers()] == [OK, OK]
    assert events == ["write", "write", "write", "sync begins", "sync ends", "write"]
    lab.disks.close()


def test_a_reset_while_the_disk_syncs_ends_the_flush_without_an_answer(host: SlowHost, path: Path) -> None:
    lab, disk = slow_lab(path)
    disk.ask(FLUSH)
    host.wait()
    old = disk.queues[0]
    disk.start()
    lab.time.advance(2 * SYNC_TICKS)  # the machine does not wait for what nobody wants
    disk.ask(FLUSH)  # is not served by the sync under way
    host.let_go()
    host.wait()
    assert (old.collect(), disk.answers()) == ([], [])
    host.let_go()
    lab.time.advance(SYNC_TICKS)
    assert (old.collect(), disk.answers(), host.done) == ([], [(1, b"", OK)], 2)
    host.let_go()
    lab.disks.close()
    no_sync_under_way(lab)


def test_resets_again_and_again_do_not_pile_up_work(host: SlowHost, path: Path) -> None:
    lab, disk = slow_lab(path)
    before = set(threading.enumerate())
    disk.ask(FLUSH)
    host.wait()
    for _ in range(50):
        disk.start()
        disk.ask(FLUSH)
        lab.time.advance(SYNC_TICKS - 1)  # the disk's own answer is not due yet
    assert len(set(threading.enumerate()) - before) == 1
    host.let_go()
    host.wait()
    host.let_go()
    lab.time.advance(SYNC_TICKS)
    assert (disk.answers(), host.done) == ([(1, b"", OK)], 2)
    host.let_go()
    lab.disks.close()


def test_a_vm_can_be_removed_while_its_disk_syncs_and_another_takes_the_disk(host: SlowHost, path: Path) -> None:
    lab, disk = slow_lab(path)
    vm = lab.station.manager.vm(1)
    disk.send(OUT, 5, b"k" * 512)
    disk.ask(FLUSH)
    host.wait()
    (region,) = vm.memory.regions
    lab.remove(1)
    host.let_go()
    lab.time.advance(2 * SYNC_TICKS)
    assert not lab.platform.memory.read(region.physical, region.length).strip(b"\0")
    other = GuestDisk(lab.guest(2, cores=0b0100))
    assert other.read(5) == (b"k" * 512, OK)
    other.ask(FLUSH)
    host.wait()
    host.let_go()
    lab.time.advance(SYNC_TICKS)
    assert (other.answers(), host.done) == ([(1, b"", OK)], 2)
    host.let_go()
    lab.disks.close()
    no_sync_under_way(lab)


def test_an_error_of_the_sync_is_an_io_error_and_one_line(host: SlowHost, path: Path) -> None:
    lab, disk = slow_lab(path)
    host.errors = [OSError(errno.EIO, "the medium is bad"), OSError(errno.ENOSPC, "full")]
    host.let_go(4)
    found = []
    for _ in range(3):
        disk.ask(FLUSH)
        lab.time.advance(SYNC_TICKS)
        found += [status for _, _, status in disk.answers()]
    assert found == [IOERR, IOERR, OK]
    assert disk.block.errors == 2
    (line,) = [line for line in lab.log if "failed" in line]
    assert "FLUSH at sector 0 failed: the medium is bad" in line
    lab.disks.close()


def test_an_error_that_a_reset_has_hidden_is_told_at_the_next_flush(host: SlowHost, path: Path) -> None:
    lab, disk = slow_lab(path)
    host.errors = [OSError(errno.EIO, "the medium is bad")]
    disk.ask(FLUSH)
    host.wait()
    disk.start()
    host.let_go(4)
    for expected in (IOERR, OK):
        disk.ask(FLUSH)
        lab.time.advance(SYNC_TICKS)
        assert disk.answers() == [(1, b"", expected)]
    host.errors = [OSError(errno.EIO, "the medium is worse")]
    lab.disks.close(lab.log.append)
    assert lab.log[-1] == f"warning: {path}: what guests have written may be lost: the medium is worse"


def test_the_machine_ends_while_it_waits_for_the_disk_and_everything_is_stored(
    host: SlowHost, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, waiting = DiskSync.wait, threading.Semaphore(0)

    def told(syncs: DiskSync, sync: Sync) -> bool:
        waiting.release()
        return wait(syncs, sync)

    monkeypatch.setattr(DiskSync, "wait", told)
    built = ShyperMachine(VirtualClock(), program(), Hooks(lambda *_: None, lambda: None, lambda _: None), None, None)
    built.platform.disks.offer(path.name, path, writable=True)
    built.power_on()
    flushing, counting = two_guests(built.hypervisor.manager, Running(built.machine))
    machine = threading.Thread(target=built.run)
    machine.start()
    host.wait()
    assert waiting.acquire(timeout=SECONDS)
    counted = words(counting, 1)
    built.stop()
    machine.join(SECONDS)
    assert not machine.is_alive()
    assert words(flushing, 1) == (0,)
    assert words(counting, 1) >= counted
    closing = threading.Thread(target=built.close)
    closing.start()
    host.let_go()
    host.wait()  # once more, now that nothing is written any more
    assert closing.is_alive()
    host.let_go()
    closing.join(SECONDS)
    assert not closing.is_alive()
    assert (host.done, words(flushing, 1)) == (2, (0,))
    assert "disk sync" not in {thread.name for thread in threading.enumerate()}
