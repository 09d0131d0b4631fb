"""What VM exits cost: how many of each cause, and the host's time they took."""

from __future__ import annotations

from dataclasses import dataclass

from shyper_tui.engine.hart.direct.windows import DirectWindows
from shyper_tui.engine.hart.fields import INTERRUPT_BIT, Cause
from shyper_tui.engine.hypervisor.exits.record import cause_name

KINDS = 64
"""32 exceptions, then 32 interrupts: the place of a cause is its number, with 32 added for an interrupt."""


@dataclass(frozen=True, slots=True)
class ExitRow:
    """One cause (value of scause): `count` exits that took the host `time_ns` nanoseconds in the hypervisor."""

    cause: int
    name: str
    count: int
    time_ns: int


class ExitStatistics:
    """Exits of one VM by cause. Guest-page faults that native code answers (`direct`) count like others."""

    __slots__ = ("_counts", "_direct", "_times")

    def __init__(self, direct: DirectWindows) -> None:
        self._counts = [0] * KINDS
        self._times = [0] * KINDS
        self._direct = direct

    def add(self, cause: int, nanoseconds: int) -> None:
        """One more exit with this scause. Runs at every exit, so it only adds to two lists."""
        place = cause & 31 | cause >> 58 & 32
        self._counts[place] += 1
        self._times[place] += nanoseconds

    @property
    def counts(self) -> list[int]:
        """Exits by place (`KINDS`)."""
        counts = list(self._counts)
        counts[Cause.LOAD_GUEST_PAGE] += self._direct.loads
        counts[Cause.STORE_GUEST_PAGE] += self._direct.stores
        return counts

    @property
    def times(self) -> list[int]:
        """Nanoseconds of the host that they took, by place (`KINDS`)."""
        times = list(self._times)
        times[Cause.LOAD_GUEST_PAGE] += self._direct.load_time
        times[Cause.STORE_GUEST_PAGE] += self._direct.store_time
        return times

    def count(self, cause: int) -> int:
        """Exits with this scause so far."""
        return self.counts[cause & 31 | cause >> 58 & 32]

    @property
    def total(self) -> int:
        """Exits of all causes."""
        return sum(self.counts)

    def rows(self) -> list[ExitRow]:
        """The causes that have occurred, most frequent first."""
        rows = [
            ExitRow(cause, cause_name(cause), count, time_ns)
            for place, (count, time_ns) in enumerate(zip(self.counts, self.times, strict=True))
            if count
            for cause in (place if place < 32 else INTERRUPT_BIT | place - 32,)
        ]
        return sorted(rows, key=lambda row: (-row.count, row.cause))
