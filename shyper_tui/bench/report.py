"""The results of a bench run, as JSON and as a table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal

from shyper_tui.bench import guide, heavy, operations

Clock = Literal["wall", "cpu"]
"""What is compared: wall time as a user feels it, or processor time, which other load on the host disturbs less."""
METHODS = {
    "wall": "best wall time of {repeats} runs, both sides in turns, whole processes with their start-up",
    "cpu": "best processor time (all threads) of {repeats} runs, both sides in turns, whole processes to their end",
}


@dataclass(frozen=True)
class Result:
    """One measurement. `mips`: million instructions per second, start-up included; `ratio`: QEMU's seconds divided by
    ours, None like `qemu_seconds` where QEMU did not run."""

    name: str
    instructions: int
    seconds: float
    mips: float
    qemu_seconds: float | None
    ratio: float | None


@dataclass(frozen=True)
class Remark:
    """Why a measurement was skipped or failed."""

    name: str
    reason: str


@dataclass
class Report:
    """Everything that a bench run found. `qemu`: its version, None where it is not installed."""

    qemu: str | None
    repeats: int
    clock: Clock = "wall"
    results: list[Result] = field(default_factory=list)
    skipped: list[Remark] = field(default_factory=list)
    failed: list[Remark] = field(default_factory=list)
    costs: list[operations.Cost] = field(default_factory=list)
    heavy: list[heavy.HeavyResult] = field(default_factory=list)
    guide: list[guide.GuideResult] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Something was measured and nothing went wrong."""
        return bool(self.results or self.costs or self.heavy or self.guide) and not self.failed

    @property
    def method(self) -> str:
        """How the times were taken."""
        return METHODS[self.clock].format(repeats=self.repeats)

    def to_json(self) -> str:
        """One JSON object; times in seconds."""
        costs = [cost.to_dict() for cost in self.costs]
        guests = heavy.to_dicts(self.heavy)
        tables = {"costs": costs, "heavy": guests, "guide": guide.to_dicts(self.guide)}
        return json.dumps({**asdict(self), **tables, "method": self.method}, indent=2)

    def table(self) -> str:
        """The results for a person."""
        parts = [self._speeds()] if self.results or not (self.costs or self.heavy or self.guide) else []
        if self.costs:
            parts.append(operations.table(self.costs))
        if self.heavy:
            parts.append(heavy.table(self.heavy))
        if self.guide:
            parts.append(guide.table(self.guide))
        peer = f"QEMU: {self.qemu}" if self.qemu else "QEMU is not installed: there is nothing to compare with"
        return "\n\n".join(parts) + f"\n{peer}"

    def _speeds(self) -> str:
        rows = [("name", "instructions", "seconds", "MIPS", "QEMU s", "ratio")]
        for result in self.results:
            numbers = (f"{result.instructions:,}", f"{result.seconds:.3f}", f"{result.mips:.0f}")
            rows.append((result.name, *numbers, _cell(result.qemu_seconds, 3), _cell(result.ratio, 2)))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
            for row in rows
        ]
        legend = f"ratio = QEMU's seconds / ours (above 1: faster than QEMU); {self.method}"
        return "\n".join([*lines, "", legend])


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
