"""SBI as a guest sees it: numbers and errors of the contract, and what the original does wrong done right."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.firmware.sbi import Extension, HsmState
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.caller import ECALL, PROGRAM, WFI, Call, Caller, addi, auipc, sd
from tests.hypervisor.programs import Program
from tests.hypervisor.station import Station
from tests.hypervisor.station import guest as small_guest
from tests.hypervisor.test_mmio import csrrs, csrrw, lui, word
from tests.hypervisor.workloads import BASE, boot

TIME, IPI, RFENCE, HSM, SRST, DBCN = (
    int(extension)
    for extension in (
        Extension.TIME, Extension.IPI, Extension.RFENCE, Extension.HSM, Extension.SRST, Extension.DBCN,
    )
)  # fmt: skip
ALL_HARTS = (1 << 64) - 1
NOT_SUPPORTED, INVALID_PARAM, INVALID_ADDRESS, ALREADY_AVAILABLE = -2, -3, -5, -6
TEXT = 0x8090_0000


@pytest.fixture
def guest() -> Caller:
    """A guest VM with three vCPUs on cores 1 to 3."""
    return Caller(Station(ram=1 << 30), 1, cores=0b1110)


def test_base(guest: Caller) -> None:
    calls = [Call(0x10, function) for function in (0, 1, 2, 4, 5, 6)]
    assert guest.perform(*calls) == [(0, 0x0200_0000), (0, 4), (0, 0x400), (0, 0), (0, 0), (0, 3)]


def test_probe(guest: Caller) -> None:
    present = [0x10, TIME, IPI, RFENCE, HSM, SRST, DBCN, *range(9)]
    absent = [9, 15, 0x504D55, 0x53555350, 0x43505043, 0x4E41434C, 0x535441, 0xFFFF_FFFF_0000_0010]
    results = guest.perform(*[Call(0x10, 3, (extension,)) for extension in (*present, *absent)])
    assert results == [(0, 1)] * len(present) + [(0, 0)] * len(absent)


def test_a_hypercall_writes_a0_alone(guest: Caller) -> None:
    get_vm_id, absent = 0x0A00_0108, 0x0A00_FFFF
    calls = [Call(get_vm_id, 0, (TEXT, 0x77)), Call(absent, 0, (1, 0x77)), Call(get_vm_id, 0, (0x7000_0000, 0x77))]
    assert guest.perform(*calls) == [(0, 0x77), (-1, 0x77), (-1, 0x77)]
    assert guest.vm.memory.read_u64(TEXT) == 1


@pytest.mark.parametrize("number", [0x10, 0x54494D45, 0x735049, 1, 0x504D55, 0x0A00_0108])
def test_a_call_keeps_every_register_but_a0_and_a1(number: int) -> None:
    kept = [register for register in range(1, 32) if register not in (10, 11)]
    body = Program(BASE)
    for register in kept:
        body.li(register, 0x1111 * register)
    body.li(10, 0).li(11, 0).li(17, number).li(16, 0).op("ecall")
    body.op("add", rd=10, rs1=1, rs2=0).op("auipc", rd=1, imm=0x1000)
    at = body.here - 4 + 0x1000
    for index, register in enumerate(kept):
        body.op("sd", rs1=1, rs2=10 if register == 1 else register, imm=8 * index)
    station = Station(ram=1 << 30)
    vm = boot(station, 1, body.label("end").op("wfi").jump("end").code())
    station.run(300_000)
    expected = [0 if register == 16 else number if register == 17 else 0x1111 * register for register in kept]
    assert list(struct.unpack("<29Q", vm.memory.read(at, 8 * 29))) == expected


def test_unknown_extensions_and_functions_are_not_supported(guest: Caller) -> None:
    unknown = [(0x504D55, 0), (0x10, 7), (TIME, 1), (RFENCE, 3), (RFENCE, 6), (HSM, 4), (DBCN, 3)]
    calls = [Call(extension, function) for extension, function in unknown]
    assert guest.perform(*calls) == [(NOT_SUPPORTED, 0)] * len(calls)


def test_hart_masks(guest: Caller) -> None:
    good = [(0b111, 0), (0b11, 1), (0, ALL_HARTS), (12345, ALL_HARTS), (0, 77)]
    bad = [(0b1000, 0), (0b111, 1), (1, 3), (1, 1 << 40), (1 << 63, 0)]
    calls = [Call(IPI, 0, mask) for mask in good + bad] + [Call(RFENCE, 1, (*mask, 0, 0)) for mask in good + bad]
    calls += [Call(RFENCE, 0, (0b111, 0)), Call(RFENCE, 2, (0b111, 0, 0x8000_0000, 0x5000, 3))]
    one = [(0, 0)] * len(good) + [(INVALID_PARAM, 0)] * len(bad)
    assert guest.perform(*calls) == [*one, *one, (0, 0), (0, 0)]


def test_the_range_of_a_remote_fence(guest: Caller) -> None:
    everyone, top = (0, ALL_HARTS), (1 << 64) - 0x1000
    good = [(0, 0), (0, ALL_HARTS), (0x1000, ALL_HARTS), (0x1234, 0x10), (0x1000, 0), (top, 0x1000), (0, 1 << 40)]
    bad = [(top, 0x1001), (3, ALL_HARTS - 1), (1 << 63, (1 << 63) + 1)]
    calls = [Call(RFENCE, 1, (*everyone, *area)) for area in good + bad]
    calls += [Call(RFENCE, 2, (*everyone, *area, 5)) for area in good + bad]
    results = [(0, 0)] * len(good) + [(INVALID_ADDRESS, 0)] * len(bad)
    assert guest.perform(*calls) == results * 2


def test_hsm_starts_each_hart_once(guest: Caller) -> None:
    wait = guest.base + len(PROGRAM) - 8  # the program's WFI
    calls = [
        Call(HSM, 2, (0,)),
        Call(HSM, 2, (1,)),
        Call(HSM, 2, (3,)),
        Call(HSM, 0, (3, wait, 0)),
        Call(HSM, 0, (1, 0x7000_0000, 0)),
        Call(HSM, 0, (1, 0x8100_0000, 0)),
        Call(HSM, 0, (1, wait, 99)),
        Call(HSM, 0, (1, wait, 99)),
        Call(HSM, 0, (0, wait, 0)),
        Call(HSM, 0, (ALL_HARTS, wait, 0)),
    ]
    started, stopped = (0, int(HsmState.STARTED)), (0, int(HsmState.STOPPED))
    assert guest.perform(*calls) == [
        started,
        stopped,
        (INVALID_PARAM, 0),
        (INVALID_PARAM, 0),
        (INVALID_ADDRESS, 0),
        (INVALID_ADDRESS, 0),
        (0, 0),
        (ALREADY_AVAILABLE, 0),
        (ALREADY_AVAILABLE, 0),
        (INVALID_PARAM, 0),
    ]
    guest.station.run(1_000_000)
    second = guest.vm.vcpus[1]
    assert second.hsm is HsmState.STARTED
    assert (second.core.hart.x[10], second.core.hart.x[11]) == (1, 99)
    assert second.core.hart.hart_id == 2


def test_suspend_types(guest: Caller) -> None:
    calls = [
        Call(HSM, 3, (1, 0, 0)),
        Call(HSM, 3, (1 << 32, 0, 0)),
        Call(HSM, 3, (0x1000_0000, 0, 0)),
        Call(HSM, 3, (0x8000_0000, 0x7000_0000, 0)),
    ]
    assert guest.perform(*calls) == [(INVALID_PARAM, 0), (INVALID_PARAM, 0), (NOT_SUPPORTED, 0), (INVALID_ADDRESS, 0)]


def test_a_stopped_hart_leaves_its_core_alone(guest: Caller) -> None:
    guest.prepare([Call(HSM, 1)])
    guest.station.manager.boot(1)
    guest.station.until(lambda: guest.vm.exits.count(10) == 1)
    guest.station.run(2_000_000)
    assert guest.vm.vcpus[0].hsm is HsmState.STOPPED
    assert guest.vm.vcpus[0].core.current is None
    assert guest.station.manager.state(1) is VmState.ACTIVE


def test_the_debug_console_reads_guest_physical_memory_and_nothing_else(guest: Caller) -> None:
    device_tree = guest.vm.definition.device_tree_load_ipa
    calls = [
        Call(DBCN, 0, (4, device_tree, 0)),  # the magic number of the tree
        Call(DBCN, 0, (16, 0x8100_0000 - 8, 0)),
        Call(DBCN, 0, (8, 0x9000_0000, 0)),
        Call(DBCN, 0, (8, device_tree, 1)),
        Call(DBCN, 0, (0, 0, 0)),
        Call(DBCN, 0, (1 << 40, TEXT, 0)),
        Call(DBCN, 2, (0x141,)),
        Call(DBCN, 1, (8, 0x7000_0000, 0)),
        Call(1, 0, (0x42, 0x1234)),
        Call(2, 0, (7, 0x1234)),
    ]
    assert guest.perform(*calls) == [
        (0, 4),
        (INVALID_PARAM, 0),
        (INVALID_PARAM, 0),
        (INVALID_PARAM, 0),
        (0, 0),
        (0, 4 << 10),
        (0, 0),
        (INVALID_PARAM, 0),
        (0, 0x1234),
        (-1, 0x1234),
    ]
    assert bytes(guest.station.consoles[1]) == b"\xd0\x0d\xfe\xed" + bytes(4 << 10) + b"AB"


def test_typed_bytes_arrive_through_the_debug_console(guest: Caller) -> None:
    console = guest.vm.console
    console.type(b"xyz")  # no driver has taken the console device
    assert guest.perform(Call(DBCN, 1, (2, TEXT, 0)), Call(2), Call(2)) == [(0, 2), (ord("z"), 0), (-1, 0)]
    assert guest.vm.memory.read(TEXT, 2) == b"xy"


@pytest.mark.parametrize(
    ("kind", "reason", "error"),
    [(3, 0, INVALID_PARAM), (0, 2, INVALID_PARAM), (0xF000_0000, 0, NOT_SUPPORTED), (1 << 32, 0, INVALID_PARAM)],
)
def test_system_reset_refuses_what_it_does_not_know(guest: Caller, kind: int, reason: int, error: int) -> None:
    assert guest.perform(Call(SRST, 0, (kind, reason))) == [(error, 0)]


def test_system_reset_powers_one_vm_off(guest: Caller) -> None:
    guest.prepare([Call(SRST, 0, (0, 0))])
    guest.station.manager.boot(1)
    guest.station.until(lambda: guest.station.manager.state(1) is VmState.PENDING)
    assert guest.vm.message == "powered off by the guest"
    assert guest.station.resets == []
    assert guest.perform(Call(0x10)) == [(0, 0x0200_0000)]  # and it starts again


def test_a_guest_that_resets_itself_for_ever_is_slowed_down(guest: Caller) -> None:
    guest.prepare([Call(SRST, 0, (1, 0))])
    guest.station.manager.boot(1)
    guest.station.run(100_000_000)  # one second
    assert 2 <= guest.vm.boots <= 4
    assert guest.station.manager.state(1) is VmState.PENDING  # it waits for its time
    guest.station.manager.stop(1)
    guest.station.run(100_000_000)
    assert guest.station.manager.state(1) is VmState.PENDING


def test_a_suspended_hart_wakes_at_its_timer() -> None:
    """SBI set_timer, then a retentive suspend with the timer interrupt enabled and sstatus.SIE off."""
    station = Station(ram=1 << 30)
    set_timer = [*load32(17, TIME), addi(16, 0, 0), *load32(10, 300_000), ECALL]
    suspend = [*load32(17, HSM), addi(16, 0, 3), addi(10, 0, 0), ECALL]
    enable = [addi(5, 0, 32), csrrw(0, 0x104, 5)]
    mark = [csrrs(5, 0xC01, 0), auipc(6, 1), sd(5, 6, 0), WFI, 0x6F]
    body = [*enable, *set_timer, *suspend, *mark]
    vm = station.manager.add(small_guest(), b"".join(map(word, body)))
    station.manager.boot(1)
    station.until(lambda: vm.vcpus[0].hsm is HsmState.SUSPENDED)
    assert vm.vcpus[0].core.current is None
    marked = vm.definition.kernel_load_ipa + 4 * (len(body) - 4) + 0x1000
    station.until(lambda: vm.memory.read_u64(marked) != 0)
    assert 300_000 <= vm.memory.read_u64(marked) < 301_000
    assert vm.vcpus[0].hsm is HsmState.STARTED


def load32(rd: int, value: int) -> list[int]:
    low = (value & 0xFFF ^ 0x800) - 0x800
    return [lui(rd, value - low), addi(rd, rd, low)]
