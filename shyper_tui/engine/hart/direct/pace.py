"""Paying for a device's work in native code."""

from __future__ import annotations

from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.hart.native import native
from shyper_tui.engine.isa.value import Value

from . import pace_layout as at


@native("pace now ticks")
def pace_spend(b: LlvmBuilder, pace: Value, now: Value, ticks: Value) -> None:
    """Work that costs `ticks` was done at tick `now`, by a device that was not ahead."""
    even_at = b.host_load(pace, at.EVEN_AT)
    even_at = now.ult(even_at).select(even_at, now) + ticks
    b.host_store(pace, even_at, at.EVEN_AT)
    b.host_store(pace, (even_at - now).uge(at.BURST + 1).zext(), at.AHEAD)
