"""The embedded supervisor and guest as VMs on the real core: consoles, devices, lifecycle through real hypercalls."""

from __future__ import annotations

import pytest

from shyper_tui import images
from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, VmError
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vcpu import VcpuState
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.station import Station, guest

RAM = 8 << 30
MVM, GVM = b"mvm# ", b"gvm# "


def devices(console: int = 0x4000_1000, mac: int = 0xD1) -> list[EmulatedDevice]:
    address = (0x74, 0x56, 0xAA, 0x0F, 0x47, mac)
    return [
        EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC),
        EmulatedDevice("virtio_blk@10001000", 0x1000_1000, 0x1000, 19, (0, 8192), DeviceType.VIRTIO_BLK, True),
        EmulatedDevice("virtio_net@50000000", 0x5000_0000, 0x1000, 20, address, DeviceType.VIRTIO_NET),
        EmulatedDevice("virtio_console", console, 0x1000, 21, (0, console), DeviceType.VIRTIO_CONSOLE),
    ]


def started(cores: int = 0b1110) -> Station:
    """Supervisor and one guest, both at their prompts."""
    station = Station(ram=RAM)
    station.manager.add(mvm_definition(), images.embedded("supervisor"))
    definition = guest(1, cores, 64 << 20, devices())
    station.manager.add(definition, images.embedded("guest"))
    station.manager.boot(0)
    station.manager.boot(1)
    station.until(lambda: MVM in station.consoles[0] and GVM in station.consoles[1])
    return station


@pytest.fixture
def station() -> Station:
    return started()


def test_the_list_hypercall_shows_both_vms(station: Station) -> None:
    shown = station.command(0, "shyper vm list", MVM)
    assert "vm id [0] name: supervisor type: 0\n\nvm type: Linux\nvm state: Active" in shown
    assert "vm id [1] name: guest-1 type: 0\n\nvm type: Linux\nvm state: Active" in shown
    assert station.command(0, "shyper vm getvmid", MVM) == "Current VM id is 0\n"


def test_a_guest_uses_all_its_harts(station: Station) -> None:
    for hart in (1, 2):
        assert station.command(1, f"hart start {hart}", GVM) == f"hart {hart} started\n"
    shown = station.command(1, "smp", GVM)
    assert "counter 300000, expected 300000: ok" in shown
    assert station.command(1, "hart stop 2", GVM) == "hart 2 stopped\n"
    assert station.manager.vm(1).vcpus[2].state is VcpuState.SLEEP
    assert station.command(1, "hart start 2", GVM) == "hart 2 started\n"  # again, after a stop
    assert "counter 300000, expected 300000: ok" in station.command(1, "smp", GVM)


def test_block_device_and_timer_of_a_guest(station: Station) -> None:
    assert station.command(1, "blk", GVM) == "8192 sectors of 512 bytes, 4096 KiB\n"
    assert station.command(1, "blk write 7 hello disk", GVM) == "sector 7 written\n"
    assert "|hello disk" in station.command(1, "blk read 7", GVM)
    shown = station.command(1, "timer 3", GVM)
    assert "longest 100" in shown  # 10 ms and less than a tenth more: the timer does not wait for a tick


def test_the_two_vms_ping_each_other(station: Station) -> None:
    shown = station.command(0, "ping 10.0.0.2 3", MVM, 100_000_000)
    assert "3" in shown
    assert "received" in station.command(1, "net", GVM)
    ports = station.platform.switch.ports
    assert [port.in_frames > 2 for port in ports] == [True, True]


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("load", "load access fault (scause 5)"),
        ("store", "store access fault (scause 7)"),
        ("exec", "instruction access fault (scause 1)"),
        ("illegal", "illegal instruction (scause 2)"),
        ("csr", "illegal instruction (scause 2)"),
    ],
)
def test_a_guests_fault_is_its_own(station: Station, kind: str, answer: str) -> None:
    assert answer in station.command(1, f"fault {kind}", GVM)
    assert station.command(1, "echo alive", GVM) == "alive\n"
    assert station.manager.state(1) is VmState.ACTIVE


def test_a_guest_poweroff_stops_that_vm_alone_and_it_can_be_booted_again(station: Station) -> None:
    station.type(1, b"poweroff\r")
    station.until(lambda: station.manager.state(1) is VmState.PENDING)
    shown = station.command(0, "shyper vm list", MVM)
    assert "name: guest-1 type: 0\n\nvm type: Linux\nvm state: Pending" in shown
    before = len(station.consoles[1])
    station.command(0, "shyper vm boot 1", MVM)
    station.until(lambda: GVM in station.consoles[1][before:])
    assert station.command(1, "blk", GVM) == "8192 sectors of 512 bytes, 4096 KiB\n"


def test_a_guest_reboot_starts_that_vm_again(station: Station) -> None:
    before = len(station.consoles[1])
    mvm_shown = len(station.consoles[0])
    station.type(1, b"reboot\r")
    station.until(lambda: GVM in station.consoles[1][before:] and b"Shyper-TUI guest" in station.consoles[1][before:])
    assert station.consoles[0][mvm_shown:] == b""
    assert station.manager.state(1) is VmState.ACTIVE


def test_reboot_and_remove_through_hypercalls(station: Station) -> None:
    before = len(station.consoles[1])
    station.command(0, "shyper vm reboot 1 --force", MVM)
    station.until(lambda: GVM in station.consoles[1][before:])
    free, pages = station.manager.pool.free_bytes, station.manager.pages.in_use
    station.command(0, "shyper vm remove 1", MVM)
    station.until(lambda: station.manager.pool.free_bytes == free + (64 << 20))
    assert station.manager.pages.in_use < pages
    assert list(station.manager.table) == [0]
    assert len(station.platform.switch.ports) == 1
    assert "guest-1" not in station.command(0, "shyper vm list", MVM)


def test_a_poweroff_of_the_managing_vm_is_reported(station: Station) -> None:
    station.type(0, b"poweroff\r")
    station.until(lambda: station.resets == [ResetType.SHUTDOWN])
    assert station.command(1, "echo still here", GVM) == "still here\n"


def test_the_supervisors_console_reaches_the_guest(station: Station) -> None:
    station.type(0, b"console 1\r")
    station.until(lambda: b"ctrl+] leaves" in station.consoles[0])
    station.type(0, b"echo through the pair\r")
    station.until(lambda: b"\nthrough the pair\r\n" in station.consoles[0])
    assert b"\nthrough the pair\r\n" in station.consoles[1]


def test_a_paused_vm_stands_still(station: Station) -> None:
    station.manager.pause(1)
    station.run(1_000_000)
    station.type(1, b"echo later\r")
    before = bytes(station.consoles[1])
    station.run(5_000_000)
    assert station.consoles[1] == before
    station.manager.resume(1)
    station.until(lambda: b"\nlater\r\n" in station.consoles[1])


def test_two_guests_share_a_core_fairly() -> None:
    station = Station(ram=RAM)
    station.manager.add(mvm_definition(), images.embedded("supervisor"))
    for vm in (1, 2):
        definition = guest(vm, 0b0010, 64 << 20, devices(0x4000_0000 + 0x1000 * vm, 0xD0 + vm))
        station.manager.add(definition, images.embedded("guest"))
    for vm in (0, 1, 2):
        station.manager.boot(vm)
    station.until(lambda: all(GVM in station.consoles[vm] for vm in (1, 2)))
    rounds = {}
    for vm in (1, 2):
        station.type(vm, b"spin 500\r")
    station.until(lambda: all(b" rounds" in station.consoles[vm] for vm in (1, 2)), 200_000_000)
    for vm in (1, 2):
        rounds[vm] = int(station.consoles[vm].split(b" rounds")[0].split()[-1])
    assert abs(rounds[1] - rounds[2]) < 0.1 * max(rounds.values())
    station.type(1, b"fp 200\r")  # registers of both survive switches between them
    station.type(2, b"fp 200\r")
    station.until(lambda: all(b"rounds lost registers" in station.consoles[vm] for vm in (1, 2)), 400_000_000)
    assert all(b"0 of 200 rounds lost registers" in station.consoles[vm] for vm in (1, 2))
    # a timer of one guest is exact although the other keeps the core busy
    station.type(2, b"spin 400\r")
    shown = station.command(1, "timer 5", GVM, 200_000_000)
    longest = int(shown.split("longest ")[1].split()[0])
    assert longest < 11_000


def test_two_runs_are_identical() -> None:
    def run() -> tuple[bytes, bytes, int]:
        station = started()
        station.command(1, "hart start 1", GVM)
        station.command(1, "smp", GVM)
        return bytes(station.consoles[0]), bytes(station.consoles[1]), station.machine.instructions

    assert run() == run()


def test_200_cycles_of_creation_and_removal_leave_nothing_behind(station: Station) -> None:
    manager = station.manager
    before = (manager.pool.free_bytes, manager.pages.in_use, len(station.platform.switch.ports))
    kernel = images.embedded("guest")
    for cycle in range(200):
        definition = guest(2, 0b0100, 16 << 20, devices(0x4000_2000, 0xD2))
        manager.add(definition, kernel)
        if cycle % 20 == 0:
            manager.boot(2)
            station.run(200_000)
        manager.remove(2)
        station.run(100_000)
    assert (manager.pool.free_bytes, manager.pages.in_use, len(station.platform.switch.ports)) == before


def test_mistakes_in_a_definition_are_sentences(station: Station) -> None:
    manager = station.manager
    kernel = images.embedded("guest")
    before = (manager.pool.free_bytes, manager.pages.in_use)
    same_place = EmulatedDevice("second", 0x4000_1800, 0x1000, 22, (0, 0), DeviceType.VIRTIO_CONSOLE)
    wrong = {
        "core 0, which belongs to the managing VM": guest(2, 0b0001),
        "wants core 9": guest(2, 1 << 9),
        "MiB of VM memory are wanted": guest(2, memory=16 << 30),
        "overlaps virtio_console": guest(2, devices=[*devices(), same_place]),
        "does not exist on RISC-V": guest(2, devices=[EmulatedDevice("gic", 0x800_0000, 0x1000, 0, (), 1)]),
        "irq 21 is used twice": guest(2, devices=[*devices(), *devices(0x4000_5000)[3:]]),
        "VM 1 exists already": guest(1),
        "kernel_load_ipa 0x80200000 .* is not in its memory": guest(2, memory=1 << 20),
    }
    for message, definition in wrong.items():
        with pytest.raises(VmError, match=message):
            manager.add(definition, kernel)
    assert (manager.pool.free_bytes, manager.pages.in_use) == before
    with pytest.raises(VmError, match="runs already"):
        manager.boot(1)
    with pytest.raises(VmError, match="there is no VM 7"):
        manager.boot(7)
    with pytest.raises(VmError, match="cannot be removed"):
        manager.remove(0)


def test_a_paused_managing_vm_gets_its_serial_input_later(station: Station) -> None:
    station.manager.pause(0)
    station.run(1_000_000)
    station.type(0, b"echo late\r")
    station.run(2_000_000)
    assert b"late" not in station.consoles[0]
    station.manager.resume(0)
    station.until(lambda: b"\nlate\r\n" in station.consoles[0])


def test_a_stopped_managing_vm_gives_its_irqs_back_and_boots_again(station: Station) -> None:
    plic = station.machine.board.plic
    assert plic.enabled(1, 10)
    station.manager.stop(0)
    station.until(lambda: station.manager.state(0) is VmState.PENDING)
    assert not plic.enabled(1, 10)
    station.type(0, b"\r")  # waits in the serial port
    station.run(1_000_000)
    before = len(station.consoles[0])
    station.manager.boot(0)
    station.until(lambda: MVM in station.consoles[0][before:])
    station.type(0, b"echo again\r")
    station.until(lambda: b"\nagain\r\n" in station.consoles[0][before:])


def test_what_is_sent_to_a_console_before_its_vm_exists_is_kept() -> None:
    station = Station(ram=RAM)
    station.manager.add(mvm_definition(), images.embedded("supervisor"))
    station.manager.boot(0)
    station.until(lambda: MVM in station.consoles[0])
    station.type(0, b"console 1\r")
    station.until(lambda: b"ctrl+] leaves" in station.consoles[0])
    station.type(0, b"echo early\r")
    station.run(5_000_000)
    station.manager.add(guest(1, 0b0010, 64 << 20, devices()), images.embedded("guest"))
    station.manager.boot(1)
    station.until(lambda: b"\nearly\r\n" in station.consoles[1] and b"\nearly\r\n" in station.consoles[0])


def test_output_of_a_removed_vm_goes_nowhere(station: Station) -> None:
    """The VM's id is free at once, its vCPUs stop a moment later: what it says in between belongs to nobody."""
    old = station.manager.vm(1)
    station.manager.remove(1)
    old.console.write(b"from the grave")
    assert b"from the grave" not in station.consoles[1]
    station.run(1_000_000)
    assert old.vcpus[0].core.current is None
