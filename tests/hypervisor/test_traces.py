"""The contract's end-to-end traces, replayed step by step: from the kernel module to a guest's console, and one disk
read.

The managing VM is the embedded supervisor, whose commands make the calls of the original's kernel module, daemon and
command line; the guest is the embedded guest. Nothing is made by the test itself but what a user types.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from shyper_tui import images
from shyper_tui.engine.board.virtio.mmio import VirtioMmio
from shyper_tui.engine.hart.direct.windows import DirectWindows
from shyper_tui.engine.hypervisor.calls import table
from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
from shyper_tui.engine.hypervisor.vcpu import Vcpu
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.supervisor import PROMPT as MVM
from tests.hypervisor.supervisor import Supervisor

GVM = b"gvm# "
KERNEL_AT, TREE_AT = 0x8020_0000, 0xA000_0000
GIB, MIB = 1 << 30, 1 << 20
PENDING, ACTIVE = 1, 2
STATUS, QUEUE_READY, NOTIFY, INTERRUPT_ACK = 0x070, 0x044, 0x050, 0x064
HVC_IRQ = 69


@dataclass(frozen=True)
class Hypercall:
    """One hypercall: number (a7), arguments, result. `created`: the VMs that existed after it."""

    number: int
    args: tuple[int, ...]
    result: int
    created: tuple[int, ...]
    text: bytes
    """The string at a1, where the call has one there."""


@dataclass(frozen=True)
class Entry:
    """A vCPU as it came onto its core."""

    vm: int
    vcpu: int
    core: int
    pc: int
    a0: int
    a1: int


class Witness:
    """Sees every hypercall, every entry of a vCPU and every register written in a virtio device."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[Hypercall] = []
        self.entries: list[Entry] = []
        self.writes: list[tuple[int, int, int]] = []
        """(id of the backend, register, value)"""
        real_call, real_load, real_write = table.call, Vcpu.load, VirtioMmio.write

        def call(hypervisor: Hypervisor, vcpu: Vcpu, number: int, args: Sequence[int]) -> int:
            memory, text = vcpu.vm.memory, b""
            if number == 0x0A00_1104 and memory.contains(args[1]):
                text = memory.read_string(args[1], 32)
            result = real_call(hypervisor, vcpu, number, args)
            created = tuple(vm.id for vm in hypervisor.manager.vms())
            self.calls.append(Hypercall(number, tuple(args), result, created, text))
            return result

        def load(vcpu: Vcpu, *rest: Any) -> None:
            core = vcpu.core.hart_id
            self.entries.append(Entry(vcpu.vm.id, vcpu.index, core, vcpu.pc, vcpu.x[10], vcpu.x[11]))
            real_load(vcpu, *rest)

        def write(transport: VirtioMmio, offset: int, width: int, value: int) -> None:
            self.writes.append((id(transport.backend), offset, value))
            real_write(transport, offset, width, value)

        monkeypatch.setattr("shyper_tui.engine.hypervisor.exits.calls.call", call)
        monkeypatch.setattr(Vcpu, "load", load)
        monkeypatch.setattr(VirtioMmio, "write", write)
        monkeypatch.setattr(DirectWindows, "add", lambda *device: None)  # every access comes to Python

    def take_calls(self) -> list[Hypercall]:
        """The calls since the last time."""
        taken, self.calls = self.calls, []
        return taken

    def take_writes(self, backend: object, *registers: int) -> list[tuple[int, int]]:
        """(register, value) written to these registers of a device since the last time."""
        taken = [(offset, value) for key, offset, value in self.writes if key == id(backend) and offset in registers]
        self.writes = [entry for entry in self.writes if entry[0] != id(backend)]
        return taken


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    return Witness(monkeypatch)


@pytest.fixture
def mvm(witness: Witness) -> Supervisor:
    """The managing VM at its prompt, with the guest's kernel as the file that it may upload. Its boot is no step."""
    supervisor = Supervisor(images.embedded("guest")).boot()
    supervisor.command("rmmod")
    witness.take_calls()
    return supervisor


def numbers(made: Sequence[Hypercall]) -> list[int]:
    return [entry.number & 0xFFFF for entry in made]


def prepared(mvm: Supervisor, *steps: str) -> None:
    """The steps before the one that a test looks at."""
    known = {
        "insmod": "insmod",
        "daemon": "shyper system daemon 4096 4096",
        "config": "shyper vm config guest-os-1 disk=4096",
        "boot": "shyper vm boot 1",
    }
    for step in steps:
        mvm.command(known[step])
    if "boot" in steps:
        mvm.station.until(lambda: GVM in mvm.station.consoles[1])


def test_step_1_insmod_makes_the_modules_load_sequence(mvm: Supervisor, witness: Witness) -> None:
    assert mvm.command("insmod") == ""
    made = witness.take_calls()
    assert numbers(made) == [0x108, 0x200, *[0x207] * 6]
    assert [entry.result for entry in made] == [0] * 8
    memory = mvm.station.manager.vm(0).memory
    assert memory.read_u64(made[0].args[0]) == 0  # the managing VM's id
    receive, ring = made[1].args[:2]
    assert ring % 4096 == 0
    assert [page % 4096 for page in struct.unpack("<8Q", memory.read(receive, 64))] == [0] * 8
    assert [entry.args[:2] for entry in made[2:]] == [
        (3, 4 * GIB), (4, 4 * GIB), (0, 256 * MIB), (1, 256 * MIB), (2, 256 * MIB), (5, 128 * MIB),
    ]  # fmt: skip


def test_step_2_the_daemon_appends_each_disk(mvm: Supervisor, witness: Witness) -> None:
    prepared(mvm, "insmod")
    witness.take_calls()
    shown = mvm.command("shyper system daemon 4096 2048")
    made = witness.take_calls()
    assert (numbers(made), [entry.result for entry in made]) == ([0x330] * 2, [0, 0])
    memory = mvm.station.manager.vm(0).memory
    for index, sectors in enumerate((4096, 2048)):
        page = made[index].args[1]
        assert page % 4096 == 0
        nreq, name, _, count, _, size, number, _, cache_ipa, cache_pa = struct.unpack(
            "<Q32s32sQQQHxxxxxxQQQ", memory.read(page, 128)
        )
        assert (nreq, name.rstrip(b"\0"), count, number) == (0, f"MEDBLK{index}".encode(), sectors, index)
        assert cache_pa == cache_ipa != 0
        assert size >= 32 << 10
        assert f"disk {index} (MEDBLK{index}): {sectors} sectors" in shown


def test_step_3_vm_config_makes_its_calls_in_order(mvm: Supervisor, witness: Witness) -> None:
    prepared(mvm, "insmod", "daemon")
    witness.take_calls()
    assert mvm.command("shyper vm config guest-os-1 disk=4096").splitlines() == [
        "Parse VM config successfully, VM name [guest-os-1]",
        "Send VM [1] config successfully",
        "Config VM [1] successfully",
    ]
    made = witness.take_calls()
    assert numbers(made) == [0x1100, 0x1103, 0x1102, *[0x1104] * 4, 0x1109]
    assert [entry.result for entry in made] == [1, *[0] * 7]
    assert made[1].args[:3] == (1, 0x8000_0000, GIB)
    assert made[2].args[:4] == (1, 3, 0b1110, 1)
    devices = [(entry.text, *entry.args[2:5], entry.args[6]) for entry in made[3:7]]
    assert devices == [
        (b"plic@c000000", 0xC00_0000, 0x60_0000, 1, 13),
        (b"virtio_blk@10001000", 0x1000_1000, 0x1000, 19, 7),
        (b"virtio_net@50000000", 0x5000_0000, 0x1000, 20, 4),
        (b"virtio_console@40001000", 0x4000_1000, 0x1000, 21, 5),
    ]
    assert {entry.args[0] for entry in made[1:]} == {1}
    vm, size, _, offset, loaded = made[7].args[:5]
    assert (vm, offset, loaded) == (1, 0, size)
    assert [entry.created for entry in made] == [*[(0,)] * 7, (0, 1)]  # the first chunk creates the VM
    guest = mvm.station.manager.vm(1)
    kernel = images.embedded("guest")
    assert guest.memory.read(KERNEL_AT, 64) in kernel
    assert [vcpu.core.hart_id for vcpu in guest.vcpus] == [1, 2, 3]
    disks = mvm.station.platform.disks.disks
    assert [disk.owner is mvm.station.manager.entry(1) for disk in disks] == [True, False]


def test_step_3_a_large_kernel_takes_one_call_for_each_32_mib(mvm: Supervisor, witness: Witness) -> None:
    prepared(mvm, "insmod", "daemon")
    witness.take_calls()
    size = 70 * MIB + 123
    mvm.command(f"shyper vm config guest-os-1 disk=4096 file={size}", 2_000_000_000)
    uploads = [entry for entry in witness.take_calls() if entry.number & 0xFFFF == 0x1109]
    pieces = [(entry.args[0], entry.args[1], *entry.args[3:5]) for entry in uploads]
    assert pieces == [(1, size, 0, 32 * MIB), (1, size, 32 * MIB, 32 * MIB), (1, size, 64 * MIB, size)]
    assert [entry.result for entry in uploads] == [0, 0, 0]
    assert [entry.created for entry in uploads] == [(0, 1)] * 3


def test_step_4_vm_list_shows_one_active_and_one_pending_vm(mvm: Supervisor, witness: Witness) -> None:
    prepared(mvm, "insmod", "daemon", "config")
    witness.take_calls()
    assert mvm.command("shyper vm list") == (
        "----------vm[0]----------\nvm id [0] name: supervisor type: 0\n\nvm type: Linux\nvm state: Active\n"
        "----------vm[1]----------\nvm id [1] name: guest-os-1 type: 0\n\nvm type: Linux\nvm state: Pending\n"
    )
    (made,) = witness.take_calls()
    assert (made.number, made.result) == (0x0A00_0100, 0)
    page = mvm.station.manager.vm(0).memory.read(made.args[0], 8 + 2 * 44)
    assert page == struct.pack("<Q", 2) + struct.pack("<I32sII", 0, b"supervisor", 0, ACTIVE) + struct.pack(
        "<I32sII", 1, b"guest-os-1", 0, PENDING
    )


def test_step_5_boot_enters_vcpu_0_at_the_load_address(mvm: Supervisor, witness: Witness) -> None:
    prepared(mvm, "insmod", "daemon", "config")
    witness.take_calls()
    witness.entries.clear()
    mvm.command("shyper vm boot 1")
    (made,) = witness.take_calls()
    assert (made.number, made.args[0], made.result) == (0x0A00_0102, 1, 0)
    mvm.station.until(lambda: any(entry.vm == 1 for entry in witness.entries))
    first = next(entry for entry in witness.entries if entry.vm == 1)
    assert first == Entry(vm=1, vcpu=0, core=1, pc=KERNEL_AT, a0=0, a1=TREE_AT)
    assert mvm.station.manager.state(1) is VmState.ACTIVE
    assert struct.unpack(">I", mvm.station.manager.vm(1).memory.read(TREE_AT, 4)) == (0xD00D_FEED,)
    mvm.station.until(lambda: GVM in mvm.station.consoles[1])


def test_step_6_the_guest_sets_up_its_virtio_devices(mvm: Supervisor, witness: Witness) -> None:
    prepared(mvm, "insmod", "daemon", "config", "boot")
    backends = mvm.station.manager.vm(1).backends
    queues = {"virtio_blk@10001000": 1, "virtio_net@50000000": 2, "virtio_console@40001000": 2}
    assert set(backends) == set(queues)
    for name, count in queues.items():
        written = witness.take_writes(backends[name], STATUS, QUEUE_READY)
        # reset, ACKNOWLEDGE, DRIVER, FEATURES_OK, the queues, DRIVER_OK
        assert written == [
            *((STATUS, value) for value in (0x0, 0x1, 0x3, 0xB)), *[(QUEUE_READY, 1)] * count, (STATUS, 0xF),
        ], name  # fmt: skip


def test_step_6_hart_start_brings_harts_1_and_2_onto_cores_2_and_3(mvm: Supervisor, witness: Witness) -> None:
    prepared(mvm, "insmod", "daemon", "config", "boot")
    station = mvm.station
    witness.entries.clear()
    for hart in (1, 2):
        assert station.command(1, f"hart start {hart}", GVM) == f"hart {hart} started\n"
    starts = {entry.vcpu: entry for entry in reversed(witness.entries) if entry.vm == 1 and entry.vcpu > 0}
    assert {vcpu: (entry.core, entry.a0) for vcpu, entry in starts.items()} == {1: (2, 1), 2: (3, 2)}
    assert starts[1].pc == starts[2].pc
    assert KERNEL_AT < starts[1].pc < KERNEL_AT + MIB
    assert starts[1].a1 != starts[2].a1  # each has its own opaque value
    assert "counter 300000, expected 300000: ok" in station.command(1, "smp", GVM)


def test_step_7_characters_pass_the_paired_consoles_both_ways(mvm: Supervisor, witness: Witness) -> None:
    prepared(mvm, "insmod", "daemon", "config", "boot")
    station = mvm.station
    near = station.manager.vm(0).backends["virtio_console@40001000"]
    far = station.manager.vm(1).backends["virtio_console@40001000"]
    station.type(0, b"console 1\r")
    station.until(lambda: b"ctrl+] leaves" in station.consoles[0])
    for backend in (near, far):
        witness.take_writes(backend)
    before = len(station.consoles[0])
    station.type(0, b"echo through the pair\r")
    station.until(lambda: b"\r\nthrough the pair\r\ngvm# " in station.consoles[0][before:])
    # every character typed went out of the managing VM's device, and the guest's answer out of the guest's
    transmitted = witness.take_writes(near, NOTIFY)
    assert transmitted.count((NOTIFY, 1)) == len("echo through the pair\r")
    assert (NOTIFY, 1) in witness.take_writes(far, NOTIFY)
    assert b"\r\nthrough the pair\r\n" in station.consoles[1]
    station.type(0, b"\x1d")
    station.until(lambda: b"[left the console of VM 1]" in station.consoles[0])


def test_the_whole_way_from_the_module_to_the_guests_prompt(mvm: Supervisor, witness: Witness) -> None:
    prepared(mvm, "insmod", "daemon", "config")
    mvm.command("shyper vm list")
    prepared(mvm, "boot")
    made = witness.take_calls()
    assert numbers(made) == [
        0x108, 0x200, *[0x207] * 6,
        0x330, 0x330,
        0x1100, 0x1103, 0x1102, *[0x1104] * 4, 0x1109,
        0x100,
        0x102,
    ]  # fmt: skip
    assert all(entry.result >= 0 for entry in made)
    assert "Shyper-TUI guest (3 harts, 1024 MiB, virtio console)" in mvm.station.consoles[1].decode()


def test_one_disk_read_from_end_to_end(mvm: Supervisor, witness: Witness) -> None:
    prepared(mvm, "insmod", "daemon", "config", "boot")
    station = mvm.station
    guest = station.manager.vm(1)
    device = guest.backends["virtio_blk@10001000"]
    mvm.command("shyper system daemon hold")
    page = next(entry.args[1] for entry in witness.take_calls() if entry.number & 0xFFFF == 0x330)
    witness.take_writes(device)
    station.type(1, b"blk read 7\r")
    memory = station.manager.vm(0).memory
    # steps 1 to 4: the notification, and the request in the page
    station.until(lambda: struct.unpack("<IxxxxQQ", memory.read(page + 128, 24)) == (0, 7, 1))
    assert witness.take_writes(device, NOTIFY, INTERRUPT_ACK) == [(NOTIFY, 0)]
    # step 5: message {3, 0x32} and one interrupt; the module takes the request
    station.until(lambda: memory.read_u64(page) == 0)
    log = [line.split("] ", 1)[1] for line in mvm.command("log").splitlines()]
    taken = log.index("disk 0: type 0, sector 7, count 1")
    assert log[taken - 1] == "hypervisor message in slot 0: function 0x3, event 0x32, vm 0"
    assert witness.take_calls() == []
    assert b"|MEDBLK0 sector 7" not in station.consoles[1]
    # steps 6 to 8: the daemon moves the sector into its cache and says that it is done
    mvm.command("shyper system daemon go")
    (done,) = witness.take_calls()
    assert (done.number, done.args[0], done.result) == (0x0A00_0331, page, 0)
    # step 9: the guest has its data, and has acknowledged the interrupt
    station.until(lambda: b"|MEDBLK0 sector 7" in station.consoles[1])
    assert (INTERRUPT_ACK, 1) in witness.take_writes(device, INTERRUPT_ACK)
    assert mvm.station.consoles[0].endswith(MVM)


def test_one_disk_write_from_end_to_end(mvm: Supervisor, witness: Witness) -> None:
    prepared(mvm, "insmod", "daemon", "config", "boot")
    station = mvm.station
    mvm.command("shyper system daemon hold")
    page = next(entry.args[1] for entry in witness.take_calls() if entry.number & 0xFFFF == 0x330)
    memory = station.manager.vm(0).memory
    cache = memory.read_u64(page + 8 + 104)
    station.type(1, b"blk write 9 written by the guest\r")
    # the data are in the daemon's cache before it is told
    station.until(lambda: struct.unpack("<IxxxxQQ", memory.read(page + 128, 24)) == (1, 9, 1))
    assert memory.read(cache, 512) == b"written by the guest".ljust(512, b"\0")
    assert b"sector 9 written" not in station.consoles[1]
    mvm.command("shyper system daemon go")
    (done,) = witness.take_calls()
    assert (done.number, done.args[0], done.result) == (0x0A00_0331, page, 0)
    station.until(lambda: b"sector 9 written" in station.consoles[1])
    assert "MEDBLK0: 4096 sectors, 0 reads, 1 writes" in mvm.command("shyper system daemon")
    assert "|written by the g|" in station.command(1, "blk read 9", GVM)
