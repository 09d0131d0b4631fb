"""Arguments of hypercalls have 64 bits, and every one of them counts: nothing is cut, nothing wraps around."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.hypervisor.definition import CpuSpec, DeviceType
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.caller import Call, Caller
from tests.hypervisor.station import GUEST_BASE, RAM_BASE, Station, guest
from tests.hypervisor.test_hypercalls import hypercall, perform_with
from tests.hypervisor.test_lifecycle import MIB, PAGE, SPIN, configuration

ALL = (1 << 64) - 1
CUT = 1 << 32 | 2
"""VM 2, if somebody looked at 32 bits only."""
END = 0x9400_0000
"""The first address behind the managing VM's memory."""


@pytest.fixture
def mvm() -> Caller:
    """VM 1 runs, VM 2 is being configured."""
    mvm = Caller(Station())
    manager = mvm.station.manager
    manager.add(guest(1, 0b0010), SPIN)
    manager.boot(1)
    manager.define(guest(2, 0b0100))
    return mvm


def calls_about(vm: int) -> list[Call]:
    """Every call that names a VM."""
    return [
        *[hypercall(1, event, vm) for event in (1, 2, 3, 4, 16)],
        hypercall(0x11, 1, vm),
        hypercall(0x11, 2, vm, 1, 0b1000, 3),
        hypercall(0x11, 3, vm, 0xC000_0000, MIB),
        hypercall(0x11, 4, vm, PAGE + 0x1000, 0x5000_0000, 0x1000, 30, PAGE, DeviceType.VIRTIO_CONSOLE),
        hypercall(0x11, 5, vm, 0x6000_0000, 0x1000_2000, 0x1000),
        hypercall(0x11, 6, vm, PAGE, 1),
        hypercall(0x11, 7, vm, PAGE, 1),
        hypercall(0x11, 8, vm, PAGE + 0x1000, 0, PAGE, 1, 0x7000_0000, 0x1000),
        hypercall(0x11, 9, vm, 4, PAGE + 0x4000, 0, 4),
        hypercall(0x11, 10, vm, 2, PAGE, 5),
        hypercall(0x11, 11, vm, 4, PAGE + 0x4000, 0, 4),
    ]


@pytest.mark.parametrize("vm", [3, 8, 0xFFFF, 1 << 16 | 8, CUT, 1 << 63 | 1, ALL])
def test_ids_of_no_vm_are_refused_everywhere(mvm: Caller, vm: int) -> None:
    before = mvm.station.manager.entry(2).definition
    answers = perform_with(mvm, configuration(), *calls_about(vm))
    assert answers == [-1] * len(answers)
    assert mvm.station.manager.entry(2).definition == before
    assert mvm.station.manager.state(1) is VmState.ACTIVE


def test_every_call_about_a_vm_that_is_being_configured_is_accepted(mvm: Caller) -> None:
    """The same calls with a right id: what the others are refused for is the id."""
    pointed = configuration() | {PAGE + 0x4000: SPIN}
    calls = [call for call in calls_about(2) if call.a7 & 0xFFFF in range(0x1102, 0x1109)]
    assert perform_with(mvm, pointed, *calls, calls_about(2)[-2]) == [0] * (len(calls) + 1)
    definition = mvm.station.manager.entry(2).definition
    assert definition.cpu == CpuSpec(1, 0b1000, 3)
    assert (definition.memory[-1].ipa_start, definition.devices[-1].irq_id) == (0xC000_0000, 30)
    assert any("memory colours and budget have no effect" in line for line in mvm.station.log)


WILD = [0, 1, 0x8000_0000, 0x8FFF_FFF8, END - 4, END, 0xFFFF_FFFF, 1 << 40, 1 << 63, ALL - 7, ALL]
"""Addresses where at least one of eight bytes is not the managing VM's memory."""


@pytest.mark.parametrize("address", WILD)
def test_pointers_that_lead_out_of_the_callers_memory_are_refused(mvm: Caller, address: int) -> None:
    calls = [
        hypercall(1, 0, address),
        hypercall(1, 8, address),
        hypercall(2, 0, address, PAGE),
        hypercall(2, 0, PAGE, address),
        hypercall(3, 0x30, 0, address),
        hypercall(3, 0x31, address),
        hypercall(0x11, 0, address),
        hypercall(0x11, 4, 2, PAGE + 0x1000, 0x5000_0000, 0x1000, 30, address, DeviceType.VIRTIO_CONSOLE),
        hypercall(0x11, 6, 2, address, 1),
        hypercall(0x11, 7, 2, address, 1),
        hypercall(0x11, 8, 2, PAGE + 0x1000, 0, address, 1, 0x7000_0000, 0x1000),
        hypercall(0x11, 9, 2, 8, address, 0, 8),
        hypercall(0x11, 10, 2, 1, address, 5),
        hypercall(0x11, 11, 2, 8, address, 0, 8),
    ]
    answers = perform_with(mvm, configuration(), *calls)
    assert answers == [-1] * len(calls)
    assert mvm.station.manager.entry(2).vm is None
    assert not any("Traceback" in line for line in mvm.station.log)


def test_names_may_end_where_memory_ends_and_not_behind_it(mvm: Caller) -> None:
    memory = {
        PAGE: struct.pack("<8Q", END - 6, 5, 0, PAGE + 0x1000, 0, GUEST_BASE, 0, 0),
        PAGE + 0x1000: b"\0",
        PAGE + 0x2000: struct.pack("<8Q", END - 5, 5, 0, PAGE + 0x1000, 0, GUEST_BASE, 0, 0),
    }
    assert perform_with_end(mvm, memory, b"guest\0", hypercall(0x11, 0, PAGE)) == [3]
    assert perform_with_end(mvm, memory, b"guest", hypercall(0x11, 0, PAGE + 0x2000)) == [-1]


def perform_with_end(mvm: Caller, memory: dict[int, bytes], data: bytes, *calls: Call) -> list[int]:
    """As `perform_with`, and `data` is the last of the managing VM's memory."""
    reach = {PAGE + 0x1000 * page: memory.get(PAGE + 0x1000 * page, b"") for page in range((END - PAGE) // 0x1000)}
    reach[END - 0x1000] = bytes(0x1000 - len(data)) + data
    return perform_with(mvm, reach, *calls)


@pytest.mark.parametrize(
    "call",
    [
        hypercall(0x11, 2, 2, 1 << 32 | 1, 0b1000, 3),
        hypercall(0x11, 2, 2, 1, 1 << 32 | 0b1000, 3),
        hypercall(0x11, 4, 2, PAGE + 0x1000, 0x5000_0000, 0x1000, 1 << 32 | 30, PAGE, DeviceType.VIRTIO_CONSOLE),
        hypercall(0x11, 6, 2, PAGE, 65),
        hypercall(0x11, 6, 2, PAGE, 1 << 61),
        hypercall(0x11, 7, 2, PAGE, 17),
        hypercall(0x11, 8, 2, PAGE + 0x1000, 0, PAGE, 65, 0, 0),
        hypercall(0x11, 10, 2, 1 << 61, PAGE, 0),
        hypercall(0x11, 9, 2, ALL, PAGE, ALL - 4, 4),
        hypercall(0x11, 9, 2, 4, PAGE, ALL, 4),
        hypercall(0x11, 11, 2, ALL, PAGE, 0, ALL),
        hypercall(1, 4, 1 << 32 | 1),
        hypercall(1, 3, 1 << 63 | 1),
    ],
    ids=["cpus", "bitmap", "irq", "65 irqs", "irqs wrap", "17 streams", "65 tree irqs", "colours", "offset", "behind",
         "overlay", "reboot", "shutdown"],
)  # fmt: skip
def test_numbers_are_not_cut(mvm: Caller, call: Call) -> None:
    assert perform_with(mvm, configuration(), call) == [-1]
    assert mvm.station.manager.state(1) is VmState.ACTIVE
    assert mvm.station.manager.entry(2).vm is None


def test_lists_do_not_grow_without_end(mvm: Caller) -> None:
    """A configuration takes as much as its real counterpart could be given, whatever it is sent."""
    definition = mvm.station.manager.entry(2).definition
    irqs = [hypercall(0x11, 6, 2, PAGE, 60)] * 3
    regions = [hypercall(0x11, 3, 2, RAM_BASE, 4096)] * 140
    windows = [hypercall(0x11, 5, 2, 0x6000_0000, 0x1000_2000, 4096)] * 140
    for calls, kept in ((irqs, 60), (regions, 128), (windows, 128)):
        answers = perform_with(mvm, configuration(), *calls)
        assert answers.count(-1) > 0
        assert max(len(definition.passthrough_irqs), len(definition.memory), len(definition.passthrough)) >= kept
    assert len(definition.passthrough_irqs) == 60
    assert (len(definition.memory), len(definition.passthrough)) == (128, 128)
