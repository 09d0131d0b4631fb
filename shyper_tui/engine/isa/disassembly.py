"""Instruction words as assembly text, from the same rows as everything else.

Registers by their ABI names, compressed instructions as what they expand to (or as they are encoded), branch targets as
addresses; no other aliases.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from . import rows  # noqa: F401  (registers every instruction)
from .decode import decode
from .instruction import RS3_SHIFT, Decoded

X_NAMES = (
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2",
    "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7",
    "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
)  # fmt: skip
F_NAMES = (
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7",
    "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7",
    "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
)  # fmt: skip
ROUNDING = {0: "rne", 1: "rtz", 2: "rdn", 3: "rup", 4: "rmm", 7: "dyn"}
DYNAMIC = 7

_OPERAND = re.compile(r"\b(?:rd|rs[12]|fd|fs[123]|rm|imm|uimm|shamt|target|csr|zimm)\b")
_UPPER = ("lui", "auipc")

CsrName = Callable[[int], str]


_AMO, _FENCE = 0x2F, "fence"
_ORDER = {0: "", 1: ".rl", 2: ".aq", 3: ".aqrl"}
_FENCE_TSO = 0x8330_000F


def disassemble(word: int, address: int = 0, csr_name: CsrName = hex, *, as_encoded: bool = False) -> str:
    """The instruction in `word` at `address`; `.word` or `.half` when it is none. `csr_name` names a CSR by its
    number. `as_encoded` shows a 16-bit instruction under its own name, not as what it expands to."""
    decoded = decode(word)
    if decoded is None:
        return f".word {word & 0xFFFF_FFFF:#010x}" if word & 3 == 3 else f".half {word & 0xFFFF:#06x}"
    row = decoded.row if as_encoded else decoded.instruction
    name, _, operands = row.syntax.partition(" ")
    operands = operands.strip()
    if decoded.length == 4 and word & 0x7F == _AMO:
        name += _ORDER[word >> 25 & 3]
    if name == _FENCE:
        return _fence(word)
    if decoded.imm & 7 == DYNAMIC and operands.endswith(", rm"):
        operands = operands.removesuffix(", rm")  # as assemblers write it
    text = _OPERAND.sub(lambda match: _operand(match[0], decoded, address, csr_name), operands)
    return f"{name} {text}".rstrip()


def _fence(word: int) -> str:
    """FENCE with its predecessor and successor sets."""
    if word & 0xFFF0_707F == _FENCE_TSO:
        return "fence.tso"
    sets = ("".join(letter for k, letter in enumerate("iorw") if word >> low & 8 >> k) for low in (24, 20))
    return "fence " + ", ".join(letters or "0" for letters in sets)


def _operand(name: str, decoded: Decoded, address: int, csr_name: CsrName) -> str:
    match name:
        case "rd":
            return X_NAMES[decoded.rd]
        case "rs1":
            return X_NAMES[decoded.rs1]
        case "rs2":
            return X_NAMES[decoded.rs2]
        case "fd":
            return F_NAMES[decoded.rd]
        case "fs1":
            return F_NAMES[decoded.rs1]
        case "fs2":
            return F_NAMES[decoded.rs2]
        case "fs3":
            return F_NAMES[decoded.imm >> RS3_SHIFT & 31]
        case "rm":
            return ROUNDING.get(decoded.imm & 7, f"rm{decoded.imm & 7}")
        case "target":
            return f"{(address + decoded.imm) & 0xFFFF_FFFF_FFFF_FFFF:#x}"
        case "csr":
            return csr_name(decoded.imm & 0xFFF)
        case "zimm":
            return str(decoded.rs1)
        case _:
            if decoded.instruction.name in _UPPER:
                return f"{decoded.imm >> 12 & 0xFFFFF:#x}"
            return str(decoded.imm)
