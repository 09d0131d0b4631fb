"""Every hypercall, typed into the embedded supervisor's shell with bytes of the test's making."""

from __future__ import annotations

import struct

import pytest

from shyper_tui import images
from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hypervisor.calls.table import HANDLERS
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.supervisor import SCRATCH, Supervisor
from tests.hypervisor.transcript import parse_call

# Types, and events of configuration calls, as the contract numbers them.
SYSTEM, MANAGE, MESSAGES, MEDIATED, CONFIG = 0, 1, 2, 3, 0x11
ADD, DELETE, CPU, MEMORY, DEVICE, REGION, IRQS, STREAMS, DTB, KERNEL, COLORS, TREE, RAMDISK, NAME = range(14)
LIST, STATE, BOOT, SHUTDOWN, REBOOT, GET_ID, GET_CONFIG, REMOVE = 0, 1, 2, 3, 4, 8, 9, 0x10
FILL = b"\xee"
NONE = (1 << 64) - 1
SPIN = bytes.fromhex("7300501073005010" + "6ff09fff")  # wfi; wfi; back to the first
"""The kernel of a guest that sleeps."""


def add_vm(name: int, cmdline: int, kind: int = 0) -> bytes:
    """The structure ADD_VM points to: eight u64."""
    return struct.pack("<8Q", name, 7, kind, cmdline, 5, 0x8020_0000, 0x8080_0000, 0)


def entries(page: bytes) -> list[tuple[int, bytes, int, int]]:
    """(id, name, type, state) of each VM in a list page."""
    (count,) = struct.unpack_from("<Q", page)
    found = [struct.unpack_from("<I32sII", page, 8 + 44 * index) for index in range(count)]
    return [(vm, name.split(b"\0")[0], kind, state) for vm, name, kind, state in found]


def test_every_hypercall_through_the_supervisor() -> None:
    mvm = Supervisor().boot()
    call, page = mvm.hypercall, SCRATCH + 0x1000

    def listed() -> list[tuple[int, bytes, int, int]]:
        mvm.store(page, FILL * 200)
        assert call(MANAGE, LIST, page) == 0
        found = mvm.dump(page, 200)
        made = struct.unpack_from("<Q", found)[0]
        assert found[8 + 44 * made :] == FILL * (192 - 44 * made)
        return entries(found)

    # the machine, this VM
    shown = len(mvm.station.consoles[0])
    assert call(SYSTEM, 4) == 0
    assert b"test call of VM 0\r\n" in mvm.station.consoles[0][shown:]  # one line on the machine's console
    mvm.store(page, FILL * 24)
    assert call(MANAGE, GET_ID, page + 8) == 0
    assert mvm.dump(page, 24) == FILL * 8 + bytes(8) + FILL * 8
    assert listed() == [(0, b"supervisor", 0, 2)]

    # a daemon's disk
    cache, disk = SCRATCH + 0x1_0000, SCRATCH + 0x2000
    descriptor = struct.pack("<32s32sQQQHxxxxxxQQQ", b"MEDBLK0", b"/disk", 4096, 16, 8192, 0, 0x3F00_0000, cache, NONE)
    assert len(descriptor) == 120
    mvm.store(disk, struct.pack("<Q", 9) + descriptor + FILL * 24)
    assert call(MEDIATED, 0x30, 0, disk) == 0
    assert mvm.dump(disk, 152) == struct.pack("<Q", 0) + descriptor[:112] + struct.pack("<Q", cache) + FILL * 24
    assert call(MEDIATED, 0x31, disk) == call(MEDIATED, 0x33, disk) == -1  # nothing was asked for
    assert call(MEDIATED, 0x34, disk, 3) == 1  # flushes
    assert call(MEDIATED, 0x35, disk) == 0
    assert call(MEDIATED, 0x35, disk) == -1
    assert call(MEDIATED, 0x30, 0, disk) == 0

    # a definition
    strings = {
        "name": b"guest-a", "cmdline": b"quiet", "plic": b"plic@c000000", "disk": b"virtio_blk@10001000",
        "dtb": b"serial@2000",
    }  # fmt: skip
    at = {name: SCRATCH + 0x4000 + 64 * index for index, name in enumerate(strings)}
    for name, text in strings.items():
        mvm.store(at[name], text + b"\0")
    settings, numbers, struct_at = SCRATCH + 0x5000, SCRATCH + 0x5100, SCRATCH + 0x5200
    mvm.store(settings, struct.pack("<16Q", 0, 64, *[0] * 14))
    mvm.store(numbers, struct.pack("<2Q", 0, 0))
    mvm.store(struct_at, add_vm(at["name"], at["cmdline"]))
    assert call(CONFIG, ADD, struct_at) == 1
    assert call(CONFIG, ADD, struct_at) == 2
    assert listed() == [(0, b"supervisor", 0, 2), (1, b"guest-a", 0, 1), (2, b"guest-a", 0, 1)]
    assert call(CONFIG, DELETE, 2) == 0
    assert call(CONFIG, MEMORY, 1, 0x8000_0000, 16 << 20) == 0
    assert call(CONFIG, COLORS, 1, 2, numbers, 512) == 0  # accepted; the machine has no colours
    assert call(CONFIG, CPU, 1, 1, 0b10, NONE) == 0
    assert call(CONFIG, DEVICE, 1, at["plic"], 0xC00_0000, 0x60_0000, 0, settings, 13) == 0
    assert call(CONFIG, DEVICE, 1, at["disk"], 0x1000_1000, 0x1000, 19, settings, 7) == 0
    assert call(CONFIG, IRQS, 1, numbers, 0) == 0
    assert call(CONFIG, STREAMS, 1, numbers, 1) == 0  # id 0 means none
    assert call(CONFIG, DTB, 1, at["dtb"], 0, numbers, 0, 0x2000, 0x1000) == 0
    mvm.store(SCRATCH + 0x7000, SPIN)
    assert call(CONFIG, TREE, 9, 4, SCRATCH + 0x7000, 0, 4) == -1
    assert call(CONFIG, REGION, 9, 0x5000_0000, 0x1000_4000, 0x1000) == -1
    assert call(MANAGE, STATE, 1) == 1
    assert call(CONFIG, RAMDISK, 1, 4, SCRATCH + 0x7000, 0, 4) == 0
    assert call(CONFIG, NAME, 1, 0, at["name"]) == 0
    mvm.station.platform.describe = lambda vm: f'{{"of": {vm}}}'
    assert call(MANAGE, GET_CONFIG, 1, page, 8) == 9
    assert mvm.dump(page, 8) == b'{"of": 1'
    assert call(CONFIG, KERNEL, 1, len(SPIN), SCRATCH + 0x7000, 0, len(SPIN)) == 0

    # its life
    assert listed()[1] == (1, b"guest-a", 0, 1)
    assert call(MANAGE, BOOT, 1) == 0
    assert call(MANAGE, STATE, 1) == 2
    assert listed()[1] == (1, b"guest-a", 0, 2)
    assert call(MANAGE, BOOT, 1) == -1
    vm = mvm.station.manager.vm(1)
    assert vm.memory.read(0x8020_0000, len(SPIN)) == SPIN
    assert call(MANAGE, REBOOT, 1 | 1 << 16) == 0
    mvm.station.until(lambda: vm.boots == 2)
    assert call(MANAGE, SHUTDOWN, 1 | 1 << 16) == 0
    mvm.station.until(lambda: vm.state is VmState.PENDING)
    assert call(MANAGE, STATE, 1) == 1
    assert call(MANAGE, REMOVE, 1) == 0
    assert listed() == [(0, b"supervisor", 0, 2)]
    assert call(MANAGE, STATE, 1) == -1
    assert call(CONFIG, ADD, struct_at) == 1  # the lowest free id again
    assert call(CONFIG, DELETE, 1) == 0

    # messages: the ring moves to a page of ours, and the supervisor's own is not touched any more
    ring = SCRATCH + 0x8000
    mvm.store(ring, FILL * 560)
    assert call(MESSAGES, 0, page, ring) == 0
    mvm.command("rmmod")
    for event in (REBOOT, SHUTDOWN):
        assert call(MANAGE, event, 0) == 0
    assert mvm.dump(ring, 24) == struct.pack("<QQQ", 1, 4, 0)
    assert mvm.dump(ring + 24, 488) == FILL * 488
    assert mvm.dump(ring + 512, 24) == struct.pack("<QQQ", 1, 3, 0)
    assert call(MESSAGES, 7, 3, 1 << 32) == 0

    driven = {(made.number >> 8 & 0xFF, made.number & 0xFF) for made in mvm.made}
    ends_the_machine = {(SYSTEM, 0), (SYSTEM, 1)}
    manage = (LIST, STATE, BOOT, SHUTDOWN, REBOOT, GET_ID, GET_CONFIG, REMOVE)
    contract = {(SYSTEM, 4), *((MANAGE, event) for event in manage), (MESSAGES, 0), (MESSAGES, 7)}
    contract |= {(MEDIATED, event) for event in (0x30, 0x31, 0x33, 0x34, 0x35)}
    contract |= {(CONFIG, event) for event in range(14)}
    assert driven == contract
    assert set(HANDLERS) <= driven | ends_the_machine


def test_system_shutdown_stops_every_vm_and_ends_the_machine() -> None:
    mvm = Supervisor(images.embedded("guest")).boot()
    mvm.command("shyper vm config other disk=0 memory=64 cpus=2")
    mvm.command("shyper vm boot 1")
    manager = mvm.station.manager
    mvm.station.type(0, b"shyper system shutdown\r")
    mvm.station.until(lambda: mvm.station.resets == [ResetType.SHUTDOWN])
    assert {manager.state(vm) for vm in (0, 1)} == {VmState.PENDING}


def test_system_reboot_starts_the_machine_again_without_uploaded_vms() -> None:
    mvm = Supervisor(images.embedded("guest")).boot()
    mvm.command("shyper vm config other disk=0 memory=64 cpus=2")
    mvm.command("shyper vm boot 1")
    shown = len(mvm.station.consoles[0])
    mvm.station.type(0, b"shyper system reboot\r")
    mvm.station.until(lambda: b"mvm# " in mvm.station.consoles[0][shown:])
    assert mvm.station.resets == [ResetType.COLD_REBOOT]
    assert list(mvm.station.manager.table) == [0]


def test_sbi_calls_and_hypercalls_are_told_apart_by_a7() -> None:
    mvm = Supervisor().boot()
    version = parse_call(mvm.command("ecall 0x10 0"))
    assert (version.a0, version.a1, version.changed) == (0, 0x0200_0000, ("x11",))
    unknown = parse_call(mvm.command("ecall 0x0b000108 0 0xc0000000"))
    assert (unknown.a0, unknown.a1) == (-2, 0)
    same = parse_call(mvm.command("ecall 0x0aff0108 0 0xc0000000"))
    assert (same.a0, same.changed) == (0, ())


@pytest.mark.parametrize("length", [1, 31, 32, 40])
def test_names_of_any_length_are_listed_with_31_bytes_and_a_nul(length: int) -> None:
    mvm = Supervisor().boot()
    name, cmdline, at = SCRATCH, SCRATCH + 0x100, SCRATCH + 0x200
    text = bytes(b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"[:length])
    mvm.store(name, text + b"\0")
    mvm.store(cmdline, b"\0")
    mvm.store(at, add_vm(name, cmdline))
    assert mvm.hypercall(CONFIG, ADD, at) == 1
    assert mvm.hypercall(MANAGE, LIST, SCRATCH + 0x1000) == 0
    assert mvm.dump(SCRATCH + 0x1000 + 8 + 44 + 4, 32) == text[:31].ljust(32, b"\0")


def test_a_kernel_longer_than_32_mib_comes_in_pieces_and_the_last_says_the_whole_size() -> None:
    kernel = images.embedded("guest")
    mvm = Supervisor(kernel).boot()
    size = (32 << 20) + 0x2345
    shown = mvm.command(f"shyper vm config big disk=0 memory=128 cpus=2 file={size}", 1_000_000_000)
    assert shown.endswith("Config VM [1] successfully\n"), shown
    vm = mvm.station.manager.vm(1)
    assert vm.memory.read(0x8020_0000 + size - 16, 16) == bytes(16)
    mvm.command("shyper vm boot 1")
    mvm.station.until(lambda: b"gvm# " in mvm.station.consoles[1])


def test_a_kernel_that_was_not_kept_is_uploaded_again_for_a_reboot() -> None:
    mvm = Supervisor(images.embedded("guest")).boot()
    station = mvm.station
    station.manager.loader.keep = 4096  # bytes: the kernel is larger, so it is in the guest's RAM alone
    mvm.command("shyper vm config once disk=0 memory=128 cpus=2")
    mvm.command("shyper vm boot 1")
    station.until(lambda: b"gvm# " in station.consoles[1])
    shown = len(station.consoles[1])
    mvm.command("shyper vm reboot 1 --force")
    station.until(lambda: b"gvm# " in station.consoles[1][shown:])
    assert station.manager.vm(1).boots == 2
    log = mvm.command("log")
    assert "function 0x11, event 0x9, vm 1" in log
    assert "VM 1: kernel uploaded again, booted" in log
