"""Counts which instructions are executed after each other, to choose what shares a handler (`engine/core/fused.json`).

    python -m shyper_tui.bench.neighbours PROGRAM.elf... > fused.json

Every record counts its executions; afterwards the decoded pages are read as straight lines of code, which are cut
into the longest sequences that are common. Every workload counts the same.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from shyper_tui.engine.core import records
from shyper_tui.engine.core.compile import compile_ir
from shyper_tui.engine.core.decoder import HandlerTable
from shyper_tui.engine.core.fused import LONGEST, MOST_REGISTERS, Sequence, Step, number_registers
from shyper_tui.engine.core.interpreter import Handler, InterpreterSemantics
from shyper_tui.engine.core.layout import Layout
from shyper_tui.engine.core.object_cache import Compiled
from shyper_tui.engine.hart.host_memory import PAGE, Block
from shyper_tui.engine.hart.program import Program, generate
from shyper_tui.engine.isa.decode import decode, length_of
from shyper_tui.engine.machine import Machine

PAIRS, SEQUENCES = 300, 700
CANDIDATES = 6000
PLAIN_CHAPTERS = ("rv_i", "rv_m")
Operands = tuple[int, int, int]
Line = list[tuple[Handler, Operands, int]]
"""A straight line of code: handler, (rs1, rs2, rd), executions."""


class CountingSemantics(InterpreterSemantics):
    """An interpreter handler that first counts its record."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        slot = self.s.executions + (self.address("%rec") - self.s.arena)  # 8 bytes for a record's 8
        self.host_store(slot, self.host_load(slot) + 1)


def counting_program() -> Program:
    """The core with counting handlers and nothing fused."""
    ir, tables = generate(fuse=False, semantics_of=lambda layout, number: CountingSemantics(layout))
    return Program(Compiled(compile_ir(ir), tables))


def lines(core: Program, table: HandlerTable, prepare: Callable[[Program], Machine]) -> list[Line]:
    """Runs one workload; the straight lines of code that it executed."""
    machine = prepare(core)
    counts = Block(machine.host.arena.size)
    for hart in machine.harts:
        hart.set("executions", counts.address)
    machine.run()
    found: list[Line] = []
    for page in range(machine.host.size // PAGE):
        base = machine.host.page_records.word(8 * page).value
        if base:
            found += _page_lines(machine, table, page, base - machine.host.arena.address, counts)
    return found


def _page_lines(machine: Machine, table: HandlerTable, page: int, counted: int, counts: Block) -> Iterator[Line]:
    code = bytes(machine.host.ram.bytes[PAGE * page : PAGE * (page + 1)])
    times = memoryview(counts.bytes[counted : counted + 8 * records.RECORDS]).cast("Q")
    line: Line = []
    offset = 0
    while offset < PAGE - 3:
        word = int.from_bytes(code[offset : offset + 4], "little")
        decoded = decode(word) if times[offset // 2] else None
        if decoded is None or decoded.instruction.chapter not in PLAIN_CHAPTERS:
            yield line
            line = []
            offset += 2 if decoded is None else decoded.length
            continue
        far = decoded.instruction.relative and not 0 <= offset + decoded.imm < PAGE
        discard = decoded.rd == 0
        handler = table.handlers[table.number(decoded.instruction.name, length_of(word), far=far, discard=discard) - 1]
        line.append((handler, (decoded.rs1, decoded.rs2, decoded.rd), times[offset // 2]))
        offset += decoded.length
        if decoded.instruction.relative or decoded.instruction.name == "jalr" or far:
            yield line
            line = []
    yield line


def _sequence(part: Line) -> Sequence | None:
    """The part as a sequence, unless it cannot be one."""
    if any(handler.far for handler, _, _ in part):
        return None
    numbered = number_registers([operands for _, operands, _ in part])
    if max(max(operands) for operands in numbered) > MOST_REGISTERS:
        return None
    return tuple(Step(handler, *operands) for (handler, _, _), operands in zip(part, numbered, strict=True))


def _cut(workloads: list[list[Line]], known: set[Sequence] | None) -> Counter[Sequence]:
    """Cuts all lines into the longest sequences (of those known); dispatches that each saves, by share of workload."""
    saved: Counter[Sequence] = Counter()
    for found in workloads:
        total = sum(times for line in found for _, _, times in line) or 1
        for line in found:
            position = 0
            while position < len(line) - 1:
                for length in range(min(LONGEST, len(line) - position), 1, -1):
                    part = line[position : position + length]
                    sequence = _sequence(part)
                    if sequence and (known is None or sequence in known):
                        saved[sequence] += round(1e9 * (length - 1) * part[-1][2] / total)
                        if known is not None:
                            position += length - 1
                            break
                position += 1
    return saved


def choose(workloads: list[list[Line]]) -> str:
    """The pairs and sequences that save most, as JSON."""
    pairs: Counter[tuple[Handler, Handler]] = Counter()
    for found in workloads:
        total = sum(times for line in found for _, _, times in line) or 1
        for line in found:
            for (first, _, _), (second, _, times) in pairwise(line):
                if not second.far:
                    pairs[first, second] += round(1e9 * times / total)
    candidates = {sequence for sequence, _ in _cut(workloads, None).most_common(CANDIDATES)}
    best = [sequence for sequence, _ in _cut(workloads, candidates).most_common(SEQUENCES)]
    return json.dumps(
        {
            "pairs": [[_named(a), _named(b)] for (a, b), _ in pairs.most_common(PAIRS)],
            "sequences": [[[*_named(s.handler), s.rs1, s.rs2, s.rd] for s in sequence] for sequence in best],
        }
    ).replace("]], [[", "]],\n[[")


def _named(handler: Handler) -> list[str | int]:
    return [handler.instruction.name, handler.length, int(handler.discard)]


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


def main(arguments: list[str]) -> None:
    core, table = counting_program(), HandlerTable()
    workloads = []
    for argument in arguments:
        workloads.append(lines(core, table, elf_workload(Path(argument))))
        executed = sum(times for line in workloads[-1] for _, _, times in line)
        print(f"{argument}: {executed} instructions in straight lines", file=sys.stderr)
    print(choose(workloads))


if __name__ == "__main__":
    main(sys.argv[1:])
