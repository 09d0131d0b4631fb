"""Registry of the hart's generated functions: described once over `Builder`, they exist natively and in Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shyper_tui.engine.core import llvm, pysource

from .state import LAYOUT

Describe = Callable[..., None]


@dataclass(frozen=True)
class HartFunction:
    """`describe(builder, *arguments)` emits the body; 64-bit arguments and result."""

    name: str
    parameters: list[str]
    describe: Describe
    inline: bool

    def native(self) -> str:
        return llvm.value_function(LAYOUT, self.name, self.parameters, self.describe, inline=self.inline)

    def python(self) -> str:
        return pysource.value_function(LAYOUT, self.name, self.parameters, self.describe)


FUNCTIONS: dict[str, HartFunction] = {}


def hart_function(parameters: str = "", *, inline: bool = False) -> Callable[[Describe], Describe]:
    """Registers a function under its Python name."""

    def register(describe: Describe) -> Describe:
        name = describe.__name__
        FUNCTIONS[name] = HartFunction(name, parameters.split(), describe, inline)
        return describe

    return register


NATIVE_ONLY = (
    "flush_translations", "forget_contexts", "sfence_vma", "hfence_vvma", "hfence_gvma", "known_table", "note_table",
)  # fmt: skip
"""What keeps, finds and drops cached translations: the Python forms have none."""


def python_functions(environment: dict[str, Any], only: tuple[str, ...] = ()) -> dict[str, Any]:
    """The Python forms (all, or `only` some), linked with each other and with what `environment` supplies."""
    space: dict[str, Any] = dict(pysource.ENVIRONMENT)
    for name in NATIVE_ONLY:
        space[name] = _nothing_cached
    space["observed_time"] = _own_time
    space.update(environment)
    chosen = [FUNCTIONS[name] for name in only] if only else FUNCTIONS.values()
    exec("\n".join(function.python() for function in chosen), space)
    return space


def _own_time(state: Any, mtime: int) -> int:
    """The Python forms know a single hart."""
    return mtime


def _nothing_cached(*arguments: Any) -> int:
    return 0
