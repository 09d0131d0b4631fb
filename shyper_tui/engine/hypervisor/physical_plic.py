"""Driver for the machine's PLIC: the S-mode contexts, through physical loads and stores (RISC-V PLIC specification)."""

from __future__ import annotations

from shyper_tui.engine.firmware.ports import HartPort
from shyper_tui.engine.hypervisor.layout import (
    PLIC_BASE,
    PLIC_CONTEXT,
    PLIC_CONTEXT_STRIDE,
    PLIC_ENABLE,
    PLIC_ENABLE_STRIDE,
    supervisor_context,
)

THRESHOLD, CLAIM_COMPLETE = 0, 4


class PhysicalPlic:
    """The controller at `base`, accessed as by `hart` (any hart reaches all contexts)."""

    def __init__(self, hart: HartPort, base: int = PLIC_BASE) -> None:
        self._hart = hart
        self._base = base

    def set_up(self, hart_id: int) -> None:
        """Let every priority above 0 through to this hart."""
        self._hart.physical_write(self._context(hart_id) + THRESHOLD, 4, 0)

    def claim(self, hart_id: int) -> int:
        """The source to serve, 0 for none."""
        return self._hart.physical_read(self._context(hart_id) + CLAIM_COMPLETE, 4)

    def complete(self, hart_id: int, source: int) -> None:
        self._hart.physical_write(self._context(hart_id) + CLAIM_COMPLETE, 4, source)

    def set_priority(self, source: int, priority: int) -> None:
        self._hart.physical_write(self._base + 4 * source, 4, priority)

    def set_enabled(self, hart_id: int, source: int, enabled: bool) -> None:
        """Switch one source for one hart; the other bits of the word stay."""
        word = (
            self._base + PLIC_ENABLE + PLIC_ENABLE_STRIDE * supervisor_context(hart_id) + 4 * (source // 32)
        )
        bits = self._hart.physical_read(word, 4)
        bit = 1 << source % 32
        self._hart.physical_write(word, 4, bits | bit if enabled else bits & ~bit)

    def _context(self, hart_id: int) -> int:
        return self._base + PLIC_CONTEXT + PLIC_CONTEXT_STRIDE * supervisor_context(hart_id)
