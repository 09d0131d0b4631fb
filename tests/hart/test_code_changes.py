"""Code that changes while it is decoded: stores by the hart, atomics, Python, and the edges of pages."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hart.hart import Mode
from tests.core.encoding import assemble, word
from tests.hart.bench import CODE, DATA, LOOP, VECTORS, Bench

ONE, TWO = (word("addi", rd=5, rs1=0, imm=value) for value in (1, 2))
STORE = word("sw", rs1=6, rs2=7, imm=0)


@pytest.mark.parametrize("distance", [4, 8, 16, 64])
def test_a_store_just_before_the_instruction(bench: Bench, distance: int) -> None:
    """No FENCE.I is needed here; it is executed before, too, so that everything is decoded."""
    fill = [word("addi")] * (distance // 4 - 1)
    x = bench.hart.x
    for expected, stored in ((1, ONE), (2, TWO), (1, ONE)):
        x[6], x[7] = CODE + distance, stored
        assert bench.execute(STORE, *fill, ONE if expected == 2 else TWO) is None
        assert x[5] == expected


def test_a_loop_that_rewrites_itself(bench: Bench) -> None:
    """Every round the loop changes the immediate it adds; more often than the page is worth keeping decoded."""
    x = bench.hart.x
    x[6], x[7], x[8] = CODE + 4, word("addi", rd=5, rs1=5, imm=1), 1 << 20
    x[9], x[5] = 200, 0
    assert (
        bench.execute(
            STORE,
            word("addi", rd=5, rs1=5, imm=0),
            word("add", rd=7, rs1=7, rs2=8),
            word("addi", rd=9, rs1=9, imm=-1),
            word("bne", rs1=9, rs2=0, imm=-16),
        )
        is None
    )
    bench.run(2000)
    assert x[5] == sum(range(1, 201))


@pytest.mark.parametrize("at", [0, 4, 8])
def test_parts_of_a_fused_sequence(bench: Bench, at: int) -> None:
    """Neighbours that share a handler, changed one by one."""
    x = bench.hart.x
    body = [word("addi", rd=5, rs1=0, imm=1), word("addi", rd=10, rs1=5, imm=1), word("add", rd=5, rs1=5, rs2=10)]
    run = [*body, word("jalr", rd=0, rs1=1)]
    bench.code(DATA, *run)
    call = word("jalr", rd=1, rs1=2)
    x[2] = DATA
    assert bench.execute(call) is None
    assert x[5] == 3
    changed = [word("addi", rd=5, rs1=0, imm=10), word("addi", rd=10, rs1=5, imm=20), word("sub", rd=5, rs1=5, rs2=10)]
    x[6], x[7] = DATA + at, changed[at // 4]
    assert bench.execute(STORE, call) is None
    assert x[5] == {0: 21, 4: 22, 8: -1 & (1 << 64) - 1}[at]


@pytest.mark.parametrize("part", [0, 2])
def test_an_instruction_across_two_pages(bench: Bench, part: int) -> None:
    x = bench.hart.x
    place = DATA + 0xFFE
    bench.code(place, ONE, word("jalr", rd=0, rs1=1))
    x[2] = place
    call = word("jalr", rd=1, rs1=2)
    for value in (1, 2, 3):
        made = word("addi", rd=5, rs1=0, imm=value) if part else word("addi", rd=5, rs1=0, imm=1)
        halfword = made >> 8 * part & 0xFFFF
        x[6], x[7] = place + part, halfword
        assert bench.execute(word("sh", rs1=6, rs2=7, imm=0), call) is None
        assert x[5] == (value if part else 1)


def test_it_becomes_another_instruction(bench: Bench) -> None:
    """Across the page boundary, a long instruction becomes a short one."""
    x = bench.hart.x
    place = DATA + 0xFFE
    x[2] = place
    call = word("jalr", rd=1, rs1=2)
    bench.code(place, ONE, word("jalr", rd=0, rs1=1))
    assert bench.execute(call) is None
    bench.code(place, word("c.li", rd=5, imm=7), word("jalr", rd=0, rs1=1))
    assert bench.execute(call) is None
    assert x[5] == 7


@pytest.mark.parametrize("name", ["amoswap.w", "amoadd.w", "sc.w"])
def test_atomics_on_their_own_page(bench: Bench, name: str) -> None:
    """The word is in the page that is executed, and is executed itself."""
    x = bench.hart.x
    x[6], x[7] = CODE + 12, TWO if name != "amoadd.w" else TWO - ONE
    first = word("lr.w", rd=8, rs1=6) if name == "sc.w" else word("addi")
    assert bench.execute(first, word(name, rd=9, rs1=6, rs2=7), word("addi"), ONE) is None
    assert x[5] == 2
    if name == "sc.w":
        assert x[9] == 0


def test_many_atomics_on_a_page_of_code(bench: Bench) -> None:
    x = bench.hart.x
    x[6], x[7], x[9] = CODE + 0x800, 1, 300
    loop = [word("amoadd.w", rd=0, rs1=6, rs2=7), word("addi", rd=9, rs1=9, imm=-1), word("bne", rs1=9, rs2=0, imm=-8)]
    assert bench.execute(*loop) is None
    bench.run(3000)
    assert bench.words[CODE + 0x800] == 300


def test_stores_by_python_and_by_hsv(bench: Bench) -> None:
    x = bench.hart.x
    assert bench.execute(ONE) is None
    bench.hart.physical_write(CODE, 4, TWO)
    bench.enter(Mode.M, CODE)
    bench.run()
    assert x[5] == 2
    bench.hart.hsv(CODE, 4, ONE)
    bench.enter(Mode.M, CODE)
    bench.run()
    assert x[5] == 1
    x[6], x[7] = CODE + 4, TWO
    assert bench.execute(word("hsv.w", rs1=6, rs2=7), ONE) is None
    assert x[5] == 2


def test_a_store_across_the_end_of_a_page_of_code(bench: Bench) -> None:
    """Eight bytes, four of them into the next page, which is decoded as well."""
    x = bench.hart.x
    x[2] = DATA + 0x1000
    call = word("jalr", rd=1, rs1=2)
    bench.code(DATA + 0x1000, ONE, word("jalr", rd=0, rs1=1))
    assert bench.execute(call) is None
    x[6], x[7] = DATA + 0xFFC, TWO << 32
    assert bench.execute(word("sd", rs1=6, rs2=7, imm=0), call) is None
    assert x[5] == 2


def test_jumps_into_the_middle_of_an_instruction(bench: Bench) -> None:
    """A long instruction whose second half is an instruction of its own: both ways are decoded independently."""
    x = bench.hart.x
    inner = word("c.li", rd=5, imm=9)
    outer = word("lui", rd=6) & 0xFFFF | inner << 16
    bench.code(CODE, outer, LOOP)
    for pc, expected in ((CODE, 0), (CODE + 2, 9), (CODE, 0)):
        x[5] = 0
        bench.enter(Mode.M, pc)
        bench.run()
        assert x[5] == expected
    assert assemble(outer)[2:] == assemble(inner)


def test_a_store_into_itself(bench: Bench) -> None:
    """A long store becomes a short instruction, a short store a long one: what follows is where the store ended."""
    x = bench.hart.x
    short = word("c.li", rd=5, imm=9)
    x[6], x[7] = CODE, short
    assert bench.execute(word("sh", rs1=6, rs2=7, imm=0), ONE) is None
    assert x[5] == 1
    x[8], x[9] = CODE, word("lui", rd=6) & 0xFFFF | short << 16
    assert bench.execute(word("c.sw", rs1=8, rs2=9, imm=0), word("c.li", rd=5, imm=8)) is None
    assert x[5] == 9


def test_an_accessed_bit_set_by_hardware_in_a_page_of_code(bench: Bench) -> None:
    """A user page's entry is an ADDI without A, and with A a floating-point instruction: illegal while FS is off."""
    tables = bench.stage1(user=1 << 4)
    frame = DATA & ~0x1F000  # bits 4..2 of the frame number are funct3
    page = 0x40_0000
    tables.map(page, frame, 0x13)
    entry = tables.entry_of(page)
    csr = bench.hart.csr
    csr.mstatus = 0
    csr.mtvec = VECTORS["M"]

    def illegal_at() -> int:
        bench.enter(Mode.M, entry)
        bench.run()
        trap = bench.trap()
        assert trap is not None
        assert trap.cause == 2
        return trap.epc

    assert illegal_at() == entry + 4  # the entry's upper half is zero
    assert bench.load(page, Mode.U) is None
    assert bench.words[entry] & 0xFF == 0x53
    assert illegal_at() == entry
