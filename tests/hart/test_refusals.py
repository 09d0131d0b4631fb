"""Virtual-instruction (22) or illegal-instruction (2) exception (Privileged ISA, "Trap Cause Codes")."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hart.csr_numbers import CSR_NUMBERS
from shyper_tui.engine.hart.hart import Mode
from tests.core.encoding import word
from tests.hart.bench import Bench

ILLEGAL, VIRTUAL = 2, 22
TVM, TW, TSR = 1 << 20, 1 << 21, 1 << 22
VTVM, VTW, VTSR, HU = 1 << 20, 1 << 21, 1 << 22, 1 << 9


def csrr(name: str) -> int:
    return word("csrrs", rd=5, rs1=0, imm=CSR_NUMBERS[name])


def csrw(name: str) -> int:
    return word("csrrw", rd=0, rs1=0, imm=CSR_NUMBERS[name])


@pytest.mark.parametrize(
    ("mode", "counters", "cause"),
    [
        (Mode.VS, (1, 1, 0), None),
        (Mode.VS, (1, 0, 1), VIRTUAL),
        (Mode.VS, (0, 1, 1), ILLEGAL),
        (Mode.VS, (0, 0, 0), ILLEGAL),
        (Mode.VU, (1, 1, 1), None),
        (Mode.VU, (1, 1, 0), VIRTUAL),
        (Mode.VU, (1, 0, 1), VIRTUAL),
        (Mode.VU, (0, 1, 1), ILLEGAL),
        (Mode.U, (1, 0, 1), None),
        (Mode.U, (1, 1, 0), ILLEGAL),
        (Mode.U, (0, 1, 1), ILLEGAL),
        (Mode.HS, (1, 0, 0), None),
        (Mode.HS, (0, 1, 1), ILLEGAL),
    ],
)
@pytest.mark.parametrize(("name", "bit"), [("cycle", 0), ("time", 1), ("instret", 2), ("hpmcounter31", 31)])
def test_counters(
    bench: Bench, name: str, bit: int, mode: Mode, counters: tuple[int, int, int], cause: int | None
) -> None:
    csr = bench.hart.csr
    csr.mcounteren, csr.hcounteren, csr.scounteren = (enabled << bit for enabled in counters)
    assert bench.cause(csrr(name), mode=mode) == cause


HYPERVISOR = ["hstatus", "hedeleg", "hie", "htval", "hgatp", "henvcfg", "hgeip", "vsstatus", "vsepc", "vsatp"]
SUPERVISOR = ["sstatus", "sie", "stvec", "sepc", "scause", "satp", "senvcfg", "scounteren"]
MACHINE = ["mstatus", "mepc", "pmpcfg0", "mhartid", "mcycle"]


@pytest.mark.parametrize("name", HYPERVISOR)
def test_hypervisor_csrs(bench: Bench, name: str) -> None:
    causes = [bench.cause(csrr(name), mode=mode) for mode in (Mode.HS, Mode.U, Mode.VS, Mode.VU)]
    assert causes == [None, ILLEGAL, VIRTUAL, VIRTUAL]


@pytest.mark.parametrize("name", SUPERVISOR)
def test_supervisor_csrs(bench: Bench, name: str) -> None:
    causes = [bench.cause(csrr(name), mode=mode) for mode in (Mode.HS, Mode.U, Mode.VS, Mode.VU)]
    assert causes == [None, ILLEGAL, None, VIRTUAL]


@pytest.mark.parametrize("name", MACHINE)
def test_machine_csrs(bench: Bench, name: str) -> None:
    causes = [bench.cause(csrr(name), mode=mode) for mode in (Mode.M, Mode.HS, Mode.U, Mode.VS, Mode.VU)]
    assert causes == [None, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL]


def test_what_hs_could_not_do_either_is_illegal(bench: Bench) -> None:
    for mode in (Mode.VS, Mode.VU):
        assert bench.cause(csrw("hgeip"), mode=mode) == ILLEGAL
        assert bench.cause(csrw("cycle"), mode=mode) == ILLEGAL
        assert bench.cause(word("csrrs", rd=5, rs1=0, imm=0x6C0), mode=mode) == ILLEGAL
        assert bench.cause(word("csrrs", rd=5, rs1=0, imm=0xC80), mode=mode) == ILLEGAL  # cycleh


def test_hgatp_from_vs_is_virtual_even_with_tvm(bench: Bench) -> None:
    bench.hart.csr.mstatus = TVM
    assert bench.cause(csrr("hgatp"), mode=Mode.VS) == VIRTUAL
    assert bench.cause(csrr("hgatp"), mode=Mode.HS) == ILLEGAL


HLV = [word("hlv.d", rd=5, rs1=6), word("hlvx.hu", rd=5, rs1=6), word("hsv.b", rs1=6, rs2=5)]


@pytest.mark.parametrize("instruction", HLV)
def test_hypervisor_loads_and_stores(bench: Bench, instruction: int) -> None:
    bench.hart.x[6] = 0x8002_0000
    causes = [bench.cause(instruction, mode=mode) for mode in Mode]
    expected = {Mode.U: ILLEGAL, Mode.VS: VIRTUAL, Mode.VU: VIRTUAL}
    assert causes == [expected.get(mode) for mode in Mode]
    bench.hart.csr.hstatus = HU
    assert bench.cause(instruction, mode=Mode.U) is None
    assert bench.cause(instruction, mode=Mode.VU) == VIRTUAL


@pytest.mark.parametrize("name", ["hfence.vvma", "hfence.gvma"])
def test_hypervisor_fences(bench: Bench, name: str) -> None:
    causes = [bench.cause(word(name), mode=mode) for mode in (Mode.M, Mode.HS, Mode.U, Mode.VS, Mode.VU)]
    assert causes == [None, None, ILLEGAL, VIRTUAL, VIRTUAL]
    bench.hart.csr.mstatus = TVM
    assert bench.cause(word(name), mode=Mode.HS) == (ILLEGAL if name == "hfence.gvma" else None)
    assert bench.cause(word(name), mode=Mode.M) is None


def test_sfence_vma(bench: Bench) -> None:
    csr = bench.hart.csr
    fence = word("sfence.vma")
    assert [bench.cause(fence, mode=m) for m in (Mode.HS, Mode.VS, Mode.U, Mode.VU)] == [None, None, ILLEGAL, VIRTUAL]
    csr.mstatus = TVM
    assert [bench.cause(fence, mode=m) for m in (Mode.HS, Mode.VS)] == [ILLEGAL, None]
    csr.mstatus, csr.hstatus = 0, VTVM
    assert [bench.cause(fence, mode=m) for m in (Mode.HS, Mode.VS)] == [None, VIRTUAL]


def test_satp(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.mstatus = TVM
    assert [bench.cause(csrr("satp"), mode=m) for m in (Mode.HS, Mode.VS)] == [ILLEGAL, None]
    csr.mstatus, csr.hstatus = 0, VTVM
    assert [bench.cause(csrr("satp"), mode=m) for m in (Mode.HS, Mode.VS, Mode.VU)] == [None, VIRTUAL, VIRTUAL]


def test_sret(bench: Bench) -> None:
    csr = bench.hart.csr
    sret = word("sret")
    assert [bench.cause(sret, mode=m) for m in (Mode.U, Mode.VU)] == [ILLEGAL, VIRTUAL]
    csr.mstatus = TSR
    csr.vsepc = 0x8001_0004
    assert bench.cause(sret, mode=Mode.HS) == ILLEGAL
    assert bench.cause(sret, mode=Mode.VS) is None
    csr.mstatus, csr.hstatus = 0, VTSR
    assert bench.cause(sret, mode=Mode.VS) == VIRTUAL


@pytest.mark.parametrize(
    ("mode", "tw", "vtw", "cause"),
    [
        (Mode.M, 1, 1, None),
        (Mode.HS, 0, 1, None),
        (Mode.HS, 1, 0, ILLEGAL),
        (Mode.U, 0, 0, ILLEGAL),
        (Mode.U, 1, 0, ILLEGAL),
        (Mode.VS, 0, 0, None),
        (Mode.VS, 0, 1, VIRTUAL),
        (Mode.VS, 1, 1, ILLEGAL),
        (Mode.VU, 0, 0, VIRTUAL),
        (Mode.VU, 1, 0, ILLEGAL),
    ],
)
def test_wfi(bench: Bench, mode: Mode, tw: int, vtw: int, cause: int | None) -> None:
    """In VU-mode with TW=1 Spike raises a virtual-instruction exception; the specification says illegal."""
    csr = bench.hart.csr
    csr.mstatus, csr.hstatus = TW * tw, VTW * vtw
    assert bench.cause(word("wfi"), mode=mode) == cause
    assert bench.hart.waiting == (cause is None)


@pytest.mark.parametrize(
    ("mode", "gates", "cause"),
    [
        (Mode.VS, (1, 1, 1, 1), None),
        (Mode.VS, (0, 1, 1, 1), ILLEGAL),
        (Mode.VS, (1, 0, 1, 1), ILLEGAL),
        (Mode.VS, (1, 1, 0, 1), VIRTUAL),
        (Mode.VS, (1, 1, 1, 0), VIRTUAL),
        (Mode.VU, (1, 1, 1, 1), VIRTUAL),
        (Mode.VU, (1, 0, 1, 1), ILLEGAL),
        (Mode.HS, (1, 1, 0, 0), None),
        (Mode.HS, (0, 1, 0, 0), ILLEGAL),
        (Mode.HS, (1, 0, 0, 0), ILLEGAL),
        (Mode.M, (0, 0, 0, 0), None),
    ],
)
def test_stimecmp(bench: Bench, mode: Mode, gates: tuple[int, int, int, int], cause: int | None) -> None:
    """mcounteren.TM, menvcfg.STCE, hcounteren.TM, henvcfg.STCE."""
    csr = bench.hart.csr
    csr.mcounteren, csr.menvcfg = gates[0] << 1, gates[1] << 63
    csr.hcounteren, csr.henvcfg = gates[2] << 1, gates[3] << 63
    assert bench.cause(csrr("stimecmp"), mode=mode) == cause
    hs_may = gates[:2] == (1, 1)
    assert bench.cause(csrr("vstimecmp"), mode=Mode.VS) == (VIRTUAL if hs_may else ILLEGAL)


@pytest.mark.parametrize(("mstatus", "vsstatus"), [(0, 1), (1, 0), (0, 0)])
@pytest.mark.parametrize("instruction", [word("fadd.d"), word("csrrs", rd=5, imm=3), word("fld", rs1=6)])
def test_floating_point_off_is_always_illegal(bench: Bench, instruction: int, mstatus: int, vsstatus: int) -> None:
    csr = bench.hart.csr
    csr.mstatus, csr.vsstatus = mstatus << 13, vsstatus << 13
    for mode in (Mode.VS, Mode.VU):
        assert bench.cause(instruction, mode=mode) == ILLEGAL


@pytest.mark.parametrize("mode", [Mode.HS, Mode.U, Mode.VS, Mode.VU])
def test_mret_below_m_and_unknown_words_are_illegal(bench: Bench, mode: Mode) -> None:
    assert bench.cause(word("mret"), mode=mode) == ILLEGAL
    assert bench.cause(0xFFFF_FFFF, mode=mode) == ILLEGAL
    assert bench.cause(0x0000, mode=mode) == ILLEGAL


def test_the_word_is_in_tval(bench: Bench) -> None:
    trap = bench.execute(csrr("hstatus"), mode=Mode.VS)
    assert trap is not None
    assert trap.tval == csrr("hstatus")
    trap = bench.execute(0x0000, mode=Mode.VS)
    assert trap is not None
    assert trap.tval == 0
