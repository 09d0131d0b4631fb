"""Imports every module that registers hart functions: generators of the whole hart need them all."""

from __future__ import annotations

from . import (
    code_pages,
    csr,
    csr_access,
    debt,
    group_functions,
    interrupts,
    protection,
    shared_time,
    timers,
    tlb,
    translation,
    traps,
    turn_time,
    turns,
)
from .direct import dispatch, memory, net, pace, plic, queue, virtio
from .functions import FUNCTIONS
from .native import NATIVE

MODULES = (timers, interrupts, traps, protection, translation, csr, csr_access)
NATIVE_MODULES = (
    tlb, code_pages, debt, shared_time, group_functions, plic, memory, pace, queue, net, virtio, dispatch, turn_time,
    turns,
)  # fmt: skip

__all__ = ["FUNCTIONS", "MODULES", "NATIVE", "NATIVE_MODULES"]
