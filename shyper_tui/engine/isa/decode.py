"""Decoding in Python, from the rows: the reference for the native decoder, and what panes and tools use."""

from __future__ import annotations

from functools import lru_cache

from .instruction import RS3_SHIFT, Compressed, Decoded, Instruction
from .rows import COMPRESSED, INSTRUCTIONS


@lru_cache(maxsize=1)
def _by_opcode() -> dict[int, list[Instruction]]:
    table: dict[int, list[Instruction]] = {}
    for row in INSTRUCTIONS.values():
        table.setdefault(row.encoding.match & 0x7F, []).append(row)
    for rows in table.values():
        rows.sort(key=lambda r: -r.encoding.mask.bit_count())
    return table


@lru_cache(maxsize=1)
def _by_quadrant() -> dict[int, list[Compressed]]:
    table: dict[int, list[Compressed]] = {}
    for row in COMPRESSED.values():
        table.setdefault(row.encoding.match & 0xE003, []).append(row)
    return table


def length_of(word: int) -> int:
    """Bytes of the instruction that begins with this halfword: 2 or 4."""
    return 4 if word & 3 == 3 else 2


def decode(word: int) -> Decoded | None:
    """The instruction in `word` (32 bits; the upper half is ignored for a 16-bit one), or None when it is illegal."""
    if word & 3 == 3:
        word &= 0xFFFF_FFFF
        for row in _by_opcode().get(word & 0x7F, ()):
            if row.encoding.matches(word):
                return _operands(row, row, {}, word)
        return None
    word &= 0xFFFF
    for short in _by_quadrant().get(word & 0xE003, ()):
        if short.encoding.matches(word):
            return _operands(short.expands_to, short, short.fixed, word)
    return None


def _operands(instruction: Instruction, row: Instruction | Compressed, fixed: dict[str, int], word: int) -> Decoded:
    encoding = row.encoding
    rd, rs1, rs2 = (fixed.get(n, encoding.register(n, word) or 0) for n in ("rd", "rs1", "rs2"))
    imm = encoding.immediate_of(word) if encoding.immediate else fixed.get("imm", 0)
    if encoding.rounding:
        imm = word >> 12 & 7 | (encoding.register("rs3", word) or 0) << RS3_SHIFT
    return Decoded(instruction, row, rd, rs1, rs2, imm, encoding.length, word)
