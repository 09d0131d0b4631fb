"""VM exits: one module per kind of cause; importing this package fills the table."""

from __future__ import annotations

from shyper_tui.engine.hypervisor.exits import calls, instructions, memory
from shyper_tui.engine.hypervisor.exits.table import EXITS, Trap

__all__ = ["EXITS", "Trap", "calls", "instructions", "memory"]
