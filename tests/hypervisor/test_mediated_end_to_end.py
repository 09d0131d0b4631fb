"""Guests on disks that the supervisor's daemon serves, on the real core: the whole way of a request and back."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest

from shyper_tui import images
from shyper_tui.engine.board.plic import SourceState
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.block import RequestType
from shyper_tui.engine.board.virtio.mmio import VirtioMmio
from shyper_tui.engine.hypervisor.calls.table import HANDLERS, Args
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice
from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vm import Vm
from tests.hypervisor.disk_driver import blk
from tests.hypervisor.station import Station, guest

MVM, GVM = b"mvm# ", b"gvm# "
BLK_IRQ, HVC_IRQ = 19, 69
BLK = "virtio_blk@10001000"


def add_guest(station: Station, vm_id: int = 1, start: int = 0, sectors: int = 64, cores: int = 0b0010) -> None:
    """A guest with one mediated disk, at its prompt."""
    console = 0x4000_0000 + 0x1000 * vm_id
    devices = [
        EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC),
        blk(BLK, BLK_IRQ, start, sectors),
        EmulatedDevice("virtio_console", console, 0x1000, 21, (0, console), DeviceType.VIRTIO_CONSOLE),
    ]
    station.manager.add(guest(vm_id, cores, 64 << 20, devices), images.embedded("guest"))
    station.manager.boot(vm_id)
    station.until(lambda: GVM in station.consoles[vm_id])


Calls = dict[tuple[int, int], list[tuple[tuple[int, ...], int]]]
"""By type and event: arguments and result of each call that returned."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Records the hypercalls that matter here."""
    recorded: Calls = {}

    def record(key: tuple[int, int]) -> None:
        made = recorded[key] = []
        handler, any_vm = HANDLERS[key]

        def wrapper(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
            result = handler(hypervisor, vm, args)
            made.append((tuple(args), result))
            return result

        monkeypatch.setitem(HANDLERS, key, (wrapper, any_vm))

    for key in ((2, 0), (3, 0x30), (3, 0x31)):
        record(key)
    return recorded


@pytest.fixture
def station(calls: Calls) -> Station:
    """The supervisor at its prompt, serving a disk of 2048 and one of 64 sectors."""
    station = Station(ram=8 << 30)
    station.manager.add(mvm_definition(), images.embedded("supervisor"))
    station.manager.boot(0)
    station.until(lambda: MVM in station.consoles[0])
    shown = station.command(0, "shyper system daemon 2048 64", MVM)
    assert "disk 0 (MEDBLK0): 2048 sectors" in shown
    assert "disk 1 (MEDBLK1): 64 sectors" in shown
    return station


def served(station: Station) -> str:
    return station.command(0, "shyper system daemon", MVM)


def test_a_guest_reads_and_writes_a_disk_of_the_managing_vm(station: Station) -> None:
    add_guest(station, start=8, sectors=100)
    assert station.command(1, "blk", GVM) == "100 sectors of 512 bytes, 50 KiB\n"
    assert "|MEDBLK0 sector 8|" in station.command(1, "blk read 0", GVM)
    assert station.command(1, "blk write 7 hello disk", GVM) == "sector 7 written\n"
    assert "|hello disk......|" in station.command(1, "blk read 7", GVM)
    assert "|MEDBLK0 sector 1|" in station.command(1, "blk read 8", GVM)
    assert "MEDBLK0: 2048 sectors, 3 reads, 1 writes, 0 out of range, 0 not answered" in served(station)
    assert "MEDBLK1: 64 sectors, 0 reads, 0 writes" in served(station)


def test_guests_have_a_disk_each_and_do_not_wait_for_each_other(station: Station) -> None:
    add_guest(station, 1, cores=0b0010)
    add_guest(station, 2, cores=0b0100)
    station.command(0, "shyper system daemon hold", MVM)
    for vm in (1, 2):
        station.type(vm, b"blk read 3\r")
    station.until(lambda: served(station).count("1 not answered") == 2)
    before = {vm: len(station.consoles[vm]) for vm in (1, 2)}
    station.command(0, "shyper system daemon go", MVM)
    for vm in (1, 2):
        station.until(lambda vm=vm: GVM in station.consoles[vm][before[vm] :])  # type: ignore[misc]
        assert f"|MEDBLK{vm - 1} sector 3|".encode() in station.consoles[vm]


@dataclass
class Request:
    """A request as its driver has laid it out: head, and addresses of data and status byte."""

    head: int
    header: bytes
    data: int
    status: int


def latest_request(vm: Vm, transport: VirtioMmio) -> Request:
    """The request that the guest has made available last."""
    queue, read = transport.queues[0], vm.memory.read
    index = struct.unpack("<H", read(queue.driver + 2, 2))[0] - 1
    (head,) = struct.unpack("<H", read(queue.driver + 4 + 2 * (index % queue.size), 2))
    chain, following = [], head
    for _ in range(3):
        address, _, _, after = struct.unpack("<QIHH", read(queue.desc + 16 * following, 16))
        chain.append(address)
        following = after
    return Request(head, read(chain[0], 16), chain[1], chain[2])


def source(vm: Vm, irq: int) -> SourceState:
    assert vm.vplic is not None
    return next(state for state in vm.vplic.plic.snapshot().sources if state.source == irq)


def test_one_disk_read_step_by_step(station: Station, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of a read: registers, page, ring, interrupts and the guest's memory."""
    add_guest(station, start=8)
    mvm, gvm = station.manager.vm(0), station.manager.vm(1)
    (_, ring, *_), _ = calls[2, 0][-1]
    page = calls[3, 0x30][0][0][1]
    cache = mvm.memory.read_u64(page + 8 + 104)
    assert mvm.memory.read_u64(page + 8 + 112) == mvm.memory.physical(cache)
    transport = gvm.backends[BLK].transport
    assert isinstance(transport, VirtioMmio)
    queue = transport.queues[0]
    writes: list[tuple[int, int]] = []
    write = transport.write

    def recorded(offset: int, width: int, value: int) -> None:
        writes.append((offset, value))
        write(offset, width, value)

    gvm.direct.clear()  # every access comes to Python
    monkeypatch.setattr(transport, "write", recorded)
    used = queue.used_idx
    sector = struct.pack("<16s", b"MEDBLK0 sector 1") + b"1".ljust(496, b"\0")
    station.command(0, "shyper system daemon hold", MVM)
    mvm.memory.write(ring, b"\xaa" * 4096)

    # 1 to 4: the guest notifies; the request is in the disk's page, the message in the ring, the irq pending
    station.manager.pause(0)
    station.run(100_000)
    claims = source(mvm, HVC_IRQ).count
    station.type(1, b"blk read 3\r")
    station.until(lambda: mvm.memory.read_u64(page) == 1)
    assert writes == [(mmio.QueueNotify, 0)]
    assert mvm.memory.read(page, 8) == struct.pack("<Q", 1)
    assert mvm.memory.read(page + 128, 24) == struct.pack("<I4xQQ", RequestType.IN, 8 + 3, 1)
    assert mvm.memory.read(ring, 4096) == struct.pack("<QQ", 3, 0x32).ljust(4096, b"\xaa")  # the first slot
    assert source(mvm, HVC_IRQ).pending
    request = latest_request(gvm, transport)
    assert request.header == struct.pack("<IIQ", RequestType.IN, 0, 3)
    assert gvm.memory.read(request.status, 1) == b"\xff"  # the guest's own: nothing is said before the data are there
    assert (queue.used_idx, transport.interrupt_status) == (used, 0)

    # 5: the managing VM takes the message and the request
    station.manager.resume(0)
    station.until(lambda: mvm.memory.read_u64(page) == 0)
    station.run(100_000)
    assert (source(mvm, HVC_IRQ).pending, source(mvm, HVC_IRQ).count) == (False, claims + 1)
    assert calls[3, 0x31] == []
    assert (queue.used_idx, gvm.memory.read(request.status, 1)) == (used, b"\xff")

    # 6 to 8: its daemon fills the cache and says done; the data go to the guest, whose irq is raised
    station.manager.pause(1)
    station.run(100_000)
    claims = source(gvm, BLK_IRQ).count
    station.command(0, "shyper system daemon go", MVM)
    assert [(args[0], a0) for args, a0 in calls[3, 0x31]] == [(page, 0)]
    assert mvm.memory.read(cache, 512) == sector
    assert gvm.memory.read(request.data, 512) == sector
    assert gvm.memory.read(request.status, 1) == b"\0"
    assert queue.used_idx == used + 1
    element = gvm.memory.read(queue.device + 4 + 8 * (used % queue.size), 8)
    assert element == struct.pack("<II", request.head, 512 + 1)  # the status byte counts, too
    assert transport.interrupt_status == mmio.USED_BUFFER
    assert source(gvm, BLK_IRQ).pending
    assert writes == [(mmio.QueueNotify, 0)]

    # 9: the guest claims its irq, acknowledges, and takes the used entry
    station.manager.resume(1)
    station.until(lambda: station.consoles[1].endswith(GVM))
    assert writes == [(mmio.QueueNotify, 0), (mmio.InterruptACK, mmio.USED_BUFFER)]
    assert (source(gvm, BLK_IRQ).pending, source(gvm, BLK_IRQ).count) == (False, claims + 1)
    assert transport.interrupt_status == 0
    assert b"|MEDBLK0 sector 1|" in station.consoles[1]


def test_a_read_waits_while_the_managing_vm_starts_again(station: Station) -> None:
    """The registrations are gone with it; the guest's request goes to the daemon that registers the disk again."""
    add_guest(station)
    station.command(0, "shyper system daemon hold", MVM)
    station.type(1, b"blk read 3\r")
    station.until(lambda: "1 not answered" in served(station))
    before = len(station.consoles[0])
    station.manager.reboot(0, force=True)
    station.until(lambda: MVM in station.consoles[0][before:])
    assert served(station).startswith("0 mediated disks")
    station.command(0, "shyper system daemon 2048", MVM)
    station.until(lambda: b"|MEDBLK0 sector 3|" in station.consoles[1])


def test_a_guest_that_is_removed_gives_its_disk_to_the_next(station: Station) -> None:
    add_guest(station)
    station.command(0, "shyper system daemon hold", MVM)
    station.type(1, b"blk read 3\r")
    station.until(lambda: "1 not answered" in served(station))
    entry = station.manager.entry(1)
    station.command(0, "shyper vm remove 1", MVM)
    station.until(lambda: entry.vm is None)
    station.command(0, "shyper system daemon go", MVM)
    station.consoles[2].clear()
    add_guest(station, 2, cores=0b0100)
    assert "|MEDBLK0 sector 4|" in station.command(2, "blk read 4", GVM)
    assert not any("Traceback" in line for line in station.log)
