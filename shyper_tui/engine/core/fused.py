"""Instruction sequences that share a handler.

A dispatch costs more than most instructions, and so does the way of a value through the register file in memory. Two
kinds are generated: *pairs* of handlers with any operands, and longer *sequences* that also fix which operands are the
same register: there, a value is read once and passed on. What is worth it was counted by `bench.neighbours`.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .decoder import HandlerTable
from .interpreter import Handler

PAIRS, SEQUENCES = 240, 488
"""The last 68 sequences are those of ChaCha20 and Poly1305 in Debian's dropbear, counted while it copied a file in and
out: without them ssh is slower by a third."""
LONGEST = 6
MOST_REGISTERS = 15

KEY_FACTOR = 0x9E37_79B9_7F4A_7C15
SLOTS = 8192
LONGER = 1 << 16
"""Flag of a table entry: a longer sequence begins with this one."""
MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Step:
    """One instruction of a sequence. Operands are numbered by first appearance in rs1, rs2, rd order; 0 is x0."""

    handler: Handler
    rs1: int
    rs2: int
    rd: int


Sequence = tuple[Step, ...]


def number_registers(operands: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Register numbers (rs1, rs2, rd) of each instruction to operand numbers; 32, the sink, counts as x0."""
    seen: dict[int, int] = {}

    def number(register: int) -> int:
        return 0 if register in (0, 32) else seen.setdefault(register, len(seen) + 1)

    return [(number(rs1), number(rs2), number(rd)) for rs1, rs2, rd in operands]


def mix(key: int, handler_number: int, rs1: int, rs2: int, rd: int) -> int:
    """The key of a sequence from the key of its beginning."""
    return (key * KEY_FACTOR + (handler_number << 12 | rs1 << 8 | rs2 << 4 | rd) + 1) & MASK64


def slot_of(key: int) -> int:
    """Where in the table the search for a key begins."""
    return (key * KEY_FACTOR & MASK64) >> 51


assert SLOTS == 1 << 13


def _read() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((Path(__file__).parent / "fused.json").read_text())
    return data


def _handler(table: HandlerTable, name: str, length: int, discard: int) -> Handler:
    return table.handlers[table.number(name, length, discard=bool(discard)) - 1]


def fused_pairs(table: HandlerTable) -> list[tuple[Handler, Handler]]:
    return [(_handler(table, *first), _handler(table, *second)) for first, second in _read()["pairs"][:PAIRS]]


def fused_sequences(table: HandlerTable) -> list[Sequence]:
    return [
        tuple(Step(_handler(table, *step[:3]), *step[3:]) for step in steps)
        for steps in _read()["sequences"][:SEQUENCES]
    ]


def sequence_table(table: HandlerTable, numbers: dict[Sequence, int]) -> bytes:
    """Open hash table of {key, handler number | LONGER}: what decoding looks sequences and their beginnings up in."""
    values: dict[int, int] = {}
    for sequence, number in numbers.items():
        key = 0
        for position, step in enumerate(sequence, 1):
            key = mix(key, table.number_of(step.handler), step.rs1, step.rs2, step.rd)
            value = values.setdefault(key, 0)
            values[key] = value | (LONGER if position < len(sequence) else number)
    entries = bytearray(16 * SLOTS)
    for key, value in values.items():
        slot = slot_of(key)
        while struct.unpack_from("<Q", entries, 16 * slot)[0]:
            slot = (slot + 1) % SLOTS
        struct.pack_into("<QQ", entries, 16 * slot, key, value)
    return bytes(entries)
