"""Instruction words as assembly text, from the same rows as everything else.

Registers by their ABI names, compressed instructions as what they expand to, branch targets as addresses.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from . import rows  # noqa: F401  (registers every instruction)
from .decode import decode
from .instruction import Decoded

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


def disassemble(word: int, address: int = 0, csr_name: CsrName = hex) -> str:
    """The instruction in `word` at `address`; `.word` or `.half` when it is none. `csr_name` names a CSR by its
    number."""
    decoded = decode(word)
    if decoded is None:
        return f".word {word & 0xFFFF_FFFF:#010x}" if word & 3 == 3 else f".half {word & 0xFFFF:#06x}"
    instruction = decoded.instruction
    operands = instruction.operands
    if decoded.imm & 7 == DYNAMIC and operands.endswith(", rm"):
        operands = operands.removesuffix(", rm")  # as assemblers write it
    text = _OPERAND.sub(lambda match: _operand(match[0], decoded, address, csr_name), operands)
    return f"{instruction.name} {text}".rstrip()


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
            return F_NAMES[decoded.imm >> 8 & 31]
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
