"""Calls that are refused: what stays of them, and that a guest can do nothing to other VMs."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hypervisor.audit import KEPT, LOGGED_AT_ONCE, LOGGED_OF_MVM
from shyper_tui.engine.hypervisor.calls import call
from shyper_tui.engine.hypervisor.calls.table import HANDLERS
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.caller import Caller
from tests.hypervisor.station import RAM_BASE, Station, guest
from tests.hypervisor.test_hypercalls import BASE, hypercall
from tests.hypervisor.test_lifecycle import SPIN

OWN = {(1, 8), (2, 0), (2, 7)}
"""Calls that any VM may make: its id, its message ring, shared memory."""
MANAGEMENT = sorted(set(HANDLERS) - OWN)


@pytest.fixture
def caller() -> Caller:
    """VM 1, which makes calls, beside a managing VM and VM 2."""
    station = Station()
    Caller(station, vm_id=0)
    caller = Caller(station, vm_id=1)
    station.manager.add(guest(2, 0b0100), SPIN)
    station.manager.boot(0)
    station.manager.boot(2)
    return caller


def test_every_management_call_of_a_guest_is_refused_and_recorded(caller: Caller) -> None:
    manager = caller.station.manager
    calls = [hypercall(kind, event, 2, 2, 2, 2, 2, 2, 2) for kind, event in MANAGEMENT]
    assert [a0 for a0, _ in caller.perform(*calls)] == [-1] * len(calls)
    assert [entry.number for entry in manager.audit] == [BASE | kind << 8 | event for kind, event in MANAGEMENT]
    assert {(entry.vm, entry.vcpu, entry.reason) for entry in manager.audit} == {
        (1, 0, "only the managing VM may do this")
    }
    assert (manager.state(2), manager.vm(2).boots) == (VmState.ACTIVE, 1)
    assert list(manager.table) == [0, 1, 2]


def test_an_entry_tells_when_the_call_was_made(caller: Caller) -> None:
    before = caller.station.machine.now()
    caller.perform(hypercall(1, 2, 2))
    (entry,) = caller.station.manager.audit
    assert before < entry.time_ticks <= caller.station.machine.now()
    assert str(entry) == "VM 1 vCPU 0: hypercall 0xa000102 refused: only the managing VM may do this"


def test_a_guests_own_calls_leave_an_entry_when_they_fail(caller: Caller) -> None:
    good = [hypercall(1, 8, RAM_BASE + 64), hypercall(2, 0, RAM_BASE + 0x1000, RAM_BASE + 0x2000), hypercall(2, 7)]
    bad = [hypercall(1, 8, 0x1000), hypercall(2, 0, 0, RAM_BASE), hypercall(2, 0, RAM_BASE, 0), hypercall(2, 5)]
    assert [a0 for a0, _ in caller.perform(*good, *bad)] == [0] * 3 + [-1] * 4
    reasons = [entry.reason for entry in caller.station.manager.audit]
    assert reasons == [
        "8 byte(s) at 0x1000 are not in memory",
        "receive page 0x0 is not in the VM's memory",
        "message page 0x0 is not in the VM's memory",
        "VMs have no messages to one another",
    ]


def test_a_guest_learns_its_id_from_the_page_of_its_message_queue(caller: Caller) -> None:
    assert caller.perform(hypercall(2, 0, RAM_BASE + 0x1000, RAM_BASE + 0x2000))[0][0] == 0
    assert caller.vm.memory.read(RAM_BASE + 0x1000, 16) == b"\1" + bytes(15)


def test_the_managing_vms_mistakes_go_to_the_log_alone() -> None:
    mvm = Caller(Station())
    assert mvm.perform(hypercall(1, 2, 7), hypercall(0, 3, 100), hypercall(1, 12), hypercall(4, 0))[0][0] == -1
    assert not mvm.station.manager.audit
    failed = [line for line in mvm.station.log if line.startswith("hypercall")]
    assert failed == [
        "hypercall 0x1.0x2 of VM 0 failed: there is no VM 7",
        "hypercall 0x0.0x3 of VM 0 failed: the hypervisor is a part of the engine and cannot be replaced while it runs",
        "hypercall 0x1.0xc of VM 0 failed: VMs cannot be migrated",
        "hypercall 0x4.0x0 of VM 0 failed: there are no security calls",
    ]


def test_a_managing_vm_that_makes_bad_calls_for_ever_does_not_fill_the_log() -> None:
    mvm = Caller(Station())
    for _ in range(2 * LOGGED_OF_MVM):
        assert call(mvm.station.hypervisor, mvm.vm.vcpus[0], BASE | 0x102, [7] * 7) == -1
    assert len(mvm.station.log) == LOGGED_OF_MVM + len([2048]) + len(["created"])


def test_a_guest_that_makes_bad_calls_for_ever_fills_neither_memory_nor_the_log(caller: Caller) -> None:
    for _ in range(10):
        caller.perform(*[hypercall(1, 16, 2)] * 40)
    manager = caller.station.manager
    assert len(manager.audit) == KEPT
    assert caller.vm.refused_calls == 400
    lines = [line for line in caller.station.log if line.startswith("hypercall")]
    assert len(lines) == LOGGED_AT_ONCE + len([32, 64, 128, 256])
