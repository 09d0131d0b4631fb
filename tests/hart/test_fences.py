"""Fences: a changed entry counts after the fence that names it (Privileged ISA, "Memory-Management Fences").

Each test fills the TLB, changes an entry, executes the most precise fence and looks again. Invalidating more than named
is allowed, so nothing is said about what stays.
"""

from __future__ import annotations

import pytest

from shyper_tui.engine.hart.hart import Mode
from tests.core.encoding import word
from tests.core.page_tables import FULL, U
from tests.hart.bench import CODE, DATA, OTHER, Bench

VA = 0x40_0000_0000 - (1 << 30)
ASID, VMID = 5, 3


def value_at(bench: Bench, va: int, mode: Mode, operation: str = "ld") -> int | None:
    trap = bench.load(va, mode, operation)
    return bench.hart.x[11] if trap is None else None


def fence(bench: Bench, name: str, mode: Mode, address: int | None, space: int | None) -> None:
    bench.hart.x[7], bench.hart.x[8] = address or 0, space or 0
    instruction = word(name, rs1=0 if address is None else 7, rs2=0 if space is None else 8)
    assert bench.execute(instruction, mode=mode) is None


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("given", ["address", "space", "both", "neither"])
@pytest.mark.parametrize("mode", [Mode.HS, Mode.VS])
def test_sfence_vma(bench: Bench, mode: Mode, given: str, level: int) -> None:
    guest = mode is Mode.VS
    tables = bench.stage1(guest=guest)
    name = "vsatp" if guest else "satp"
    setattr(bench.hart.csr, name, getattr(bench.hart.csr, name) | ASID << 44)
    size = 1 << 12 + 9 * level
    bench.words[DATA], bench.words[OTHER] = 1, 2
    tables.map(VA, DATA & -size, FULL, level)
    at = VA + DATA % size
    assert value_at(bench, at, mode) == 1
    if level:
        bench.words[DATA] = 3  # the superpage has no other one to go to: it is taken away
        bench.words[tables.entry_of(VA, level)] = 0
    else:
        tables.map(VA, OTHER, FULL)
    address = at if given in ("address", "both") else None
    space = ASID if given in ("space", "both") else None
    fence(bench, "sfence.vma", mode, address, space)
    assert value_at(bench, at, mode) == (None if level else 2)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("mode", [Mode.HS, Mode.VS])
def test_a_superpage_is_fenced_by_any_of_its_addresses_each_time(bench: Bench, mode: Mode, level: int) -> None:
    tables = bench.stage1(guest=mode is Mode.VS)
    size = 1 << 12 + 9 * level
    at = VA + DATA % size
    entry = None
    for value in (1, 2, 3):
        bench.words[DATA] = value
        tables.map(VA, DATA & -size, FULL, level)
        entry = tables.entry_of(VA, level)
        fence(bench, "sfence.vma", mode, at, None)
        assert value_at(bench, at, mode) == value
        bench.words[entry] = 0
        fence(bench, "sfence.vma", mode, VA + 0x1000, None)
        assert value_at(bench, at, mode) is None


@pytest.mark.parametrize("level", [1, 2])
def test_a_fence_of_the_guest_forgets_no_superpage_of_the_host(bench: Bench, level: int) -> None:
    host, guest = bench.stage1(), bench.stage1(guest=True)
    size = 1 << 12 + 9 * level
    at = VA + DATA % size
    for tables in (host, guest):
        tables.map(VA, DATA & -size, FULL, level)
    bench.words[DATA] = 1
    assert value_at(bench, at, Mode.HS) == value_at(bench, at, Mode.VS) == 1
    fence(bench, "sfence.vma", Mode.VS, at, None)
    bench.words[host.entry_of(VA, level)] = 0
    fence(bench, "sfence.vma", Mode.HS, VA + 0x1000, None)
    assert value_at(bench, at, Mode.HS) is None


def test_the_address_of_a_napot_page_names_all_of_it(bench: Bench) -> None:
    tables = bench.stage1()
    for page in range(16):
        tables.map(VA + page * 0x1000, DATA | 0x8000, FULL | 1 << 63)
    assert value_at(bench, VA + 0x3000, Mode.HS) is not None
    for page in range(16):
        tables.map(VA + page * 0x1000, 0, 0)
    fence(bench, "sfence.vma", Mode.HS, VA + 0xF000, None)
    assert value_at(bench, VA + 0x3000, Mode.HS) is None


@pytest.mark.parametrize("given", ["address", "space", "both", "neither"])
def test_hfence_vvma(bench: Bench, given: str) -> None:
    tables = bench.stage1(guest=True)
    bench.hart.csr.vsatp |= ASID << 44
    bench.words[DATA], bench.words[OTHER] = 1, 2
    tables.map(VA, DATA, FULL)
    assert value_at(bench, VA, Mode.VS) == 1
    tables.map(VA, OTHER, FULL)
    address = VA if given in ("address", "both") else None
    fence(bench, "hfence.vvma", Mode.HS, address, ASID if given in ("space", "both") else None)
    assert value_at(bench, VA, Mode.VS) == 2


@pytest.mark.parametrize("given", ["address", "space", "both", "neither"])
@pytest.mark.parametrize("paged", [False, True])
def test_hfence_gvma(bench: Bench, given: str, paged: bool) -> None:
    """The operand is the guest-physical address shifted right by 2; entries merged from both stages go, too."""
    second = bench.stage2()
    bench.hart.csr.hgatp |= VMID << 44
    bench.words[DATA], bench.words[OTHER] = 1, 2
    va = DATA
    if paged:
        va = VA
        bench.stage1(guest=True).map(VA, DATA, FULL)
    assert value_at(bench, va, Mode.VS) == 1
    second.map(DATA, OTHER, FULL | U)
    address = DATA >> 2 if given in ("address", "both") else None
    fence(bench, "hfence.gvma", Mode.HS, address, VMID if given in ("space", "both") else None)
    assert value_at(bench, va, Mode.VS) == 2


def test_a_table_of_the_guest_that_has_moved_is_found_after_the_fence(bench: Bench) -> None:
    """The place of VS-stage tables is remembered between walks; a fence, or another stage 2, ends that."""
    second = bench.stage2()
    tables = bench.stage1(guest=True)
    tables.map(VA, DATA, FULL)
    tables.map(VA + 0x1000, DATA, FULL)
    bench.words[DATA], bench.words[DATA + 0x1000] = 1, 2
    assert value_at(bench, VA, Mode.VS) == 1
    entry = tables.entry_of(VA, 0)
    table = entry & ~0xFFF
    for offset in range(0, 4096, 8):
        bench.words[OTHER + offset] = bench.words[table + offset]
    for moved in (entry, entry + 8):  # in the copy both addresses lead to the second page
        bench.words[OTHER + moved % 4096] += 1 << 10
    second.map(table, OTHER, FULL | U)
    fence(bench, "hfence.gvma", Mode.HS, table >> 2, None)
    assert value_at(bench, VA + 0x1000, Mode.VS) == 2
    bench.hart.csr.hgatp ^= VMID << 44  # the same tables for another VM, then stage 2 changes back
    assert value_at(bench, VA, Mode.VS) == 2
    second.map(table, table, FULL | U)
    bench.hart.csr.hgatp ^= VMID << 44
    fence(bench, "hfence.gvma", Mode.HS, None, None)
    assert value_at(bench, VA, Mode.VS) == 1


def test_address_spaces_are_kept_apart(bench: Bench) -> None:
    """Back and forth between two satp values without a fence: each ASID sees its own mapping."""
    bench.words[DATA], bench.words[OTHER] = 1, 2
    spaces = []
    for asid, target in ((1, DATA), (2, OTHER)):
        bench.stage1().map(VA, target, FULL)
        spaces.append(bench.hart.csr.satp | asid << 44)
    for _ in range(3):
        for satp, expected in zip(spaces, (1, 2), strict=True):
            bench.hart.csr.satp = satp
            assert value_at(bench, VA, Mode.HS) == expected


def test_vms_are_kept_apart(bench: Bench) -> None:
    """World switches in the order real hypervisors use, without a fence."""
    bench.words[DATA], bench.words[OTHER] = 1, 2
    worlds = []
    for vmid, target in ((1, DATA), (2, OTHER)):
        bench.stage2().map(DATA, target, FULL | U)
        bench.stage1(guest=True).map(VA, DATA, FULL)
        worlds.append((bench.hart.csr.hgatp | vmid << 44, bench.hart.csr.vsatp))
    for _ in range(3):
        for (hgatp, vsatp), expected in zip(worlds, (1, 2), strict=True):
            bench.hart.csr.vsatp = 0
            bench.hart.csr.hgatp = hgatp
            bench.hart.csr.vsatp = vsatp
            assert value_at(bench, VA, Mode.VS) == expected


def test_a_change_of_mode_needs_no_fence(bench: Bench) -> None:
    """V, privilege, SUM, MXR and MPRV take effect at once, whatever is in the TLB."""
    tables = bench.stage1()
    tables.map(DATA, DATA, FULL | U)
    bench.words[DATA] = 1
    csr = bench.hart.csr
    for _ in range(2):
        assert value_at(bench, DATA, Mode.M) == 1
        csr.mstatus = 0
        assert value_at(bench, DATA, Mode.HS) is None
        csr.mstatus = 1 << 18
        assert value_at(bench, DATA, Mode.HS) == 1
        csr.mstatus = 1 << 17 | 1 << 11
        assert value_at(bench, DATA, Mode.M) is None
        csr.mstatus = 0


def test_code_is_fetched_through_the_new_mapping(bench: Bench) -> None:
    tables = bench.stage1()
    bench.code(DATA, word("addi", rd=5, rs1=0, imm=1), word("jal", rd=0, imm=0))
    bench.code(OTHER, word("addi", rd=5, rs1=0, imm=2), word("jal", rd=0, imm=0))
    tables.map(VA, DATA, FULL)
    jump = word("jalr", rd=0, rs1=1)
    for target, expected in ((DATA, 1), (OTHER, 2), (DATA, 1)):
        tables.map(VA, target, FULL)
        bench.hart.x[1] = VA
        assert bench.execute(word("sfence.vma", rs1=1), jump, mode=Mode.HS, pc=CODE) is None
        assert bench.hart.x[5] == expected


def test_protection_takes_effect_at_once(bench: Bench) -> None:
    """The specification asks for a fence after a change of PMP; here none is needed."""
    bench.words[DATA] = 1
    assert value_at(bench, DATA, Mode.U) == 1
    bench.hart.csr.pmpcfg0 = 0x18
    bench.hart.csr.pmpaddr0 = DATA >> 2 | 0x1FF
    bench.hart.csr.pmpaddr1 = (1 << 54) - 1
    bench.hart.csr.pmpcfg0 = 0x1F18
    assert value_at(bench, DATA, Mode.U) is None
