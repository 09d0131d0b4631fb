"""A guest VM that tries to manage: every call is refused, leaves a line in the audit, and changes nothing."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.conformance import LOAD_ADDRESS, Conformance
from tests.hypervisor.transcript import parse_call

OPEN_TO_ALL = {"getvmid", "queue", "share"}


@pytest.fixture
def guest() -> Conformance:
    return Conformance.as_guest()


def test_every_management_call_of_a_guest_is_refused_and_audited(guest: Conformance) -> None:
    manager = guest.station.manager
    assert list(manager.audit) == []
    found = guest.run("refused")
    refused = {name: made for name, (made,) in found.calls.items() if name not in OPEN_TO_ALL}
    assert {made.a0 for made in refused.values()} == {-1}
    manage = {0x0A00_0100 | event for event in (0, 1, 2, 3, 4, 0x10)}
    configure = {0x0A00_1100 | event for event in range(12)}
    assert {made.number for made in refused.values()} == {
        0x0A00_0000, 0x0A00_0001, 0x0A00_0003, 0x0A00_0004, *manage, 0x0A00_0330, 0x0A00_0331, *configure,
    }  # fmt: skip
    assert found.sweeps == [("unknown", 5, 8, 8)]
    entries = list(manager.audit)
    assert [entry.number for entry in entries] == [
        *(made.number for made in refused.values()), *(0x0A00_0500 | event for event in range(8)),
    ]  # fmt: skip
    assert {(entry.vm, entry.vcpu) for entry in entries} == {(1, 0)}
    times = [entry.time_ticks for entry in entries]
    assert times == sorted(times)
    assert times[0] > 0
    assert all(entry.reason for entry in entries)


def test_refused_calls_change_nothing(guest: Conformance) -> None:
    manager = guest.station.manager
    before = [(vm, entry.definition.memory, entry.definition.cpu, len(entry.definition.devices))
              for vm, entry in manager.table.items()]  # fmt: skip
    found = guest.run("refused")
    assert found.data["list"] == b"\xee" * 64
    after = [(vm, entry.definition.memory, entry.definition.cpu, len(entry.definition.devices))
             for vm, entry in manager.table.items()]  # fmt: skip
    assert after == before
    assert [manager.state(vm) for vm in (0, 1, 2)] == [VmState.ACTIVE, VmState.ACTIVE, VmState.PENDING]
    assert guest.station.resets == []


def test_a_guest_learns_its_own_id_and_has_a_message_ring(guest: Conformance) -> None:
    found = guest.run("refused")
    assert found.result("getvmid") == 0
    assert found.data["getvmid"] == struct.pack("<Q", 1) + b"\xee" * 8
    assert (found.result("queue"), found.result("share")) == (0, 0)
    ring = LOAD_ADDRESS + (48 << 20)
    receive = ring + 0x1000
    for page in (ring, receive):
        guest.command(f"store {page:#x} {'ee' * 32}")
    assert parse_call(guest.command(f"hypercall 2 0 {receive:#x} {ring:#x}")).a0 == 0
    shown = guest.command(f"dump {receive:#x} 16")
    assert bytes.fromhex(shown.split(":")[1]) == struct.pack("<Q", 1) + b"\xee" * 8  # where a guest reads its id
    assert guest.station.manager.vm(1).notify(1, 4, 1)
    shown = guest.command(f"dump {ring:#x} 32")
    assert bytes.fromhex(shown.split(":")[1]) == struct.pack("<3Q", 1, 4, 1) + b"\xee" * 8


def test_the_rules_for_numbers_hold_for_guests_too(guest: Conformance) -> None:
    found = guest.run("numbers")
    assert [found.result(name) for name in ("plain", "bits 23..16", "bits 23..16 unknown")] == [0, 0, -1]
    assert [found.result(name) for name in ("below", "above", "bit 32")] == [-2, -2, -2]
    assert sum(refused for _, _, _, refused in found.sweeps) == 20 * 251
