"""Every row with random operands, disassembled here and by GNU objdump: encodings, operands, names."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from shyper_tui.engine.hart.csr_numbers import CSR_NUMBERS
from shyper_tui.engine.isa.decode import length_of
from shyper_tui.engine.isa.disassembly import disassemble
from shyper_tui.engine.isa.rows import COMPRESSED, INSTRUCTIONS
from tests.core.encoding import Row, encode

pytestmark = pytest.mark.oracle

BASE = 0x8000_0000
EACH = 24
NAMES = {number: name for name, number in CSR_NUMBERS.items()}
_NEVER_ROUNDED = ("fcvt.d.s", "fcvt.d.w", "fcvt.d.wu")
"""objdump knows them with rm = 0 only, and does not show it."""


def words() -> list[int]:
    random = Random(1)
    made = []
    rows: list[Row] = [*INSTRUCTIONS.values(), *COMPRESSED.values()]
    for row in rows:
        kept = 0
        while kept < EACH:
            registers = {name: random.randrange(32) for name in ("rd", "rs1", "rs2", "rs3")}
            imm = random.choice(list(CSR_NUMBERS.values())) if "csr" in row.syntax else random.getrandbits(32)
            rm = 0 if row.name in _NEVER_ROUNDED else random.choice((0, 1, 2, 3, 4, 7))
            word = encode(row.encoding, imm=imm, rm=rm, **registers)
            if row.name.startswith(("amo", "lr", "sc")):
                word |= random.getrandbits(2) << 25
            if row.name == "fence":
                word |= random.getrandbits(8) << 20
            nameless = "shamt" in row.syntax and row.encoding.immediate_of(word) == 0  # HINTs with names of their own
            if row.encoding.matches(word) and not nameless:
                made.append(word)
                kept += 1
    return made


def tool(name: str) -> str:
    for prefix in ("riscv64-unknown-elf-", "riscv64-linux-gnu-"):
        found = shutil.which(prefix + name)
        if found:
            return found
    pytest.skip("GNU binutils for RISC-V, the oracle, are not installed")


def objdump(folder: Path, made: list[int]) -> list[str]:
    """One normalised line for each instruction."""
    insns = "".join(f".insn {word:#x}\n" for word in made)
    (folder / "code.s").write_text('.text\n.attribute arch, "rv64gch"\n' + insns)
    subprocess.run([tool("as"), "-march=rv64gch", "code.s", "-o", "code.o"], cwd=folder, check=True)
    options = ["-d", "-M", "no-aliases", f"--adjust-vma={BASE}", "code.o"]
    output = subprocess.run([tool("objdump"), *options], cwd=folder, check=True, capture_output=True, text=True).stdout
    lines = re.findall(r"^\s*[0-9a-f]+:\t[0-9a-f]+\s+(.*)$", output, re.MULTILINE)
    return [normal(line) for line in lines]


def normal(text: str) -> str:
    """Without comments, numbers in decimal, targets as such."""
    text = re.sub(r"\b([0-9a-f]+)\s*<.*>", r"0x\1", text.partition("#")[0])
    name, _, operands = text.strip().replace("\t", " ").partition(" ")
    operands = re.sub(r"\b0x[0-9a-f]+", lambda match: str(int(match[0], 16)), operands.replace(" ", ""))
    if name in _NEVER_ROUNDED:
        operands = operands.removesuffix(",rne")
    return f"{name} {operands.replace('unknown', '0')}".strip()


def test_every_row(tmp_path: Path) -> None:
    made = words()
    theirs = objdump(tmp_path, made)
    assert len(theirs) == len(made)
    wrong = []
    address = BASE
    for word, text in zip(made, theirs, strict=True):
        ours = normal(disassemble(word, address, NAMES.__getitem__, as_encoded=True))
        if ours != text:
            wrong.append((hex(word), ours, text))
        address += length_of(word)
    assert wrong == []
