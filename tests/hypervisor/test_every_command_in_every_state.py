"""Every command reaches a VM, whatever it does: in each state it has its effect, or is refused in a sentence.

Nothing that a guest executes, or fails to execute, may make `reboot` or `remove` return without either.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shyper_tui.engine.clock import WallClock
from shyper_tui.engine.firmware.sbi import HsmState
from shyper_tui.engine.hypervisor.calls import call
from shyper_tui.engine.hypervisor.core import Core
from shyper_tui.engine.hypervisor.definition import CpuSpec, VmError
from shyper_tui.engine.hypervisor.vcpu import Vcpu
from shyper_tui.engine.hypervisor.vm import RUNNING, VmState
from tests.hypervisor.programs import A0, A6, A7, SIE, STVEC, T0, Program
from tests.hypervisor.station import GUEST_BASE, Station, guest
from tests.hypervisor.test_lifecycle import SPIN, idle_mvm

HSM, HART_START, HART_STOP = 0x48534D, 0, 1
NOWHERE = 0x7000_0000
SHARED, APART = 0b0010, 0b1100
"""Cores: one that a neighbour uses all the time, and two of its own."""


def program() -> Program:
    return Program(GUEST_BASE)


def handler_is_data() -> bytes:
    """Its trap handler begins with an illegal instruction."""
    return program().li(T0, GUEST_BASE + 0x100).csrw(STVEC, T0).raw(0, 0).at(GUEST_BASE + 0x100).raw(0, 0).code()


def handler_faults_later() -> bytes:
    """The second instruction of its trap handler loads from where nothing is."""
    start = program().li(T0, GUEST_BASE + 0x100).csrw(STVEC, T0).raw(0, 0).at(GUEST_BASE + 0x100)
    return start.li(T0, 0).op("ld", rd=T0, rs1=T0, imm=0).code()


def calls_for_ever() -> bytes:
    """Environment calls that no firmware knows."""
    return program().li(A7, 0x12345).label("again").op("ecall").jump("again").code()


def waits() -> bytes:
    """WFI with every interrupt off."""
    return program().csrw(SIE, 0).label("again").op("wfi").jump("again").code()


def stops_itself() -> bytes:
    """Its only vCPU leaves by HSM."""
    return program().li(A7, HSM).li(A6, HART_STOP).op("ecall").code()


def starts_another() -> bytes:
    """Starts vCPU 1 at its own spin loop, if there is one, and spins."""
    start = program().li(A7, HSM).li(A6, HART_START).li(A0, 1).li(11, GUEST_BASE + 0x80).op("ecall")
    return start.label("again").jump("again").at(GUEST_BASE + 0x80).raw(0x6F).code()


GUESTS: dict[str, bytes] = {
    "spinning": SPIN,
    "handler-is-data": handler_is_data(),
    "handler-faults-later": handler_faults_later(),
    "illegal-at-entry": bytes(64),
    "calling": calls_for_ever(),
    "waiting": waits(),
    "stopped-vcpus": stops_itself(),
    "two-vcpus": starts_another(),
}
STATES = ("pending", "just-booted", "running", "paused", "stopping", "off", "failed")
COMMANDS = ("boot", "stop", "shutdown", "shutdown -f", "reboot", "reboot -f", "pause", "resume", "remove", "delete")
FORCE = 1 << 16
HYPERCALLS = {
    "boot": (0x0A00_0102, 1),
    "shutdown": (0x0A00_0103, 1),
    "shutdown -f": (0x0A00_0103, 1 | FORCE),
    "reboot": (0x0A00_0104, 1),
    "reboot -f": (0x0A00_0104, 1 | FORCE),
    "remove": (0x0A00_0110, 1),
    "delete": (0x0A00_1101, 1),
}


def machine(kernel: bytes, cores: int, wall: bool = False) -> Station:
    """The managing VM spinning on core 0, VM 2 on core 1, and VM 1, configured."""
    station = Station(clock=WallClock() if wall else None)
    mvm = idle_mvm()
    mvm.cpu = CpuSpec(1, 1, 0)
    station.manager.add(mvm, SPIN)
    station.manager.add(guest(2, SHARED), SPIN)
    station.manager.add(guest(1, cores), kernel)
    station.manager.boot(0)
    station.manager.boot(2)
    station.run(50_000)
    return station


def bring(station: Station, state: str) -> bool:
    """VM 1 into a state; False for a guest that fails by itself before it can be in it."""
    manager, vm = station.manager, station.manager.vm(1)
    if state == "pending":
        return True
    manager.boot(1)
    if state == "just-booted":
        return True
    station.run(200_000)
    if vm.state is VmState.FAILED:
        return state == "failed"
    if state == "paused":
        manager.pause(1)
    elif state in ("stopping", "off"):
        manager.stop(1)
    elif state == "failed":
        manager.fail(vm, "it failed")
    if state in ("paused", "off", "failed"):
        station.run(200_000)
    return True


def do(station: Station, command: str) -> str:
    """A command of the workstation; the sentence of its refusal, or ""."""
    manager = station.manager
    actions: dict[str, Callable[[], object]] = {
        "boot": lambda: manager.boot(1),
        "stop": lambda: manager.stop(1),
        "shutdown": lambda: manager.shutdown(1),
        "shutdown -f": lambda: manager.shutdown(1, force=True),
        "reboot": lambda: manager.reboot(1, force=False),
        "reboot -f": lambda: manager.reboot(1),
        "pause": lambda: manager.pause(1),
        "resume": lambda: manager.resume(1),
        "remove": lambda: manager.remove(1),
        "delete": lambda: manager.delete(1),
    }
    try:
        actions[command]()
    except VmError as error:
        return str(error)
    return ""


def hypercall(station: Station, command: str) -> str:
    """The same by a hypercall of the managing VM, which gets 0 or -1; the line in the log that goes with -1."""
    number, argument = HYPERCALLS[command]
    before = len(station.log)
    answer = call(station.hypervisor, station.manager.vm(0).vcpus[0], number, [argument, 0, 0, 0, 0, 0, 0])
    assert answer in (0, -1)
    said = [line for line in station.log[before:] if line.startswith("hypercall ")]
    assert (answer == -1) == bool(said)
    return said[0] if said else ""


def bound(core: Core) -> list[Vcpu]:
    """The vCPUs that are on a core or want it."""
    return [*core.ready, *core.waiting, *([core.current] if core.current is not None else [])]


def check(station: Station, command: str, begun: str, refusal: str) -> None:
    """That the command had its effect, or that it could not, with a sentence that says why."""
    manager = station.manager
    entry = manager.table.get(1)
    vm = entry.vm if entry is not None else None
    runs = begun in ("just-booted", "running")
    station.until(lambda: not any(made.stopping for made in (*manager.vms(), *filter(None, [vm]))))
    station.run(400_000)
    if command in ("remove", "delete"):
        assert refusal == ""
        assert 1 not in manager.table
        cores = station.hypervisor.cores.values()
        station.until(lambda: not any(1 in (vcpu.vm.id for vcpu in bound(core)) for core in cores))
        manager.add(guest(1), SPIN)  # its id, memory and devices are free
        return
    assert vm is not None
    if refusal:
        allowed = {
            "boot": runs or begun in ("paused", "stopping"),
            "shutdown": not runs and begun not in ("paused", "stopping"),
            "shutdown -f": not runs and begun not in ("paused", "stopping"),
            "pause": not runs,
            "resume": begun != "paused",
        }
        assert allowed.get(command, False), refusal
        assert "VM 1" in refusal
        return
    if command in ("boot", "reboot", "reboot -f"):
        assert vm.boots == (begun != "pending") + 1
        assert vm.state in RUNNING or vm.message, vm.state
    elif command == "pause":
        assert vm.state is VmState.PAUSED
        assert all(core.current is None or core.current.vm is not vm for core in station.hypervisor.cores.values())
    elif command == "resume":
        assert vm.state in (VmState.ACTIVE, VmState.FAILED)
    else:
        assert vm.state not in RUNNING
        assert all(vcpu.hsm is HsmState.STOPPED for vcpu in vm.vcpus)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", GUESTS)
def test_every_command_has_its_effect_or_is_refused_in_a_sentence(kind: str, state: str) -> None:
    for cores in (SHARED, APART):
        for command in COMMANDS:
            station = machine(GUESTS[kind], cores)
            if not bring(station, state):
                continue
            check(station, command, state, do(station, command))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", ["handler-is-data", "calling", "waiting", "stopped-vcpus"])
def test_every_hypercall_has_its_effect_or_answers_minus_one(kind: str, state: str) -> None:
    for command in HYPERCALLS:
        station = machine(GUESTS[kind], APART)
        if bring(station, state):
            check(station, command, state, hypercall(station, command))


@pytest.mark.parametrize("command", ["reboot", "reboot -f", "remove", "stop"])
@pytest.mark.parametrize("kind", ["handler-is-data", "calling", "waiting", "stopped-vcpus"])
def test_the_hosts_clock_makes_no_difference(kind: str, command: str) -> None:
    station = machine(GUESTS[kind], APART, wall=True)
    assert bring(station, "running")
    check(station, command, "running", do(station, command))
