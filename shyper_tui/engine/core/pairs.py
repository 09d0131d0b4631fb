"""Which neighbouring instructions share a handler.

A fused pair saves a dispatch. The list comes from counting neighbours in kernel boots and benchmarks; only pairs whose
first instruction never leaves the straight line qualify.
"""

from __future__ import annotations

import json
from pathlib import Path

from .decoder import HandlerTable
from .interpreter import Handler

MAXIMUM = 200


def fused_pairs(table: HandlerTable) -> list[tuple[Handler, Handler]]:
    """The pairs to generate, most frequent first."""
    chosen = []
    pairs = json.loads((Path(__file__).parent / "pairs.json").read_text())
    for (first, first_length), (second, second_length) in pairs:
        discard = second in ("j", "jr")
        name = {"j": "jal", "jr": "jalr"}.get(second, second)
        a = table.handlers[table.number(first, first_length) - 1]
        b = table.handlers[table.number(name, second_length, discard=discard) - 1]
        chosen.append((a, b))
        if len(chosen) == MAXIMUM:
            break
    return chosen
