"""Zifencei: instruction-fetch fence."""

from __future__ import annotations

from .instruction import instruction
from .semantics import Semantics


@instruction("fence.i", "------------ ----- 001 ----- 0001111")
def fence_i(s: Semantics) -> None:
    """Nothing to do: stores into decoded code reset its records at once, on every hart."""
