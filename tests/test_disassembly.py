"""Disassembly: ABI names, immediates, targets as addresses, compressed as what they expand to, illegal words."""

from __future__ import annotations

import pytest

from shyper_tui.engine.isa.disassembly import disassemble

ADDRESS = 0x8020_0000


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0x00A5_0513, "addi a0, a0, 10"),
        (0xFE05_14E3, "bne a0, zero, 0x801fffe8"),
        (0x0000_00EF, "jal ra, 0x80200000"),
        (0x8020_05B7, "lui a1, 0x80200"),
        (0xFF84_3483, "ld s1, -8(s0)"),
        (0x0085_3023, "sd s0, 0(a0)"),
        (0x43F5_5513, "srai a0, a0, 63"),
        (0x02C5_8533, "mul a0, a1, a2"),
        (0x1005_262F, "lr.w a2, (a0)"),
        (0x02F7_F7D3, "fadd.d fa5, fa5, fa5"),
        (0xC207_F553, "fcvt.w.d a0, fa5"),
        (0xC207_9553, "fcvt.w.d a0, fa5, rtz"),
        (0x1800_1073, "csrrw zero, satp, zero"),
        (0x1004_7073, "csrrci zero, sstatus, 8"),
        (0x0000_0073, "ecall"),
        (0x1050_0073, "wfi"),
        (0x4501, "addi a0, zero, 0"),
        (0x8082, "jalr zero, 0(ra)"),
        (0x6508, "ld a0, 8(a0)"),
        (0xBFFD, "jal zero, 0x801ffffe"),
        (0x0000, ".half 0x0000"),
        (0xFFFF_FFFF, ".word 0xffffffff"),
    ],
)
def test_text(word: int, text: str) -> None:
    names = {0x180: "satp", 0x100: "sstatus"}
    assert disassemble(word, ADDRESS, names.__getitem__) == text
