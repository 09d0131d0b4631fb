"""Which interrupt is taken where, WFI, timers (Privileged ISA, "mip and mie", "Hypervisor Interrupt Registers")."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hart.hart import Mode
from tests.core.encoding import word
from tests.hart.bench import ALL, CODE, VECTORS, Bench, Trap

INTERRUPT = 1 << 63
MSI, MTI, MEI, SSI, STI, SEI, VSSI, VSTI, VSEI = 3, 7, 11, 1, 5, 9, 2, 6, 10
SIE, MIE = 1 << 1, 1 << 3
NOP = word("addi")


def pend(bench: Bench, *numbers: int) -> None:
    csr = bench.hart.csr
    csr.menvcfg = 0  # STIP is software's
    csr.mtval = 0
    for number in numbers:
        if number in (MSI, MEI):
            bench.hart.set_line(number, True)
        elif number == MTI:
            bench.hart.set_mtimecmp(0)
        elif number in (VSSI, VSTI, VSEI):
            csr.hvip |= 1 << number
        else:
            csr.mip |= 1 << number


def taken(bench: Bench, mode: Mode) -> tuple[str, int] | None:
    trap = bench.execute(NOP, mode=mode)
    return (trap.to, trap.cause & ~INTERRUPT) if trap else None


def test_order_in_m(bench: Bench) -> None:
    csr = bench.hart.csr
    order = [MEI, MSI, MTI, SEI, SSI, STI]
    csr.mideleg = 0
    csr.mstatus = MIE
    pend(bench, *order)
    for number in order:
        csr.mie = sum(1 << n for n in order[order.index(number) :])
        csr.mstatus = MIE
        assert taken(bench, Mode.M) == ("M", number)


def test_order_in_hs(bench: Bench) -> None:
    csr = bench.hart.csr
    order = [SEI, SSI, STI, VSEI, VSSI, VSTI]
    csr.mideleg = ALL
    pend(bench, *order)
    for number in order:
        csr.mie = sum(1 << n for n in order[order.index(number) :])
        csr.mstatus = SIE
        assert taken(bench, Mode.HS) == ("HS", number)


def test_order_in_vs_and_s_numbers(bench: Bench) -> None:
    csr = bench.hart.csr
    order = [VSEI, VSSI, VSTI]
    csr.hideleg = ALL
    pend(bench, *order)
    for number in order:
        csr.mie = sum(1 << n for n in order[order.index(number) :])
        csr.vsstatus = SIE
        assert taken(bench, Mode.VS) == ("VS", number - 1)


def test_the_most_privileged_destination_comes_first(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.mideleg, csr.hideleg, csr.mie = 1 << SEI | 1 << STI, 1 << VSEI, ALL
    pend(bench, VSEI, SEI, SSI)
    csr.vsstatus = SIE
    assert taken(bench, Mode.VS) == ("M", SSI)
    csr.mideleg = 0x222
    assert taken(bench, Mode.VS) == ("HS", SEI)
    csr.mie = 1 << VSEI
    assert taken(bench, Mode.VS) == ("VS", SEI)


@pytest.mark.parametrize(
    ("mode", "enable", "expected"),
    [
        (Mode.M, 0, None),
        (Mode.HS, 0, None),
        (Mode.HS, SIE, ("HS", VSSI)),
        (Mode.U, 0, ("HS", VSSI)),
        (Mode.VS, 0, ("HS", VSSI)),
        (Mode.VU, 0, ("HS", VSSI)),
    ],
)
def test_a_vs_interrupt_that_is_not_delegated(
    bench: Bench, mode: Mode, enable: int, expected: tuple[str, int] | None
) -> None:
    csr = bench.hart.csr
    csr.mie = 1 << VSSI
    pend(bench, VSSI)
    csr.mstatus = enable
    assert taken(bench, mode) == expected


@pytest.mark.parametrize(
    ("mode", "enable", "expected"),
    [
        (Mode.M, SIE, None),
        (Mode.HS, SIE, None),
        (Mode.U, SIE, None),
        (Mode.VS, 0, None),
        (Mode.VS, SIE, ("VS", SSI)),
        (Mode.VU, 0, ("VS", SSI)),
    ],
)
def test_a_delegated_vs_interrupt_waits_while_v_is_0(
    bench: Bench, mode: Mode, enable: int, expected: tuple[str, int] | None
) -> None:
    csr = bench.hart.csr
    csr.mie = csr.hideleg = 1 << VSSI
    pend(bench, VSSI)
    csr.mstatus = csr.vsstatus = enable
    assert taken(bench, mode) == expected


def test_vectored_vs_interrupts_use_s_numbers(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.vstvec = VECTORS["VS"] + 1
    csr.hideleg = csr.mie = csr.hvip = 1 << VSEI
    bench.code(VECTORS["VS"] + 4 * SEI, word("jal", rd=0, imm=0))
    bench.execute(NOP, mode=Mode.VU)
    assert bench.hart.pc == VECTORS["VS"] + 4 * SEI
    assert csr.vscause == INTERRUPT | SEI


def test_enabling_takes_a_pending_interrupt_at_once(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.mideleg, csr.mie = 0x222, 1 << SSI
    pend(bench, SSI)
    trap = bench.execute(word("csrrsi", rs1=2, imm=0x100), word("addi", rd=5, rs1=0, imm=1), mode=Mode.HS)
    assert trap == Trap("HS", INTERRUPT | SSI, 0, CODE + 4)
    assert bench.hart.x[5] == 0


@pytest.mark.parametrize("number", [MSI, SSI, VSSI])
@pytest.mark.parametrize("mode", [Mode.M, Mode.HS, Mode.VS])
def test_wfi_wakes_for_what_is_enabled_even_when_it_is_not_taken(bench: Bench, number: int, mode: Mode) -> None:
    csr = bench.hart.csr
    csr.mideleg, csr.hideleg = 0x222, 0x444
    csr.mstatus = csr.vsstatus = 0
    assert bench.execute(word("wfi"), word("addi", rd=5, rs1=0, imm=7), mode=mode) is None
    pend(bench, number)
    bench.run(10)
    still = bench.hart.waiting  # pending, but not enabled
    csr.mie = 1 << number
    bench.run(10)
    assert (still, bench.hart.waiting) == (True, False)
    assert bench.trap() is not None or bench.hart.x[5] == 7


def test_waiting_takes_cycles_and_no_instructions(bench: Bench) -> None:
    bench.execute(word("wfi"))
    before = bench.hart.cycle, bench.hart.instructions
    bench.run(5000)
    assert bench.hart.cycle >= before[0] + 5000
    assert bench.hart.instructions == before[1]


# --- timers ---


def test_stimecmp_raises_and_lowers_stip(bench: Bench) -> None:
    csr = bench.hart.csr
    now = bench.hart.time
    csr.stimecmp = now + 100
    assert not csr.mip & 1 << STI
    bench.execute(NOP)
    bench.run(101 * bench.hart.get("time_divider"))
    assert csr.mip & 1 << STI
    csr.stimecmp = ALL
    assert not csr.mip & 1 << STI


def test_a_timer_interrupt_comes_at_its_tick(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.mideleg, csr.mie, csr.mstatus = 0x222, 1 << STI, SIE
    at = csr.stimecmp = bench.hart.time + 50
    bench.code(CODE, word("jal", rd=0, imm=0))
    bench.enter(Mode.HS, CODE)
    bench.code(VECTORS["HS"], word("csrrs", rd=5, rs1=0, imm=0xC01), word("jal", rd=0, imm=0))
    bench.run(200 * bench.hart.get("time_divider"))
    assert csr.scause == INTERRUPT | STI
    assert bench.hart.x[5] == at


def test_vstimecmp_counts_in_guest_time(bench: Bench) -> None:
    csr = bench.hart.csr
    bench.run(1000 * bench.hart.get("time_divider"))
    for delta in (500, -500, -1000, 1 << 63, 0):
        csr.htimedelta = delta
        csr.vstimecmp = bench.hart.time + delta + 100
        assert not csr.hip & 1 << VSTI
        bench.run(98 * bench.hart.get("time_divider"))
        assert not csr.hip & 1 << VSTI
        bench.run(3 * bench.hart.get("time_divider"))
        assert csr.hip & 1 << VSTI
    csr.vstimecmp = ALL
    assert not csr.hip & 1 << VSTI


def test_guests_see_their_time(bench: Bench) -> None:
    bench.hart.csr.htimedelta = 1 << 40
    read = word("csrrs", rd=5, rs1=0, imm=0xC01)
    bench.execute(read, mode=Mode.HS)
    assert bench.hart.x[5] < 1 << 40
    bench.execute(read, mode=Mode.VU)
    assert bench.hart.x[5] >= 1 << 40


def test_without_stce_the_comparators_do_nothing(bench: Bench) -> None:
    csr = bench.hart.csr
    csr.stimecmp = csr.vstimecmp = 0
    assert csr.mip & (1 << STI | 1 << VSTI) == 1 << STI | 1 << VSTI
    csr.henvcfg = 0
    assert csr.mip & (1 << STI | 1 << VSTI) == 1 << STI
    csr.hvip = 1 << VSTI
    assert csr.hip & 1 << VSTI
    csr.menvcfg = 0
    assert csr.mip & (1 << STI | 1 << VSTI) == 1 << VSTI


def test_machine_timer(bench: Bench) -> None:
    csr = bench.hart.csr
    bench.hart.set_mtimecmp(bench.hart.time + 10)
    assert not csr.mip & 1 << MTI
    bench.run(11 * bench.hart.get("time_divider"))
    assert csr.mip & 1 << MTI
