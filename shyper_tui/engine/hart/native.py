"""Registry of functions that exist in native code only: they work on host memory besides the hart's state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shyper_tui.engine.core.llvm import value_function

from .state import LAYOUT

NATIVE: list[str] = []
"""IR of the registered functions, in order."""

Describe = Callable[..., None]


@dataclass(frozen=True)
class _Registration:
    parameters: str
    inline: bool

    def __call__(self, describe: Describe) -> Describe:
        NATIVE.append(value_function(LAYOUT, describe.__name__, self.parameters.split(), describe, inline=self.inline))
        return describe


def native(parameters: str = "", *, inline: bool = False) -> _Registration:
    """Registers a native-only value function under its Python name."""
    return _Registration(parameters, inline)
