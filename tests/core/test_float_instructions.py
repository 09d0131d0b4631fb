"""The rows of F and D: encodings against LLVM's assembler, semantics in plain Python on a state of a few registers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from elftools.elf.elffile import ELFFile

from shyper_tui.engine.isa import rv_d, rv_f
from shyper_tui.engine.isa.decode import decode
from shyper_tui.engine.isa.float_format import BINARY32, BINARY64, DYNAMIC, Rounding
from shyper_tui.engine.isa.instruction import RS3_SHIFT, Instruction
from tests.core.float_machine import (
    ALL_ROWS,
    EXACT,
    FS_DIRTY,
    FS_INITIAL,
    ROWS,
    SHORT,
    IllegalInstructionError,
    Machine,
    Row,
    assemble,
    example,
)

ONE_S, ONE_D = 0xFFFF_FFFF_3F80_0000, 0x3FF0_0000_0000_0000


# Encodings


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What the assembler makes of every row's example, by the row's name."""
    folder = tmp_path_factory.mktemp("assembled")
    lines = [f".option {'rvc' if row in SHORT else 'norvc'}\n{example(row)}\n" for row in ALL_ROWS]
    (folder / "rows.s").write_text("".join(lines))
    assemble(folder, "-c", "rows.s", "-o", "rows.o")
    with (folder / "rows.o").open("rb") as file:
        section = ELFFile(file).get_section_by_name(".text")
        assert section is not None
        code = section.data()
    found, position = {}, 0
    for row in ALL_ROWS:
        found[row.name] = int.from_bytes(code[position : position + row.encoding.length], "little")
        position += row.encoding.length
    assert position == len(code)
    return found


@pytest.mark.parametrize("row", ALL_ROWS, ids=lambda row: row.name)
def test_encodings_are_the_assemblers(row: Row, words: dict[str, int]) -> None:
    decoded = decode(words[row.name])
    assert decoded is not None
    assert decoded.row is row
    operands = row.syntax.partition(" ")[2]
    rounding = Rounding.RNE if row.name in EXACT else Rounding.RUP
    if "rm" in operands:
        assert decoded.imm == rounding | (12 << RS3_SHIFT if "fs3" in operands else 0)
    if "imm" in operands:
        assert decoded.imm == 40
    for pattern, number, expected in (
        (r"\b[rf]d\b", decoded.rd, 9),
        (r"\b[rf]s1\b", decoded.rs1, 10),
        (r"\b[rf]s2\b", decoded.rs2, 11),
        (r"\bsp\b", decoded.rs1, 2),
    ):
        if re.search(pattern, operands):
            assert number == expected, pattern


def test_f_and_d_are_complete() -> None:
    """The specification's listings: 30 instructions in RV64F, 32 in RV64D, four compressed ones in RV64DC."""
    assert len([row for row in ROWS if row.chapter == "rv_f"]) == 30
    assert len([row for row in ROWS if row.chapter == "rv_d"]) == 32
    assert len(SHORT) == 4


# Semantics


@contextmanager
def illegal(machine: Machine) -> Iterator[None]:
    before = list(machine.words)
    with pytest.raises(IllegalInstructionError):
        yield
    assert machine.words == before, "an exception leaves no effect"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_instruction_is_illegal_while_fs_is_off(row: Instruction) -> None:
    machine = Machine(fs=0)
    with illegal(machine):
        machine.execute(row, rm=0)
    machine = Machine()
    machine["virt"] = 1
    with illegal(machine):  # vsstatus.FS is off
        machine.execute(row, rm=0)
    machine["vsstatus"] = FS_INITIAL
    machine.memory[0] = 0
    machine.execute(row, rm=0)


@pytest.mark.parametrize("row", [row for row in ROWS if row.encoding.rounding], ids=lambda row: row.name)
def test_reserved_rounding_modes_are_illegal(row: Instruction) -> None:
    for rm, frm in ((5, 0), (6, 0), (DYNAMIC, 5), (DYNAMIC, 6), (DYNAMIC, 7)):
        machine = Machine()
        machine["frm"] = frm
        with illegal(machine):
            machine.execute(row, rm=rm)
    machine["frm"] = 7  # a static mode does not look at it
    machine.execute(row, rm=0)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_fs_is_dirty_after_a_write_to_an_f_register_alone(row: Instruction) -> None:
    machine = Machine()
    machine.memory[0] = 0
    machine.set_f(ONE_D, ONE_D, ONE_D) if row.chapter == "rv_d" else machine.set_f(ONE_S, ONE_S, ONE_S)
    machine.execute(row, rm=0)
    if row.name != "fcvt.s.d":
        assert machine["fflags"] == 0
    assert machine["mstatus"] == (FS_DIRTY if row.operands.startswith("fd") else FS_INITIAL)


def test_flags_make_fs_dirty_even_when_the_result_goes_to_an_x_register() -> None:
    machine = Machine()
    machine.set_f(BINARY64.infinity | 1, ONE_D)
    machine.execute(rv_d.feq_d)
    assert (machine.x[9], machine["fflags"], machine["mstatus"]) == (0, 16, FS_DIRTY)


def test_flags_accumulate() -> None:
    machine = Machine()
    machine["fflags"] = 8
    machine.set_f(ONE_D, 0x4008_0000_0000_0000)
    machine.execute(rv_d.fdiv_d)
    assert machine["fflags"] == 9
    assert machine.f[9] == 0x3FD5_5555_5555_5555


@pytest.mark.parametrize(
    ("mode", "expected"), [(Rounding.RNE, 0x3EAA_AAAB), (Rounding.RTZ, 0x3EAA_AAAA), (Rounding.RUP, 0x3EAA_AAAB)]
)
def test_static_and_dynamic_rounding(mode: Rounding, expected: int) -> None:
    three = 0xFFFF_FFFF_4040_0000
    static, dynamic = Machine(), Machine()
    dynamic["frm"] = mode
    for machine, rm in ((static, int(mode)), (dynamic, DYNAMIC)):
        machine.set_f(ONE_S, three)
        machine.execute(rv_f.fdiv_s, rm=rm)
        assert machine.f[9] == 0xFFFF_FFFF_0000_0000 | expected


def test_operands_that_are_not_boxed_are_nans() -> None:
    machine = Machine()
    machine.set_f(ONE_S & 0xFFFF_FFFF, ONE_S)
    machine.execute(rv_f.fadd_s)
    assert machine.f[9] == 0xFFFF_FFFF_0000_0000 | BINARY32.canonical_nan
    assert machine["fflags"] == 0


def test_the_four_fused_operations_differ_in_signs() -> None:
    two, three, ten = 0x4000_0000_0000_0000, 0x4008_0000_0000_0000, 0x4024_0000_0000_0000
    sixteen, four, minus = 0x4030_0000_0000_0000, 0x4010_0000_0000_0000, 1 << 63
    for row, expected in (
        (rv_d.fmadd_d, sixteen),
        (rv_d.fmsub_d, four | minus),
        (rv_d.fnmsub_d, four),
        (rv_d.fnmadd_d, sixteen | minus),
    ):
        machine = Machine()
        machine.set_f(two, three, ten)
        machine.execute(row)
        assert machine.f[9] == expected, row.name


def test_unsigned_words_are_sign_extended() -> None:
    machine = Machine()
    machine.set_f(0x41EF_FFFF_FFE0_0000)  # 4294967295
    machine.execute(rv_d.fcvt_wu_d)
    assert machine.x[9] == (1 << 64) - 1
    machine.words[10] = 0xDEAD_BEEF_FFFF_FFFF
    machine.execute(rv_d.fcvt_d_wu)
    assert machine.f[9] == 0x41EF_FFFF_FFE0_0000
    machine.execute(rv_d.fcvt_d_w)
    assert machine.f[9] == ONE_D | 1 << 63


def test_moves_and_stores_keep_the_bits() -> None:
    machine = Machine()
    machine.set_f(0x1234_5678_9ABC_DEF0, 0x1234_5678_9ABC_DEF0)
    machine.execute(rv_f.fmv_x_w)
    assert machine.x[9] == 0xFFFF_FFFF_9ABC_DEF0
    machine.execute(rv_d.fmv_x_d)
    assert machine.x[9] == 0x1234_5678_9ABC_DEF0
    machine.words[10] = 0x1000
    machine.execute(rv_f.fsw, imm=8)
    machine.execute(rv_d.fsd, imm=16)
    assert machine.memory == {0x1008: 0x9ABC_DEF0, 0x1010: 0x1234_5678_9ABC_DEF0}
    machine.execute(rv_f.flw, imm=8)
    assert machine.f[9] == 0xFFFF_FFFF_9ABC_DEF0
    machine.execute(rv_f.fmv_w_x)
    assert machine.f[9] == 0xFFFF_FFFF_0000_1000


@pytest.mark.parametrize(
    ("row", "expected"),
    [(rv_f.fsgnj_s, 1), (rv_f.fsgnjn_s, 0), (rv_f.fsgnjx_s, 0)],
    ids=lambda x: getattr(x, "name", ""),
)
def test_sign_injection(row: Instruction, expected: int) -> None:
    minus = 0xFFFF_FFFF_BF80_0000
    machine = Machine()
    machine.set_f(minus, minus)
    machine.execute(row)
    assert machine.f[9] == (minus if expected else ONE_S)
