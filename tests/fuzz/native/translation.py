"""TLBs and page walks: random tables of both stages with superpages, tables that are stored into and executed while
they are used, address spaces of guests, fences of every kind, A and D bits that the hart sets."""

from __future__ import annotations

import random
from collections import Counter

from shyper_tui.engine.hart.hart import Hart
from shyper_tui.engine.machine import Machine
from tests.core.encoding import assemble, word
from tests.core.page_tables import FULL, A, D, G, R, U, V, W, X
from tests.hart.test_code_pages import ALL, LEAST, PAGE, RAM, arena_is_sound

HANDLER, CODE, LIST = RAM, RAM + PAGE, RAM + 2 * PAGE
TABLES, TABLE_PAGES, GUEST_TABLES = RAM + 16 * PAGE, 24, 12
"""Pages that hold tables, from GUEST_TABLES on those of the G stage; they are data and code at once."""
SIZE = 8 << 20
LAST = RAM + SIZE - PAGE
ENVCFG = 7 << 61 | 1
ENTRIES = 240
"""Rounds of the guest's loop that its list is for."""
OPERATIONS = 4
"""Of each: a load, a store, a jump, and a fence or another address space."""
MODES = ((8, 3), (9, 4), (10, 5))
FIRST_JUMP = CODE + 36
FENCE = word("sfence.vma", rs1=10, rs2=11)
RETURN = word("jalr", rd=0, rs1=30)
HANDLER_CODE = assemble(
    word("csrrs", rd=5, rs1=0, imm=0x342),  # mcause
    word("addi", rd=6, rs1=0, imm=23),
    word("beq", rs1=5, rs2=6, imm=24),  # a store's guest-page fault: the next instruction
    word("csrrs", rd=6, rs1=0, imm=0x341),  # mepc
    word("sub", rd=6, rs1=6, rs2=29),
    word("sltiu", rd=6, rs1=6, imm=64),
    word("beq", rs1=6, rs2=0, imm=20),  # not in the loop: behind its jump
    word("csrrs", rd=6, rs1=0, imm=0x341),
    word("addi", rd=6, rs1=6, imm=4),
    word("csrrw", rd=0, rs1=6, imm=0x341),
    word("mret"),
    word("csrrw", rd=0, rs1=31, imm=0x341),
    word("mret"),
)
LOOP = assemble(
    word("ld", rd=10, rs1=20, imm=0),
    word("ld", rd=11, rs1=20, imm=8),
    word("ld", rd=12, rs1=20, imm=16),
    word("addi", rd=20, rs1=20, imm=24),
    word("ld", rd=7, rs1=10, imm=0),
    word("sd", rs1=11, rs2=7, imm=0),
    word("csrrw", rd=0, rs1=12, imm=0x180),  # satp, or a guest's vsatp
    FENCE,
    word("jalr", rd=30, rs1=10, imm=0),
    word("addi", rd=1, rs1=1, imm=1),
    word("bne", rs1=20, rs2=21, imm=-40),
    word("jal", rd=0, imm=0),
)


def _entry(random: random.Random) -> int:
    """Of a page table: mostly something that leads on, or a page of RAM; sometimes anything."""
    what = random.randrange(12)
    page = random.choice((TABLES + PAGE * random.randrange(TABLE_PAGES), LAST, RAM + SIZE, RAM))
    if what == 0:
        return random.getrandbits(64)
    if what < 5:
        return page >> 12 << 10 | V
    flags = V | R | random.choice((0, W, W | X, X)) | random.choice((0, A, A | D))
    flags |= random.choice((0, G)) | U * (what & 1)
    if what == 5:  # a superpage
        return RAM >> 12 << 10 | flags
    return page >> 12 << 10 | flags | (random.choice((1, 2, 3)) << 61 if what == 6 else 0)


def _fill(machine: Machine, random: random.Random) -> None:
    """Entries in every page of tables, more of them where small addresses and those of RAM lead to."""
    for number in range(TABLE_PAGES):
        content = [int.from_bytes(assemble(RETURN, RETURN), "little")] * 512
        for index in (*range(8), *random.sample(range(512), 40), 511):
            content[index] = _entry(random)
        data = b"".join(value.to_bytes(8, "little") for value in content)
        machine.memory.write(TABLES + number * PAGE, data)
    # the loop's own pages are mapped in every space: by entry 2 of a table of gigabytes, to which entries 0 lead
    for number in range(TABLE_PAGES):
        guest = number >= GUEST_TABLES
        first, end = (GUEST_TABLES, TABLE_PAGES) if guest else (0, GUEST_TABLES)
        following = TABLES + PAGE * random.randrange(first, end) >> 12 << 10 | V
        leaf = RAM >> 12 << 10 | FULL | (U if guest else 0)
        machine.memory.write(TABLES + number * PAGE, following.to_bytes(8, "little"))
        machine.memory.write(TABLES + number * PAGE + 16, leaf.to_bytes(8, "little"))


def _address(random: random.Random) -> int:
    if random.randrange(10) == 0:
        return random.getrandbits(64)
    shift = random.choice((12, 21, 30, 39, 48))
    near = random.choice((0, RAM + 64 * PAGE, TABLES, LAST, 1 << 38, ALL << 38 & ALL, ALL << 47 & ALL))
    return near + (random.randrange(8) << shift) + random.choice((0, 2, 8, 4088, 4092, 4094)) & ALL


def _atp(random: random.Random, *, guest: bool = False) -> int:
    root = TABLES + PAGE * random.choice((12, 16) if guest else (0, 1, 4, 8))
    space = random.choice((0, 1, 2, 0xFFFF)) & (0x3FFF if guest else 0xFFFF)
    return random.choice((0, 8, 8, 9, 10)) << 60 | space << 44 | root >> 12


def _begin(hart: Hart, random: random.Random) -> None:
    """The loop, from the start of its list, in one of the modes that translate."""
    virtual = random.randrange(2)
    hart.csr.hgatp = _atp(random, guest=True) if random.randrange(2) else 0
    hart.csr.satp, hart.csr.vsatp = 0, 0
    hart.set("virt", virtual)
    hart.set("prv", 1)
    hart.csr.mtvec = HANDLER
    hart.csr.mstatus = random.choice((0, 1 << 18, 1 << 19, 3 << 18))
    hart.x[20], hart.x[21], hart.x[1] = LIST, LIST + 24 * ENTRIES, 0
    hart.x[29], hart.x[31] = CODE, FIRST_JUMP
    hart.pc = CODE


def _python_fences(hart: Hart, random: random.Random) -> int:
    """What a hypervisor does, and walks of its own."""
    for _ in range(8):
        hart.sfence_vma(*_some(random))
        hart.hfence_vvma(*_some(random))
        hart.hfence_gvma(*_some(random))
        hart.translate(_address(random), random.randrange(4), random.choice((0, 1, 3)), random.randrange(2))
    return 4 * 8


def _some(random: random.Random) -> tuple[int | None, int | None]:
    return random.choice((None, _address(random))), random.choice((None, 0, 1, 0xFFFF, 1 << 40))


def episode(random: random.Random, wanted: int) -> Counter[str]:
    """One machine of two harts that share the tables."""
    machine = Machine(2, SIZE, code_memory=LEAST)
    for hart in machine.harts:
        hart.csr.pmpaddr0, hart.csr.pmpcfg0 = ALL, 0x1F
        hart.csr.menvcfg, hart.csr.henvcfg = ENVCFG, ENVCFG
    done: Counter[str] = Counter()
    for _ in range(30):
        machine.memory.write(HANDLER, HANDLER_CODE)
        machine.memory.write(CODE, LOOP)
        spaces = [_atp(random) for _ in range(5)]
        entries = [(_address(random), _address(random), random.choice(spaces)) for _ in range(ENTRIES)]
        words = b"".join(value.to_bytes(8, "little") for entry in entries for value in entry)
        machine.memory.write(LIST, words)
        _fill(machine, random)
        for hart in machine.harts:
            _begin(hart, random)
        for number in range(30):
            machine.run_round()
            for hart in machine.harts if number % 10 == 0 else ():
                done["fences and walks for software in Python"] += _python_fences(hart, random)
        for hart in machine.harts:
            done["loads, stores, jumps and fences of guests"] += OPERATIONS * hart.x[1] if hart.x[1] <= ENTRIES else 0
        if done.total() >= wanted:
            break
    arena_is_sound(machine)
    machine.close()
    return done
