"""Physical memory protection: 16 entries, a grain of one page (Privileged ISA, "Physical Memory Protection")."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hart.hart import Mode
from tests.core.encoding import word
from tests.core.page_tables import FULL
from tests.hart.bench import ALL, CODE, DATA, OTHER, RAM, Bench, Trap

R, W, X, TOR, NA4, NAPOT, L = 1, 2, 4, 1 << 3, 2 << 3, 3 << 3, 0x80
EVERYTHING = (1 << 54) - 1


def protect(bench: Bench, config: int, address: int, *more: tuple[int, int]) -> None:
    """Entries in order, then one that allows everything."""
    csr = bench.hart.csr
    entries = [(config, address), *more, (NAPOT | R | W | X, EVERYTHING)]
    csr.pmpcfg0 = 0
    for number, (_, value) in enumerate(entries):
        setattr(csr, f"pmpaddr{number}", value)
    csr.pmpcfg0 = sum(byte << 8 * number for number, (byte, _) in enumerate(entries))


@pytest.mark.parametrize("config", range(8))
def test_rights(bench: Bench, config: int) -> None:
    protect(bench, NAPOT | config, DATA >> 2 | 0x1FF)
    kept = config & ~W if not config & R else config  # W without R is reserved
    assert bench.hart.csr.pmpcfg0 & 7 == kept
    bench.hart.x[1] = DATA
    bench.code(DATA, word("jal", rd=0, imm=0))
    jump = word("jalr", rd=0, rs1=1)
    assert (bench.load(DATA, Mode.HS) is None) == bool(kept & R)
    assert (bench.load(DATA, Mode.HS, "sd") is None) == bool(kept & W)
    bench.code(DATA, word("jal", rd=0, imm=0))
    assert (bench.execute(jump, mode=Mode.HS) is None) == bool(kept & X)
    assert bench.load(DATA, Mode.M) is None
    assert bench.load(DATA + 0x1000, Mode.HS) is None


def test_what_faults_report(bench: Bench) -> None:
    protect(bench, NAPOT, DATA >> 2 | 0x1FF)
    assert bench.load(DATA + 8, Mode.U) == Trap("M", 5, DATA + 8, CODE)
    assert bench.load(DATA + 8, Mode.U, "sd") == Trap("M", 7, DATA + 8, CODE)
    assert bench.load(DATA + 8, Mode.U, "amoadd.d") == Trap("M", 7, DATA + 8, CODE)
    assert bench.load(DATA - 4, Mode.U) == Trap("M", 5, DATA, CODE)  # the second page
    bench.hart.x[1] = DATA
    assert bench.execute(word("jalr", rd=0, rs1=1), mode=Mode.U) == Trap("M", 1, DATA, DATA)


def test_locked_entries_hold_for_m_and_stay(bench: Bench) -> None:
    protect(bench, L | NAPOT | R, DATA >> 2 | 0x1FF)
    assert bench.load(DATA, Mode.M) is None
    assert bench.load(DATA, Mode.M, "sd") == Trap("M", 7, DATA, CODE)
    csr = bench.hart.csr
    csr.pmpcfg0 = 0
    csr.pmpaddr0 = 0
    assert csr.pmpcfg0 & 0xFF == L | NAPOT | R
    assert csr.pmpaddr0 == DATA >> 2 | 0x1FF


def test_a_locked_range_locks_the_address_below(bench: Bench) -> None:
    csr = bench.hart.csr
    protect(bench, 0, DATA >> 2, (L | TOR | R, OTHER >> 2))
    csr.pmpaddr0 = 0
    assert csr.pmpaddr0 == DATA >> 2
    assert bench.load(DATA, Mode.HS, "sd") == Trap("M", 7, DATA, CODE)
    assert bench.load(OTHER, Mode.HS, "sd") is None
    assert bench.load(DATA - 8, Mode.HS, "sd") is None


def test_the_first_match_decides(bench: Bench) -> None:
    protect(bench, NAPOT | R | W, DATA >> 2 | 0x1FF, (NAPOT, DATA >> 2 | 0x1FFF))
    assert bench.load(DATA, Mode.U, "sd") is None
    assert bench.load(DATA + 0x1000, Mode.U) == Trap("M", 5, DATA + 0x1000, CODE)


def test_without_a_match_only_m_may(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.pmpcfg0 = 0
    csr.pmpaddr0 = (RAM >> 2) + 0x3FFF
    csr.pmpcfg0 = NAPOT | R | W | X
    assert bench.load(OTHER, Mode.M) is None
    trap = bench.load(OTHER, Mode.U)
    assert trap is not None
    assert trap.cause in (1, 5)


def test_the_grain(bench: Bench) -> None:
    """Software finds it by writing all ones with the entry off; NA4 cannot be chosen."""
    csr = bench.hart.csr
    csr.pmpcfg0 = 0
    csr.pmpaddr3 = ALL
    assert csr.pmpaddr3 == EVERYTHING & ~0x3FF
    csr.pmpcfg0 = (NAPOT | R) << 24
    assert csr.pmpaddr3 == EVERYTHING
    csr.pmpcfg0 = (NA4 | R) << 24
    assert csr.pmpcfg0 >> 24 == R


def test_page_tables_are_protected_by_the_cause_of_the_access(bench: Bench) -> None:
    tables = bench.stage1()
    tables.map(DATA, DATA, FULL)
    leaf = tables.entry_of(DATA) & -0x1000
    bench.words[leaf + 8 * (CODE >> 12 & 0x1FF)] |= 0
    tables.map(DATA + (1 << 30), DATA, FULL)
    other_leaf = tables.entry_of(DATA + (1 << 30)) & -0x1000
    protect(bench, NAPOT, other_leaf >> 2 | 0x1FF)
    va = DATA + (1 << 30)
    assert bench.load(va, Mode.HS) == Trap("M", 5, va, CODE)
    assert bench.load(va, Mode.HS, "sd") == Trap("M", 7, va, CODE)
    assert bench.load(DATA, Mode.HS) is None


def test_hlvx_needs_read_and_execute(bench: Bench) -> None:
    bench.hart.x[6] = DATA
    hlvx = word("hlvx.wu", rd=5, rs1=6)
    for config, cause in ((R | X, None), (R, 5), (X, 5), (R | W | X, None)):
        protect(bench, NAPOT | config, DATA >> 2 | 0x1FF)
        assert bench.cause(hlvx, mode=Mode.HS) == cause
