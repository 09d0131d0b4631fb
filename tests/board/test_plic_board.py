"""The PLIC against its specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shyper_tui.engine.board.device import AccessFault
from shyper_tui.engine.board.plic import Plic
from tests.board.wires import RecordedLine

THRESHOLD, CLAIM = 0x20_0000, 0x20_0004


def enable(context: int) -> int:
    return 0x2000 + 0x80 * context


def make(sources: int = 95, contexts: int = 2) -> tuple[Plic, list[RecordedLine]]:
    lines = [RecordedLine() for _ in range(contexts)]
    return Plic(sources, contexts, lines), lines


def ready(*priorities: int) -> tuple[Plic, list[RecordedLine]]:
    """Sources 1.. with these priorities, all enabled in context 0."""
    plic, lines = make()
    for source, priority in enumerate(priorities, 1):
        plic.write(4 * source, 4, priority)
    plic.write(enable(0), 4, 0xFFFF_FFFF)
    return plic, lines


def test_an_enabled_source_reaches_its_context_alone() -> None:
    plic, (first, second) = ready(1)
    plic.raise_line(1)
    assert (first.high(), second.high()) == (True, False)
    assert plic.read(0x1000, 4) == 0b10
    assert plic.read(CLAIM, 4) == 1
    assert (first.high(), plic.read(0x1000, 4)) == (False, 0)


def test_claims_follow_priority_then_number() -> None:
    plic, _ = ready(2, 7, 7, 1)
    for source in (4, 3, 2, 1):
        plic.raise_line(source)
    assert [plic.read(CLAIM, 4) for _ in range(5)] == [2, 3, 1, 4, 0]


def test_priority_zero_never_interrupts() -> None:
    plic, lines = ready(0)
    plic.raise_line(1)
    assert not lines[0].high()
    assert plic.read(CLAIM, 4) == 0
    plic.write(4, 4, 1)
    assert lines[0].high()


def test_the_threshold_masks_the_output_but_not_a_claim() -> None:
    plic, lines = ready(3)
    plic.write(THRESHOLD, 4, 3)
    plic.raise_line(1)
    assert not lines[0].high()
    plic.write(THRESHOLD, 4, 2)
    assert lines[0].high()
    plic.write(THRESHOLD, 4, 7)
    assert not lines[0].high()
    assert plic.read(CLAIM, 4) == 1  # PLIC 1.0.0, "Interrupt Claim Process": not affected by the threshold


def test_a_line_that_is_still_high_at_completion_is_pending_again() -> None:
    plic, lines = ready(1)
    plic.raise_line(1)
    assert plic.read(CLAIM, 4) == 1
    plic.raise_line(1)
    assert (lines[0].high(), plic.read(CLAIM, 4)) == (False, 0)  # the gateway is closed until completion
    plic.write(CLAIM, 4, 1)
    assert lines[0].high()
    assert plic.read(CLAIM, 4) == 1
    plic.lower_line(1)
    plic.write(CLAIM, 4, 1)
    assert (lines[0].high(), plic.read(CLAIM, 4)) == (False, 0)


def test_a_request_stays_when_its_line_falls_before_the_claim() -> None:
    plic, _ = ready(1)
    plic.raise_line(1)
    plic.lower_line(1)
    assert plic.read(CLAIM, 4) == 1


def test_completion_is_ignored_for_sources_not_enabled_or_not_there() -> None:
    plic, _ = ready(1)
    plic.raise_line(1)
    assert plic.read(CLAIM, 4) == 1
    plic.write(CLAIM + 0x1000, 4, 1)  # context 1 has not enabled it
    plic.write(CLAIM, 4, 96)
    plic.write(CLAIM, 4, 0xFFFF_FFFF)
    assert plic.read(CLAIM, 4) == 0
    plic.write(CLAIM, 4, 1)
    assert plic.read(CLAIM, 4) == 1


def test_pulses_are_counted_and_delivered_one_by_one() -> None:
    plic, lines = ready(1)
    for _ in range(3):
        plic.pulse(1)
    for _ in range(3):
        assert lines[0].high()
        assert plic.read(CLAIM, 4) == 1
        assert plic.read(CLAIM, 4) == 0
        plic.write(CLAIM, 4, 1)
    assert (lines[0].high(), plic.read(CLAIM, 4)) == (False, 0)
    assert plic.snapshot().sources[0].count == 3


def test_enabling_and_reprioritising_later_raises_the_output() -> None:
    plic, lines = make()
    plic.raise_line(40)
    plic.write(4 * 40, 4, 1)
    assert not lines[1].high()
    plic.write(enable(1) + 4, 4, 1 << 8)
    assert lines[1].high()
    plic.write(enable(1) + 4, 4, 0)
    assert not lines[1].high()


def test_registers_are_warl_and_the_rest_reads_zero() -> None:
    plic, _ = make()
    plic.write(4, 4, 0xFFFF_FFFF)
    plic.write(THRESHOLD, 4, 100)
    plic.write(enable(0), 4, 0xFFFF_FFFF)
    plic.write(enable(0) + 8, 4, 0xFFFF_FFFF)
    plic.write(enable(0) + 12, 4, 0xFFFF_FFFF)
    plic.write(0, 4, 5)
    plic.write(0x1000, 4, 0xFFFF_FFFF)
    assert (plic.read(4, 4), plic.read(THRESHOLD, 4)) == (7, 7)
    assert plic.read(enable(0), 4) == 0xFFFF_FFFE  # source 0 does not exist
    assert plic.read(enable(0) + 8, 4) == 0xFFFF_FFFF
    for offset in (0, 4 * 96, 0x1000, 0x1FFC, enable(0) + 12, enable(2), THRESHOLD + 8, THRESHOLD + 0x2000, 0x5F_FFFC):
        assert plic.read(offset, 4) == 0


@pytest.mark.parametrize(("offset", "width"), [(0, 1), (4, 8), (CLAIM, 2), (2, 4)])
def test_only_32_bit_accesses_are_answered(offset: int, width: int) -> None:
    plic, _ = make()
    with pytest.raises(AccessFault):
        plic.read(offset, width)
    with pytest.raises(AccessFault):
        plic.write(offset, width, 0)


def test_a_snapshot_shows_all_without_claiming() -> None:
    plic, lines = ready(1, 5)
    plic.raise_line(1)
    plic.raise_line(2)
    assert plic.read(CLAIM, 4) == 2
    state = plic.snapshot()
    assert [(s.source, s.priority, s.pending, s.claimed, s.enabled) for s in state.sources[:3]] == [
        (1, 1, True, False, (0,)),
        (2, 5, False, True, (0,)),
        (3, 0, False, False, (0,)),
    ]
    assert [(c.threshold, c.output) for c in state.contexts] == [(0, True), (0, False)]
    plic.reset()
    assert not lines[0].high()
    assert plic.snapshot().sources[0].pending  # its line is still high


@given(st.lists(st.tuples(st.sampled_from(["raise", "lower", "claim", "complete", "enable", "priority", "threshold"]),
                          st.integers(0, 33), st.integers(0, 9)), max_size=60))  # fmt: skip
def test_the_output_is_always_what_the_registers_say(steps: list[tuple[str, int, int]]) -> None:
    plic, lines = make(sources=32, contexts=2)
    for what, number, value in steps:
        context = value & 1
        if what == "raise" and 1 <= number <= 32:
            plic.raise_line(number)
        elif what == "lower" and 1 <= number <= 32:
            plic.lower_line(number)
        elif what == "claim":
            before = {s.source: s for s in plic.snapshot().sources if s.pending and context in s.enabled and s.priority}
            best = min(before.values(), key=lambda s: (-s.priority, s.source)).source if before else 0
            assert plic.read(CLAIM + 0x1000 * context, 4) == best
        elif what == "complete":
            plic.write(CLAIM + 0x1000 * context, 4, number)
        elif what == "enable":
            plic.write(enable(context) + 4 * (number & 1), 4, (value * 0x1357_9BDF) & 0xFFFF_FFFF)
        elif what == "priority":
            plic.write(4 * number, 4, value)
        else:
            plic.write(THRESHOLD + 0x1000 * context, 4, value)
        state = plic.snapshot()
        for entry in state.contexts:
            expected = any(
                s.pending and entry.context in s.enabled and s.priority > entry.threshold for s in state.sources
            )
            assert lines[entry.context].high() == expected
