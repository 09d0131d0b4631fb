"""CSRs: WARL fields, aliases, delegation registers (Privileged ISA, "Hypervisor and Virtual Supervisor CSRs")."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hart.csr_numbers import CSR_NUMBERS
from shyper_tui.engine.hart.hart import Mode
from tests.core.encoding import word
from tests.hart.bench import ALL, Bench

FS, SD = 3 << 13, 1 << 63


def read(bench: Bench, name: str, mode: Mode) -> int:
    assert bench.execute(word("csrrs", rd=5, rs1=0, imm=CSR_NUMBERS[name]), mode=mode) is None
    return bench.hart.x[5]


def write(bench: Bench, name: str, value: int, mode: Mode) -> None:
    bench.hart.x[6] = value
    assert bench.execute(word("csrrw", rd=0, rs1=6, imm=CSR_NUMBERS[name]), mode=mode) is None


@pytest.mark.parametrize(
    ("name", "written", "kept"),
    [
        ("mideleg", 0, 0x444),
        ("mideleg", ALL, 0x666),
        ("hideleg", ALL, 0x444),
        ("hedeleg", ALL, 0xB1FF),
        ("medeleg", ALL, 0xF0B7FF),
        ("hvip", ALL, 0x444),
        ("hgeie", ALL, 0),
        ("vsepc", ALL, ALL - 1),
        ("mepc", ALL, ALL - 1),
        ("stvec", ALL, ALL - 2),
        ("hcounteren", ALL, 0xFFFF_FFFF),
        ("senvcfg", ALL, 1),
        ("mie", ALL, 0xEEE),
        ("hie", ALL, 0x444),
        ("misa", 0, 0x8000_0000_0014_11AD),
        ("mtval2", ALL, ALL),
        ("hgeip", ALL, 0),
    ],
)
def test_what_is_written_and_what_is_kept(bench: Bench, name: str, written: int, kept: int) -> None:
    setattr(bench.hart.csr, name, written)
    assert getattr(bench.hart.csr, name) == kept


def test_hstatus_keeps_its_fields(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.hstatus = ALL
    assert csr.hstatus == 2 << 32 | 7 << 20 | 0xF << 6  # VSXL fixed; no VGEIN, VSBE, HUPMM
    csr.hstatus = 0
    assert csr.hstatus == 2 << 32


def test_mpp_takes_no_reserved_mode(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.mstatus = 1 << 11
    csr.mstatus = 2 << 11
    assert csr.mstatus >> 11 & 3 == 1


def test_satp_and_vsatp_ignore_unsupported_modes_whole(bench: Bench) -> None:
    csr = bench.hart.csr
    for name in ("satp", "vsatp"):
        setattr(csr, name, 8 << 60 | 5 << 44 | 77)
        setattr(csr, name, 3 << 60 | 6 << 44 | 88)
        assert getattr(csr, name) == 8 << 60 | 5 << 44 | 77


def test_hgatp_is_warl_field_by_field(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.hgatp = 9 << 60 | ALL >> 20
    assert csr.hgatp == 9 << 60 | 0x3FFF << 44 & (ALL >> 20) | (1 << 44) - 4
    csr.hgatp = 1 << 60 | 5 << 44 | 16
    assert csr.hgatp == 9 << 60 | 5 << 44 | 16


@pytest.mark.parametrize(
    "name", ["sstatus", "sie", "stvec", "sscratch", "sepc", "scause", "stval", "sip", "stimecmp", "satp"]
)
def test_supervisor_names_reach_vs_registers_in_vs_mode(bench: Bench, name: str) -> None:
    csr = bench.hart.csr
    csr.hideleg = 0x444
    csr.vstimecmp = csr.stimecmp = ALL
    before = getattr(csr, name)
    written = {"satp": 0, "stvec": 0x8000_0300, "sstatus": FS | 1 << 18, "sip": 2, "sie": 0x222}.get(name, 0x1234)
    write(bench, name, written, Mode.VS)
    expected = read(bench, name, Mode.VS)
    assert expected & ~(SD | 3 << 32) == written
    assert getattr(csr, f"v{name}") == expected
    assert getattr(csr, name) == before


def test_no_vs_copy_of_scounteren_and_senvcfg(bench: Bench) -> None:
    write(bench, "scounteren", 5, Mode.VS)
    write(bench, "senvcfg", 1, Mode.VS)
    assert (bench.hart.csr.scounteren, bench.hart.csr.senvcfg) == (5, 1)


def test_sd_summarises_the_own_fs(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.mstatus, csr.vsstatus = FS, 0
    assert csr.sstatus & SD
    assert not csr.vsstatus & SD
    csr.mstatus, csr.vsstatus = 0, FS
    assert not csr.sstatus & SD
    assert csr.vsstatus & SD


def test_an_fp_write_in_vs_mode_dirties_both(bench: Bench) -> None:
    csr = bench.hart.csr
    assert bench.execute(word("fmv.d.x", rd=1, rs1=0), mode=Mode.VS) is None
    assert csr.vsstatus & csr.mstatus & FS == FS
    csr.mstatus = csr.vsstatus = 1 << 13
    assert bench.execute(word("fmv.x.d", rd=1, rs1=1), mode=Mode.VS) is None
    assert (csr.mstatus & FS, csr.vsstatus & FS) == (1 << 13, 1 << 13)


def test_vs_writing_its_fs_leaves_the_hypervisors(bench: Bench) -> None:
    write(bench, "sstatus", 0, Mode.VS)
    assert bench.hart.csr.vsstatus & FS == 0
    assert bench.hart.csr.mstatus & FS == 1 << 13


def test_hip_and_vsip_are_views_of_hvip(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.hideleg = 0x444
    csr.hvip = 0x444
    assert (csr.hip, csr.vsip, csr.mip & 0x444) == (0x444, 0x222, 0x444)
    csr.hip = 0
    assert csr.hvip == 0x440  # only VSSIP can be written there
    csr.vsip = 2
    assert csr.hvip == 0x444
    csr.hideleg = 0x400
    assert csr.vsip == 0x200  # what is not delegated reads zero
    csr.vsip = 0
    assert csr.hvip == 0x444
    csr.mip = 0
    assert csr.hvip == 0x440


def test_vsie_is_hie_where_delegated(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.hideleg = 0x404
    csr.vsie = ALL
    assert (csr.hie, csr.mie, csr.vsie) == (0x404, 0x404, 0x202)


def test_sie_and_sip_show_what_mideleg_gives(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.mideleg = 0x20
    csr.sie = ALL
    assert (csr.sie, csr.mie) == (0x20, 0x20)


def test_set_and_clear_on_mip_do_not_store_the_lines(bench: Bench) -> None:
    bench.hart.set_line(9, True)
    bench.hart.x[6] = 2
    assert bench.execute(word("csrrs", rd=5, rs1=6, imm=CSR_NUMBERS["mip"])) is None
    assert bench.hart.x[5] == 0x200
    bench.hart.set_line(9, False)
    assert bench.hart.csr.mip == 2


def test_henvcfg_shows_what_menvcfg_allows(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.henvcfg = ALL
    assert csr.henvcfg == 7 << 61 | 1
    csr.menvcfg = 1 << 61
    assert csr.henvcfg == 1 << 61 | 1
    csr.henvcfg = ALL
    assert csr.henvcfg == 1 << 61 | 1


def test_stip_is_not_writable_with_sstc(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.stimecmp = ALL
    csr.mip = 0x20
    assert csr.mip & 0x20 == 0
    csr.menvcfg = 0
    csr.mip = 0x20
    assert csr.mip & 0x20


def test_counters_are_exact(bench: Bench) -> None:
    minstret, mcycle = (CSR_NUMBERS[name] for name in ("minstret", "mcycle"))
    bench.hart.x[6] = 1000
    assert (
        bench.execute(
            word("csrrw", rd=0, rs1=6, imm=minstret),
            word("csrrs", rd=5, rs1=0, imm=minstret),
            word("addi", rd=0, rs1=0, imm=0),
            word("c.addi", rd=0, imm=0),
            word("csrrs", rd=7, rs1=0, imm=minstret),
            word("csrrs", rd=8, rs1=0, imm=mcycle),
            word("csrrs", rd=9, rs1=0, imm=mcycle),
        )
        is None
    )
    x = bench.hart.x
    assert (x[5], x[7] - x[5], x[9] - x[8]) == (1000, 3, 1)


def test_a_trap_retires_nothing(bench: Bench) -> None:
    before = bench.hart.instructions
    bench.code(0x8000_0100, word("mret"))
    bench.hart.csr.mepc = 0x8001_0004
    bench.execute(word("ecall"), mode=Mode.U)  # returns to itself, and so on
    assert bench.hart.mode is Mode.U or bench.hart.pc == 0x8000_0100
    cycles = bench.hart.instructions - before
    assert 1 <= cycles < 16
