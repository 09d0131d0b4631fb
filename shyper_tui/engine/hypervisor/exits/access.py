"""Decodes the load or store that hit an emulated device (Unprivileged ISA, RV64GC encodings).

Small and independent of the executing core: the hypervisor sees an instruction word as real hypervisors do, fetched
with HLVX or transformed in htinst.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache


class Kind(Enum):
    """What an instruction does with memory."""

    LOAD = "load"
    STORE = "store"
    FLOAT_LOAD = "float load"
    FLOAT_STORE = "float store"
    ATOMIC = "atomic"


@dataclass(frozen=True, slots=True)
class Access:
    """One access: `width` bytes, data register `register` (rd of a load, rs2 of a store), instruction `length` in
    bytes."""

    kind: Kind
    width: int
    register: int
    signed: bool = False
    length: int = 4

    @property
    def is_store(self) -> bool:
        return self.kind is Kind.STORE or self.kind is Kind.FLOAT_STORE


OPCODE_LOAD, OPCODE_LOAD_FP, OPCODE_STORE, OPCODE_STORE_FP, OPCODE_AMO = 0x03, 0x07, 0x23, 0x27, 0x2F
STACK_POINTER = 2


def is_compressed(parcel: int) -> bool:
    """Whether the 16-bit parcel is a whole instruction."""
    return parcel & 3 != 3


@lru_cache(4096)
def decode(instruction: int) -> Access | None:
    """The access `instruction` (16 or 32 bits) makes; None when it is no load, store or atomic."""
    return _decode_compressed(instruction & 0xFFFF) if is_compressed(instruction) else _decode_32(instruction)


def decode_transformed(htinst: int) -> Access | None:
    """The access described by a transformed instruction: bit 1 clear says that the original was compressed."""
    access = _decode_32(htinst | 3)
    if access is None or htinst & 2:
        return access
    return Access(access.kind, access.width, access.register, access.signed, length=2)


def transformed_offset(htinst: int) -> int:
    """Bytes from the beginning of the access to the faulting byte, which a transformed instruction has in place of
    rs1."""
    return htinst >> 15 & 31


def address_operands(instruction: int) -> tuple[int, int]:
    """(base register, offset) of the address that a load or store other than an atomic has."""
    if not is_compressed(instruction):
        store = instruction & 0x7F in (OPCODE_STORE, OPCODE_STORE_FP)
        low = instruction >> 7 & 31 if store else instruction >> 20 & 31
        offset = instruction >> 25 << 5 | low
        return instruction >> 15 & 31, offset - (offset >> 11 << 12)
    word = instruction >> 13 & 3 == 2  # else a doubleword
    if instruction & 3 == 0:
        low = instruction >> 10 & 7  # uimm[5:3]
        if word:
            return 8 + (instruction >> 7 & 7), low << 3 | (instruction >> 6 & 1) << 2 | (instruction >> 5 & 1) << 6
        return 8 + (instruction >> 7 & 7), low << 3 | (instruction >> 5 & 3) << 6
    if instruction >> 15:  # a store to the stack
        if word:
            return STACK_POINTER, (instruction >> 9 & 15) << 2 | (instruction >> 7 & 3) << 6
        return STACK_POINTER, (instruction >> 10 & 7) << 3 | (instruction >> 7 & 7) << 6
    high = (instruction >> 12 & 1) << 5
    if word:
        return STACK_POINTER, high | (instruction >> 4 & 7) << 2 | (instruction >> 2 & 3) << 6
    return STACK_POINTER, high | (instruction >> 5 & 3) << 3 | (instruction >> 2 & 7) << 6


def _decode_32(word: int) -> Access | None:
    opcode, funct3 = word & 0x7F, word >> 12 & 7
    rd, rs2 = word >> 7 & 31, word >> 20 & 31
    if opcode == OPCODE_LOAD and funct3 != 7:
        return Access(Kind.LOAD, 1 << (funct3 & 3), rd, signed=funct3 < 4)
    if opcode == OPCODE_STORE and funct3 < 4:
        return Access(Kind.STORE, 1 << funct3, rs2)
    if opcode == OPCODE_LOAD_FP and funct3 in (2, 3):
        return Access(Kind.FLOAT_LOAD, 1 << funct3, rd)
    if opcode == OPCODE_STORE_FP and funct3 in (2, 3):
        return Access(Kind.FLOAT_STORE, 1 << funct3, rs2)
    if opcode == OPCODE_AMO and funct3 in (2, 3):
        return Access(Kind.ATOMIC, 1 << funct3, rd, signed=True)
    return None


_QUADRANT_0 = {
    1: (Kind.FLOAT_LOAD, 8),  # c.fld
    2: (Kind.LOAD, 4),  # c.lw
    3: (Kind.LOAD, 8),  # c.ld
    5: (Kind.FLOAT_STORE, 8),  # c.fsd
    6: (Kind.STORE, 4),  # c.sw
    7: (Kind.STORE, 8),  # c.sd
}
_QUADRANT_2 = {
    1: (Kind.FLOAT_LOAD, 8),  # c.fldsp
    2: (Kind.LOAD, 4),  # c.lwsp
    3: (Kind.LOAD, 8),  # c.ldsp
    5: (Kind.FLOAT_STORE, 8),  # c.fsdsp
    6: (Kind.STORE, 4),  # c.swsp
    7: (Kind.STORE, 8),  # c.sdsp
}


def _decode_compressed(parcel: int) -> Access | None:
    quadrant, funct3 = parcel & 3, parcel >> 13
    if quadrant == 0 and funct3 in _QUADRANT_0:
        kind, width = _QUADRANT_0[funct3]
        return Access(kind, width, 8 + (parcel >> 2 & 7), signed=kind is Kind.LOAD, length=2)
    if quadrant == 2 and funct3 in _QUADRANT_2:
        kind, width = _QUADRANT_2[funct3]
        is_load = kind in (Kind.LOAD, Kind.FLOAT_LOAD)
        register = parcel >> 7 & 31 if is_load else parcel >> 2 & 31
        if kind is Kind.LOAD and register == 0:
            return None  # reserved encodings of c.lwsp and c.ldsp
        return Access(kind, width, register, signed=kind is Kind.LOAD, length=2)
    return None
