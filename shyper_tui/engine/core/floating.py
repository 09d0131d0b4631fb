"""Rounded floating point for both back ends: what `Semantics.fp` is made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from shyper_tui.engine.isa.float_format import widths
from shyper_tui.engine.isa.value import Value

from . import hostfloat, softfloat
from .llvm import LlvmBuilder
from .pysource import PythonBuilder

_host_has_fma = cache(hostfloat.host_has_fma)

ENVIRONMENT = {"float_perform": softfloat.perform}
"""Names that generated Python source needs for `in_python`."""


def native(
    builder: LlvmBuilder, operation: str, rounding: Value, operands: tuple[Value, ...], leave: Callable[[], None]
) -> tuple[Value, Value]:
    """Result and flags on the host's unit; where they are not certain, `leave` ends the handler before any effect.

    The module needs `hostfloat.DECLARATIONS`.
    """
    fast = hostfloat.perform(builder, operation, rounding, operands, fma=_host_has_fma())
    with builder.if_(~fast.ok, False):
        leave()
    return fast.result, fast.flags


def in_python(
    builder: PythonBuilder, operation: str, rounding: Value, operands: tuple[Value, ...]
) -> tuple[Value, Value]:
    """Result and flags by exact arithmetic; the source needs `ENVIRONMENT`."""
    arguments = ", ".join(builder.text(value, value.width) for value in (rounding, *operands))
    pair = builder.define(f"float_perform({operation!r}, {arguments})")
    result = Value(builder, builder.define(f"{pair}[0]"), widths(operation)[1])
    return result, Value(builder, builder.define(f"{pair}[1]"))
