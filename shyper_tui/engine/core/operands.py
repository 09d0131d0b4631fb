"""How a record holds the operands of an instruction: four bytes, whose use follows from the encoding.

    byte        4           5     6             7
    I, S, B     rd or rs2   rs1   immediate
    R           rd          rs1   rs2           rm, rs3
    U, J        rd          immediate

An immediate reaches to the record's end, without the low bits that the encoding does not have. A branch or JAL inside
the page holds its displacement scaled to records instead, in two bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from shyper_tui.engine.isa.instruction import RS3_SHIFT, Encoding, Instruction
from shyper_tui.engine.isa.value import Value

from . import records

RD = records.OPERANDS
"""The byte of rd, of every instruction that has one."""
NEAR_BITS = 13 + records.SCALE
"""Of a displacement inside a page, scaled to records, with its sign."""
Number = TypeVar("Number", int, Value)


@dataclass(frozen=True)
class OperandFormat:
    """Places are bytes of the record."""

    registers: dict[str, int]
    """Where the number of each register operand lies."""
    immediate: int
    """Where the immediate begins."""
    signed: bool
    shift: int
    """The immediate is held shifted left by this; to the right, when negative."""

    @property
    def width(self) -> int:
        """Bits that the immediate has in the record."""
        return 8 * (records.RECORD_SIZE - self.immediate)

    def pack(self, registers: dict[str, Number], immediate: Number) -> Number:
        """The operands' 32-bit word. Registers that the format has no place for are left out."""
        held = immediate << self.shift if self.shift >= 0 else immediate >> -self.shift
        word = held << 8 * (self.immediate - records.OPERANDS)
        for name, place in self.registers.items():
            word = word | registers[name] << 8 * (place - records.OPERANDS)
        return word & 0xFFFF_FFFF

    def immediate_of(self, held: Value) -> Value:
        """The immediate from what the record holds."""
        return held.sra(self.shift) if self.shift >= 0 else held << -self.shift


@cache
def operand_format(instruction: Instruction, *, near: bool) -> OperandFormat:
    """`near`: a branch or JAL that stays inside the page. ValueError when the operands do not fit."""
    encoding = instruction.encoding
    names = encoding.registers
    registers = {}
    if "rd" in names:
        registers["rd"] = RD
    if "rs1" in names:
        registers["rs1"] = RD + 1
    if "rs2" in names:
        registers["rs2"] = RD + 2 if "rd" in names else RD
    lowest, bits = (0, NEAR_BITS) if near else _immediate_bits(encoding)
    if bits > 16:
        begin = RD + 1
    else:
        begin = RD + 3 if RD + 2 in registers.values() else RD + 2
    made = OperandFormat(registers, begin, encoding.signed, records.SCALE if near else -lowest)
    if bits > made.width or begin in registers.values() or (bits > 16 and not encoding.signed):
        raise ValueError(f"the operands of {instruction.name} do not fit into a record")
    return made


def _immediate_bits(encoding: Encoding) -> tuple[int, int]:
    """(lowest bit, number of bits) of the immediate, or of what is held in its place: rm and rs3."""
    if encoding.rounding:
        return 0, RS3_SHIFT + 5 if "rs3" in encoding.registers else RS3_SHIFT
    lowest = min((piece.target for piece in encoding.immediate), default=0)
    end = max((piece.target + piece.width for piece in encoding.immediate), default=0)
    return lowest, end - lowest
