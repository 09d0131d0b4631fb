"""Which neighbouring instructions share a handler.

A fused sequence saves dispatches. The list is what `shyper_tui.bench.neighbours` counted in kernel boots, a shell and
the benchmark programs, most frequent first: pairs, then triples, as [name, length, result goes to x0].
"""

from __future__ import annotations

import json
from pathlib import Path

from .decoder import HandlerTable
from .interpreter import Handler

PAIRS, TRIPLES = 300, 120


def fused_sequences(table: HandlerTable) -> list[tuple[Handler, ...]]:
    """The pairs and triples to generate; the first two of a triple are a pair of the list."""
    chosen: dict[tuple[Handler, ...], None] = {}
    left = {2: PAIRS, 3: TRIPLES}
    for sequence in json.loads((Path(__file__).parent / "fused.json").read_text()):
        handlers = tuple(
            table.handlers[table.number(name, length, discard=bool(x0)) - 1] for name, length, x0 in sequence
        )
        if left[len(handlers)] and (len(handlers) == 2 or handlers[:2] in chosen):
            left[len(handlers)] -= 1
            chosen[handlers] = None
    return list(chosen)
