"""Instruction rows: encoding, syntax and semantics in one place.

A row's encoding is written as in the specification's listings, from bit 31 (or 15) down::

    @instruction("lw rd, imm(rs1)", "imm[11:0] rs1 010 rd 0000011")
    def lw(s): s.rd = s.load(s.rs1 + s.imm, 32, signed=True).sext()

Tokens: bit patterns, register fields (rd rs1 rs2 rs3 and the three-bit rd' rs1' rs2' of the C extension), `rm`, `-` for a
bit that is ignored, and immediates with the bits they hold: `imm[12|10:5]` is sign-extended, `uimm shamt csr` are not, and an
`nz` before the name excludes zero. `rd≠0` excludes a register.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from .semantics import SemanticFunction
from .value import signed

RS3_SHIFT = 3
"""Where rs3 begins in the immediate of an instruction with a rounding mode: behind rm."""
REGISTER_WIDTH = {"rd": 5, "rs1": 5, "rs2": 5, "rs3": 5, "rd'": 3, "rs1'": 3, "rs2'": 3, "rds1": 5, "rds1'": 3}
_IMMEDIATE = re.compile(r"(nz)?(imm|uimm|shamt|csr)\[([\d:|]+)\]")


@dataclass(frozen=True)
class Piece:
    """`width` bits of the word from bit `low`, which are bits `target`.. of the immediate."""

    low: int
    width: int
    target: int


@dataclass(frozen=True)
class Encoding:
    """A parsed bit pattern."""

    length: int
    mask: int
    match: int
    registers: dict[str, tuple[int, int]]
    """Operand name → (lowest bit, width); three-bit fields name x8..x15."""
    immediate: tuple[Piece, ...]
    signed: bool
    excluded: tuple[tuple[str, int], ...]
    """Operand, forbidden register number; ("imm", 0) for a non-zero immediate."""
    rounding: bool

    def register(self, name: str, word: int) -> int | None:
        place = self.registers.get(name)
        if place is None:
            return None
        low, width = place
        number = word >> low & (1 << width) - 1
        return number + 8 if width == 3 else number

    def immediate_of(self, word: int) -> int:
        value = 0
        for piece in self.immediate:
            value |= (word >> piece.low & (1 << piece.width) - 1) << piece.target
        if self.signed:
            return signed(value, max(p.target + p.width for p in self.immediate))
        return value

    def matches(self, word: int) -> bool:
        if word & self.mask != self.match:
            return False
        for name, number in self.excluded:
            if (self.immediate_of(word) if name == "imm" else self.register(name, word)) == number:
                return False
        return True


def parse_encoding(text: str, length: int) -> Encoding:
    """Parses a bit pattern of `length` bytes; ValueError when its widths do not add up."""
    position = length * 8
    mask_ = match = 0
    registers: dict[str, tuple[int, int]] = {}
    pieces: list[Piece] = []
    excluded: list[tuple[str, int]] = []
    is_signed = rounding = False
    for token in text.split():
        name, _, banned = token.partition("≠")
        immediate = _IMMEDIATE.fullmatch(name)
        if immediate:
            nonzero, kind, spans = immediate.groups()
            is_signed = is_signed or kind == "imm"
            if nonzero and ("imm", 0) not in excluded:
                excluded.append(("imm", 0))
            for span in spans.split("|"):
                high, _, low = span.partition(":")
                low = low or high
                width = int(high) - int(low) + 1
                position -= width
                pieces.append(Piece(position, width, int(low)))
        elif name in REGISTER_WIDTH:
            width = REGISTER_WIDTH[name]
            position -= width
            plain = name.rstrip("'")
            for operand in ("rd", "rs1") if plain == "rds1" else (plain,):
                registers[operand] = (position, width)
            if banned:
                excluded.append(("rs1" if plain == "rds1" else plain, int(banned)))
        elif name == "rm":
            position -= 3
            rounding = True
        elif set(name) == {"-"}:
            position -= len(name)
        else:
            position -= len(name)
            mask_ |= ((1 << len(name)) - 1) << position
            match |= int(name, 2) << position
    if position:
        raise ValueError(f"{text!r} leaves {position} bits")
    return Encoding(length, mask_, match, registers, tuple(pieces), is_signed, tuple(excluded), rounding)


@dataclass(frozen=True, eq=False)
class Instruction:
    """An instruction: what it is called, how it is encoded, what it does."""

    name: str
    syntax: str
    encoding: Encoding
    semantics: SemanticFunction = field(repr=False)
    chapter: str

    @property
    def operands(self) -> str:
        return self.syntax.partition(" ")[2].strip()

    @property
    def writes_integer(self) -> bool:
        return re.match(r"rd\b", self.operands) is not None

    @property
    def relative(self) -> bool:
        """The immediate is a displacement from pc (branches and JAL)."""
        return "target" in self.operands


@dataclass(frozen=True, eq=False)
class Compressed:
    """A 16-bit encoding that stands for an instruction."""

    name: str
    syntax: str
    encoding: Encoding
    expands_to: Instruction
    fixed: dict[str, int]


@dataclass(frozen=True)
class Decoded:
    """A decoded word. `imm` holds rm | rs3 << RS3_SHIFT for instructions with a rounding mode."""

    instruction: Instruction
    row: Instruction | Compressed
    rd: int
    rs1: int
    rs2: int
    imm: int
    length: int
    word: int


INSTRUCTIONS: dict[str, Instruction] = {}
COMPRESSED: dict[str, Compressed] = {}


def instruction(syntax: str, encoding: str) -> Callable[[SemanticFunction], Instruction]:
    """Registers a 32-bit instruction; the decorated function is its semantics."""

    def register(function: SemanticFunction) -> Instruction:
        name = syntax.split()[0]
        if name in INSTRUCTIONS:
            raise ValueError(f"two rows for {name}")
        row = Instruction(name, syntax, parse_encoding(encoding, 4), function, function.__module__.rpartition(".")[2])
        INSTRUCTIONS[name] = row
        return row

    return register


def compressed(syntax: str, encoding: str, expands_to: Instruction, **fixed: int) -> Compressed:
    """Registers a 16-bit encoding of `expands_to`; `fixed` gives the operands that the encoding implies."""
    name = syntax.split()[0]
    row = Compressed(name, syntax, parse_encoding(encoding, 2), expands_to, fixed)
    COMPRESSED[name] = row
    return row
