"""Decoding of loads and stores: encodings as an assembler produces them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from shyper_tui.engine.hypervisor.exits.access import (
    Access,
    Kind,
    address_operands,
    decode,
    decode_transformed,
    transformed_offset,
)
from tests.core.encoding import word

ENCODINGS = [
    ("lb a0, 4(a1)", 0x00458503, Access(Kind.LOAD, 1, 10, True, 4)),
    ("lh a0, 4(a1)", 0x00459503, Access(Kind.LOAD, 2, 10, True, 4)),
    ("lw a0, 4(a1)", 0x0045A503, Access(Kind.LOAD, 4, 10, True, 4)),
    ("ld t6, 4(a1)", 0x0045BF83, Access(Kind.LOAD, 8, 31, True, 4)),
    ("lbu a0, 4(a1)", 0x0045C503, Access(Kind.LOAD, 1, 10, False, 4)),
    ("lhu a0, 4(a1)", 0x0045D503, Access(Kind.LOAD, 2, 10, False, 4)),
    ("lwu a0, 4(a1)", 0x0045E503, Access(Kind.LOAD, 4, 10, False, 4)),
    ("sb a2, 0(a1)", 0x00C58023, Access(Kind.STORE, 1, 12, False, 4)),
    ("sh a2, 0(a1)", 0x00C59023, Access(Kind.STORE, 2, 12, False, 4)),
    ("sw a2, 0(a1)", 0x00C5A023, Access(Kind.STORE, 4, 12, False, 4)),
    ("sd a2, 0(a1)", 0x00C5B023, Access(Kind.STORE, 8, 12, False, 4)),
    ("flw fa0, 0(a1)", 0x0005A507, Access(Kind.FLOAT_LOAD, 4, 10, False, 4)),
    ("fld fa0, 0(a1)", 0x0005B507, Access(Kind.FLOAT_LOAD, 8, 10, False, 4)),
    ("fsw fa0, 0(a1)", 0x00A5A027, Access(Kind.FLOAT_STORE, 4, 10, False, 4)),
    ("fsd fa0, 0(a1)", 0x00A5B027, Access(Kind.FLOAT_STORE, 8, 10, False, 4)),
    ("amoadd.w a0, a2, (a1)", 0x00C5A52F, Access(Kind.ATOMIC, 4, 10, True, 4)),
    ("lr.d a0, (a1)", 0x1005B52F, Access(Kind.ATOMIC, 8, 10, True, 4)),
    ("c.lw a0, 4(a1)", 0x41C8, Access(Kind.LOAD, 4, 10, True, 2)),
    ("c.ld a0, 8(a1)", 0x6588, Access(Kind.LOAD, 8, 10, True, 2)),
    ("c.sw a0, 4(a1)", 0xC1C8, Access(Kind.STORE, 4, 10, False, 2)),
    ("c.sd a0, 8(a1)", 0xE588, Access(Kind.STORE, 8, 10, False, 2)),
    ("c.fld fa0, 8(a1)", 0x2588, Access(Kind.FLOAT_LOAD, 8, 10, False, 2)),
    ("c.fsd fa0, 8(a1)", 0xA588, Access(Kind.FLOAT_STORE, 8, 10, False, 2)),
    ("c.lwsp t0, 4(sp)", 0x4292, Access(Kind.LOAD, 4, 5, True, 2)),
    ("c.ldsp t0, 8(sp)", 0x62A2, Access(Kind.LOAD, 8, 5, True, 2)),
    ("c.swsp t0, 4(sp)", 0xC216, Access(Kind.STORE, 4, 5, False, 2)),
    ("c.sdsp t0, 8(sp)", 0xE416, Access(Kind.STORE, 8, 5, False, 2)),
    ("c.fldsp ft5, 8(sp)", 0x22A2, Access(Kind.FLOAT_LOAD, 8, 5, False, 2)),
    ("c.fsdsp ft5, 8(sp)", 0xA416, Access(Kind.FLOAT_STORE, 8, 5, False, 2)),
]


@pytest.mark.parametrize(("text", "encoding", "expected"), ENCODINGS, ids=[row[0] for row in ENCODINGS])
def test_every_form_is_decoded(text: str, encoding: int, expected: Access) -> None:
    assert decode(encoding) == expected


@pytest.mark.parametrize(
    "encoding",
    [0x00000013, 0x00000073, 0x0000, 0x4002, 0x6002, 0x0045F503, 0x00C5C023, 0x0005C507, 0xFFFFFFFF, 0x8082],
    ids=["addi", "ecall", "zero", "c.lwsp x0", "c.ldsp x0", "load funct3 7", "store funct3 4", "flq", "ones", "ret"],
)
def test_what_is_no_access_is_none(encoding: int) -> None:
    assert decode(encoding) is None


def test_a_transformed_instruction_tells_the_length_of_the_original() -> None:
    # htinst: immediate 0, rs1 = address offset; bit 1 is cleared for a compressed original
    assert decode_transformed(0x0000_2503) == Access(Kind.LOAD, 4, 10, True, 4)
    assert decode_transformed(0x0000_2503 & ~2) == Access(Kind.LOAD, 4, 10, True, 2)
    assert decode_transformed(0x00A0_3023 & ~2) == Access(Kind.STORE, 8, 10, False, 2)


REGISTERS = {"a1": 11, "sp": 2}
PLAIN = [row for row in ENCODINGS if row[2].kind is not Kind.ATOMIC]


@pytest.mark.parametrize(("text", "encoding"), [row[:2] for row in PLAIN], ids=[row[0] for row in PLAIN])
def test_every_form_names_its_address(text: str, encoding: int) -> None:
    offset, register = text.split(", ")[1].rstrip(")").split("(")
    assert address_operands(encoding) == (REGISTERS[register], int(offset))


@pytest.mark.parametrize(
    ("name", "offsets"),
    [
        ("lw", (-2048, -1, 0, 1, 2047)),
        ("sd", (-2048, -1, 0, 33, 2047)),
        ("c.lw", range(0, 128, 4)),
        ("c.ld", range(0, 256, 8)),
        ("c.sw", range(0, 128, 4)),
        ("c.fsd", range(0, 256, 8)),
        ("c.lwsp", range(0, 256, 4)),
        ("c.fldsp", range(0, 512, 8)),
        ("c.swsp", range(0, 256, 4)),
        ("c.sdsp", range(0, 512, 8)),
    ],
)
def test_every_offset_is_found(name: str, offsets: Iterable[int]) -> None:
    base = 2 if name.endswith("sp") else 9
    words = {offset: word(name, rd=9, rs1=9, rs2=9, imm=offset) for offset in offsets}
    assert {offset: address_operands(encoded) for offset, encoded in words.items()} == {
        offset: (base, offset) for offset in offsets
    }


def test_a_transformed_instruction_tells_how_far_into_the_access_the_fault_is() -> None:
    assert transformed_offset(0x0000_3503) == 0
    assert transformed_offset(0x0000_3503 | 4 << 15) == 4
