"""Which neighbouring instructions share a handler.

A fused pair saves a dispatch. The list is what `shyper_tui.bench.neighbours` counted in kernel boots, a shell and the
benchmark programs: pairs.json, most frequent first, as [[name, length], [name, length, result goes to x0]].
"""

from __future__ import annotations

import json
from pathlib import Path

from .decoder import HandlerTable
from .interpreter import Handler

MAXIMUM = 300


def fused_pairs(table: HandlerTable) -> list[tuple[Handler, Handler]]:
    """The pairs to generate, most frequent first."""
    chosen = []
    pairs = json.loads((Path(__file__).parent / "pairs.json").read_text())
    for (first, first_length), (second, second_length, to_x0) in pairs[:MAXIMUM]:
        numbers = (table.number(first, first_length), table.number(second, second_length, discard=bool(to_x0)))
        a, b = (table.handlers[number - 1] for number in numbers)
        chosen.append((a, b))
    return chosen
