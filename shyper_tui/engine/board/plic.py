"""RISC-V platform-level interrupt controller (RISC-V PLIC Specification 1.0.0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shyper_tui.engine.board.device import AccessFault, Line
from shyper_tui.engine.hart.direct import plic_layout as at
from shyper_tui.engine.hart.direct.windows_layout import PLIC
from shyper_tui.engine.hart.host_memory import Block
from shyper_tui.engine.hart.program import program


@dataclass(frozen=True, slots=True)
class SourceState:
    """One interrupt source. `enabled` lists contexts; `count` is how many times it has been claimed."""

    source: int
    priority: int
    pending: bool
    claimed: bool
    level: bool
    enabled: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class IrqCount:
    """How often a source has asked (each rise of its line, each edge), been claimed, and been completed."""

    raised: int
    claimed: int
    completed: int


@dataclass(frozen=True, slots=True)
class ContextState:
    """One context: a hart at one privilege level. `output` is the level of its interrupt line."""

    context: int
    threshold: int
    output: bool


@dataclass(frozen=True, slots=True)
class PlicState:
    """Everything a reader of the controller may want to see."""

    sources: tuple[SourceState, ...]
    contexts: tuple[ContextState, ...]


class SourceLine:
    """The input of one source, for a device to drive (`Line`)."""

    def __init__(self, plic: Plic, source: int) -> None:
        self.plic = plic
        self.source = source

    def __call__(self, level: bool) -> None:
        self.plic.set_line(self.source, level)


class Plic:
    """Sources 1..`sources`, `contexts` contexts, one output line per context.

    A gateway is level-sensitive (`raise_line`, `lower_line`) or receives edges (`pulse`), each of which is delivered
    once. As in the specification, a request stays pending when its line falls again, and a claim ignores the
    threshold, which masks the output alone.

    The state lies in host memory (`plic_layout`), because a hart claims and completes without leaving native code where
    it can (`direct`): where `route` has named the word that an output drives, and the source is not watched.
    """

    def __init__(self, sources: int, contexts: int, outputs: Sequence[Line], max_priority: int = 7) -> None:
        if not 1 <= sources <= at.MOST_SOURCES:
            raise ValueError(f"a PLIC has 1 to {at.MOST_SOURCES} sources, not {sources}")
        if not 1 <= contexts <= at.MOST_CONTEXTS:
            raise ValueError(f"a PLIC has 1 to {at.MOST_CONTEXTS} contexts, not {contexts}")
        if len(outputs) != contexts:
            raise ValueError(f"{contexts} contexts need as many outputs, not {len(outputs)}")
        self.source_count = sources
        self.context_count = contexts
        self.max_priority = max_priority
        self._outputs = list(outputs)
        self._all = (1 << (sources + 1)) - 2
        self._state = Block(at.size(contexts))
        self._address = self._state.address
        self._bytes = self._state.bytes
        self._words = self._bytes.cast("Q")
        self._words[at.SOURCES // 8], self._words[at.CONTEXTS // 8] = sources, contexts
        self._words[at.USED // 8] = 8 * (sources // 64 + 1)
        native = program().call
        self._native_claim, self._native_complete = native["plic_claim"], native["plic_complete"]
        self._native_changed = native["plic_changed"]
        self.reset()

    def reset(self) -> None:
        """Back to power-on: nothing enabled, all priorities and thresholds 0. Levels of the lines stay as they are."""
        level = self._set(at.LEVEL)
        self._bytes[at.PENDING : at.WATCHED] = bytes(at.WATCHED - at.PENDING)
        self._bytes[at.PRIORITY : at.ROWS] = bytes(at.ROWS - at.PRIORITY)
        for context in range(self.context_count):
            row = self._row(context)
            self._bytes[row : row + at.TARGET] = bytes(at.TARGET)
        self._put_set(at.PENDING, level)
        self._put_set(at.LEVEL, level)
        self._queued: dict[int, int] = {}  # how many edges of the sources in QUEUED
        self._with_priority = [self._all] + [0] * self.max_priority  # sources of each priority, as bit masks
        for line in self._outputs:
            line(False)

    @property
    def direct(self) -> tuple[int, Block]:
        """See `DirectDevice`."""
        return PLIC, self._state

    def route(self, context: int, word: int, bits: int) -> None:
        """The output of `context` is `bits` of the word at host address `word`, which native code may drive; 0: only
        the output's line knows what to do."""
        first = (self._row(context) + at.TARGET) // 8
        self._words[first], self._words[first + 1] = word, bits

    def watch(self, source: int) -> None:
        """Claims and completions of `source` are left to Python, whose owner wants to see them."""
        self._words[at.WATCHED // 8 + (source >> 6)] |= 1 << (source & 63)

    # State: sets of sources as bit masks (bit n is source n)

    def _row(self, context: int) -> int:
        return at.ROWS + context * at.CONTEXT_SIZE

    def _set(self, offset: int) -> int:
        return int.from_bytes(self._bytes[offset : offset + at.SET_SIZE], "little")

    def _put_set(self, offset: int, sources: int) -> None:
        self._bytes[offset : offset + at.SET_SIZE] = sources.to_bytes(at.SET_SIZE, "little")

    # The sources' side

    def raise_line(self, source: int) -> None:
        """The device asserts its interrupt."""
        words, word, bit = self._words, source >> 6, 1 << (source & 63)
        level = words[_LEVEL + word]
        if not level & bit:
            words[_RAISED + source] += 1
            words[_LEVEL + word] = level | bit
        if not (words[_PENDING + word] | words[_CLAIMED + word]) & bit:
            words[_PENDING + word] |= bit
            self._update()

    def lower_line(self, source: int) -> None:
        """The device takes its interrupt back; a request that is already pending remains."""
        word = _LEVEL + (source >> 6)
        self._words[word] &= ~(1 << (source & 63)) & _ALL_ONES

    def set_line(self, source: int, level: bool) -> None:
        if level:
            self.raise_line(source)
        else:
            self.lower_line(source)

    def line(self, source: int) -> SourceLine:
        """The input of `source` for a device to drive."""
        if not 1 <= source <= self.source_count:
            raise ValueError(f"source {source} is not in 1..{self.source_count}")
        return SourceLine(self, source)

    def pulse(self, source: int) -> None:
        """One edge: one delivery, later if an earlier one is still under way."""
        words, word, bit = self._words, source >> 6, 1 << (source & 63)
        words[_RAISED + source] += 1
        if (words[_PENDING + word] | words[_CLAIMED + word]) & bit:
            self._queued[source] = self._queued.get(source, 0) + 1
            words[_QUEUED + word] |= bit
        else:
            words[_PENDING + word] |= bit
            self._update()

    # The harts' side

    def claim(self, context: int) -> int:
        """The enabled pending source of the highest priority (ties: lowest number), or 0; it stops being pending."""
        source: int = self._native_claim(0, self._address, context)
        if source:
            self._update()
        return source

    def complete(self, context: int, source: int) -> bool:
        """The handler is done: the gateway may forward the next request. Ignored, with False for an answer, unless
        the source is claimed and enabled in this context."""
        if not 0 < source <= self.source_count:
            return False
        if self._native_complete(0, self._address, context, source):
            return True
        words, word, bit = self._words, source >> 6, 1 << (source & 63)
        enabled = words[(self._row(context) + at.ENABLE) // 8 + word]
        if not words[_CLAIMED + word] & enabled & bit:
            return False
        words[_CLAIMED + word] ^= bit
        words[_COMPLETED + source] += 1
        words[_PENDING + word] |= bit  # its line is high, or an edge waits
        if not words[_LEVEL + word] & bit:
            self._queued[source] -= 1
            if not self._queued[source]:
                del self._queued[source]
                words[_QUEUED + word] ^= bit
        self._update()
        return True

    def _update(self) -> None:
        changed = self._native_changed(0, self._address)
        while changed:
            context = (changed & -changed).bit_length() - 1
            changed &= changed - 1
            output = (self._row(context) + at.OUTPUT) // 8
            level = self._words[output] ^ 1
            self._words[output] = level
            self._outputs[context](level == 1)

    def _mask(self, context: int) -> None:
        row, above = self._row(context), 0
        for mask in self._with_priority[self._words[(row + at.THRESHOLD) // 8] + 1 :]:
            above |= mask
        self._put_set(row + at.EFFECTIVE, self._set(row + at.ENABLE) & above)

    # Registers

    def read(self, offset: int, width: int) -> int:
        if width != 4 or offset & 3:
            raise AccessFault(offset, width, "PLIC registers are 32 bits wide")
        if offset >= at.CONTEXT_REGISTERS:
            context, register = divmod(offset - at.CONTEXT_REGISTERS, at.CONTEXT_STRIDE)
            if context < self.context_count:
                if register == at.CLAIM_COMPLETE:
                    return self.claim(context)
                if register == 0:
                    return self._words[(self._row(context) + at.THRESHOLD) // 8]
            return 0
        if offset >= at.ENABLE_REGISTERS:
            context, place = divmod(offset - at.ENABLE_REGISTERS, at.ENABLE_STRIDE)
            return self._register(self._row(context) + at.ENABLE, place) if context < self.context_count else 0
        if offset >= at.PENDING_REGISTERS:
            place = offset - at.PENDING_REGISTERS
            return self._register(at.PENDING, place) if place < at.SET_SIZE else 0
        source = offset >> 2
        return self._words[_PRIORITY + source] if source <= self.source_count else 0

    def _register(self, offset: int, place: int) -> int:
        """32 bits of a set."""
        return int.from_bytes(self._bytes[offset + place : offset + place + 4], "little")

    def write(self, offset: int, width: int, value: int) -> None:
        if width != 4 or offset & 3:
            raise AccessFault(offset, width, "PLIC registers are 32 bits wide")
        if offset >= at.CONTEXT_REGISTERS:
            context, register = divmod(offset - at.CONTEXT_REGISTERS, at.CONTEXT_STRIDE)
            if context < self.context_count:
                if register == at.CLAIM_COMPLETE:
                    self.complete(context, value)
                elif register == 0:
                    self._words[(self._row(context) + at.THRESHOLD) // 8] = min(value, self.max_priority)
                    self._mask(context)
                    self._update()
        elif offset >= at.ENABLE_REGISTERS:
            context, place = divmod(offset - at.ENABLE_REGISTERS, at.ENABLE_STRIDE)
            if context < self.context_count:
                enabled = self._row(context) + at.ENABLE
                self._bytes[enabled + place : enabled + place + 4] = (value & 0xFFFF_FFFF).to_bytes(4, "little")
                self._put_set(enabled, self._set(enabled) & self._all)
                self._mask(context)
                self._update()
        elif offset < at.PENDING_REGISTERS:  # pending bits are read-only
            self.set_priority(offset >> 2, value)

    def set_priority(self, source: int, priority: int) -> None:
        """Priority 0 means "never interrupt"; a value above `max_priority` becomes `max_priority` (WARL)."""
        if not 1 <= source <= self.source_count:
            return
        priority = min(priority, self.max_priority)
        self._with_priority[self._words[_PRIORITY + source]] &= ~(1 << source)
        self._with_priority[priority] |= 1 << source
        self._words[_PRIORITY + source] = priority
        self._put_set(at.ACTIVE, self._all & ~self._with_priority[0])
        for context in range(self.context_count):
            self._mask(context)
        self._update()

    def enabled(self, context: int, source: int) -> bool:
        return bool(self._set(self._row(context) + at.ENABLE) >> source & 1)

    def output(self, context: int) -> bool:
        """The present level of a context's interrupt line."""
        return self._words[(self._row(context) + at.OUTPUT) // 8] == 1

    def statistics(self) -> dict[int, IrqCount]:
        """Counts since power-on, by source; sources that never asked are left out."""
        words = self._words
        return {
            source: IrqCount(words[_RAISED + source], words[_COUNT + source], words[_COMPLETED + source])
            for source in range(1, self.source_count + 1)
            if words[_RAISED + source] or words[_COUNT + source]
        }

    def snapshot(self) -> PlicState:
        """A copy of the state; reading it changes nothing (a claim register would)."""
        contexts = range(self.context_count)
        pending, claimed, level = self._set(at.PENDING), self._set(at.CLAIMED), self._set(at.LEVEL)
        enable = [self._set(self._row(context) + at.ENABLE) for context in contexts]
        sources = tuple(
            SourceState(
                source=source,
                priority=self._words[_PRIORITY + source],
                pending=bool(pending >> source & 1),
                claimed=bool(claimed >> source & 1),
                level=bool(level >> source & 1),
                enabled=tuple(context for context in contexts if enable[context] >> source & 1),
                count=self._words[_COUNT + source],
            )
            for source in range(1, self.source_count + 1)
        )
        thresholds = [self._words[(self._row(context) + at.THRESHOLD) // 8] for context in contexts]
        return PlicState(sources, tuple(ContextState(c, thresholds[c], self.output(c)) for c in contexts))


_ALL_ONES = (1 << 64) - 1
_PENDING, _CLAIMED, _LEVEL, _QUEUED = at.PENDING // 8, at.CLAIMED // 8, at.LEVEL // 8, at.QUEUED // 8
_PRIORITY, _RAISED, _COUNT, _COMPLETED = at.PRIORITY // 8, at.RAISED // 8, at.COUNT // 8, at.COMPLETED // 8
"""Indices of words."""
