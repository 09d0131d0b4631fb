"""The instructions of F and D one at a time: as lines of assembly, and executed in plain Python on a few registers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shyper_tui.engine.core import floating, pysource
from shyper_tui.engine.core.layout import Layout
from shyper_tui.engine.core.pysource import PythonBuilder
from shyper_tui.engine.isa import rv_d, rv_f
from shyper_tui.engine.isa.float_format import DYNAMIC
from shyper_tui.engine.isa.instruction import COMPRESSED, INSTRUCTIONS, RS3_SHIFT, Compressed, Decoded, Instruction
from shyper_tui.engine.isa.semantics import Semantics
from shyper_tui.engine.isa.value import Value

Row = Instruction | Compressed

_MODULES = (rv_f.__name__, rv_d.__name__)  # importing them registers their rows
ROWS = [row for row in INSTRUCTIONS.values() if row.semantics.__module__ in _MODULES]
SHORT = [row for row in COMPRESSED.values() if row.name.startswith("c.f")]
ALL_ROWS: list[Row] = [*ROWS, *SHORT]
FS_INITIAL, FS_DIRTY = 1 << 13, 3 << 13

EXACT = ("fcvt.d.s", "fcvt.d.w", "fcvt.d.wu")
"""Never rounded: assemblers take no rounding mode, and write RNE."""


def example(row: Row, rounding: str = "rup") -> str:
    """A line of assembly: rd 9, sources 10, 11, 12, immediate 40 (which compressed rows have, too)."""
    places = {"d": 9, "s1": 10, "s2": 11, "s3": 12}
    operands = row.syntax.partition(" ")[2].strip()
    if row.name in EXACT:
        operands = operands.removesuffix(", rm")
    operands = re.sub(r"\bu?imm\b", "40", operands)
    operands = re.sub(r"\brm\b", rounding, operands)
    operands = re.sub(r"\bf(d|s\d)\b", lambda match: f"f{places[match[1]]}", operands)
    return f"{row.name} " + re.sub(r"\br(d|s\d)\b", lambda match: f"x{places[match[1]]}", operands)


def assemble(folder: Path, *arguments: str) -> None:
    """Runs the cross assembler, and linker, in a folder; skips the test where it is not installed."""
    pytest.importorskip("ziglang", reason="the assembler that is the oracle")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "riscv64-linux-musl", "-mcpu=generic_rv64+m+a+f+d+c"]
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(folder / "global"), "ZIG_LOCAL_CACHE_DIR": str(folder / "local")}
    subprocess.run([*command, *arguments], cwd=folder, env=os.environ | caches, check=True)


LAYOUT = Layout([("x", 33), ("f", 32), *((name, 1) for name in ("mstatus", "vsstatus", "virt", "fflags", "frm"))])


class IllegalInstructionError(Exception):
    pass


class Evaluated(PythonBuilder):
    """An instruction of F or D as Python source; memory is a dictionary."""

    def __init__(self, decoded: Decoded) -> None:
        super().__init__(LAYOUT)
        self.decoded = decoded

    @property
    def rs1(self) -> Value:
        return self.get("x", self.decoded.rs1)

    @property
    def imm(self) -> Value:
        return self.const(self.decoded.imm)

    def _write_rd(self, value: Value) -> None:
        self.set("x", value, self.decoded.rd)

    rd = property(None, _write_rd)

    def read_f(self, operand: int) -> Value:
        decoded = self.decoded
        return self.get("f", {1: decoded.rs1, 2: decoded.rs2, 3: decoded.imm >> RS3_SHIFT}[operand])

    def write_f(self, value: Value) -> None:
        self.set("f", value, self.decoded.rd)
        self.call("dirty_fs")

    def load(self, address: Value, width: int, *, signed: bool = False, to_f: bool = False) -> Value:
        return Value(self, self.define(f"memory[{address.operand}] & {(1 << width) - 1}"), width)

    def store(self, address: Value, value: Value) -> None:
        self.emit(f"memory[{address.operand}] = {value.operand}")

    def illegal(self) -> None:
        self.emit("raise Illegal")

    def fp(self, operation: str, rounding: Value, *operands: Value) -> tuple[Value, Value]:
        return floating.in_python(self, operation, rounding, operands)


class Machine:
    """Registers on which one instruction at a time executes."""

    def __init__(self, fs: int = FS_INITIAL) -> None:
        self.words = [0] * (LAYOUT.size // 8)
        self.memory: dict[int, int] = {}
        self["mstatus"] = fs

    def __getitem__(self, field: str) -> int:
        return self.words[LAYOUT.index(field)]

    def __setitem__(self, field: str, value: int) -> None:
        self.words[LAYOUT.index(field)] = value

    @property
    def f(self) -> list[int]:
        return self.words[LAYOUT.index("f") : LAYOUT.index("f") + 32]

    @property
    def x(self) -> list[int]:
        return self.words[:32]

    def set_f(self, *values: int) -> None:
        """f10, f11, f12: the operands of every instruction below."""
        self.words[LAYOUT.index("f") + 10 : LAYOUT.index("f") + 10 + len(values)] = values

    def execute(self, instruction: Instruction, rm: int = DYNAMIC, imm: int = 0) -> None:
        """rd is 9, the sources are 10, 11, 12."""
        if instruction.encoding.rounding:
            imm = rm | 12 << RS3_SHIFT
        _function(instruction, imm)(self.words, self.memory)


@cache
def _function(instruction: Instruction, imm: int) -> Callable[[list[int], dict[int, int]], int]:
    builder: Any = Evaluated(Decoded(instruction, instruction, 9, 10, 11, imm, 4, 0))
    semantics: Semantics = builder
    instruction.semantics(semantics)
    environment: dict[str, Any] = {"Illegal": IllegalInstructionError, "dirty_fs": _dirty}
    environment |= pysource.ENVIRONMENT | floating.ENVIRONMENT
    exec(builder.source("execute", ["memory"]), environment)
    function: Callable[[list[int], dict[int, int]], int] = environment["execute"]
    return function


def _dirty(words: list[int]) -> int:
    words[LAYOUT.index("mstatus")] |= FS_DIRTY
    return 0
