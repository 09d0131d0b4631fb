"""Records of what guests do wrong: what they say, and that they cost nothing to keep."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.board.device import TICKS_PER_SECOND
from shyper_tui.engine.hypervisor.exits.record import ExitRecord, FaultLog
from shyper_tui.engine.hypervisor.vm import Vm, VmState
from tests.core.encoding import word
from tests.hypervisor.programs import A0, A1, S0, SATP, SCAUSE, SEPC, STVAL, STVEC, T0, T1, Program
from tests.hypervisor.station import RAM_BASE, Station, guest

BASE = guest().kernel_load_ipa
RESULTS, HANDLER, ROOT = BASE + 0x4000, BASE + 0x3000, BASE + 0x5000
NOWHERE = 0x7000_0000
DONE = 0x600D


def program() -> Program:
    return Program(BASE).li(S0, RESULTS).li(T0, HANDLER).csrw(STVEC, T0)


def run(body: Program, tables: dict[int, int] | None = None) -> tuple[Station, Vm, list[int]]:
    """Run `body`, with page-table entries at addresses; each trap leaves scause and stval and skips four bytes."""
    body.li(T0, DONE).op("sd", rs1=S0, rs2=T0, imm=0).label("end").op("wfi").jump("end")
    body.at(HANDLER).csrr(T1, SCAUSE).op("sd", rs1=S0, rs2=T1, imm=0).csrr(T1, STVAL).op("sd", rs1=S0, rs2=T1, imm=8)
    body.op("addi", rd=S0, rs1=S0, imm=16).csrr(T1, SEPC).op("addi", rd=T1, rs1=T1, imm=4).csrw(SEPC, T1).op("sret")
    image = bytearray(body.code().ljust(0x8000, b"\0"))
    for at, entry in (tables or {}).items():
        struct.pack_into("<Q", image, at - BASE, entry)
    station = Station(ram=1 << 30)
    vm = station.manager.add(guest(), bytes(image))
    station.manager.boot(1)
    found: list[int] = []

    def done() -> bool:
        found[:] = struct.unpack("<256Q", vm.memory.read(RESULTS, 2048))
        return DONE in found or vm.state is VmState.FAILED

    station.until(done)
    return station, vm, found[: found.index(DONE)] if DONE in found else found


def test_a_load_from_nowhere_is_recorded_with_what_should_be_there() -> None:
    body = program().li(A1, NOWHERE)
    pc = body.here
    body.op("lw", rd=A0, rs1=A1, imm=0x10)
    _, vm, found = run(body)
    assert found == [5, NOWHERE + 0x10]
    (record,) = vm.faults
    assert (record.vm, record.vcpu, record.cause, record.pc, record.count) == (1, 0, 21, pc, 1)
    assert (record.guest_virtual, record.guest_physical) == (NOWHERE + 0x10, NOWHERE + 0x10)
    assert record.instruction == word("lw", rd=A0, rs1=A1, imm=0x10)
    assert (record.reason, record.stage, record.level) == ("nothing is at this address", "G-stage", 2)
    assert record.expected == (
        "no memory region, device or passthrough region covers 0x70000010; nearest: memory region 0x80000000–0x80ffffff"
    )


@pytest.mark.parametrize(
    ("address", "level", "nearest"),
    [
        (0x4000_3000, 2, "device virtio_console@40001000 0x40001000–0x40001fff"),
        (0x8100_0000, 1, "memory region 0x80000000–0x80ffffff"),
        (0x80_0000_0000, 2, "memory region 0x80000000–0x80ffffff"),
    ],
)
def test_the_level_is_that_of_the_entry_which_ends_the_walk(address: int, level: int, nearest: str) -> None:
    _, vm, _ = run(program().li(A1, address).op("sw", rs1=A1, rs2=0, imm=0))
    (record,) = vm.faults
    assert (record.cause, record.stage, record.level) == (23, "G-stage", level)
    assert record.expected.endswith(f"nearest: {nearest}")


def test_an_address_of_more_than_41_bits_says_so() -> None:
    _, vm, _ = run(program().li(A1, 1 << 41).op("lb", rd=A0, rs1=A1, imm=0))
    assert vm.faults[0].expected == "0x20000000000 has more than the 41 bits of a guest-physical address"
    assert vm.faults[0].guest_physical == 1 << 41


LEAF, POINTER = 0xCF, 1


@pytest.mark.parametrize("level", [0, 1])
def test_a_missing_page_table_is_recorded_with_its_level(level: int) -> None:
    """Sv39 whose table of `level`, for the addresses from 0x4000_0000 on, lies where the guest has no memory."""
    middle = BASE + 0x6000
    tables = {ROOT + 16: RAM_BASE >> 2 | LEAF, ROOT + 8: (middle if level == 0 else NOWHERE) >> 2 | POINTER}
    tables[middle] = NOWHERE >> 2 | POINTER
    body = program().li(T0, 8 << 60 | ROOT >> 12).csrw(SATP, T0).op("sfence.vma")
    body.li(A1, 0x4000_5678).op("ld", rd=A0, rs1=A1, imm=0)
    _, vm, found = run(body, tables)
    assert found == [5, 0x4000_5678]
    (record,) = vm.faults
    entry = NOWHERE + (8 * 5 if level == 0 else 0)
    assert (record.stage, record.level) == ("VS-stage", level)
    assert (record.guest_virtual, record.guest_physical) == (0x4000_5678, entry)
    assert record.reason == "its page tables point outside of its memory"
    assert record.expected.startswith(f"memory for a page table of level {level}: no memory region, device or pass")
    assert record.instruction == word("ld", rd=A0, rs1=A1, imm=0)


def test_a_virtual_address_that_leads_nowhere_is_a_fault_of_the_second_stage() -> None:
    tables = {ROOT + 16: RAM_BASE >> 2 | LEAF, ROOT + 8: 0x4000_0000 >> 2 | LEAF}
    body = program().li(T0, 8 << 60 | ROOT >> 12).csrw(SATP, T0).op("sfence.vma")
    body.li(A1, 0x6000_0008).op("sd", rs1=A1, rs2=A1, imm=0)
    _, vm, _ = run(body, tables)
    (record,) = vm.faults
    assert (record.stage, record.level, record.guest_physical) == ("G-stage", 2, 0x6000_0008)


def test_an_instruction_that_a_guest_does_not_have_is_recorded() -> None:
    hgatp, vsatp = 0x680, 0x280
    body = program().csrr(A0, hgatp).op("hfence.gvma").csrr(A0, vsatp)
    _, vm, found = run(body)
    assert found[::2] == [2, 2, 2]
    assert [record.cause for record in vm.faults] == [22, 22, 22]
    assert [record.instruction for record in vm.faults][1] == word("hfence.gvma")
    assert {record.stage for record in vm.faults} == {""}


def test_the_record_of_a_stopped_vm_is_the_last_and_names_the_place() -> None:
    body = Program(BASE).li(T0, NOWHERE).csrw(STVEC, T0).raw(0x0000, 0x0000)
    station, vm, _ = run(body)
    record = vm.faults[-1]
    assert (record.cause, record.pc, record.stage, record.level) == (20, NOWHERE, "G-stage", 2)
    assert vm.message == str(record)
    assert str(record) in station.log
    assert "VM 1 vCPU 0: its trap handler lies outside of its memory" in str(record)


def test_a_fault_in_a_loop_is_one_record_that_counts() -> None:
    body = program().li(A1, NOWHERE).li(A0, 20)
    body.label("again").op("lw", rd=T1, rs1=A1, imm=0).op("addi", rd=A0, rs1=A0, imm=-1).branch("bne", A0, 0, "again")
    station, vm, found = run(body)
    assert len(found) == 40
    (record,) = vm.faults
    assert record.count == 20
    assert vm.exits.count(21) == 20
    assert 0 < record.time_ticks < station.machine.now()


def test_different_faults_without_end_are_bounded_in_memory_and_time() -> None:
    """A guest that reads page after page of nothing: 64 records, and the rest of that second only counted."""
    body = program().li(A1, NOWHERE).li(A0, 120)
    body.label("again").op("lw", rd=T1, rs1=A1, imm=0).op("addi", rd=A1, rs1=A1, imm=8)
    body.op("addi", rd=A0, rs1=A0, imm=-1).branch("bne", A0, 0, "again")
    _, vm, found = run(body)
    assert len(found) == 240
    assert len(vm.faults) == FaultLog.LIMIT
    assert vm.faults.unrecorded == 120 - FaultLog.LIMIT
    assert vm.faults[0].guest_physical == NOWHERE


def record(vcpu: int, pc: int, now: int) -> ExitRecord:
    return ExitRecord(now, 1, vcpu, 21, pc, 0, 0, 0, "")


def test_the_next_second_has_room_again_and_the_oldest_records_go() -> None:
    log = FaultLog(TICKS_PER_SECOND)
    for pc in range(100):
        if not log.repeat(0, 21, pc, 0, pc):
            log.append(record(0, pc, pc))
    assert [entry.pc for entry in log] == list(range(64))
    later = TICKS_PER_SECOND + 1
    assert not log.repeat(0, 21, 1000, 0, later)
    log.append(record(0, 1000, later))
    assert [entry.pc for entry in log] == [*range(1, 64), 1000]
    assert log.repeat(0, 21, 5, 0, later)
    assert (log[-1].pc, log[-1].count, log[-1].time_ticks) == (5, 2, later)
    assert not log.repeat(1, 21, 5, 0, later), "the same fault of another vCPU is another fault"
    log.clear()
    assert (len(log), log.unrecorded) == (0, 0)


@pytest.mark.parametrize("loop", ["illegal instruction", "page fault", "load from nowhere"])
def test_a_trap_handler_that_traps_for_ever_costs_its_neighbour_half_of_the_core(loop: str) -> None:
    """Two VMs on one core, one with a trap at the first instruction of its trap handler: it keeps its share alone."""
    trapping = Program(BASE).li(T0, HANDLER).csrw(STVEC, T0).li(A1, NOWHERE)
    if loop == "page fault":
        root = {ROOT - BASE + 16: RAM_BASE >> 2 | (LEAF & ~8)}  # not executable
        trapping.li(T0, 8 << 60 | ROOT >> 12).csrw(SATP, T0).op("sfence.vma")
    else:
        root = {}
    trapping.at(HANDLER)
    if loop == "load from nowhere":
        trapping.op("lw", rd=A0, rs1=A1, imm=0)
    else:
        trapping.raw(0x0000, 0x0000)
    image = bytearray(trapping.code().ljust(0x6000, b"\0"))
    for at, entry in root.items():
        struct.pack_into("<Q", image, at, entry)
    counting = Program(BASE).li(S0, RESULTS).label("count").op("addi", rd=A0, rs1=A0, imm=1)
    counting.op("sd", rs1=S0, rs2=A0, imm=0).jump("count")
    station = Station(ram=1 << 30)
    trapper = station.manager.add(guest(1), bytes(image))
    counter = station.manager.add(guest(2), counting.code())
    station.manager.boot(1)
    station.manager.boot(2)
    station.run(5_000_000)
    begin = counter.memory.read_u64(RESULTS)
    station.run(40_000_000)
    share = 3 * (counter.memory.read_u64(RESULTS) - begin) / 40_000_000
    assert 0.47 < share < 0.53
    assert station.manager.state(1) is VmState.ACTIVE
    if loop == "load from nowhere":
        assert trapper.faults[-1].count > 1000
