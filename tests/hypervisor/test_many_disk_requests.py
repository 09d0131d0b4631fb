"""Hundreds of disk requests from guests on several cores at once, which core 0's managing VM serves."""

from __future__ import annotations

from shyper_tui import images
from shyper_tui.engine.board.virtio.block import Block, RequestType
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.disk_driver import blk
from tests.hypervisor.station import guest
from tests.hypervisor.supervisor import Supervisor

GVM = b"gvm# "
BLK = "virtio_blk@10001000"
GUESTS = (1, 2, 3)
ROUNDS = 100


def test_notifications_of_three_cores_at_once_all_end_in_an_answer() -> None:
    supervisor = Supervisor().boot()
    station = supervisor.station
    supervisor.command("shyper system daemon 256 256 256")
    for vm_id in GUESTS:
        console = 0x4000_0000 + 0x1000 * (vm_id if vm_id < 3 else 4)
        devices = [
            EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC),
            blk(BLK, 19, 0, 256),
            EmulatedDevice("virtio_console", console, 0x1000, 21, (0, console), DeviceType.VIRTIO_CONSOLE),
        ]
        station.manager.add(guest(vm_id, 1 << vm_id, 64 << 20, devices), images.embedded("guest"))
        station.manager.boot(vm_id)
    station.until(lambda: all(GVM in station.consoles[vm_id] for vm_id in GUESTS))
    for number in range(ROUNDS):
        sector = number % 10
        before = {vm_id: len(station.consoles[vm_id]) for vm_id in GUESTS}
        for vm_id in GUESTS:
            station.type(vm_id, f"blk read {sector}\r".encode())
        station.until(lambda: all(GVM in station.consoles[vm_id][before[vm_id] :] for vm_id in GUESTS))  # noqa: B023
        for vm_id in GUESTS:
            assert b"|MEDBLK%d sector %d" % (vm_id - 1, sector) in station.consoles[vm_id][before[vm_id] :]
    for vm_id in GUESTS:
        device = station.manager.vm(vm_id).backends[BLK]
        assert isinstance(device, Block)
        assert (device.requests[RequestType.IN], device.errors) == (ROUNDS, 0)
        assert station.manager.state(vm_id) is VmState.ACTIVE
    assert supervisor.command("shyper system daemon").count("0 out of range, 0 not answered") == len(GUESTS)
    assert not any("Traceback" in line for line in station.log)
