"""The debug build of the native program: every access of generated code is checked (`core.checks`).

For tests and for looking for faults, several times slower than the program itself. SHYPER_DEBUG_CORE=1 in the
environment makes it the program of a process, which then ends with a report and `EXIT_STATUS` at the first access out
of bounds: native code cannot go on from there.
"""

from __future__ import annotations

import bisect
import ctypes
import json
import os
import sys
import weakref
from types import FrameType

from shyper_tui.engine.core import checks
from shyper_tui.engine.core.compile import Progress, compile_ir
from shyper_tui.engine.core.object_cache import Compiled, load_cached, store_cached

from . import program as native
from .host_memory import Block
from .state import LAYOUT

EXIT_STATUS = 86
"""Of a process whose native code has left its bounds."""


class Blocks:
    """All blocks of host memory of this process, as native code looks them up."""

    def __init__(self, sites: list[str]) -> None:
        self._sites = sites
        self._table = Block(checks.TABLE_SIZE)
        self._words = self._table.bytes.cast("Q")
        self._starts: list[int] = []
        self._entries: list[tuple[int, int, int, int]] = []
        self._names: list[str] = []
        self._changing = False
        self._gone: list[int] = []
        self._hook = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_uint64] * 4)(self.report)
        self._words[checks.HOOK // 8] = ctypes.cast(self._hook, ctypes.c_void_p).value or 0

    @property
    def address(self) -> int:
        """Of the table."""
        return self._table.address

    def made(self, block: Block) -> None:
        """See `BlockWatcher`. The block is known by its name, or by who made it."""
        name = block.name or _maker(sys._getframe(2))
        entry = (block.address, block.address + block.used, block.stride, block.name == "RAM")
        weakref.finalize(block, self._freed, block.address).atexit = False
        self._changing = True  # a block may be freed at any time from here on
        self._sweep()  # its address may have been given out again
        place = bisect.bisect(self._starts, entry[0])
        self._starts.insert(place, entry[0])
        self._entries.insert(place, entry)
        self._names.insert(place, name)
        self._write(place)
        self._sweep()
        self._changing = False

    def _freed(self, start: int) -> None:
        self._gone.append(start)
        if not self._changing:
            self._changing = True
            self._sweep()
            self._changing = False

    def _sweep(self) -> None:
        while self._gone:
            self._forget(self._gone.pop())

    def _forget(self, start: int) -> None:
        place = bisect.bisect_left(self._starts, start)
        del self._starts[place], self._entries[place], self._names[place]
        self._write(place)

    def _write(self, place: int) -> None:
        if len(self._entries) > checks.MOST:
            raise ValueError(f"the debug build knows at most {checks.MOST} blocks")
        first = (checks.ENTRIES + place * checks.ENTRY_SIZE) // 8
        for entry in self._entries[place:]:
            for index, word in enumerate(entry, first):
                self._words[index] = word
            first += checks.ENTRY_SIZE // 8
        self._words[checks.COUNT // 8] = len(self._entries)

    def place_of(self, address: int) -> str:
        """The block at or before an address, and the distance from its beginning."""
        place = bisect.bisect(self._starts, address) - 1
        if place < 0:
            return "before all blocks"
        start, end, stride, _ = self._entries[place]
        where = f"{self._names[place]} + {address - start:#x} of {end - start:#x}"
        return where + (f" (part {(address - start) // stride})" if stride and address < end else "")

    def report(self, state: int | None, site: int, address: int, size: int, pointer: int) -> None:
        """Ends the process, and says where `size` bytes at `address` would have been accessed."""
        sys.stderr.write(
            f"native code is out of bounds in {self._sites[site]}\n"
            f"  {size} bytes at {address:#x}: {self.place_of(address)}\n"
            f"  computed from {pointer:#x}: {self.place_of(pointer)}\n"
        )
        if state:
            words = (ctypes.c_uint64 * (LAYOUT.size // 8)).from_address(state)
            hart, pc, virtual = (words[LAYOUT.index(name)] for name in ("hartid", "pc", "virt"))
            sys.stderr.write(f"  hart {hart}, V = {virtual}, last known pc {pc:#x}\n")
        sys.stderr.flush()
        os._exit(EXIT_STATUS)


def _maker(frame: FrameType | None) -> str:
    """Who made a block."""
    return "a block" if frame is None else f"{frame.f_code.co_qualname}'s block"


def build(ir: str, tables: tuple[bytes, ...]) -> Compiled:
    """A program with checks; its last table are the sites."""
    checked, sites = checks.instrument(ir, LAYOUT)
    return Compiled(compile_ir(checked, level=1), (*tables, json.dumps(sites).encode()))


def load(compiled: Compiled) -> native.Program:
    """Loads what `build` has made."""
    loaded = native.Program(Compiled(compiled.object, compiled.tables[:-1]))
    blocks = Blocks(json.loads(compiled.tables[-1]))
    for block in [*Block.all]:
        blocks.made(block)
    Block.watcher = blocks
    loaded.function("use_blocks", 0)(blocks.address)
    return loaded


def checked_program(progress: Progress) -> native.Program:
    """The debug build of this host's program, from the cache or compiled now."""
    key = native.cache_key() + "-debug"
    compiled = load_cached(key)
    if compiled is None:
        progress("compiling the debug build of the core", 0.0)
        compiled = build(*native.generate())
        store_cached(key, compiled)
    return load(compiled)
