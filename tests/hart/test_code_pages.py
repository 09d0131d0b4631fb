"""Decoded pages: their number is bounded, VMs have equal claims to them, and whoever causes the work pays for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shyper_tui.engine.core import records
from shyper_tui.engine.hart.debt import DUE, NEW_PAGE
from shyper_tui.engine.hart.group_layout import TURN
from shyper_tui.engine.hart.hart import Hart, Mode
from shyper_tui.engine.machine import Machine
from tests.core.encoding import assemble, word
from tests.core.page_tables import FULL
from tests.hart.bench import DATA, Bench

RAM = 0x8000_0000
PAGE = 4096
SLOTS = records.LEAST_SLOTS
LEAST = SLOTS * records.STRIDE
LOOP = word("jal", rd=0, imm=0)
NOWHERE = 1 << 40
ALL = (1 << 64) - 1


def made(harts: int = 1, *, ram: int = 64 << 20) -> Machine:
    """A machine with the smallest arena."""
    machine = Machine(harts, ram, code_memory=LEAST)
    for hart in machine.harts:
        hart.csr.pmpaddr0, hart.csr.pmpcfg0 = ALL, 0x1F
        hart.set("waiting", 1)
    return machine


def chain(machine: Machine, first: int, pages: int, *, straddling: bool = False) -> None:
    """Code at `first`: one instruction on each page jumps to the next page, the last one back to x31, where the code
    was started; x1 counts rounds. With `straddling`, the jumps lie across page boundaries."""
    count = assemble(word("addi", rd=1, rs1=1, imm=1))
    if straddling:
        for page in range(0, pages - 2, 2):
            machine.memory.write(first + page * PAGE + 4094, assemble(word("jal", rd=0, imm=2 * PAGE)))
        last = first + (pages - 2 - pages % 2) * PAGE + 4094
        machine.memory.write(last, count + assemble(word("jalr", rd=0, rs1=31)))
        return
    for page in range(pages - 1):
        machine.memory.write(first + page * PAGE, assemble(word("jal", rd=0, imm=PAGE)))
    last = first + (pages - 1) * PAGE
    machine.memory.write(last, count + assemble(word("jalr", rd=0, rs1=31)))


def start(hart: Hart, pc: int) -> None:
    hart.set("waiting", 0)
    hart.pc = hart.x[31] = pc


def run_until(machine: Machine, harts: Sequence[Hart], rounds: int) -> None:
    while any(hart.x[1] < rounds for hart in harts):
        machine.run_round()


def arena_is_sound(machine: Machine) -> None:
    """Every slot is in one place: unused, free, retired, or on one owner's account, where both links agree."""
    host = machine.host
    shared, first = host.shared, host.arena.address
    seen: set[int] = set()

    def note(slot: int) -> None:
        assert first <= slot < first + host.arena.size
        assert (slot - first) % records.STRIDE == 0
        assert slot not in seen
        seen.add(slot)

    def word_at(slot: int, offset: int) -> int:
        return host.arena.word(slot - first + offset).value

    for head in (records.SHARED_FREE, records.SHARED_RETIRED):
        slot = shared.word(head).value
        while slot:
            note(slot)
            slot = word_at(slot, records.LINK)
    for owner in range(records.OWNERS):
        slot, older, count = shared.word(records.OWNER_OLDEST + 8 * owner).value, 0, 0
        while slot:
            note(slot)
            assert (word_at(slot, records.OWNER), word_at(slot, records.OLDER)) == (owner, older)
            assert host.page_records.word(8 * word_at(slot, records.PAGE)).value == slot
            older, slot, count = slot, word_at(slot, records.NEWER), count + 1
        assert shared.word(records.OWNER_NEWEST + 8 * owner).value == older
        assert host.slots_of(owner) == count
    used = shared.word(records.SHARED_NEXT).value
    assert used <= shared.word(records.SHARED_END).value == first + SLOTS * records.STRIDE
    assert len(seen) == (used - first) // records.STRIDE


@pytest.mark.parametrize("straddling", [False, True])
@pytest.mark.parametrize("harts", [1, 8])
def test_a_guest_that_executes_more_pages_than_the_arena_holds_runs_on(harts: int, straddling: bool) -> None:
    machine = made(harts)
    pages = 2 * SLOTS
    for hart in machine.harts:
        first = RAM + hart.hart_id * pages * PAGE
        chain(machine, first, pages, straddling=straddling)
        start(hart, first + (4094 if straddling else 0))
    run_until(machine, machine.harts, 3)
    arena_is_sound(machine)
    assert machine.host.slots_of(0) <= SLOTS


def test_code_that_was_forgotten_follows_memory_when_it_comes_back() -> None:
    """The pages are changed while they are not decoded."""
    machine, pages = made(), 2 * SLOTS
    hart = machine.harts[0]
    chain(machine, RAM, pages)
    start(hart, RAM)
    run_until(machine, [hart], 1)
    for page in range(0, pages - 1, 2):  # every other page is skipped now
        machine.memory.write(RAM + page * PAGE, assemble(word("jal", rd=0, imm=2 * PAGE)))
    machine.memory.write(RAM + (pages - 2) * PAGE, assemble(LOOP))
    while hart.pc != RAM + (pages - 2) * PAGE:
        machine.run_round()
    arena_is_sound(machine)


def _in_vm(hart: Hart, vmid: int) -> None:
    hart.csr.hgatp = vmid << 44
    hart.set("virt", 1)
    hart.set("prv", 1)


def test_a_vm_that_executes_many_pages_takes_none_from_one_that_executes_few() -> None:
    machine = made(2)
    few, many = machine.harts
    pages = SLOTS // 4
    chain(machine, RAM, pages)
    chain(machine, RAM + pages * PAGE, 4 * SLOTS)
    _in_vm(few, 1)
    _in_vm(many, 2)
    start(few, RAM)
    run_until(machine, [few], 1)
    kept = [machine.host.page_records.word(8 * page).value for page in range(pages)]
    assert machine.host.slots_of(1) == pages
    few.set("waiting", 1)
    start(many, RAM + pages * PAGE)
    run_until(machine, [many], 2)
    assert [machine.host.page_records.word(8 * page).value for page in range(pages)] == kept
    assert SLOTS // 2 <= machine.host.slots_of(2) <= SLOTS - pages
    arena_is_sound(machine)


def test_pages_that_are_written_and_executed_in_turns_use_the_same_slots_again() -> None:
    """64 stores drop a page; executing it decodes it anew."""
    machine = made()
    hart = machine.harts[0]
    stores = [word("sw", rs1=10, rs2=11, imm=4)] * records.STORES_BEFORE_DROP
    again = word("addi", rd=1, rs1=1, imm=1), word("jal", rd=0, imm=-4 * (len(stores) + 2))
    machine.memory.write(RAM, assemble(*stores, word("jalr", rd=5, rs1=10), *again))
    machine.memory.write(RAM + PAGE, assemble(word("jalr", rd=0, rs1=5)))
    hart.x[10] = RAM + PAGE
    start(hart, RAM)
    run_until(machine, [hart], 20 * records.BATCH)
    used = machine.host.shared.word(records.SHARED_NEXT).value - machine.host.arena.address
    assert used <= (records.BATCH + 4) * records.STRIDE
    arena_is_sound(machine)


def test_a_page_that_drops_itself_goes_on() -> None:
    machine = made()
    hart = machine.harts[0]
    machine.memory.write(
        RAM, assemble(word("sw", rs1=10, rs2=11, imm=0), word("addi", rd=1, rs1=1, imm=1), word("jal", rd=0, imm=-8))
    )
    hart.x[10] = RAM + 0x800
    start(hart, RAM)
    run_until(machine, [hart], 40 * records.BATCH * records.STORES_BEFORE_DROP)
    arena_is_sound(machine)


def test_cleared_memory_gives_its_slots_back() -> None:
    machine = made()
    hart = machine.harts[0]
    chain(machine, RAM, 100)
    start(hart, RAM)
    run_until(machine, [hart], 1)
    assert machine.host.slots_of(0) == 100
    machine.zero(RAM, 100 * PAGE)
    assert machine.host.slots_of(0) == 0
    arena_is_sound(machine)


@pytest.mark.parametrize("several", [False, True])
def test_a_page_that_becomes_code_is_in_no_write_tlb(several: bool) -> None:
    """Another hart goes on storing into a page that was decoded meanwhile, which it has in its TLB once or twice."""
    bench = Bench(harts=2)
    storing, executing = bench.machine.harts
    one, three = (word("addi", rd=1, rs1=1, imm=value) for value in (1, 3))
    bench.code(DATA, one, word("jal", rd=0, imm=-4))
    tables = bench.stage1()
    aliases = [0x10_0000, 0x20_1000] if several else [0x10_0000]
    for alias in aliases:
        tables.map(alias, DATA, FULL)
    for alias in aliases:
        storing.x[10], storing.x[11] = alias, one
        assert bench.execute(word("sw", rs1=10, rs2=11, imm=0), mode=Mode.HS) is None
    executing.set("waiting", 0)
    executing.pc = DATA
    bench.machine.run_round()
    assert executing.x[1] > 0
    for alias in aliases:
        for stored in (three, one, three):
            storing.x[10], storing.x[11] = alias, stored
            assert bench.execute(word("sw", rs1=10, rs2=11, imm=0), mode=Mode.HS) is None
            before, executed = executing.x[1], executing.instructions
            bench.machine.run_round()
            expected = (3 if stored == three else 1) * (executing.instructions - executed) / 2
            assert executing.x[1] - before == pytest.approx(expected, abs=6)


def test_decoding_takes_the_time_of_the_hart_that_needs_it() -> None:
    """A hart that executes a new page with every instruction has a few of them in a turn; its neighbour has all of
    its turn."""
    machine = made(2)
    walker, spinner = machine.harts
    pages = 4 * SLOTS
    chain(machine, RAM, pages)
    machine.memory.write(RAM + pages * PAGE, assemble(word("addi", rd=1, rs1=1, imm=1), word("jal", rd=0, imm=-4)))
    start(walker, RAM)
    start(spinner, RAM + pages * PAGE)
    for _ in range(50):
        machine.run_round()
    assert spinner.instructions >= 49 * TURN
    assert 0 < walker.instructions <= 50 * (TURN + DUE) // NEW_PAGE
    assert walker.cycle >= machine.cycle


def test_an_arena_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="decoded pages need"):
        Machine(1, 16 << 20, code_memory=LEAST - 1)
