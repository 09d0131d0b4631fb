"""Counts which instructions follow each other, to choose the pairs that share a handler (`engine/core/pairs.json`).

    python -m shyper_tui.bench.neighbours PROGRAM.elf... [--linux] > pairs.json

Every workload counts the same; a pair's rank is its summed share of executed instructions. Only neighbours that were reached
by falling through count, because only those can be fused.
"""

from __future__ import annotations

import ctypes
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

ENDS_LINE = ("jal", "jalr", "ecall", "ebreak", "mret", "sret", "wfi")
LISTED = 400


class CountingSemantics(InterpreterSemantics):
    """An interpreter handler that first counts (previous handler, this handler)."""

    def __init__(self, layout: Layout, number: int, handlers: int) -> None:
        super().__init__(layout)
        slot = self.s.neighbours + ((self.s.last_handler * handlers + number) << 3)
        self.host_store(slot, self.host_load(slot) + 1)
        self.s.last_handler = number

    def jump_relative(self) -> None:
        self.s.last_handler = 0
        super().jump_relative()

    def jump(self, target: Value) -> None:
        self.s.last_handler = 0
        super().jump(target)


def counting_program(table: HandlerTable) -> Program:
    """The core with counting handlers and no fused pairs."""
    ir, tables = generate(fuse=False, semantics_of=lambda layout, number: CountingSemantics(layout, number, table.count))
    return Program(Compiled(compile_ir(ir), tables))


def count(core: Program, table: HandlerTable, prepare: Callable[[Program], Machine]) -> Counter[tuple[Handler, Handler]]:
    """Executions of each pair of neighbours in one workload."""
    machine = prepare(core)
    counts = Block(8 * table.count * table.count)
    for hart in machine.harts:
        hart.set("neighbours", counts.address)
    machine.run()
    words = (ctypes.c_uint64 * (table.count * table.count)).from_address(counts.address)
    found: Counter[tuple[Handler, Handler]] = Counter()
    for index, times in enumerate(words):
        first, second = divmod(index, table.count)
        if times and first and second:
            found[table.handlers[first - 1], table.handlers[second - 1]] = times
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


def fusible(first: Handler, second: Handler) -> bool:
    """The first never leaves the straight line, and the second stays in the page."""
    straight = not first.instruction.relative and first.instruction.name not in ENDS_LINE
    system = {"rv_zicsr", "rv_privileged", "rv_h"}
    return straight and not second.far and not {first.instruction.chapter, second.instruction.chapter} & system


def main(arguments: list[str]) -> None:
    table = HandlerTable()
    core = counting_program(table)
    share: Counter[tuple[str, int, str, int, bool]] = Counter()
    for argument in arguments:
        counts = count(core, table, elf_workload(Path(argument)))
        total = sum(counts.values())
        for (first, second), times in counts.items():
            if fusible(first, second):
                share[
                    first.instruction.name, first.length, second.instruction.name, second.length, second.discard
                ] += round(1e9 * times / total)
        print(f"{argument}: {total} neighbours", file=sys.stderr)
    chosen = [[[a, la], [b, lb, int(x0)]] for (a, la, b, lb, x0), _ in share.most_common(LISTED)]
    print("[\n" + ",\n".join(json.dumps(pair) for pair in chosen) + "\n]")


if __name__ == "__main__":
    main(sys.argv[1:])
