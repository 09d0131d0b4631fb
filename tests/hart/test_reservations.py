"""LR and SC (Unprivileged ISA, "Load-Reserved/Store-Conditional Instructions")."""

from __future__ import annotations

import pytest

from tests.core.encoding import word
from tests.hart.bench import DATA, VECTORS, Bench, Trap

LR, SC = word("lr.d", rd=8, rs1=6), word("sc.d", rd=9, rs1=6, rs2=7)


def ready(bench: Bench) -> None:
    bench.words[DATA] = 5
    bench.hart.x[6], bench.hart.x[7], bench.hart.x[9] = DATA, 77, 123


def test_a_pair_succeeds_once(bench: Bench) -> None:
    ready(bench)
    assert bench.execute(LR, SC, word("sc.d", rd=10, rs1=6, rs2=0)) is None
    assert (bench.hart.x[8], bench.hart.x[9], bench.hart.x[10], bench.words[DATA]) == (5, 0, 1, 77)


@pytest.mark.parametrize(
    "between",
    [
        [word("addi", rd=6, rs1=6, imm=8)],  # another address
        [word("sd", rs1=6, rs2=6, imm=0)],  # another value
        [word("amoadd.d", rd=0, rs1=6, rs2=7)],
        [word("lr.d", rd=0, rs1=10)],  # a reservation elsewhere
    ],
)
def test_what_makes_it_fail(bench: Bench, between: list[int]) -> None:
    ready(bench)
    bench.hart.x[10] = DATA + 64
    assert bench.execute(LR, *between, SC) is None
    assert bench.hart.x[9] == 1


def test_without_a_reservation_it_fails(bench: Bench) -> None:
    ready(bench)
    assert bench.execute(SC) is None
    assert (bench.hart.x[9], bench.words[DATA]) == (1, 5)


def test_a_trap_ends_the_reservation(bench: Bench) -> None:
    ready(bench)
    bench.code(VECTORS["M"], SC, word("jal", rd=0, imm=0))
    bench.execute(LR, word("ecall"))
    assert bench.hart.x[9] == 1


def test_words_are_sign_extended(bench: Bench) -> None:
    ready(bench)
    bench.words[DATA] = 0xFFFF_FFFE
    assert bench.execute(word("lr.w", rd=8, rs1=6), word("sc.w", rd=9, rs1=6, rs2=7)) is None
    assert (bench.hart.x[8], bench.hart.x[9], bench.words[DATA]) == ((1 << 64) - 2, 0, 77)


@pytest.mark.parametrize(("name", "cause"), [("lr.w", 4), ("lr.d", 4), ("sc.w", 6), ("amoadd.d", 6)])
def test_misaligned_addresses(bench: Bench, name: str, cause: int) -> None:
    """Spike raises access faults (5, 7) here; the specification allows both."""
    bench.hart.x[6] = DATA + 2
    instruction = word(name, rd=8, rs1=6, rs2=7)
    trap = bench.execute(instruction)
    assert trap is not None
    assert (trap.cause, trap.tval) == (cause, DATA + 2)


@pytest.mark.parametrize(("name", "cause"), [("lr.d", 5), ("sc.d", 7), ("amoor.w", 7)])
def test_devices_take_no_atomics(bench: Bench, name: str, cause: int) -> None:
    bench.hart.x[6] = 0x1000_0000
    trap = bench.execute(word(name, rd=8, rs1=6, rs2=7))
    assert trap is not None
    assert trap == Trap("M", cause, 0x1000_0000, trap.epc)


def test_a_reservation_is_kept_across_a_turn(bench: Bench) -> None:
    """Entering native code anew is no reason to fail."""
    ready(bench)
    bench.execute(LR)
    bench.run(100)
    assert bench.execute(SC) is None
    assert bench.hart.x[9] == 0
