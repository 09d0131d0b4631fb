"""A second PLIC, written for tests in plain Python (RISC-V PLIC Specification 1.0.0): the board's, whose claims and
completions are native code, has to do the same."""

from __future__ import annotations

from collections.abc import Sequence

from shyper_tui.engine.board.device import AccessFault, Line

_PENDING, _ENABLE, _CONTEXT = 0x1000, 0x2000, 0x20_0000
_ENABLE_STRIDE, _CONTEXT_STRIDE = 0x80, 0x1000
_CLAIM_COMPLETE = 4


class ReferencePlic:
    """Sources 1..`sources` and `contexts` contexts; sets of sources are ints used as bit masks (bit n is source n)."""

    def __init__(self, sources: int, contexts: int, outputs: Sequence[Line], max_priority: int = 7) -> None:
        self.source_count = sources
        self.context_count = contexts
        self.max_priority = max_priority
        self._outputs = list(outputs)
        self._all = (1 << (sources + 1)) - 2
        self._level = 0
        self.reset()

    def reset(self) -> None:
        """Back to power-on: nothing enabled, all priorities and thresholds 0. Levels of the lines stay as they are."""
        self._pending = self._level
        self._claimed = 0
        self._queued: dict[int, int] = {}  # pulses that wait for their gateway
        self._priority = [0] * (self.source_count + 1)
        self._with_priority = [self._all] + [0] * self.max_priority  # masks: sources of each priority
        self._enable = [0] * self.context_count
        self._threshold = [0] * self.context_count
        self._effective = [0] * self.context_count  # enabled and above the threshold
        self._raised = [0] * (self.source_count + 1)
        self._count = [0] * (self.source_count + 1)
        self._completed = [0] * (self.source_count + 1)
        self._output = [False] * self.context_count
        for line in self._outputs:
            line(False)

    # The sources' side

    def raise_line(self, source: int) -> None:
        """The device asserts its interrupt."""
        bit = 1 << source
        if not self._level & bit:
            self._raised[source] += 1
        self._level |= bit
        if not (self._pending | self._claimed) & bit:
            self._pending |= bit
            self._update()

    def lower_line(self, source: int) -> None:
        """The device takes its interrupt back; a request that is already pending remains."""
        self._level &= ~(1 << source)

    def set_line(self, source: int, level: bool) -> None:
        if level:
            self.raise_line(source)
        else:
            self.lower_line(source)

    def pulse(self, source: int) -> None:
        """One edge: one delivery, later if an earlier one is still under way."""
        bit = 1 << source
        self._raised[source] += 1
        if (self._pending | self._claimed) & bit:
            self._queued[source] = self._queued.get(source, 0) + 1
        else:
            self._pending |= bit
            self._update()

    # The harts' side

    def claim(self, context: int) -> int:
        """The enabled pending source of the highest priority (ties: lowest number), or 0; it stops being pending."""
        candidates = self._pending & self._enable[context] & ~self._with_priority[0]
        if not candidates:
            return 0
        if candidates & (candidates - 1):
            for mask in reversed(self._with_priority):
                if candidates & mask:
                    candidates &= mask
                    break
        bit = candidates & -candidates
        source = bit.bit_length() - 1
        self._pending ^= bit
        self._claimed |= bit
        self._count[source] += 1
        self._update()
        return source

    def complete(self, context: int, source: int) -> bool:
        """The handler is done: the gateway may forward the next request. Ignored, with False for an answer, unless
        the source is claimed and enabled in this context."""
        if not 0 < source <= self.source_count:
            return False
        bit = 1 << source
        if not self._claimed & self._enable[context] & bit:
            return False
        self._claimed ^= bit
        self._completed[source] += 1
        if self._level & bit:
            self._pending |= bit
            self._update()
        elif source in self._queued:
            self._pending |= bit
            self._queued[source] -= 1
            if not self._queued[source]:
                del self._queued[source]
            self._update()
        return True

    def _update(self) -> None:
        pending = self._pending
        for context, effective in enumerate(self._effective):
            level = pending & effective != 0
            if level != self._output[context]:
                self._output[context] = level
                self._outputs[context](level)

    def _mask(self, context: int) -> None:
        above = 0
        for mask in self._with_priority[self._threshold[context] + 1 :]:
            above |= mask
        self._effective[context] = self._enable[context] & above

    # Registers

    def read(self, offset: int, width: int) -> int:
        if width != 4 or offset & 3:
            raise AccessFault(offset, width, "PLIC registers are 32 bits wide")
        if offset >= _CONTEXT:
            context, register = divmod(offset - _CONTEXT, _CONTEXT_STRIDE)
            if context < self.context_count:
                if register == _CLAIM_COMPLETE:
                    return self.claim(context)
                if register == 0:
                    return self._threshold[context]
            return 0
        if offset >= _ENABLE:
            context, register = divmod(offset - _ENABLE, _ENABLE_STRIDE)
            return self._enable[context] >> register * 8 & 0xFFFF_FFFF if context < self.context_count else 0
        if offset >= _PENDING:
            return self._pending >> (offset - _PENDING) * 8 & 0xFFFF_FFFF
        source = offset >> 2
        return self._priority[source] if source <= self.source_count else 0

    def write(self, offset: int, width: int, value: int) -> None:
        if width != 4 or offset & 3:
            raise AccessFault(offset, width, "PLIC registers are 32 bits wide")
        if offset >= _CONTEXT:
            context, register = divmod(offset - _CONTEXT, _CONTEXT_STRIDE)
            if context < self.context_count:
                if register == _CLAIM_COMPLETE:
                    self.complete(context, value)
                elif register == 0:
                    self._threshold[context] = min(value, self.max_priority)
                    self._mask(context)
                    self._update()
        elif offset >= _ENABLE:
            context, register = divmod(offset - _ENABLE, _ENABLE_STRIDE)
            if context < self.context_count:
                kept = self._enable[context] & ~(0xFFFF_FFFF << register * 8)
                self._enable[context] = (kept | value << register * 8) & self._all
                self._mask(context)
                self._update()
        elif offset < _PENDING:  # pending bits are read-only
            self.set_priority(offset >> 2, value)

    def set_priority(self, source: int, priority: int) -> None:
        """Priority 0 means "never interrupt"; a value above `max_priority` becomes `max_priority` (WARL)."""
        if not 1 <= source <= self.source_count:
            return
        priority = min(priority, self.max_priority)
        self._with_priority[self._priority[source]] &= ~(1 << source)
        self._with_priority[priority] |= 1 << source
        self._priority[source] = priority
        for context in range(self.context_count):
            self._mask(context)
        self._update()

    def enabled(self, context: int, source: int) -> bool:
        return bool(self._enable[context] >> source & 1)
