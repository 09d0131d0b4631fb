"""All harts of a machine, for what it asks of them together between turns."""

from __future__ import annotations

from collections.abc import Sequence

from . import group_layout as at
from .hart import Hart
from .host_memory import Block


class HartGroup:
    """Sets of harts are bit masks: bit n is hart n."""

    def __init__(self, harts: Sequence[Hart]) -> None:
        if not 1 <= len(harts) <= at.MOST_HARTS:
            raise ValueError(f"a machine has 1 to {at.MOST_HARTS} harts, not {len(harts)}")
        self.harts = list(harts)
        self.all = (1 << len(harts)) - 1
        self._block = Block(at.SIZE)
        self._address = self._block.address
        self._words = self._block.bytes.cast("Q")
        self._words[at.HARTS // 8] = len(harts)
        for hart in harts:
            self._words[at.STATES // 8 + hart.hart_id] = hart.address
        native = harts[0].native
        self._survey, self._sleep = native["group_survey"], native["group_sleep"]
        self._note_inputs, self._interrupted = native["group_note_inputs"], native["group_interrupted"]

    def idle(self) -> int:
        """Those that wait, with nothing pending that ends it."""
        found: int = self._survey(0, self._address)
        return found

    @property
    def soonest(self) -> int:
        """The cycle of the next timer of those that were idle when last asked; all ones when none is set."""
        return self._words[at.SOONEST // 8]

    def sleep_until(self, idle: int, cycle: int) -> None:
        """Time passes for the harts in `idle`, without an instruction."""
        self._sleep(0, self._address, idle, cycle)

    def note_inputs(self) -> None:
        """Begins to look for interrupts that one hart causes for another."""
        self._note_inputs(0, self._address)

    def interrupted_by(self, own: int) -> Hart | None:
        """The first hart, other than `own`, that has been interrupted or started since `note_inputs`."""
        found: int = self._interrupted(0, self._address, own)
        return self.harts[found - 1] if found else None
