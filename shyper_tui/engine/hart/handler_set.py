"""Collects the non-instruction handlers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shyper_tui.engine.core.interpreter import HandlerBuilder, handler_function
from shyper_tui.engine.isa.value import Value

from .state import LAYOUT


class Handlers:
    """Collects IR."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    @contextmanager
    def handler(self, name: str, attribute: str = "noinline") -> Iterator[tuple[HandlerBuilder, Value, Value, Value]]:
        """(builder, a, b, c) of a handler with three arguments."""
        builder = HandlerBuilder(LAYOUT)
        yield builder, *(Value(builder, f"%{n}") for n in "abc")  # type: ignore[misc]
        if not builder.ended:
            builder.emit("unreachable")
        self.parts.append(handler_function(name, builder.body(), attribute))
