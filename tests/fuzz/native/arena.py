"""The arena of decoded pages: the smallest one, more pages of code than it holds, several harts, jumps and straddling
instructions at page boundaries, stores into code, interrupts between harts."""

from __future__ import annotations

import random
from collections import Counter

from shyper_tui.engine.hart.hart import Hart
from shyper_tui.engine.machine import Machine
from tests.core.encoding import assemble, load_constant, word
from tests.hart.test_code_pages import ALL, LEAST, PAGE, RAM, SLOTS, arena_is_sound

MSIP = 0x0200_0000
HANDLER, FIRST = RAM, RAM + PAGE
MSIE, MSI = 3, 1 << 3
PLACES = (0, 2, 64, 2046, 4072, 4076, 4078)
"""Offsets where the code of a page begins: so that its jump lies at the beginning, inside, or across the end."""
HIT, BESIDE = (0, 4, 68, 4080), (24, 28, 40, 96, 1000, 2040, 4064)
"""Where stores go: into code of some pages, and close to it."""
BODY = 16
"""Bytes of code before the jump."""


def _handler(hart: Hart) -> bytes:
    """Withdraws the interrupt. x28 and x29 belong to it."""
    own = load_constant(28, MSIP + 4 * hart.hart_id)
    return assemble(*own, word("sw", rs1=28, rs2=0, imm=0), word("mret"))


def _body(random: random.Random, here: int, pages: int, harts: int) -> list[int]:
    """Four instructions of a page at `here`: x1 counts, and something is done to another page, or another hart."""
    count, nothing = word("addi", rd=1, rs1=1, imm=1), word("addi", rd=0, rs1=0, imm=0)
    what = random.randrange(6)
    target = FIRST + random.randrange(pages) * PAGE + random.choice(HIT if random.randrange(50) == 0 else BESIDE)
    distance = target - here - 4
    high = (distance + 0x800) & ~0xFFF
    address = [count, word("auipc", rd=6, imm=high), word("addi", rd=6, rs1=6, imm=distance - high)]
    if what == 0:  # a store into another page
        return [*address, word("sw", rs1=6, rs2=0, imm=0)]
    if what == 1:  # an atomic operation, which takes the slow path where there is code
        return [*address, word("amoor.w", rd=7, rs1=6, rs2=0)]
    if what == 2:
        return [count, word("sw", rs1=30, rs2=31, imm=4 * random.randrange(harts)), nothing, nothing]
    return [count, word("fence.i") if what == 3 else nothing, nothing, nothing]


def _write(machine: Machine, random: random.Random, pages: int) -> list[int]:
    """Code on every page, a round through all of them in random order; where each begins."""
    order = random.sample(range(pages), pages)
    begin = {page: FIRST + page * PAGE + random.choice(PLACES) for page in order}
    for page, following in zip(order, [*order[1:], order[0]], strict=True):
        here = begin[page]
        body = _body(random, here, pages, len(machine.harts))
        jump = word("jal", rd=0, imm=begin[following] - here - BODY)
        machine.memory.write(here, assemble(*body, jump))
    return [begin[page] for page in order]


def _round(machine: Machine) -> int:
    """One round of turns; how many jumps to other pages were made. Code that a store has hit may do anything, to the
    counter, too: then nothing counts."""
    before = [hart.instructions for hart in machine.harts]
    for hart in machine.harts:
        hart.x[1] = 0
    machine.run_round()
    executed = [hart.instructions - start for hart, start in zip(machine.harts, before, strict=True)]
    return sum(hart.x[1] for hart, most in zip(machine.harts, executed, strict=True) if hart.x[1] * 4 <= most)


def episode(random: random.Random, wanted: int) -> Counter[str]:
    """One machine. Each operation is a jump to another page, which mostly makes records and takes them from another."""
    harts, size = random.choice((1, 2, 3, 8)), random.choice((100, SLOTS + 10, SLOTS + 200))
    machine = Machine(harts, 16 << 20, code_memory=LEAST)
    for hart in machine.harts:
        hart.csr.pmpaddr0, hart.csr.pmpcfg0 = ALL, 0x1F
        hart.csr.mtvec = HANDLER + 128 * hart.hart_id
        machine.memory.write(HANDLER + 128 * hart.hart_id, _handler(hart))
        hart.csr.mie = MSI
        hart.set("mstatus", hart.get("mstatus") | 1 << MSIE)
        hart.x[30], hart.x[31] = MSIP, 1
    begins = _write(machine, random, size)
    for hart in machine.harts:
        hart.pc = random.choice(begins)
    done: Counter[str] = Counter()
    for _ in range(random.randrange(200, 600)):
        done["jumps to other pages"] += _round(machine)
        what = random.randrange(60)
        if what == 0:  # new code everywhere, while records of the old one are there
            begins = _write(machine, random, size)
            done["stores into code by a device"] += len(begins)
            for hart in machine.harts:
                hart.pc = random.choice(begins)
        elif what < 6:
            hart = random.choice(machine.harts)
            hart.sfence_vma(random.choice((None, random.choice(begins))))
            done["fences"] += 1
        for hart in machine.harts:
            if hart.get("mcause") and not hart.get("mcause") >> 63:  # a store has hit code: it begins anew
                hart.set("mcause", 0)
                hart.set("mstatus", hart.get("mstatus") | 1 << MSIE)
                begins = _write(machine, random, size)
                hart.pc = random.choice(begins)
        if done.total() >= wanted:
            break
    arena_is_sound(machine)
    machine.close()
    return done
