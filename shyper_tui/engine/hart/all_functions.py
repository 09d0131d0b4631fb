"""Imports every module that registers hart functions: generators of the whole hart need them all."""

from __future__ import annotations

from . import csr, csr_access, interrupts, protection, timers, translation, traps
from .functions import FUNCTIONS

MODULES = (timers, interrupts, traps, protection, translation, csr, csr_access)

__all__ = ["FUNCTIONS", "MODULES"]
