"""Trap entry and return: previous modes, GVA, vectors, delegation (Privileged ISA, "Trap Entry", "Trap Return")."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hart.hart import Mode
from tests.core.encoding import word
from tests.hart.bench import ALL, CODE, RAM, VECTORS, Bench, Trap

GVA, SPV, SPVP = 1 << 6, 1 << 7, 1 << 8
MPP, MGVA, MPV, MPRV = 3 << 11, 1 << 38, 1 << 39, 1 << 17
ECALL, EBREAK = word("ecall"), word("ebreak")


def test_environment_calls_by_mode(bench: Bench) -> None:
    assert [bench.cause(ECALL, mode=mode) for mode in (Mode.U, Mode.HS, Mode.M, Mode.VU, Mode.VS)] == [8, 9, 11, 8, 10]


@pytest.mark.parametrize("mode", [Mode.HS, Mode.U, Mode.VS, Mode.VU])
def test_to_hs(bench: Bench, mode: Mode) -> None:
    """SPV := V; SPVP := previous privilege if V was 1, else it is kept; htval and htinst are written."""
    csr = bench.hart.csr
    csr.medeleg = ALL
    for before in (0, SPVP | SPV | GVA):
        csr.hstatus, csr.htval, csr.htinst = before, 5, 5
        csr.mstatus = 1 << 1
        trap = bench.execute(ECALL, mode=mode)
        assert trap is not None
        assert (trap.to, trap.gpa, trap.inst) == ("HS", 0, 0)
        virtual = mode in (Mode.VS, Mode.VU)
        supervisor = mode in (Mode.VS, Mode.HS)
        spvp = (SPVP if supervisor else 0) if virtual else before & SPVP
        assert csr.hstatus & (SPV | SPVP | GVA) == (SPV if virtual else 0) | spvp
        assert csr.mstatus & (1 << 8 | 1 << 5 | 1 << 1) == (1 << 8 if supervisor else 0) | 1 << 5


@pytest.mark.parametrize("mode", [Mode.M, Mode.HS, Mode.U, Mode.VS, Mode.VU])
def test_to_m(bench: Bench, mode: Mode) -> None:
    csr = bench.hart.csr
    csr.mtval2 = csr.mtinst = 5
    csr.mstatus = 1 << 3 | MGVA
    hstatus = csr.hstatus = SPVP
    trap = bench.execute(ECALL, mode=mode)
    assert trap is not None
    assert (trap.to, trap.gpa, trap.inst) == ("M", 0, 0)
    privilege = {Mode.M: 3, Mode.HS: 1, Mode.VS: 1}.get(mode, 0)
    virtual = mode in (Mode.VS, Mode.VU)
    assert csr.mstatus & (MPP | MPV | MGVA | 0x88) == privilege << 11 | (MPV if virtual else 0) | 0x80
    assert csr.hstatus & 0xFFFF_FFFF == hstatus


def test_to_vs_leaves_the_hypervisors_registers(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.medeleg = csr.hedeleg = ALL
    csr.vsstatus = 1 << 1
    before = csr.hstatus, csr.mstatus, csr.scause
    assert bench.execute(EBREAK, mode=Mode.VU) == Trap("VS", 3, CODE, CODE)
    assert csr.vsstatus & (1 << 8 | 1 << 5 | 1 << 1) == 1 << 5
    assert (csr.hstatus, csr.mstatus, csr.scause) == before


def test_gva_with_an_address_and_cleared_without(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.medeleg = ALL
    assert bench.execute(EBREAK, mode=Mode.VS) == Trap("HS", 3, CODE, CODE)
    assert csr.hstatus & GVA
    bench.execute(ECALL, mode=Mode.VS)
    assert not csr.hstatus & GVA
    trap = bench.load(0x1000, Mode.VU)
    assert trap == Trap("HS", 5, 0x1000, CODE)
    assert csr.hstatus & GVA
    bench.load(0x1000, Mode.U)
    assert not csr.hstatus & GVA
    bench.hart.x[6] = 0x1000
    assert bench.execute(word("hlv.w", rd=5, rs1=6), mode=Mode.HS) == Trap("HS", 5, 0x1000, CODE)
    assert csr.hstatus & (GVA | SPV) == GVA


@pytest.mark.parametrize("operation", ["ld", "lr.w", "amoadd.w", "sd"])
def test_gva_of_an_access_with_mprv_and_mpv(bench: Bench, operation: str) -> None:
    csr = bench.hart.csr
    for mpv in (0, MPV):
        csr.mstatus = MPRV | mpv | 1 << 11
        trap = bench.load(0x1000, Mode.M, operation)
        assert trap is not None
        assert trap.cause in (5, 7)
        assert bool(csr.mstatus & MGVA) == bool(mpv)


def test_guest_page_faults_and_virtual_instructions_never_reach_vs(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.medeleg = csr.hedeleg = ALL
    trap = bench.execute(word("hfence.gvma"), mode=Mode.VS)
    assert trap is not None
    assert (trap.to, trap.cause) == ("HS", 22)


def test_traps_from_m_stay_in_m(bench: Bench) -> None:
    bench.hart.csr.medeleg = ALL
    trap = bench.execute(EBREAK, mode=Mode.M)
    assert trap is not None
    assert trap.to == "M"


@pytest.mark.parametrize(("mpp", "mpv", "mode"), [(3, 1, Mode.M), (1, 1, Mode.VS), (0, 1, Mode.VU), (1, 0, Mode.HS)])
def test_mret(bench: Bench, mpp: int, mpv: int, mode: Mode) -> None:
    csr = bench.hart.csr
    csr.mepc = CODE + 4
    csr.mstatus = mpp << 11 | mpv * MPV | MPRV | 0x80
    bench.execute(word("mret"))
    assert (bench.hart.mode, bench.hart.pc) == (mode, CODE + 4)
    assert csr.mstatus & (MPP | MPV | MPRV | 0x88) == (MPRV if mpp == 3 else 0) | 0x88


@pytest.mark.parametrize(("spp", "spv", "mode"), [(1, 0, Mode.HS), (0, 0, Mode.U), (1, 1, Mode.VS), (0, 1, Mode.VU)])
def test_sret_from_hs(bench: Bench, spp: int, spv: int, mode: Mode) -> None:
    csr = bench.hart.csr
    csr.sepc, csr.hstatus = CODE + 4, spv * SPV | SPVP
    csr.mstatus = spp << 8 | 1 << 5
    bench.execute(word("sret"), mode=Mode.HS)
    assert (bench.hart.mode, bench.hart.pc) == (mode, CODE + 4)
    assert csr.mstatus & (1 << 8 | 1 << 5 | 1 << 1) == 1 << 5 | 1 << 1
    assert csr.hstatus & (SPV | SPVP) == SPVP


def test_sret_from_vs_uses_vsstatus(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.vsepc, csr.vsstatus, csr.hstatus = CODE + 4, 1 << 5, 0
    bench.execute(word("sret"), mode=Mode.VS)
    assert (bench.hart.mode, bench.hart.pc) == (Mode.VU, CODE + 4)
    assert csr.vsstatus & (1 << 5 | 1 << 1) == 1 << 5 | 1 << 1


@pytest.mark.parametrize(("line", "offset"), [(3, 0x0C), (11, 0x2C)])
def test_vectored_interrupts(bench: Bench, line: int, offset: int) -> None:
    csr = bench.hart.csr
    csr.mtvec = VECTORS["M"] + 1
    csr.mie, csr.mstatus = 1 << line, 1 << 3
    bench.code(VECTORS["M"] + offset, word("jal", rd=0, imm=0))
    bench.hart.set_line(line, True)
    bench.execute(word("addi"))
    assert bench.hart.pc == VECTORS["M"] + offset
    assert csr.mcause == 1 << 63 | line
    assert csr.mtval == 0


def test_exceptions_go_to_the_base_in_vectored_mode(bench: Bench) -> None:
    bench.hart.csr.mtvec = VECTORS["M"] + 1
    trap = bench.execute(EBREAK)
    assert trap is not None
    assert trap.cause == 3


@pytest.mark.parametrize("mode", [Mode.M, Mode.HS, Mode.VS])
def test_a_trap_vector_that_faults_does_not_hang_the_engine(bench: Bench, mode: Mode) -> None:
    """Time passes and the slice ends, though no instruction is ever executed."""
    csr = bench.hart.csr
    csr.medeleg = csr.hedeleg = ALL
    csr.mtvec = csr.stvec = csr.vstvec = 0x10
    before = bench.hart.instructions
    bench.execute(0x0000, mode=mode)
    bench.run(1000)
    assert bench.hart.cycle >= 1000
    assert bench.hart.instructions == before
    assert bench.hart.pc == 0x10


def test_a_faulting_handler_in_python_does_not_hang_the_engine(bench: Bench) -> None:
    """The vector itself is a load that a device refuses."""
    bench.code(VECTORS["M"], word("ld", rd=1, rs1=2, imm=0))
    bench.hart.x[2] = 0x1000
    bench.execute(ECALL)
    bench.run(5000)
    assert bench.hart.cycle >= 5000


def test_an_address_beyond_56_bits_is_an_access_fault(bench: Bench) -> None:
    for address in (1 << 56, ALL - 7, ALL - 15, 1 << 63):
        assert bench.load(address) == Trap("M", 5, address, CODE)
        assert bench.load(address, Mode.VS, "sd") == Trap("M", 7, address, CODE)
    bench.hart.x[1] = ALL - 1
    trap = bench.execute(word("jalr", rd=0, rs1=1))
    assert trap == Trap("M", 1, ALL - 1, ALL - 1)


def test_the_end_of_memory(bench: Bench) -> None:
    end = RAM + (8 << 20)
    assert bench.load(end - 8) is None
    assert bench.load(end) == Trap("M", 5, end, CODE)
    trap = bench.load(end - 4)
    assert trap is not None
    assert trap.cause == 5
