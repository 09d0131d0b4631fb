"""Counts which instructions follow each other, to choose what shares a handler (`engine/core/fused.json`).

    python -m shyper_tui.bench.neighbours PROGRAM.elf... > fused.json

Every workload counts the same; a sequence's rank is its summed share of executed instructions. Only neighbours that
were reached by falling through count, because only those can be fused.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from shyper_tui.engine.core.compile import Compiled, compile_ir
from shyper_tui.engine.core.decoder import HandlerTable
from shyper_tui.engine.core.interpreter import Handler, InterpreterSemantics
from shyper_tui.engine.core.layout import Layout
from shyper_tui.engine.hart.host_memory import Block
from shyper_tui.engine.hart.program import Program, generate
from shyper_tui.engine.isa.value import Value
from shyper_tui.engine.machine import Machine

PAIRS, TRIPLES = 400, 300
Sequence = tuple[Handler, ...]


class CountingSemantics(InterpreterSemantics):
    """An interpreter handler that first counts itself after the two handlers before it."""

    def __init__(self, layout: Layout, number: int, handlers: int) -> None:
        super().__init__(layout)
        last, before = self.get("last_handlers", 0), self.get("last_handlers", 1)
        slot = self.s.neighbours + (((before * handlers + last) * handlers + number) << 3)
        self.host_store(slot, self.host_load(slot) + 1)
        self.set("last_handlers", last, 1)
        self.set("last_handlers", number, 0)

    def _line_ends(self) -> None:
        self.set("last_handlers", 0, 0)
        self.set("last_handlers", 0, 1)

    def jump_relative(self) -> None:
        self._line_ends()
        super().jump_relative()

    def jump(self, target: Value) -> None:
        self._line_ends()
        super().jump(target)


def counting_program(table: HandlerTable) -> Program:
    """The core with counting handlers and no fused pairs."""
    def semantics(layout: Layout, number: int) -> CountingSemantics:
        return CountingSemantics(layout, number, table.count)

    ir, tables = generate(fuse=False, semantics_of=semantics)
    return Program(Compiled(compile_ir(ir), tables))


def count(core: Program, table: HandlerTable, prepare: Callable[[Program], Machine]) -> Counter[Sequence]:
    """Executions of each two and three neighbours in one workload, and of `()`: all instructions."""
    machine = prepare(core)
    counts = Block(8 * table.count**3)
    for hart in machine.harts:
        hart.set("neighbours", counts.address)
    machine.run()
    found: Counter[Sequence] = Counter()
    handlers = (None, *table.handlers)
    for index, times in enumerate(memoryview(counts.bytes).cast("Q")[: table.count**3]):
        if not times:
            continue
        both, third = divmod(index, table.count)
        a, b, c = (handlers[number] for number in (*divmod(both, table.count), third))
        assert c is not None
        found[()] += times
        if b and _straight(b) and _simple(c):
            found[b, c] += times
            if a and _straight(a):
                found[a, b, c] += times
    return found


def elf_workload(file: Path) -> Callable[[Program], Machine]:
    def prepare(core: Program) -> Machine:
        from elftools.elf.elffile import ELFFile

        machine = Machine(1, 64 << 20, core=core)
        with file.open("rb") as stream:
            elf = ELFFile(stream)
            for segment in elf.iter_segments("PT_LOAD"):
                machine.memory.write(segment["p_paddr"], segment.data())
            machine.harts[0].reset(elf["e_entry"])
        return machine

    return prepare


def _straight(handler: Handler) -> bool:
    """Never leaves the straight line, except for an exception."""
    return _simple(handler) and not handler.instruction.relative and handler.instruction.name != "jalr"


def _simple(handler: Handler) -> bool:
    """Can be part of a fused sequence: no system instruction, no branch to another page."""
    return not handler.far and handler.instruction.chapter not in ("rv_zicsr", "rv_privileged", "rv_h")


def ranked(counts: list[Counter[Sequence]]) -> str:
    """The sequences as JSON, by their share of all instructions."""
    share: Counter[Sequence] = Counter()
    for found in counts:
        for sequence, times in found.items():
            if sequence:
                share[sequence] += round(1e9 * times / found[()])
    lines = []
    for length, listed in ((2, PAIRS), (3, TRIPLES)):
        best = [sequence for sequence, _ in share.most_common() if len(sequence) == length][:listed]
        lines += [json.dumps([[h.instruction.name, h.length, int(h.discard)] for h in sequence]) for sequence in best]
    return "[\n" + ",\n".join(lines) + "\n]"


def main(arguments: list[str]) -> None:
    table = HandlerTable()
    core = counting_program(table)
    counts = []
    for argument in arguments:
        counts.append(count(core, table, elf_workload(Path(argument))))
        print(f"{argument}: {counts[-1][()]} instructions", file=sys.stderr)
    print(ranked(counts))


if __name__ == "__main__":
    main(sys.argv[1:])
