"""A VM's interrupt controller: the board's PLIC model with the vCPUs as outputs, and passthrough irqs forwarded to
it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shyper_tui.engine.board.device import Line
from shyper_tui.engine.board.plic import IrqCount, Plic
from shyper_tui.engine.firmware.ports import HartPort
from shyper_tui.engine.hart.host_memory import Block
from shyper_tui.engine.hypervisor.csr_bits import VSEIP
from shyper_tui.engine.hypervisor.layout import (
    PLIC_CONTEXT,
    PLIC_CONTEXT_STRIDE,
    PLIC_ENABLE,
    PLIC_ENABLE_STRIDE,
    VPLIC_SOURCES,
    supervisor_context,
)
from shyper_tui.engine.hypervisor.physical_plic import CLAIM_COMPLETE, WIDTH, PhysicalPlic


def _nowhere(level: bool) -> None:
    """Output of an M-mode context: guests have no M-mode."""


class VPlic:
    """Device for the VM's bus. Context 2v + 1 is S-mode of vCPU v; 2v exists and leads nowhere.

    Registers are 32 bits wide; another access is refused, as the PLIC specification allows no other. A passthrough irq
    is claimed at the physical PLIC, given to the guest as one edge, and completed physically only when the guest
    completes it. The guest's enable bits of passthrough sources are repeated on the physical PLIC for the core of that
    vCPU; those of emulated sources never are.
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
        for source in passthrough:
            if 1 <= source <= VPLIC_SOURCES:
                self.plic.watch(source)
        self._cores = list(cores)
        self._physical = physical
        self._on_claim = on_claim
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
        self.plic.pulse(source)

    @property
    def direct(self) -> tuple[int, Block]:
        """See `DirectDevice`."""
        return self.plic.direct

    def external(self, vcpu: int) -> bool:
        """The present level of the output of that vCPU's S-mode context."""
        return self.plic.output(supervisor_context(vcpu))

    def load(self, vcpu: int, hart: HartPort) -> None:
        """That vCPU is on `hart` now: native code may drive its hvip."""
        self.plic.route(supervisor_context(vcpu), hart.field_address("hvip"), VSEIP)

    def save(self, vcpu: int) -> None:
        """That vCPU has left its hart."""
        self.plic.route(supervisor_context(vcpu), 0, 0)

    def read(self, offset: int, width: int) -> int:
        value = self.plic.read(offset, width)
        if value and self._claim_context(offset) is not None:
            self._on_claim(value)
        return value

    def write(self, offset: int, width: int, value: int) -> None:
        context = self._claim_context(offset)
        if context is not None and width == WIDTH:
            if self.plic.complete(context, value) and value in self._forwarded:
                self._physical.complete(self._forwarded.pop(value), value)
            return
        self.plic.write(offset, width, value)
        if PLIC_ENABLE <= offset < PLIC_CONTEXT:
            self._mirror_enables((offset - PLIC_ENABLE) // PLIC_ENABLE_STRIDE)

    def reset(self) -> None:
        """Power-on state for the guest; the machine's PLIC forgets this VM."""
        for hart_id, source in self._enabled:
            self._physical.disable(hart_id, source, self)
        self._enabled.clear()
        for source, hart_id in self._forwarded.items():
            self._physical.complete(hart_id, source)
        self._forwarded.clear()
        self.plic.reset()

    def _claim_context(self, offset: int) -> int | None:
        """The context whose claim/complete register lies at `offset`."""
        if offset < PLIC_CONTEXT:
            return None
        context, register = divmod(offset - PLIC_CONTEXT, PLIC_CONTEXT_STRIDE)
        return context if register == CLAIM_COMPLETE and context < self.plic.context_count else None

    def _mirror_enables(self, context: int) -> None:
        vcpu, supervisor = divmod(context, 2)
        if not supervisor or vcpu >= len(self._cores):
            return
        hart_id = self._cores[vcpu]
        for source in self.passthrough:
            key = (hart_id, source)
            wanted = self.plic.enabled(context, source)
            if wanted and key not in self._enabled:
                self._physical.enable(hart_id, source, self)
                self._enabled.add(key)
            elif not wanted and key in self._enabled:
                self._physical.disable(hart_id, source, self)
                self._enabled.discard(key)
