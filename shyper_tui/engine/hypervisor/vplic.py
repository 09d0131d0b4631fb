"""A VM's interrupt controller: the board's PLIC model with the vCPUs as outputs, and passthrough irqs forwarded to
it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shyper_tui.engine.board.device import Line
from shyper_tui.engine.board.plic import IrqCount, Plic
from shyper_tui.engine.hypervisor.layout import (
    PLIC_CONTEXT,
    PLIC_CONTEXT_STRIDE,
    PLIC_ENABLE,
    PLIC_ENABLE_STRIDE,
    VPLIC_SOURCES,
)
from shyper_tui.engine.hypervisor.physical_plic import PhysicalPlic

CLAIM_COMPLETE = 4


def _nowhere(level: bool) -> None:
    """Output of an M-mode context: guests have no M-mode."""


class VPlic:
    """Device for the VM's bus. Context 2v + 1 is S-mode of vCPU v; 2v exists and leads nowhere.

    A passthrough irq is claimed at the physical PLIC, raised here, and completed physically only when the guest
    completes it.
    The guest's enable bits of passthrough sources are repeated on the physical PLIC for the core of that vCPU; those of
    emulated sources never are.
    """

    def __init__(
        self,
        outputs: Sequence[Line],
        cores: Sequence[int],
        passthrough: frozenset[int],
        physical: PhysicalPlic,
        on_claim: Callable[[int], None],
    ) -> None:
        lines: list[Line] = [line for output in outputs for line in (_nowhere, output)]
        self.plic = Plic(VPLIC_SOURCES, len(lines), lines)
        self.passthrough = passthrough
        self._cores = list(cores)
        self._physical = physical
        self._on_claim = on_claim
        self._claimed: set[int] = set()
        self._forwarded: dict[int, int] = {}  # source: hart that claimed it
        self._enabled: set[tuple[int, int]] = set()  # (hart, source) switched on at the physical PLIC

    @property
    def statistics(self) -> dict[int, IrqCount]:
        """Interrupts by source since the VM was started."""
        return self.plic.statistics()

    def wants(self, source: int, hart_id: int) -> bool:
        """Whether the guest has enabled this passthrough irq on a vCPU of that core."""
        return (hart_id, source) in self._enabled

    def forward(self, source: int, hart_id: int) -> None:
        """A passthrough irq has been claimed by `hart_id` at the physical PLIC."""
        self._forwarded[source] = hart_id
        self.plic.raise_line(source)

    def read(self, offset: int, width: int) -> int:
        value = self.plic.read(offset, width)
        if value and self._is_claim(offset):
            self._claimed.add(value)
            self._on_claim(value)
        return value

    def write(self, offset: int, width: int, value: int) -> None:
        if self._is_claim(offset):
            self._complete((offset - PLIC_CONTEXT) // PLIC_CONTEXT_STRIDE, offset, width, value)
            return
        self.plic.write(offset, width, value)
        if PLIC_ENABLE <= offset < PLIC_CONTEXT:
            self._mirror_enables((offset - PLIC_ENABLE) // PLIC_ENABLE_STRIDE)

    def reset(self) -> None:
        """Power-on state for the guest; the machine's PLIC forgets this VM."""
        for hart_id, source in self._enabled:
            self._physical.set_enabled(hart_id, source, False)
        self._enabled.clear()
        for source, hart_id in list(self._forwarded.items()):
            self._finish_physical(source, hart_id)
        self._claimed.clear()
        self.plic.reset()

    def _is_claim(self, offset: int) -> bool:
        context, register = divmod(offset - PLIC_CONTEXT, PLIC_CONTEXT_STRIDE)
        return register == CLAIM_COMPLETE and 0 <= context < self.plic.context_count

    def _complete(self, context: int, offset: int, width: int, source: int) -> None:
        taken = source in self._claimed and self.plic.enabled(context, source)
        if taken:
            self._claimed.discard(source)
            if source in self._forwarded:
                self.plic.lower_line(source)
        self.plic.write(offset, width, source)
        if taken and source in self._forwarded:
            self._finish_physical(source, self._forwarded[source])

    def _finish_physical(self, source: int, hart_id: int) -> None:
        """Complete at the physical PLIC, where completion needs the source to be enabled for the hart."""
        del self._forwarded[source]
        self.plic.lower_line(source)
        enabled = (hart_id, source) in self._enabled
        if not enabled:
            self._physical.set_priority(source, 0)  # open the gateway without another delivery
            self._physical.set_enabled(hart_id, source, True)
        self._physical.complete(hart_id, source)
        if not enabled:
            self._physical.set_enabled(hart_id, source, False)
            self._physical.set_priority(source, 1)

    def _mirror_enables(self, context: int) -> None:
        vcpu, supervisor = divmod(context, 2)
        if not supervisor or vcpu >= len(self._cores):
            return
        hart_id = self._cores[vcpu]
        for source in self.passthrough:
            key = (hart_id, source)
            wanted = self.plic.enabled(context, source)
            if wanted and key not in self._enabled:
                self._physical.set_priority(source, 1)
                self._physical.set_enabled(hart_id, source, True)
                self._enabled.add(key)
            elif not wanted and key in self._enabled:
                self._physical.set_enabled(hart_id, source, False)
                self._enabled.discard(key)
