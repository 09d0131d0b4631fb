"""Every computing instruction of F and D, many operands, all rounding modes: results, flags and FS as in Spike."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from shyper_tui.engine.isa.float_format import BINARY32, BINARY64, DYNAMIC, Rounding
from shyper_tui.engine.isa.instruction import Instruction
from tests.core.float_machine import EXACT, ROWS, Machine, assemble, example
from tests.core.float_operands import edges, mixed, typical

pytestmark = pytest.mark.oracle

COMPUTING = [row for row in ROWS if "imm" not in row.operands]
FS = 3 << 13
BOXED = 0xFFFF_FFFF << 32

LINKER = """
ENTRY(_start)
SECTIONS {
  . = 0x80000000;
  .text : { *(.text) }
  . = ALIGN(4096);
  .tohost : { *(.tohost) }
  . = ALIGN(4096);
  .data : { *(.data) *(.bss) }
}
"""


def operands() -> list[tuple[int, int, int]]:
    """Rows for fs1 (also rs1), fs2, fs3: doubles, boxed singles, singles without their box, integers."""
    random = Random(1)
    pool = edges(BINARY64) + mixed(BINARY64, 40, 2)
    pool += [BOXED | single for single in edges(BINARY32) + mixed(BINARY32, 40, 3)]
    pool += typical(BINARY32, 5, 4) + [1 << bit for bit in range(0, 64, 7)]
    pool += [(1 << 64) - (1 << bit) for bit in range(0, 64, 9)]
    single = [word for word in pool if word >= BOXED]
    rows = [(word, random.choice(pool), random.choice(pool)) for word in pool]
    rows += [(word, random.choice(single), random.choice(single)) for word in single]
    rows += list(zip(typical(BINARY64, 20, 5), typical(BINARY64, 20, 6), typical(BINARY64, 20, 7), strict=True))
    return rows


def cases() -> list[tuple[Instruction, int, int, str]]:
    """Instruction, rm field, frm, assembly: rounded ones in each static mode and in one dynamic mode."""
    found = []
    for row in COMPUTING:
        if not row.encoding.rounding or row.name in EXACT:
            found.append((row, 0, 0, example(row)))
            continue
        found += [(row, int(mode), 0, example(row, mode.name.lower())) for mode in Rounding]
        found.append((row, DYNAMIC, int(Rounding.RUP), example(row, "dyn")))
    return found


def program(rows: list[tuple[int, int, int]]) -> str:
    """For each case a loop over the rows that stores x9, f9 and fflags | mstatus.FS."""
    loops = "".join(
        f"""
  la x5, table
  li x8, {frm}
  csrw frm, x8
{number}:
  fld f10, 0(x5)
  fld f11, 8(x5)
  fld f12, 16(x5)
  ld x10, 0(x5)
  li x9, 0
  fmv.d.x f9, x0
  csrw fflags, x0
  li x8, {FS}
  csrc mstatus, x8
  li x11, {1 << 13}
  csrs mstatus, x11
  {line}
  csrr x12, mstatus
  csrr x13, fflags
  and x12, x12, x8
  or x12, x12, x13
  sd x9, 0(x7)
  fsd f9, 8(x7)
  sd x12, 16(x7)
  addi x7, x7, 24
  addi x5, x5, 24
  bltu x5, x6, {number}b
"""
        for number, (_, _, frm, line) in enumerate(cases(), 10)
    )
    table = "".join(f"  .dword {a:#x}, {b:#x}, {c:#x}\n" for a, b, c in rows)
    return f"""
.text
.globl _start
_start:
  la x5, failed
  csrw mtvec, x5
  li x8, {FS}
  csrs mstatus, x8
  la x6, table_end
  la x7, begin_signature
{loops}
  li x5, 1
  j exit
.balign 4
failed:
  li x5, 3
exit:
  la x6, tohost
  sd x5, 0(x6)
1: j 1b
.section .tohost, "aw"
.globl tohost
.globl fromhost
.balign 64
tohost: .dword 0
.balign 64
fromhost: .dword 0
.data
.balign 16
table:
{table}table_end:
.balign 16
.globl begin_signature
begin_signature: .space {24 * len(rows) * len(cases())}
.balign 16
.globl end_signature
end_signature:
"""


def test_results_flags_and_status_are_spikes(tmp_path: Path) -> None:
    spike = shutil.which("spike", path=f"{Path(sys.executable).parent}") or shutil.which("spike")
    if spike is None:
        pytest.skip("Spike, the oracle, is not installed")
    rows = operands()
    (tmp_path / "program.s").write_text(program(rows))
    (tmp_path / "link.ld").write_text(LINKER)
    assemble(tmp_path, "-nostdlib", "-static", "-Wl,-T,link.ld", "program.s", "-o", "program")
    options = ["--isa=rv64gc", "-m16", f"+signature={tmp_path / 'signature'}", "+signature-granularity=8"]
    subprocess.run([spike, *options, str(tmp_path / "program")], check=True, timeout=60)
    words = [int(line, 16) for line in (tmp_path / "signature").read_text().split()]

    wrong = []
    for number, (row, rm, frm, line) in enumerate(cases()):
        for index, (a, b, c) in enumerate(rows):
            machine = Machine()
            machine["frm"] = frm
            machine.set_f(a, b, c)
            machine.words[10] = a
            machine.execute(row, rm=rm)
            ours = [machine.x[9], machine.f[9], machine["fflags"] | machine["mstatus"]]
            at = 3 * (number * len(rows) + index)
            if ours != words[at : at + 3]:
                wrong.append((line, *([hex(word) for word in some] for some in ((a, b, c), ours, words[at : at + 3]))))
    assert wrong[:10] == []
