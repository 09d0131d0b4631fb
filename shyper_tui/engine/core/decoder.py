"""The native decoder: a word to a handler and a record, generated from the instruction rows.

16-bit words are looked up in a table with an entry per word. 32-bit words go through switches on the opcode and on
the function field that all rows of the opcode fix, then through the rows' own patterns.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

from shyper_tui.engine.isa.decode import decode
from shyper_tui.engine.isa.instruction import COMPRESSED, RS3_SHIFT, Encoding, Instruction
from shyper_tui.engine.isa.rows import INSTRUCTIONS
from shyper_tui.engine.isa.value import Value

from . import records
from .interpreter import Handler
from .layout import Layout
from .llvm import LlvmBuilder
from .operands import operand_format

ILLEGAL = 0
SINK = 32


def is_relative(instruction: Instruction) -> bool:
    return instruction.relative


def can_discard(instruction: Instruction) -> bool:
    """Jumps with rd = x0 have a handler that does not compute the link address."""
    return instruction.name in ("jal", "jalr")


class HandlerTable:
    """All handlers with their numbers. Number 0 raises an illegal-instruction exception."""

    def __init__(self) -> None:
        short = {row.expands_to.name for row in COMPRESSED.values()}
        self.handlers: list[Handler] = []
        for instruction in INSTRUCTIONS.values():
            for length in (4, 2) if instruction.name in short else (4,):
                for far in (False, True) if is_relative(instruction) else (False,):
                    for discard in (False, True) if can_discard(instruction) else (False,):
                        self.handlers.append(Handler(instruction, length, far, discard))
        self._number = {handler: number for number, handler in enumerate(self.handlers, 1)}

    @property
    def count(self) -> int:
        """Numbers in use, with 0."""
        return len(self.handlers) + 1

    def number_of(self, handler: Handler) -> int:
        return self._number[handler]

    def number(self, name: str, length: int, *, far: bool = False, discard: bool = False) -> int:
        instruction = INSTRUCTIONS[name]
        return self._number[
            Handler(instruction, length, far and is_relative(instruction), discard and can_discard(instruction))
        ]


def decode16_table(table: HandlerTable) -> bytes:
    """Two words for each 16-bit encoding: near | far handler << 16 | rd << 32 | rs1 << 40 | rs2 << 48 | relative << 56,
    and the record's operands for the near handler | for the far handler << 32."""
    entries = bytearray(65536 * 16)
    for word in range(65536):
        if word & 3 == 3:
            continue
        decoded = decode(word)
        if decoded is None:
            continue
        instruction = decoded.instruction
        discard = decoded.rd == 0
        near = table.number(instruction.name, 2, discard=discard)
        far = table.number(instruction.name, 2, far=True, discard=discard)
        rd = SINK if instruction.writes_integer and decoded.rd == 0 else decoded.rd
        registers = {"rd": rd, "rs1": decoded.rs1, "rs2": decoded.rs2}
        operands = [table.handlers[number - 1].operands.pack(registers, decoded.imm) for number in (near, far)]
        struct.pack_into(
            "<HHBBB?II", entries, word * 16, near, far, *registers.values(), is_relative(instruction), *operands
        )
    return bytes(entries)


def describe_decode16(b: LlvmBuilder, word: Value, record: Value, offset: Value) -> None:
    """Decodes a 16-bit word at `offset` in its page into `record`; returns the handler's number."""
    entry = b.s.decode16 + ((word & 0xFFFF) << 4)
    head, operands = b.host_load(entry), b.host_load(entry, 8)
    near, far = head & 0xFFFF, head.bits(31, 16)
    b.s.decoded_registers = head.bits(55, 32)
    with b.if_(head.bit(56)):
        displacement = operands.trunc(32).sra(16 + records.SCALE).sext()  # the near handler's is scaled to records
        with b.if_(((offset + displacement) >> 12) != 0):
            b.host_store(record, (operands >> 32).trunc(32), records.OPERANDS, 32)
            b.ret(far)
    b.host_store(record, operands.trunc(32), records.OPERANDS, 32)
    b.ret(near)


def _discriminator(rows: list[Instruction]) -> tuple[int, int] | None:
    """(shift, width) of a function field that all rows fix."""
    for shift, width in ((12, 3), (25, 7), (27, 5)):
        field = ((1 << width) - 1) << shift
        fixed = all(row.encoding.mask & field == field for row in rows)
        if fixed and len({row.encoding.match & field for row in rows}) > 1:
            return shift, width
    return None


def describe_decode32(table: HandlerTable) -> Callable[[LlvmBuilder, Value, Value, Value], None]:
    """As `describe_decode16`, for 32-bit words."""

    def describe(b: LlvmBuilder, word: Value, record: Value, offset: Value) -> None:
        groups: dict[int, list[Instruction]] = {}
        for row in INSTRUCTIONS.values():
            groups.setdefault(row.encoding.match & 0x7F, []).append(row)

        def chain(rows: list[Instruction]) -> None:
            for row in sorted(rows, key=lambda r: -r.encoding.mask.bit_count()):
                with b.if_((word & row.encoding.mask) == row.encoding.match):
                    _fill(b, table, row, word, record, offset)
            b.ret(ILLEGAL)

        def group(rows: list[Instruction]) -> None:
            place = _discriminator(rows)
            if place is None:
                chain(rows)
                return
            shift, width = place
            key = (1 << width) - 1
            buckets: dict[int, list[Instruction]] = {}
            for row in rows:
                buckets.setdefault(row.encoding.match >> shift & key, []).append(row)
            b.switch((word >> shift) & key, {value: partial(chain, some) for value, some in buckets.items()})
            b.ret(ILLEGAL)

        b.switch(word & 0x7F, {opcode: partial(group, rows) for opcode, rows in groups.items()})
        b.ret(ILLEGAL)

    return describe


def _immediate(b: LlvmBuilder, encoding: Encoding, word: Value) -> Value:
    if encoding.rounding:
        value = word.bits(14, 12)
        if "rs3" in encoding.registers:
            value = value | (word.bits(31, 27) << RS3_SHIFT)
        return value
    value = b.const(0)
    for piece in encoding.immediate:
        value = value | (((word >> piece.low) & ((1 << piece.width) - 1)) << piece.target)
    if encoding.signed:
        unused = 64 - max(p.target + p.width for p in encoding.immediate)
        value = (value << unused).sra(unused)
    return value


def _fill(b: LlvmBuilder, table: HandlerTable, row: Instruction, word: Value, record: Value, offset: Value) -> None:
    """Writes the record of a matching row and returns the handler's number."""
    encoding = row.encoding

    def register(name: str) -> Value:
        place = encoding.registers.get(name)
        return b.const(0) if place is None else word.bits(place[0] + 4, place[0])

    registers = {name: register(name) for name in ("rd", "rs1", "rs2")}
    no_rd = registers["rd"] == 0
    if row.writes_integer:
        registers["rd"] = no_rd.select(b.const(SINK), registers["rd"])
    b.s.decoded_registers = registers["rd"] | (registers["rs1"] << 8) | (registers["rs2"] << 16)
    imm = _immediate(b, encoding, word)

    def finish(far: bool) -> None:
        operands = operand_format(row, near=is_relative(row) and not far)
        b.host_store(record, operands.pack(registers, imm).trunc(32), records.OPERANDS, 32)
        plain = b.const(table.number(row.name, 4, far=far))
        if can_discard(row):
            b.ret(no_rd.select(b.const(table.number(row.name, 4, far=far, discard=True)), plain))
        b.ret(plain)

    if is_relative(row):
        with b.if_(((offset + imm) >> 12) != 0):
            finish(True)
    finish(False)


def emit_decoder(layout: Layout, table: HandlerTable) -> str:
    """IR of `decode_word(word, record, offset)`: fills in the record's operands, leaves the numbers of the registers in
    `decoded_registers`, and returns the handler's number, 0 when illegal."""
    parts = []
    b = LlvmBuilder(layout)
    describe_decode16(b, *(Value(b, f"%{n}") for n in ("word", "record", "offset")))
    parts.append(_function("decode16", b))
    b = LlvmBuilder(layout)
    describe_decode32(table)(b, *(Value(b, f"%{n}") for n in ("word", "record", "offset")))
    parts.append(_function("decode32", b))
    b = LlvmBuilder(layout)
    word, record, offset = (Value(b, f"%{n}") for n in ("word", "record", "offset"))
    with b.if_((word & 3) == 3):
        b.ret(b.call("decode32", word, record, offset))
    b.ret(b.call("decode16", word, record, offset))
    parts.append(_function("decode_word", b))
    return "".join(parts)


def _function(name: str, b: LlvmBuilder) -> str:
    if not b.ended:
        b.ret(0)
    return f"define internal i64 @{name}(ptr %st, i64 %word, i64 %record, i64 %offset) noinline {{\n{b.body()}\n}}\n"
