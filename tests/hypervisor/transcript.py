"""What the conformance guest prints (guests/conformance/steps.h), as values that a test compares."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

CALL = re.compile(r"= (.+) a7=([0-9a-f]+) a0=([0-9a-f]{16}) a1=([0-9a-f]{16}) changed=(\S+)")
BYTES = re.compile(r": (.+) ([0-9a-f]+)")
SWEEP = re.compile(r"# (.+) type=([0-9a-f]{2}) calls=(\d+) refused=(\d+)")
COUNT = re.compile(r"# (.+) (\w+)=(\d+)")


@dataclass(frozen=True)
class Made:
    """A call that was made: its number, a0 and a1 afterwards (signed), registers and CSRs other than a0 it changed."""

    number: int
    a0: int
    a1: int
    changed: tuple[str, ...]


@dataclass
class Transcript:
    """One group of calls. Names may come more than once: their calls stand in order."""

    calls: dict[str, list[Made]] = field(default_factory=lambda: defaultdict(list))
    order: list[Made] = field(default_factory=list)
    data: dict[str, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    sweeps: list[tuple[str, int, int, int]] = field(default_factory=list)
    counts: list[tuple[str, str, int]] = field(default_factory=list)

    def result(self, name: str) -> int:
        """a0 of the one call with that name."""
        (made,) = self.calls[name]
        return made.a0

    def results(self, name: str) -> list[int]:
        return [made.a0 for made in self.calls[name]]


def parse_call(text: str) -> Made:
    """A call as call_print shows it, whatever stands before it."""
    found = CALL.search(text if text.startswith("= ") else f"= _ {text[max(0, text.rfind('a7=')) :]}")
    assert found is not None, text
    changed = () if found[5] == "none" else tuple(found[5].split(","))
    return Made(int(found[2], 16), _signed(found[3]), _signed(found[4]), changed)


def read(text: str) -> Transcript:
    """The transcript of what one `run` printed. Other output may stand before a line's mark."""
    transcript = Transcript()
    for line in text.splitlines():
        if found := CALL.search(line):
            made = parse_call(found[0])
            transcript.calls[found[1]].append(made)
            transcript.order.append(made)
        elif found := BYTES.fullmatch(line):
            transcript.data[found[1]] += bytes.fromhex(found[2])
        elif found := SWEEP.fullmatch(line):
            transcript.sweeps.append((found[1], int(found[2], 16), int(found[3]), int(found[4])))
        elif found := COUNT.fullmatch(line):
            transcript.counts.append((found[1], found[2], int(found[3])))
    return transcript


def _signed(digits: str) -> int:
    value = int(digits, 16)
    return value - (value >> 63 << 64)
