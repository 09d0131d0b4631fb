"""Instructions that native code leaves to Python, executed by the evaluator on the native hart's state."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .bus_port import BusFault, BusPort
from .hart import Hart
from .host_memory import HostMemory
from .program import Program

if TYPE_CHECKING:
    from .evaluator import Evaluator


class SlowPath:
    """`step(hart)` executes the instruction at the hart's pc. The evaluator is built at first use."""

    def __init__(self, core: Program, memory: HostMemory, bus: BusPort) -> None:
        self._core = core
        self._memory = memory
        self._bus = bus
        self._evaluator: Evaluator | None = None
        self._state = 0

    def step(self, hart: Hart) -> bool:
        """True when a trap entered a mode whose software is Python."""
        if self._evaluator is None:
            from .evaluator import Evaluator  # brings all instructions with it: most runs need none of them

            self._evaluator = Evaluator(self._functions(), self)
        self._state = hart.address
        return self._evaluator.step(hart.words)

    def _functions(self) -> dict[str, Any]:
        from . import csr, translation  # noqa: F401  (they register functions)
        from .functions import python_functions

        functions = python_functions({}, only=("dirty_fs", "data_privilege"))
        for name, native in self._core.call.items():
            functions[name] = _on_state(native)
        return functions

    # PhysicalAccess
    def is_ram(self, pa: int) -> bool:
        return self._memory.contains(pa)

    def load(self, pa: int, size: int) -> int | None:
        if self._memory.contains(pa, size):
            offset = pa - self._memory.base
            return int.from_bytes(self._memory.ram.bytes[offset : offset + size], "little")
        try:
            return self._bus.read(pa, size)
        except BusFault:
            return None

    def store(self, pa: int, size: int, value: int) -> bool:
        if self._memory.contains(pa, size):
            self._core.call["store_physical"](self._state, pa, size, value)
            return True
        try:
            self._bus.write(pa, size, value)
        except BusFault:
            return False
        return True


def _on_state(native: Callable[..., int]) -> Callable[..., int]:
    """A native function with the calling convention of generated Python."""

    def call(s: Any, *arguments: int) -> int:
        return native(ctypes.addressof(s), *arguments) & (1 << 64) - 1

    return call
