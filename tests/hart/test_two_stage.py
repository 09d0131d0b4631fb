"""Address translation in one and two stages, what faults report (Privileged ISA, "Two-Stage Address Translation")."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hart.hart import Mode
from tests.core.encoding import word
from tests.core.page_tables import FULL, A, D, G, R, Tables, U, V, W, X
from tests.hart.bench import ALL, CODE, DATA, ENVCFG_ALL, OTHER, TABLES, Bench, Trap

READ, WRITE = 0x3000, 0x3020
ADUE, PBMTE = 1 << 61, 1 << 62
VA = DATA + 0x123 * 8
SUM, MXR = 1 << 18, 1 << 19
OFFSET = 0x4000_0000
FAULTS = {"ld": 13, "lr.d": 13, "sd": 15, "sc.d": 15, "amoadd.d": 15}
GUEST_FAULTS = {"ld": 21, "lr.d": 21, "sd": 23, "sc.d": 23, "amoadd.d": 23}


@pytest.fixture
def guest(bench: Bench) -> tuple[Bench, Tables, Tables]:
    """Sv39 over Sv39x4, guest-physical addresses OFFSET above physical ones, DATA mapped everywhere."""
    second = bench.stage2(offset=OFFSET)
    first = bench.stage1(guest=True, offset=OFFSET)
    first.map(DATA, DATA + OFFSET, FULL)
    bench.hart.csr.medeleg = ALL
    return bench, first, second


@pytest.mark.parametrize("mode", [8, 9, 10])
def test_one_stage_in_every_mode(bench: Bench, mode: int) -> None:
    tables = bench.stage1(mode)
    high = -0x1000 & ALL if mode else 0
    for va in (DATA, (1 << 9 * (mode - 5) + 11) - 0x1000, high):
        tables.map(va, OTHER, FULL)
        bench.words[OTHER + 16] = 77
        assert bench.load(va + 16, Mode.HS) is None
        assert bench.hart.x[11] == 77
    beyond = 1 << 9 * (mode - 5) + 11
    assert bench.load(beyond, Mode.HS) == Trap("M", 13, beyond, CODE)  # not canonical


@pytest.mark.parametrize("mode", [8, 9, 10])
def test_guest_physical_addresses_beyond_the_width_fault(bench: Bench, mode: int) -> None:
    bench.stage2(mode)
    beyond = 1 << 9 * (mode - 5) + 14
    assert bench.load(beyond + 4, Mode.VS) == Trap("M", 21, beyond + 4, CODE, beyond + 4 >> 2)
    assert bench.load(beyond - 8, Mode.VS) == Trap("M", 21, beyond - 8, CODE, beyond - 8 >> 2)
    assert bench.load(DATA, Mode.VS) is None


@pytest.mark.parametrize(
    ("flags", "mode", "operation", "allowed"),
    [
        (FULL, Mode.HS, "ld", True),
        (FULL | U, Mode.HS, "ld", False),
        (FULL | U, Mode.U, "sd", True),
        (FULL, Mode.U, "ld", False),
        (V | R | A | D, Mode.HS, "ld", True),
        (V | R | A | D, Mode.HS, "sd", False),
        (V | X | A, Mode.HS, "ld", False),
        (R | W | A | D, Mode.HS, "ld", False),
        (V | W | A | D, Mode.HS, "ld", False),
        (FULL | 1 << 54, Mode.HS, "ld", False),
        (FULL | 1 << 60, Mode.HS, "ld", False),
        (FULL | 1 << 61, Mode.HS, "ld", True),
        (FULL | 2 << 61, Mode.HS, "ld", True),
        (FULL | 3 << 61, Mode.HS, "ld", False),
        (FULL | 1 << 63, Mode.HS, "ld", False),
        (V, Mode.HS, "ld", False),
        (FULL | G, Mode.HS, "ld", True),
    ],
)
def test_leaf_entries(bench: Bench, flags: int, mode: Mode, operation: str, allowed: bool) -> None:
    tables = bench.stage1(user=U if mode is Mode.U else 0)
    tables.map(DATA, DATA, flags)
    trap = bench.load(VA, mode, operation)
    assert trap == (None if allowed else Trap("M", FAULTS[operation], VA, CODE))


@pytest.mark.parametrize("flags", [A, D, U, 1 << 61, 1 << 63, 1 << 54])
def test_a_pointer_with_flags_of_a_leaf_faults(bench: Bench, flags: int) -> None:
    tables = bench.stage1()
    tables.map(DATA + (1 << 30), DATA, FULL)
    entry = tables.entry_of(DATA + (1 << 30), level=1)
    bench.words[entry] |= flags
    assert bench.load(VA + (1 << 30), Mode.HS) == Trap("M", 13, VA + (1 << 30), CODE)


def test_pbmt_without_pbmte_faults(bench: Bench) -> None:
    bench.hart.csr.menvcfg = ADUE
    bench.stage1().map(DATA, DATA, FULL | 1 << 61)
    assert bench.load(VA, Mode.HS) == Trap("M", 13, VA, CODE)


@pytest.mark.parametrize("level", [1, 2])
def test_superpages_and_their_alignment(bench: Bench, level: int) -> None:
    tables = bench.stage1()
    size = 1 << 12 + 9 * level
    va = 4 << 30
    tables.map(va, DATA & -size, FULL, level)
    bench.words[DATA] = 99
    assert bench.load(va + DATA % size, Mode.HS) is None
    assert bench.hart.x[11] == 99
    tables.map(va, (DATA & -size) + 0x1000, FULL, level)
    bench.hart.sfence_vma()
    assert bench.load(va, Mode.HS) == Trap("M", 13, va, CODE)


def test_svnapot(bench: Bench) -> None:
    """64 KiB: the low four bits of the page number come from the address. Other sizes are reserved."""
    tables = bench.stage1()
    for page in range(16):
        tables.map((1 << 32) + page * 0x1000, DATA | 0x8000, FULL | 1 << 63)
        bench.words[DATA + page * 0x1000] = page
    for page in range(16):
        assert bench.load((1 << 32) + page * 0x1000, Mode.HS) is None
        assert bench.hart.x[11] == page
    tables.map(2 << 32, DATA | 0x4000, FULL | 1 << 63)
    assert bench.load(2 << 32, Mode.HS) == Trap("M", 13, 2 << 32, CODE)


@pytest.mark.parametrize("mode", [Mode.HS, Mode.VS])
def test_sum_and_mxr(bench: Bench, mode: Mode) -> None:
    csr = bench.hart.csr
    guest = mode is Mode.VS
    tables = bench.stage1(guest=guest)
    tables.map(DATA, DATA, V | X | A)
    tables.map(OTHER, OTHER, FULL | U)
    own = "vsstatus" if guest else "mstatus"
    assert [bench.cause_of_load(a, mode) for a in (DATA, OTHER)] == [13, 13]
    setattr(csr, own, SUM)
    assert [bench.cause_of_load(a, mode) for a in (DATA, OTHER)] == [13, None]
    setattr(csr, own, MXR)
    assert [bench.cause_of_load(a, mode) for a in (DATA, OTHER)] == [None, 13]
    if guest:  # the hypervisor's MXR relaxes both stages, its SUM nothing
        csr.vsstatus, csr.mstatus = 0, MXR | SUM
        assert [bench.cause_of_load(a, mode) for a in (DATA, OTHER)] == [None, 13]
    setattr(csr, own, SUM)
    bench.hart.x[1] = OTHER
    trap = bench.execute(word("jalr", rd=0, rs1=1), mode=mode)
    assert trap is not None
    assert (trap.cause, trap.tval) == (12, OTHER)  # SUM never allows to execute


def test_mxr_and_the_g_stage(guest: tuple[Bench, Tables, Tables]) -> None:
    bench, _, second = guest
    csr = bench.hart.csr
    second.map(DATA + OFFSET, DATA, V | X | A | U)
    csr.vsstatus = MXR
    assert bench.cause_of_load(VA, Mode.VS) == 21
    csr.mstatus = MXR
    assert bench.cause_of_load(VA, Mode.VS) is None


@pytest.mark.parametrize("operation", list(FAULTS))
def test_a_guest_page_fault_on_the_access_itself(guest: tuple[Bench, Tables, Tables], operation: str) -> None:
    bench, first, second = guest
    second.map(DATA + OFFSET, 0, 0)
    trap = bench.load(VA, Mode.VS, operation)
    assert trap == Trap("HS", GUEST_FAULTS[operation], VA, CODE, VA + OFFSET >> 2)
    first.map(DATA, 0, 0)  # the VS stage faults first
    trap = bench.load(VA, Mode.VS, operation)
    assert trap == Trap("HS", FAULTS[operation], VA, CODE)


def test_the_u_bit_of_the_g_stage(guest: tuple[Bench, Tables, Tables]) -> None:
    bench, _, second = guest
    second.map(DATA + OFFSET, DATA, FULL)
    assert bench.load(VA, Mode.VS) == Trap("HS", 21, VA, CODE, VA + OFFSET >> 2)


@pytest.mark.parametrize(("operation", "cause"), [("ld", 21), ("sd", 23)])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_guest_page_fault_on_a_table(
    guest: tuple[Bench, Tables, Tables], operation: str, cause: int, level: int
) -> None:
    """htval is the entry's guest-physical address, htinst says read; the cause is that of the access."""
    bench, first, second = guest
    va = VA + (1 << 30)
    first.map(DATA + (1 << 30), DATA + OFFSET, FULL)
    entry = first.entry_of(va, level) + OFFSET
    if level == 2:
        bench.hart.csr.vsatp = 8 << 60 | (TABLES + 0x7_0000 + OFFSET) >> 12  # an unmapped root: the fetch faults
        second.map(TABLES + 0x7_0000 + OFFSET, 0, 0)
        trap = bench.load(va, Mode.VS, operation)
        root = TABLES + 0x7_0000 + OFFSET + (CODE >> 30) * 8
        assert trap == Trap("HS", 20, CODE, CODE, root >> 2, READ)
        return
    second.map(entry & -0x1000, 0, 0)
    assert bench.load(va, Mode.VS, operation) == Trap("HS", cause, va, CODE, entry >> 2, READ)


@pytest.mark.parametrize(("operation", "flags", "cause"), [("ld", D, 21), ("sd", A, 23), ("sd", 0, 23)])
def test_accessed_and_dirty_bits_need_a_writable_table(
    guest: tuple[Bench, Tables, Tables], operation: str, flags: int, cause: int
) -> None:
    bench, first, second = guest
    first.map(DATA, DATA + OFFSET, V | R | W | flags)
    entry = first.entry_of(DATA)
    second.map((entry & -0x1000) + OFFSET, entry & -0x1000, V | R | X | A | D | U)
    assert bench.load(VA, Mode.VS, operation) == Trap("HS", cause, VA, CODE, entry + OFFSET >> 2, WRITE)
    assert bench.words[entry] & (A | D) == flags
    second.map((entry & -0x1000) + OFFSET, entry & -0x1000, V | R | W | A | U)
    assert bench.load(VA, Mode.VS, operation) is None
    assert bench.words[entry] & (A | D) == (A | flags if operation == "ld" else A | D)
    assert bench.words[second.entry_of((entry & -0x1000) + OFFSET)] & D


@pytest.mark.parametrize("stage", ["s", "vs", "g"])
def test_without_adue_missing_bits_fault(guest: tuple[Bench, Tables, Tables], stage: str) -> None:
    bench, first, second = guest
    csr = bench.hart.csr
    if stage == "s":
        bench.stage1().map(DATA, DATA, V | R | W | A)
        csr.menvcfg = PBMTE
        assert bench.load(VA, Mode.HS) is None
        assert bench.load(VA, Mode.HS, "sd") == Trap("HS", 15, VA, CODE)
        return
    if stage == "vs":
        first.map(DATA, DATA + OFFSET, V | R | W | A)
        csr.henvcfg = PBMTE
        assert bench.load(VA, Mode.VS) is None
        assert bench.load(VA, Mode.VS, "sd") == Trap("HS", 15, VA, CODE)
        csr.henvcfg = ENVCFG_ALL
        assert bench.load(VA, Mode.VS, "sd") is None
        return
    second.map(DATA + OFFSET, DATA, V | R | W | A | U)
    csr.menvcfg = PBMTE
    assert bench.load(VA, Mode.VS) is None
    assert bench.load(VA, Mode.VS, "sd") == Trap("HS", 23, VA, CODE, VA + OFFSET >> 2)


def test_a_page_crossing_access_reports_the_second_page(guest: tuple[Bench, Tables, Tables]) -> None:
    bench, first, second = guest
    first.map(DATA + 0x1000, DATA + 0x1000 + OFFSET, FULL)
    va = DATA + 0xFFD
    bench.words[DATA + 0xFF8] = before = 0x1122_3344_5566_7788
    assert bench.load(va, Mode.VS, "sd") is None
    bench.words[DATA + 0xFF8] = before
    second.map(DATA + 0x1000 + OFFSET, 0, 0)
    bench.hart.hfence_gvma()
    second_page = DATA + 0x1000
    assert bench.load(va, Mode.VS, "sd") == Trap("HS", 23, second_page, CODE, second_page + OFFSET >> 2)
    assert bench.words[DATA + 0xFF8] == before  # nothing has been stored
    assert bench.load(va, Mode.VS) == Trap("HS", 21, second_page, CODE, second_page + OFFSET >> 2)
    first.map(second_page, 0, 0)
    assert bench.load(va, Mode.VS) == Trap("HS", 13, second_page, CODE)


def test_fetch_faults(guest: tuple[Bench, Tables, Tables]) -> None:
    bench, first, second = guest
    first.map(OTHER, OTHER + OFFSET, FULL)
    second.map(OTHER + OFFSET, OTHER, V | R | W | A | D | U)
    bench.hart.x[1] = OTHER + 2
    jump = word("jalr", rd=0, rs1=1)
    assert bench.execute(jump, mode=Mode.VS) == Trap("HS", 20, OTHER + 2, OTHER + 2, OTHER + OFFSET + 2 >> 2)
    first.map(OTHER, OTHER + OFFSET, V | R | W | A | D)
    assert bench.execute(jump, mode=Mode.VS) == Trap("HS", 12, OTHER + 2, OTHER + 2)


def test_an_instruction_across_pages_reports_its_second_half(bench: Bench) -> None:
    tables = bench.stage1()
    tables.map(CODE + 0x1000, 0, 0)
    at = CODE + 0xFFE
    trap = bench.execute(word("addi", rd=5, rs1=0, imm=1), mode=Mode.HS, pc=at, at=at)
    assert trap == Trap("M", 12, CODE + 0x1000, at)
    tables.map(CODE + 0x1000, CODE + 0x1000, FULL)
    assert bench.execute(word("addi", rd=5, rs1=0, imm=1), mode=Mode.HS, pc=at, at=at) is None
    assert bench.hart.x[5] == 1


def test_bare_stages(bench: Bench) -> None:
    """vsatp Bare: guest-physical is virtual. hgatp Bare: physical is guest-physical. Both: identity."""
    bench.words[VA] = 5
    assert bench.load(VA, Mode.VS) is None
    second = bench.stage2()
    second.map(VA & -0x1000, OTHER, FULL | U)
    bench.words[OTHER + VA % 0x1000] = 6
    assert bench.load(VA, Mode.VS) is None
    assert bench.hart.x[11] == 6
    bench.hart.csr.hgatp = 0
    bench.stage1(guest=True).map(VA & -0x1000, OTHER, FULL)
    assert bench.load(VA, Mode.VS) is None
    assert bench.hart.x[11] == 6


@pytest.mark.parametrize("name", ["hlv.d", "hlvx.wu", "hsv.d"])
def test_hypervisor_accesses(guest: tuple[Bench, Tables, Tables], name: str) -> None:
    """Privilege from SPVP; HLVX needs X in both stages and is a load in what it reports."""
    bench, first, second = guest
    csr = bench.hart.csr
    bench.hart.x[10] = VA
    instruction = word(name, rs1=10, rs2=11) if name == "hsv.d" else word(name, rs1=10, rd=11)
    fault, guest_fault = (15, 23) if name == "hsv.d" else (13, 21)
    csr.hstatus = 1 << 8
    assert bench.execute(instruction, mode=Mode.HS) is None
    csr.hstatus = 0
    assert bench.execute(instruction, mode=Mode.HS) == Trap("HS", fault, VA, CODE)
    csr.hstatus = 1 << 8
    first.map(DATA, DATA + OFFSET, V | R | W | A | D)
    assert bench.cause(instruction, mode=Mode.HS) == (13 if name == "hlvx.wu" else None)
    first.map(DATA, DATA + OFFSET, V | X | A)
    assert bench.cause(instruction, mode=Mode.HS) == {"hlv.d": 13, "hsv.d": 15}.get(name)
    first.map(DATA, DATA + OFFSET, FULL)
    second.map(DATA + OFFSET, DATA, V | R | W | A | D | U)
    assert bench.cause(instruction, mode=Mode.HS) == (21 if name == "hlvx.wu" else None)
    second.map(DATA + OFFSET, 0, 0)
    assert bench.execute(instruction, mode=Mode.HS) == Trap("HS", guest_fault, VA, CODE, VA + OFFSET >> 2)


def test_mprv(guest: tuple[Bench, Tables, Tables]) -> None:
    bench, first, _ = guest
    csr = bench.hart.csr
    bench.stage1().map(VA & -0x1000, OTHER, FULL | U)
    first.map(VA & -0x1000, OTHER + 0x1000 + OFFSET, FULL)
    bench.words[VA], bench.words[OTHER + VA % 0x1000], bench.words[OTHER + 0x1000 + VA % 0x1000] = 1, 2, 3
    for mpp, mpv, expected in ((3, 1, 1), (0, 0, 2), (1, 1, 3)):
        csr.mstatus = 1 << 17 | mpp << 11 | mpv << 39
        assert bench.load(VA, Mode.M) is None
        assert bench.hart.x[11] == expected
    csr.mstatus = 1 << 17 | 1 << 11
    assert bench.load(VA, Mode.M) == Trap("M", 13, VA, CODE)  # a user page
