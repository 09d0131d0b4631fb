"""The hostile guest against a station with the embedded supervisor and two neighbours: one on its core, one not."""

from __future__ import annotations

import re

import pytest

from shyper_tui import images
from shyper_tui.bench.measurements import FOLDER
from shyper_tui.engine import vm_counters
from shyper_tui.engine.hart.group_layout import TURN_CALLED
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, VmDefinition
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vm import Vm, VmState
from shyper_tui.engine.snapshots import vcpu_snapshot
from tests.fuzz.puppet import TROUBLE
from tests.hypervisor.station import RAM_BASE, Station, guest

HOSTILE = (FOLDER / "hostile.elf").read_bytes()
MVM, ATTACKER, NEAR, FAR = range(4)
PROMPTS = {MVM: b"mvm# ", NEAR: b"gvm# ", FAR: b"gvm# "}
MILLISECOND = 100_000  # cycles
WINDOW = 200
"""Milliseconds for which the neighbours count what they get done."""
REVIVAL = 10
"""Milliseconds after which an attacker that ended is booted again."""
LOG_LINES = 200
"""Most lines that an attack may leave in the log in this time."""
AHEAD = TURN_CALLED / (WINDOW * MILLISECOND)
"""FAR's window may end early by a turn: the time is what the hart that is furthest ahead has come to."""
UNDISTURBED = {"net-flood": 0.95}
"""What is left to a neighbour on another core: all its time, but frames to everyone are everyone's work."""
PATTERN_AT, PATTERN = 32 << 20, bytes(range(256)) * (16 << 10)

ATTACKS = [
    *("hypercalls", "mmio", "execute-devices", "rings", "dma", "notify", "net-flood", "page-tables", "satp", "ipis"),
    *("console-flood", "heavy-text", "heavy-disk", "heavy-frames"),
    *("vplic", "timers", "timer-stuck", "sbi", "fences", "debug-console", "harts", "suspend", "reset", "power-off"),
    *("ecalls", "wfi", "trap-to-itself", "trap-to-nowhere", "trap-misaligned", "trap-to-device", "jump-to-nowhere"),
    *("csrs", "privileged", "changing-code", "random-code"),
    *("fresh-code", "page-crossing", "odd-floats", "full-contexts", "own-fences", "tlb-misses", "own-traps", "faults"),
    "busy",
]


def system(vm_id: int, cores: int, cmdline: str = "") -> VmDefinition:
    """A guest VM with one device of each kind."""
    console = 0x4000_0000 + 0x1000 * vm_id
    mac = (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD0 + vm_id)
    devices = [
        EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC),
        EmulatedDevice("blk", 0x1000_1000, 0x1000, 19, (0, 8192), DeviceType.VIRTIO_BLK, True),
        EmulatedDevice("net", 0x5000_0000, 0x1000, 20, mac, DeviceType.VIRTIO_NET),
        EmulatedDevice("console", console, 0x1000, 21, (0, console), DeviceType.VIRTIO_CONSOLE),
    ]
    return guest(vm_id, cores, 64 << 20, devices, cmdline=cmdline)


class Neighbourhood:
    """The station, what its VMs hold, and what they get done when nobody disturbs them."""

    def __init__(self) -> None:
        self.station = Station(ram=8 << 30)
        manager = self.manager = self.station.manager
        manager.add(mvm_definition(), images.embedded("supervisor"))
        manager.add(system(NEAR, 0b0010), images.embedded("guest"))
        manager.add(system(FAR, 0b0100), images.embedded("guest"))
        for vm in PROMPTS:
            manager.boot(vm)
        self.station.until(lambda: all(prompt in self.station.consoles[vm] for vm, prompt in PROMPTS.items()))
        for vm in (NEAR, FAR):
            self.command(vm, f"blk write 7 belongs to {vm}")
        for base, memory in self._memories():
            memory.memory.write(base + PATTERN_AT, PATTERN)
        self.revived = 0
        self.quiet = self.rounds()
        self.possessions = self._possessions()

    def _memories(self) -> list[tuple[int, Vm]]:
        vm = self.manager.vm
        return [(0x9000_0000, vm(MVM)), (RAM_BASE, vm(NEAR)), (RAM_BASE, vm(FAR))]

    def _possessions(self) -> tuple[int, int, int]:
        return self.manager.pool.free_bytes, self.manager.pages.in_use, len(self.station.platform.switch.ports)

    def command(self, vm: int, line: str) -> str:
        return self.station.command(vm, line, PROMPTS[vm], 400 * MILLISECOND)

    def rounds(self) -> dict[int, int]:
        """How far NEAR and FAR count in the same time, each busy with nothing else."""
        station = self.station
        start = {vm: len(station.consoles[vm]) for vm in (NEAR, FAR)}
        for vm in start:
            station.type(vm, b"spin %d\r" % WINDOW)
        done = re.compile(rb"(\d+) rounds")

        def over() -> bool:
            self._revive()
            return all(done.search(station.consoles[vm], at) for vm, at in start.items())

        station.until(over, 3 * WINDOW * MILLISECOND)
        found = {vm: done.search(station.consoles[vm], at) for vm, at in start.items()}
        return {vm: int(match[1]) for vm, match in found.items() if match}

    def _revive(self) -> None:
        """Someone keeps starting an attacker that has ended itself."""
        entry = self.manager.table.get(ATTACKER)
        vm = entry.vm if entry is not None else None
        if vm is None or vm.state not in (VmState.FAILED, VmState.PENDING) or vm.stopping or vm.restart is not None:
            return
        if self.station.machine.cycle > self.revived + REVIVAL * MILLISECOND:
            self.revived = self.station.machine.cycle
            self.manager.boot(ATTACKER)

    def let_in(self, attack: str) -> Vm:
        """The attacker, on NEAR's core and on one of its own."""
        if ATTACKER in self.manager.table:  # left by a test that failed
            self.throw_out()
        self.station.log.clear()
        self.station.consoles[ATTACKER].clear()
        vm = self.manager.add(system(ATTACKER, 0b1010, f"attack={attack}"), HOSTILE)
        self.manager.boot(ATTACKER)
        announced = f"attack {attack}\r\n".encode()
        self.station.until(lambda: announced in self.station.consoles[ATTACKER], 200 * MILLISECOND)
        return vm

    def throw_out(self) -> None:
        """Remove the attacker; nothing of it stays."""
        self.manager.remove(ATTACKER)
        self.station.run(MILLISECOND)
        assert self._possessions() == self.possessions

    def look_at(self, vm: Vm) -> None:
        """What a client asks about the attacker is answered, whatever its registers and page tables say."""
        now = self.station.machine.now()
        for vcpu in vm.vcpus:
            assert vcpu_snapshot(vcpu, vm.memory, now, None).vm == vm.id
        assert sum(row.count for row in vm_counters.statistics(vm, now).exits) == vm.exits.total
        vm_counters.faults(vm)

    def check_data(self) -> None:
        """Memory, disks and network of the others are as they were."""
        for base, vm in self._memories():
            assert vm.memory.read(base + PATTERN_AT, len(PATTERN)) == PATTERN, vm.name
        for vm_id in (NEAR, FAR):
            assert f"|belongs to {vm_id}" in self.command(vm_id, "blk read 7")


@pytest.fixture(scope="module")
def neighbourhood() -> Neighbourhood:
    return Neighbourhood()


@pytest.mark.parametrize("attack", ATTACKS)
def test_neighbours_keep_their_share_and_their_data(neighbourhood: Neighbourhood, attack: str) -> None:
    station, quiet = neighbourhood.station, neighbourhood.quiet
    attacker = neighbourhood.let_in(attack)
    rounds = neighbourhood.rounds()
    neighbourhood.look_at(attacker)
    assert rounds[NEAR] >= 0.9 * quiet[NEAR] / 2
    assert rounds[FAR] >= UNDISTURBED.get(attack, 0.999) * quiet[FAR] * (1 - AHEAD)
    assert neighbourhood.command(MVM, "echo still here") == "still here\n"
    assert "1 received" in neighbourhood.command(MVM, "ping 10.0.0.3 1")
    assert "vm id [1] name: guest-1" in neighbourhood.command(MVM, "shyper vm list")
    neighbourhood.check_data()
    trouble = [line for line in station.log if TROUBLE.search(line)]
    assert not trouble, "\n".join(trouble)
    assert len(station.log) <= LOG_LINES
    assert attacker.exits.total > 50
    assert len(attacker.faults) <= 64
    assert len(neighbourhood.manager.audit) <= LOG_LINES * 10
    assert len(station.machine._events) < 100
    neighbourhood.throw_out()


def test_every_attack_of_the_guest_is_among_those_that_are_tried(neighbourhood: Neighbourhood) -> None:
    station = neighbourhood.station
    neighbourhood.manager.add(system(ATTACKER, 0b1010), HOSTILE)
    neighbourhood.manager.boot(ATTACKER)
    station.until(lambda: b"evil# " in station.consoles[ATTACKER], 200 * MILLISECOND)
    listed = station.command(ATTACKER, "attack", b"evil# ")
    assert sorted(re.findall(r"^  (\S+)", listed, re.MULTILINE)) == sorted(ATTACKS)
    assert re.fullmatch(r"csrs: \d+ rounds\n", station.command(ATTACKER, "attack csrs 5", b"evil# "))
    neighbourhood.throw_out()
