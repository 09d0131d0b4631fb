"""A extension: LR/SC and atomic memory operations (Unprivileged ISA, chapter "A").

Misaligned addresses raise address-misaligned exceptions. aq and rl have no effect: accesses are sequentially consistent.
"""

from __future__ import annotations

from .instruction import instruction
from .semantics import Semantics

_OPERATIONS = {
    "amoswap": ("00001", "xchg"),
    "amoadd": ("00000", "add"),
    "amoxor": ("00100", "xor"),
    "amoand": ("01100", "and"),
    "amoor": ("01000", "or"),
    "amomin": ("10000", "min"),
    "amomax": ("10100", "max"),
    "amominu": ("11000", "umin"),
    "amomaxu": ("11100", "umax"),
}


@instruction("lr.w   rd, (rs1)", "00010 -- 00000 rs1 010 rd 0101111")
def lr_w(s: Semantics) -> None:
    s.rd = s.load_reserved(s.rs1, 32).sext()


@instruction("lr.d   rd, (rs1)", "00010 -- 00000 rs1 011 rd 0101111")
def lr_d(s: Semantics) -> None:
    s.rd = s.load_reserved(s.rs1, 64)


@instruction("sc.w   rd, rs2, (rs1)", "00011 -- rs2 rs1 010 rd 0101111")
def sc_w(s: Semantics) -> None:
    s.rd = s.store_conditional(s.rs1, s.rs2.trunc(32))


@instruction("sc.d   rd, rs2, (rs1)", "00011 -- rs2 rs1 011 rd 0101111")
def sc_d(s: Semantics) -> None:
    s.rd = s.store_conditional(s.rs1, s.rs2)


def _amo(name: str, funct5: str, operation: str, suffix: str, funct3: str, width: int) -> None:
    @instruction(f"{name}.{suffix} rd, rs2, (rs1)", f"{funct5} -- rs2 rs1 {funct3} rd 0101111")
    def amo(s: Semantics) -> None:
        s.rd = s.amo(s.rs1, s.rs2.trunc(width), operation).sext()


for _name, (_funct5, _operation) in _OPERATIONS.items():
    _amo(_name, _funct5, _operation, "w", "010", 32)
    _amo(_name, _funct5, _operation, "d", "011", 64)
