"""The smallest bare-metal program: an ELF file made by hand, so that a test of the bench takes no time."""

from __future__ import annotations

import struct
from pathlib import Path

BASE = 0x8000_0000
PASS, FAIL = 0x5555, 0x3333
INSTRUCTIONS = 7
"""Executed before the finisher ends the machine."""


def write_tiny(file: Path, finish: int = PASS, text: str = "K") -> Path:
    """A program that prints one character and ends through the test finisher with `finish`."""
    code = struct.pack(
        "<8I",
        0x1000_02B7,  # lui  t0, 0x10000      16550
        0x0000_0313 | ord(text) << 20,  # addi t1, zero, text
        0x0062_8023,  # sb   t1, 0(t0)
        0x0010_02B7,  # lui  t0, 0x100        test finisher
        0x0000_0337 | (finish + 0x800) >> 12 << 12,  # lui  t1, %hi(finish)
        0x0003_0313 | (finish & 0xFFF) << 20,  # addi t1, t1, %lo(finish)
        0x0062_A023,  # sw   t1, 0(t0)
        0x0000_006F,  # j    .
    )
    machine, executable, flags = 243, 2, 0
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", executable, machine, 1, BASE, 64, 0, flags, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, BASE, BASE, len(code), len(code), 0x1000)
    file.write_bytes((header + segment).ljust(0x1000, b"\0") + code)
    return file
