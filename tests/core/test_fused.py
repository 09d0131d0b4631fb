"""Every fused pair and sequence, in lockstep with the reference: on pointers, on edge values, with faults inside."""

from __future__ import annotations

import ctypes
from random import Random

import pytest

from shyper_tui.engine.core.decoder import SINK, HandlerTable
from shyper_tui.engine.core.fused import fused_pairs, fused_sequences, number_registers
from shyper_tui.engine.core.interpreter import Handler
from shyper_tui.engine.core.records import HANDLER, RECORD_SIZE
from shyper_tui.engine.isa.decode import decode
from shyper_tui.engine.isa.rows import COMPRESSED
from tests.core.encoding import Row, assemble, encode, word
from tests.core.lockstep import RAM_SIZE, Lockstep
from tests.core.random_code import NUMBERS
from tests.core.random_handlers import BASE
from tests.core.random_machine import EDGES

Step = tuple[Handler, tuple[int, int, int] | None]
PLACE = 64
"""Bytes for each sequence and the loop behind it."""
CODE, DATA = BASE + 0x1_0000, BASE + 0x20_0000
LOOP = word("jal", rd=0, imm=0)
SP = 2


def everything() -> list[list[Step]]:
    """What native code fuses; sequences with their operand numbers (rs1, rs2, rd)."""
    table = HandlerTable()
    found: list[list[Step]] = [[(handler, None) for handler in pair] for pair in fused_pairs(table)]
    found += [[(s.handler, (s.rs1, s.rs2, s.rd)) for s in steps] for steps in fused_sequences(table)]
    return found


def rows(handler: Handler) -> list[Row]:
    if handler.length == 4:
        return [handler.instruction]
    return [row for row in COMPRESSED.values() if row.expands_to is handler.instruction]


def attempt(steps: list[Step], random: Random) -> list[int] | None:
    """Words for a sequence, or None when the registers that were tried do not fit its rows."""
    numbers = [0, *random.sample(range(8, 16), 8), *random.sample((1, 3, 4, 5, 6, 7, *range(16, 32)), 20)]
    if random.random() < 0.7:
        numbers[random.randrange(1, 7)] = SP
    if random.random() < 0.3:
        numbers[random.randrange(1, 7)] = 1
    made = []
    for handler, operands in steps:
        row = random.choice(rows(handler))
        rs1, rs2, rd = (numbers[k] for k in operands) if operands else random.choices(numbers[1:9], k=3)
        imm = random.choice((8, 16, 6, -8, random.getrandbits(32)))
        if handler.instruction.relative:
            imm = random.choice((4, 6, 8, 12))
        if handler.discard:
            rd = 0
        made.append(encode(row.encoding, imm=imm, rd=rd, rs1=rs1, rs2=rs2))
    decoded = [decode(w) for w in made]
    for one, (handler, _) in zip(decoded, steps, strict=True):
        if one is None or one.instruction is not handler.instruction or one.length != handler.length:
            return None
        if handler.discard != (one.rd == 0) and handler.instruction.name in ("jal", "jalr"):
            return None
    if steps[0][1] is None:
        return made
    found = number_registers(
        [(d.rs1, d.rs2, SINK if d.instruction.writes_integer and d.rd == 0 else d.rd) for d in decoded if d]
    )
    return made if found == [operands for _, operands in steps] else None


def words_of(steps: list[Step], random: Random) -> list[int] | None:
    for _ in range(20_000):
        made = attempt(steps, random)
        if made is not None:
            return made
    return None


@pytest.mark.parametrize("part", range(2))
def test_every_fused_sequence(part: int) -> None:
    random = Random(part)
    chosen = everything()[part::2]
    code = bytearray()
    unfit = []
    for steps in chosen:
        made = words_of(steps, random)
        if made is None:
            unfit.append([(handler.symbol, operands) for handler, operands in steps])
            made = []
        code += assemble(*made, LOOP).ljust(PLACE, b"\0")
    assert len(unfit) <= len(chosen) // 20, unfit
    lockstep = Lockstep()
    lockstep.begin({CODE: bytes(code), DATA: random.randbytes(0x1_0000), BASE: assemble(LOOP)})
    lockstep.write_csr(NUMBERS["mtvec"], BASE)
    pointers = [DATA + 8 * k for k in range(0x100, 0x1C00)]
    for round_ in range(6):
        for k in range(len(chosen)):
            for register in range(1, 32):
                value = random.choice(pointers) if round_ < 3 or random.random() < 0.5 else random.choice(EDGES)
                if round_ == 2:
                    value = random.choice((DATA + 0xFFC, BASE + RAM_SIZE - 12, DATA + 3))
                lockstep.set("x", value, register)
            lockstep.set("pc", CODE + PLACE * k)
            lockstep.set("prv", 3)
            lockstep.run(8, memory=k % 64 == 0 or k == len(chosen) - 1)
    assert len(handlers(lockstep, len(chosen))) > 0.9 * len(chosen)


def handlers(lockstep: Lockstep, places: int) -> set[int]:
    """What tells the native handlers that the sequences begin with: one for each that is fused."""
    host = lockstep.machine.host
    found = set()
    for place in range(CODE, CODE + PLACE * places, PLACE):
        records = host.page_records.word((place - BASE) // 4096 * 8).value
        found.add(ctypes.c_uint32.from_address(records + RECORD_SIZE * (place % 4096 // 2) + HANDLER).value)
    return found
