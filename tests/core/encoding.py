"""Instruction words from rows: the opposite of decoding, for tests that make programs."""

from __future__ import annotations

from shyper_tui.engine.isa.instruction import Compressed, Encoding, Instruction
from shyper_tui.engine.isa.rows import COMPRESSED, INSTRUCTIONS

Row = Instruction | Compressed


def encode(encoding: Encoding, *, imm: int = 0, rm: int = 0, **registers: int) -> int:
    """The word with these operands; what the encoding has no room for is dropped. Three-bit fields take x8..x15.

    Where one field is rd and rs1, rd is taken.
    """
    word = encoding.match
    used: set[tuple[int, int]] = set()
    for name, place in encoding.registers.items():
        if name in registers and place not in used:
            used.add(place)
            low, width = place
            word |= (registers[name] & (1 << width) - 1) << low
    for piece in encoding.immediate:
        word |= (imm >> piece.target & (1 << piece.width) - 1) << piece.low
    if encoding.rounding:
        word |= rm << 12
    return word


def word(name: str, *, imm: int = 0, rm: int = 0, **registers: int) -> int:
    """An instruction by its name, 16 or 32 bits."""
    row: Row = COMPRESSED[name] if name.startswith("c.") else INSTRUCTIONS[name]
    return encode(row.encoding, imm=imm, rm=rm, **registers)


def assemble(*words: int) -> bytes:
    """Bytes of a program; 16-bit instructions are recognised."""
    return b"".join(w.to_bytes(4 if w & 3 == 3 else 2, "little") for w in words)


def load_constant(rd: int, value: int) -> list[int]:
    """Instructions that leave any 64-bit constant in rd."""
    value &= (1 << 64) - 1
    words = [word("addi", rd=rd, rs1=0, imm=value >> 55)]
    for shift in (44, 33, 22, 11, 0):
        words += [word("slli", rd=rd, rs1=rd, imm=11), word("ori", rd=rd, rs1=rd, imm=value >> shift & 0x7FF)]
    return words
