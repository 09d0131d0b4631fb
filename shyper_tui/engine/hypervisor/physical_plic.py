"""Driver for the machine's PLIC: the S-mode contexts, through physical loads and stores (RISC-V PLIC specification)."""

from __future__ import annotations

from shyper_tui.engine.board.memory_map import PLIC_BASE
from shyper_tui.engine.firmware.ports import HartPort
from shyper_tui.engine.hypervisor.layout import (
    PLIC_CONTEXT,
    PLIC_CONTEXT_STRIDE,
    PLIC_ENABLE,
    PLIC_ENABLE_STRIDE,
    supervisor_context,
)

THRESHOLD, CLAIM_COMPLETE = 0, 4
WIDTH = 4
"""Bytes of every register."""


class PhysicalPlic:
    """The controller at `base`, accessed as by `hart` (any hart reaches all contexts).

    Several owners may have a source enabled for the same hart; it is on while one of them has. The priority of a source
    is 1 while it is enabled for any hart, else 0, as at power-on.
    """

    def __init__(self, hart: HartPort, base: int = PLIC_BASE) -> None:
        self._hart = hart
        self._base = base
        self._owners: dict[tuple[int, int], list[object]] = {}  # by (hart, source)

    def set_up(self, hart_id: int) -> None:
        """Let every priority above 0 through to this hart."""
        self._hart.physical_write(self._context(hart_id) + THRESHOLD, WIDTH, 0)

    def claim(self, hart_id: int) -> int:
        """The source to serve, 0 for none."""
        return self._hart.physical_read(self._context(hart_id) + CLAIM_COMPLETE, WIDTH)

    def complete(self, hart_id: int, source: int) -> None:
        """The source that `hart_id` claimed is served; its gateway may forward the next request.

        The controller takes this only from a context that has the source enabled, so where that has changed since the
        claim it is enabled for the moment, at a priority that delivers nothing.
        """
        if (hart_id, source) in self._owners:
            self._complete(hart_id, source)
            return
        self._set_priority(source, 0)
        self._set_enabled(hart_id, source, True)
        self._complete(hart_id, source)
        self._set_enabled(hart_id, source, False)
        self._set_priority(source, int(self._enabled_anywhere(source)))

    def enable(self, hart_id: int, source: int, owner: object) -> None:
        """`owner` wants interrupts of `source` on that hart."""
        owners = self._owners.setdefault((hart_id, source), [])
        if not owners:
            self._set_priority(source, 1)
            self._set_enabled(hart_id, source, True)
        if owner not in owners:
            owners.append(owner)

    def disable(self, hart_id: int, source: int, owner: object) -> None:
        """`owner` no longer does."""
        owners = self._owners.get((hart_id, source), [])
        if owner in owners:
            owners.remove(owner)
        if not owners:
            self.switch_off(hart_id, source)

    def switch_off(self, hart_id: int, source: int) -> None:
        """Nobody is to get `source` on that hart."""
        self._owners.pop((hart_id, source), None)
        self._set_enabled(hart_id, source, False)
        if not self._enabled_anywhere(source):
            self._set_priority(source, 0)

    def _enabled_anywhere(self, source: int) -> bool:
        return any(number == source for _, number in self._owners)

    def _complete(self, hart_id: int, source: int) -> None:
        self._hart.physical_write(self._context(hart_id) + CLAIM_COMPLETE, WIDTH, source)

    def _set_priority(self, source: int, priority: int) -> None:
        self._hart.physical_write(self._base + WIDTH * source, WIDTH, priority)

    def _set_enabled(self, hart_id: int, source: int, enabled: bool) -> None:
        """Switch one source for one hart; the other bits of the word stay."""
        word = self._base + PLIC_ENABLE + PLIC_ENABLE_STRIDE * supervisor_context(hart_id) + WIDTH * (source // 32)
        bits = self._hart.physical_read(word, WIDTH)
        bit = 1 << source % 32
        self._hart.physical_write(word, WIDTH, bits | bit if enabled else bits & ~bit)

    def _context(self, hart_id: int) -> int:
        return self._base + PLIC_CONTEXT + PLIC_CONTEXT_STRIDE * supervisor_context(hart_id)
