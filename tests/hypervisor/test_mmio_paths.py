"""How the hypervisor finds out what an access does: by htinst, by fetching, across pages; and accesses it refuses."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.hypervisor.exits import memory
from shyper_tui.engine.hypervisor.exits.access import Access, Kind
from shyper_tui.engine.hypervisor.vm import Vm
from shyper_tui.engine.isa.disassembly import disassemble
from tests.core.encoding import word
from tests.hypervisor.programs import A0, A1, S0, SATP, SCAUSE, SEPC, STVAL, STVEC, T0, T1, Program
from tests.hypervisor.station import RAM_BASE, Station, guest
from tests.hypervisor.test_access import ENCODINGS
from tests.hypervisor.test_mmio import DEVICE, PATTERN, Register, expected_load

RAM_END = RAM_BASE + (16 << 20)
GUEST_PAGE_FAULTS = (21, 23)
DONE = 0x600D
BASE = guest().kernel_load_ipa
RESULTS, HANDLER = BASE + 0x4000, BASE + 0x3000


def program() -> Program:
    """A trap writes scause and stval to the results and goes on behind the instruction, which has four bytes."""
    return Program(BASE).li(S0, RESULTS).li(T0, HANDLER).csrw(STVEC, T0)


def finish(body: Program) -> bytes:
    body.li(T0, DONE).op("sd", rs1=S0, rs2=T0, imm=0).label("end").op("wfi").jump("end")
    body.at(HANDLER).csrr(T1, SCAUSE).op("sd", rs1=S0, rs2=T1, imm=0).csrr(T1, STVAL).op("sd", rs1=S0, rs2=T1, imm=8)
    body.op("addi", rd=S0, rs1=S0, imm=16).csrr(T1, SEPC).op("addi", rd=T1, rs1=T1, imm=4).csrw(SEPC, T1).op("sret")
    return body.code()


def start(kernel: bytes, at: int = DEVICE) -> tuple[Station, Vm, Register]:
    station, device = Station(ram=1 << 30), Register()
    vm = station.manager.add(guest(), kernel)
    vm.bus.attach(at, 0x1000, device, "register")
    station.manager.boot(1)
    return station, vm, device


def results(station: Station, vm: Vm) -> list[int]:
    """What the program left before DONE."""
    found: list[int] = []

    def done() -> bool:
        found[:] = struct.unpack("<64Q", vm.memory.read(RESULTS, 512))
        return DONE in found

    station.until(done)
    return found[: found.index(DONE)]


def transformed(encoding: int) -> int:
    """htinst for an instruction whose access faults at its first byte (Privileged ISA, "Transformed Instruction")."""
    if encoding & 3 == 3:
        access_of_store = encoding & 0x7F in (0x23, 0x27)
        kept = 0x01F0_7000 if access_of_store else 0x0000_7F80
        return encoding & (kept | 0x7F)
    name, operands = disassemble(encoding, 0).replace(",", " ").split()[0:2]
    number = next(access.register for _, candidate, access in ENCODINGS if candidate == encoding)
    plain = name.removeprefix("c.").removesuffix("sp")
    assert operands
    return word(plain, rd=number, rs1=0, rs2=number if plain in ("sw", "sd", "fsd") else 0) & ~2


ACCESSES = [row for row in ENCODINGS if row[2].kind is not Kind.ATOMIC]


@pytest.mark.parametrize(("text", "encoding", "access"), ACCESSES, ids=[row[0] for row in ACCESSES])
def test_a_transformed_instruction_serves_every_form(
    text: str, encoding: int, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This core leaves htinst 0, as it may; a core that fills it spares the hypervisor reading the guest's code."""
    float_register = access.kind in (Kind.FLOAT_LOAD, Kind.FLOAT_STORE)
    offset = int(text.split(", ")[1].split("(")[0])
    device_offset = offset if offset % access.width == 0 else access.width
    body = program().li(T0, 3 << 13).op("csrrs", rd=0, rs1=T0, imm=0x100)
    # t0, t1, t6 and a0 are the data registers of the forms; the value to store is in all of them
    body.li(A0, PATTERN).li(12, PATTERN).li(31, PATTERN).li(T1, PATTERN).li(T0, PATTERN)
    for register in (5, 10):
        body.op("fmv.d.x", rd=register, rs1=A0)
    body.li(A1, DEVICE + device_offset - offset).op("addi", rd=2, rs1=A1, imm=0).raw(encoding)
    store = "fsd" if float_register else "sd"
    body.op(store, rs1=S0, rs2=access.register, imm=0).op("addi", rd=S0, rs1=S0, imm=8)
    station, vm, device = start(finish(body))
    trap = station.hypervisor.trap

    def with_htinst(hart: object) -> None:
        csr = hart.csr  # type: ignore[attr-defined]
        if csr.scause in GUEST_PAGE_FAULTS:
            csr.htinst = transformed(encoding)
        trap(hart)  # type: ignore[arg-type]

    def no_fetch(trap: object) -> int:
        raise AssertionError("the guest's code has been read")

    monkeypatch.setattr(station.hypervisor, "trap", with_htinst)
    monkeypatch.setattr(memory, "_fetch", no_fetch)
    found = results(station, vm)
    if access.is_store:
        assert device.writes == [(device_offset, access.width, PATTERN & (1 << 8 * access.width) - 1)]
    else:
        assert found == [expected_load(access)]
    assert list(vm.faults) == []


def test_a_load_to_x0_reads_the_device_and_changes_nothing() -> None:
    reads: list[tuple[int, int]] = []

    class Counting(Register):
        def read(self, offset: int, width: int) -> int:
            reads.append((offset, width))
            return super().read(offset, width)

    body = program().li(A1, DEVICE)
    for name in ("lb", "lhu", "lw", "ld"):
        body.op(name, rd=0, rs1=A1, imm=0)
    body.op("sd", rs1=S0, rs2=0, imm=0).op("addi", rd=S0, rs1=S0, imm=8)
    station = Station(ram=1 << 30)
    vm = station.manager.add(guest(), finish(body))
    vm.bus.attach(DEVICE, 0x1000, Counting(), "counting")
    station.manager.boot(1)
    assert results(station, vm) == [0]
    assert reads == [(0, 1), (0, 2), (0, 4), (0, 8)]


def test_an_access_that_begins_in_ram_and_ends_in_a_device_is_misaligned_and_does_nothing() -> None:
    """The device lies right behind RAM; the fault is reported at the device's first byte."""
    body = program().li(A1, RAM_END).li(T0, PATTERN).op("fmv.d.x", rd=10, rs1=0)
    body.op("ld", rd=A0, rs1=A1, imm=-4).op("sd", rs1=A1, rs2=T0, imm=-4).op("lhu", rd=A0, rs1=A1, imm=-1)
    body.op("lw", rd=A0, rs1=A1, imm=0)
    station, vm, device = start(finish(body), RAM_END)
    assert results(station, vm)[-6:] == [4, RAM_END - 4, 6, RAM_END - 4, 4, RAM_END - 1]
    assert device.writes == []
    assert vm.memory.read(RAM_END - 8, 8) == bytes(8)


def test_an_access_beyond_a_devices_end_is_refused() -> None:
    body = program().li(A1, DEVICE).op("ld", rd=A0, rs1=A1, imm=0x7F8).op("lw", rd=A0, rs1=A1, imm=0x7FC)
    station = Station(ram=1 << 30)
    vm = station.manager.add(guest(), finish(body))
    vm.bus.attach(DEVICE, 0x7FC, Register(), "short")  # ends in the middle of a page and of a doubleword
    station.manager.boot(1)
    assert results(station, vm) == [5, DEVICE + 0x7F8, 5, DEVICE + 0x7FC]
    assert [record.reason for record in vm.faults] == [
        "short refuses the access: it goes beyond the device's end",
        "nothing is at this address",
    ]


def test_atomics_on_a_device_are_access_faults_with_a_record() -> None:
    names = ["amoadd.w", "amoswap.d", "amoor.w", "lr.w", "sc.w", "lr.d", "sc.d"]
    body = program().li(A1, DEVICE)
    for name in names:
        body.op(name, rd=A0, rs1=A1, rs2=T0)
    station, vm, device = start(finish(body))
    found = results(station, vm)
    causes = dict(zip([name for name in names if not name.startswith("sc")], found[::2], strict=False))
    assert causes["amoadd.w"] == causes["amoswap.d"] == causes["amoor.w"] == 7
    assert found.count(5) == 2, "LR takes a load access fault"
    assert set(found[1::2]) == {DEVICE}
    assert device.writes == []
    assert {record.reason for record in vm.faults} == {"an instruction that no device answers"}
    assert word("amoadd.w", rd=A0, rs1=A1, rs2=T0) in [record.instruction for record in vm.faults]


FAR_APART = (BASE + 0x8000, BASE + 0xA000)
CODE = 0x4000_0FFE


def paged(encoding: int, second_mapped: bool = True) -> bytes:
    """A program under Sv39 that jumps to the instruction at CODE, on two virtual pages that lie apart physically."""
    root, middle, leaves = BASE + 0x5000, BASE + 0x6000, BASE + 0x7000
    body = program().li(T0, 8 << 60 | root >> 12).csrw(SATP, T0).op("sfence.vma")
    body.li(A1, DEVICE).li(T0, CODE).op("jalr", rd=1, rs1=T0, imm=0)
    body.op("sd", rs1=S0, rs2=A0, imm=0).op("addi", rd=S0, rs1=S0, imm=8)
    kernel = finish(body)
    pointer, leaf = 1, 0xCF
    table = {1: middle >> 2 | pointer, 2: RAM_BASE >> 2 | leaf}
    entries = {root: table, middle: {0: leaves >> 2 | pointer, 0x80: DEVICE >> 2 | leaf}, leaves: {}}
    for index, page in enumerate(FAR_APART if second_mapped else FAR_APART[:1]):
        entries[leaves][index] = page >> 2 | leaf
    image = bytearray(kernel.ljust(0xB000, b"\0"))
    for at, rows in entries.items():
        for index, entry in rows.items():
            struct.pack_into("<Q", image, at - BASE + 8 * index, entry)
    code = struct.pack("<I", encoding) if encoding & 3 == 3 else struct.pack("<H", encoding)
    code += struct.pack("<I", word("jalr", rd=0, rs1=1, imm=0))
    image[FAR_APART[0] - BASE + 0xFFE : FAR_APART[0] - BASE + 0x1000] = code[:2]
    image[FAR_APART[1] - BASE : FAR_APART[1] - BASE + len(code) - 2] = code[2:]
    return bytes(image)


@pytest.mark.parametrize("encoding", [word("lw", rd=A0, rs1=A1, imm=0), 0x4188], ids=["lw", "c.lw"])
def test_an_instruction_on_two_pages_is_read_from_both(encoding: int) -> None:
    station, vm, _ = start(paged(encoding))
    assert results(station, vm) == [PATTERN & 0xFFFF_FFFF | 0xFFFF_FFFF << 32]
    assert list(vm.faults) == []


def test_an_instruction_whose_second_page_is_gone_is_executed_again_and_faults_by_itself() -> None:
    """The page goes between the access and the hypervisor's look at the code: the guest gets its own page fault."""
    station, vm, device = start(paged(word("lw", rd=A0, rs1=A1, imm=0)))
    trap = station.hypervisor.trap
    second_leaf = BASE + 0x7000 + 8

    def pull_the_page(hart: object) -> None:
        csr = hart.csr  # type: ignore[attr-defined]
        if csr.scause == 21 and csr.sepc == CODE and vm.memory.read_u64(second_leaf):
            vm.memory.write(second_leaf, bytes(8))
            hart.hfence_vvma()  # type: ignore[attr-defined]
        trap(hart)  # type: ignore[arg-type]

    station.hypervisor.trap = pull_the_page  # type: ignore[method-assign]
    found: list[int] = []

    def faulted() -> bool:
        found[:] = struct.unpack("<2Q", vm.memory.read(RESULTS, 16))
        return found[0] != 0

    station.until(faulted)
    assert found == [12, CODE + 2]
    assert device.writes == []


def test_code_in_a_device_is_no_code() -> None:
    body = program().li(T0, DEVICE).op("jalr", rd=1, rs1=T0, imm=0)
    station, vm, _ = start(finish(body))
    station.until(lambda: vm.memory.read_u64(RESULTS) != 0)
    assert struct.unpack("<2Q", vm.memory.read(RESULTS, 16)) == (1, DEVICE)
    assert vm.faults[0].reason == "it runs where it has no memory"
