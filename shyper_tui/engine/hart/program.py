"""The native program: every generated function in one module, compiled once per host and kept in the cache."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

from shyper_tui.engine.core.compile import Loaded, Progress, compile_ir, source_key
from shyper_tui.engine.core.object_cache import Compiled, load_cached, store_cached

ENGINE = Path(__file__).parent.parent
DEBUG = "SHYPER_DEBUG_CORE"
"""The environment's name for the debug build."""

# functions that Python calls: name → number of arguments
EXPORTED = {
    "enter": 0,
    "translate": 4,
    "csr_check": 2,
    "csr_read": 2,
    "csr_write": 3,
    "exception": 3,
    "mret": 0,
    "sret": 0,
    "pending_interrupts": 1,
    "ticks": 1,
    "update_timers": 0,
    "update_pmp": 0,
    "sfence_vma": 3,
    "hfence_vvma": 3,
    "hfence_gvma": 3,
    "flush_translations": 0,
    "ram_written": 2,
    "store_physical": 3,
    "decode_probe": 3,
    "settle": 0,
    "group_survey": 1,
    "group_sleep": 3,
    "group_begin": 1,
    "group_end_turn": 2,
    "group_finish": 1,
    "group_run": 1,
    "plic_claim": 2,
    "plic_complete": 3,
    "plic_changed": 1,
}

LONG = ("enter", "group_run")
"""Those that other threads shall not wait for: they run guest code for whole turns."""


class Program:
    """Loaded native code: `program.call[name](state, ...)`, and the tables that a hart's state points to."""

    def __init__(self, compiled: Compiled) -> None:
        self._loaded = Loaded(compiled.object)
        self.decode16, self.fused = compiled.tables
        self.call: dict[str, Any] = {
            name: self._loaded.function(name, count, long=name in LONG) for name, count in EXPORTED.items()
        }

    def function(self, name: str, arguments: int) -> Any:
        """Another function that is visible from outside."""
        return self._loaded.function(name, arguments)


def generate(*, fuse: bool = True, semantics_of: Any = None) -> tuple[str, tuple[bytes, bytes]]:
    """(IR of the whole program, (decode table, table of fused sequences)).

    `semantics_of(layout, number)` replaces the interpreter's semantics, for programs that measure.
    """
    # the generator is only needed when the cache misses
    from shyper_tui.engine.core.decoder import HandlerTable, decode16_table, emit_decoder
    from shyper_tui.engine.core.fused import Sequence, fused_pairs, fused_sequences, sequence_table
    from shyper_tui.engine.core.hostfloat import DECLARATIONS
    from shyper_tui.engine.core.interpreter import CONVENTION, InterpreterSemantics, handler_function
    from shyper_tui.engine.core.llvm import METADATA

    from .all_functions import FUNCTIONS, NATIVE
    from .direct.dispatch import DECLARATIONS as CLOCK
    from .direct.memory import DECLARATIONS as COPY
    from .handlers import emit_handlers
    from .state import LAYOUT

    table = HandlerTable()
    intrinsics = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)\ndeclare i64 @llvm.cttz.i64(i64, i1)\n"
    parts = [intrinsics, DECLARATIONS, CLOCK, COPY]
    parts += [function.native() for function in FUNCTIONS.values()]
    parts += NATIVE
    parts.append(emit_decoder(LAYOUT, table))
    symbols = ["op_illegal"]
    for number, handler in enumerate(table.handlers, 1):
        semantics = semantics_of(LAYOUT, number) if semantics_of else InterpreterSemantics(LAYOUT)
        semantics.run(handler, last=True)
        parts.append(handler_function(handler.symbol, semantics.body()))
        symbols.append(handler.symbol)
    pairs = bytearray(2 * table.count * table.count)
    for first, second in fused_pairs(table) if fuse else []:
        semantics = InterpreterSemantics(LAYOUT, steps=2)
        semantics.run(first, last=False)
        semantics.run(second, last=True)
        row, column = (table.number_of(handler) for handler in (first, second))
        struct.pack_into("<H", pairs, 2 * (row * table.count + column), len(symbols))
        symbols.append(f"pair_{first.symbol}_{second.symbol}")
        parts.append(handler_function(symbols[-1], semantics.body()))
    numbers: dict[Sequence, int] = {}
    for sequence in fused_sequences(table) if fuse else []:
        semantics = InterpreterSemantics(LAYOUT, steps=len(sequence))
        for position, step in enumerate(sequence, 1):
            semantics.run(step.handler, last=position == len(sequence), operands=(step.rs1, step.rs2, step.rd))
        numbers[sequence] = len(symbols)
        symbols.append(f"sequence_{len(numbers)}_" + "_".join(step.handler.symbol for step in sequence))
        parts.append(handler_function(symbols[-1], semantics.body()))
    parts.append(emit_handlers(table.count, fuse=fuse))
    parts.append(f"@handlers = internal constant [{len(symbols)} x ptr] [{', '.join('ptr @' + s for s in symbols)}]\n")
    ir = "".join(parts)
    ir += "define i64 @decode_probe(ptr %st, i64 %word, i64 %record, i64 %offset) {\n"
    ir += "%n = call i64 @decode_word(ptr %st, i64 %word, i64 %record, i64 %offset)\nret i64 %n\n}\n"
    for name in EXPORTED:
        ir = ir.replace(f"define internal i64 @{name}(", f"define i64 @{name}(")
    assert CONVENTION in ir
    return ir + METADATA, (decode16_table(table), bytes(pairs) + sequence_table(table, numbers))


_loaded: list[Program] = []


def program(progress: Progress | None = None) -> Program:
    """The program of this host, from the cache or compiled now (a few seconds). Loaded once in a process.

    With SHYPER_DEBUG_CORE=1 in the environment it is the one that checks each access (`debug_build`).
    """
    if not _loaded:
        progress = progress or (lambda text, done: None)
        if os.environ.get(DEBUG) == "1":
            from .debug_build import checked_program

            _loaded.append(checked_program(progress))
        else:
            _loaded.append(Program(_compiled(progress)))
    return _loaded[0]


def cache_key() -> str:
    """Of the program in the cache of objects."""
    return source_key([ENGINE / name for name in ("isa", "core", "hart", "hart/direct")])


def _compiled(progress: Progress) -> Compiled:
    key = cache_key()
    compiled = load_cached(key)
    if compiled is None:
        progress("generating the core", 0.0)
        ir, tables = generate()
        progress("compiling the core (first start only)", 0.2)
        compiled = Compiled(compile_ir(ir), tables)
        store_cached(key, compiled)
        progress("core ready", 1.0)
    return compiled
