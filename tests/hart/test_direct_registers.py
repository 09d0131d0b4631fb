"""Registers that native code answers: a hart cannot tell them from those that the device's Python answers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.engine.board.device import Line
from shyper_tui.engine.board.memory_map import PLIC_BASE, VIRTIO_BASE, VIRTIO_IRQ, VIRTIO_STRIDE
from shyper_tui.engine.board.plic import IrqCount
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.entropy import Entropy
from shyper_tui.engine.hart.direct import windows_layout
from shyper_tui.engine.hart.direct.windows import DirectWindows
from tests.board.reference_plic import ReferencePlic
from tests.core.encoding import word
from tests.hart.bench import Bench, Trap

SOURCES = (1, 2, 10, 31, 32, 63, 64, 95)
CONTEXTS = (0, 1)
THRESHOLD, CLAIM = 0x20_0000, 0x20_0004
MEIP, SEIP = 11, 9


class Subject:
    """A machine with one hart, and a reference of its PLIC that is told the same."""

    def __init__(self, direct: bool) -> None:
        self.bench = Bench()
        self.plic = self.bench.machine.board.plic
        self.windows = self.bench.machine._direct
        if not direct:
            self.bench.hart.use_direct_physical(None)

    def reset(self) -> None:
        for source in range(1, 96):
            self.plic.lower_line(source)
        self.plic.reset()
        self.reference_outputs = [False, False]
        self.reference = ReferencePlic(95, 2, [self._output(context) for context in CONTEXTS])

    def _output(self, context: int) -> Line:
        def line(level: bool) -> None:
            self.reference_outputs[context] = level

        return line

    def access(self, operation: str, offset: int, value: int) -> tuple[Trap | None, int]:
        """A load or store of the hart at an offset into the PLIC; how it ended, and what x11 holds then."""
        self.bench.hart.x[11] = value
        trap = self.bench.load(PLIC_BASE + offset, operation=operation)
        return trap, self.bench.hart.x[11]

    def outputs(self) -> list[bool]:
        lines = self.bench.hart.get("lines")
        return [bool(lines >> bit & 1) for bit in (MEIP, SEIP)]


@dataclass(frozen=True)
class Step:
    """`what` is done: line, pulse, load or store."""

    what: str
    source: int = 0
    level: bool = False
    offset: int = 0
    value: int = 0


_sources = st.sampled_from(SOURCES)
_contexts = st.sampled_from(CONTEXTS)
_offsets = st.one_of(
    _sources.map(lambda source: 4 * source),
    _sources.map(lambda source: 0x1000 + source // 32 * 4),
    st.tuples(_contexts, _sources).map(lambda pair: 0x2000 + 0x80 * pair[0] + pair[1] // 32 * 4),
    _contexts.map(lambda context: THRESHOLD + 0x1000 * context),
    _contexts.map(lambda context: CLAIM + 0x1000 * context),
    _contexts.map(lambda context: CLAIM + 0x1000 * context),
    st.sampled_from([0, 0x1FFC, 0x2100, CLAIM + 0x2000, CLAIM + 0x3F_F000, 0x20_0008]),
)
_values = st.one_of(_sources, st.sampled_from([0, 1, 3, 7, 8, 96, 1023, 1024, 0xFFFF_FFFF]))
_steps = st.one_of(
    st.builds(Step, st.just("line"), _sources, st.booleans()),
    st.builds(Step, st.just("pulse"), _sources),
    st.builds(Step, st.just("load"), offset=_offsets),
    st.builds(Step, st.just("store"), offset=_offsets, value=_values),
)
ENABLED = [
    *(Step("store", offset=4 * source, value=1 + source % 3) for source in SOURCES),
    *(Step("store", offset=0x2000 + 0x80 * context + 4 * word, value=mask)
      for context, mask in ((0, 0x8000_0402), (1, 0x8000_0405)) for word in range(3)),
]  # fmt: skip


@pytest.fixture(scope="module")
def subjects() -> tuple[Subject, Subject]:
    return Subject(direct=True), Subject(direct=False)


def do(subject: Subject, step: Step) -> object:
    """Does a step to the machine and to its reference, and compares them; what the hart saw."""
    seen: object = None
    if step.what == "line":
        subject.plic.set_line(step.source, step.level)
        subject.reference.set_line(step.source, step.level)
    elif step.what == "pulse":
        subject.plic.pulse(step.source)
        subject.reference.pulse(step.source)
    elif step.what == "load":
        trap, value = subject.access("lw", step.offset, 0)
        assert (trap, value & 0xFFFF_FFFF) == (None, subject.reference.read(step.offset, 4))
        seen = value
    else:
        trap, _ = subject.access("sw", step.offset, step.value)
        assert trap is None
        subject.reference.write(step.offset, 4, step.value)
    assert subject.outputs() == subject.reference_outputs
    return seen


@settings(max_examples=60, deadline=None)
@given(st.lists(_steps, max_size=30))
def test_a_plic_does_the_same_whoever_answers(subjects: tuple[Subject, Subject], steps: list[Step]) -> None:
    direct, python = subjects
    for subject in subjects:
        subject.reset()
    for step in (*ENABLED, *steps):
        assert do(direct, step) == do(python, step)
        assert direct.plic.snapshot() == python.plic.snapshot()
    assert direct.plic.statistics() == python.plic.statistics()
    assert (python.windows.loads, python.windows.stores) == (0, 0)


def test_a_claim_and_its_completion_stay_in_native_code(subjects: tuple[Subject, Subject]) -> None:
    direct, _ = subjects
    direct.reset()
    for step in ENABLED:
        do(direct, step)
    loads, stores = direct.windows.loads, direct.windows.stores
    direct.plic.raise_line(31)
    assert direct.outputs() == [True, True]
    assert direct.access("lw", CLAIM, 0) == (None, 31)
    assert direct.outputs() == [False, False]
    direct.plic.lower_line(31)
    assert direct.access("sw", CLAIM, 31) == (None, 31)
    assert (direct.windows.loads, direct.windows.stores) == (loads + 1, stores + 1)
    assert direct.plic.statistics() == {31: IrqCount(1, 1, 1)}


def test_a_completion_with_more_to_deliver_interrupts_again(subjects: tuple[Subject, Subject]) -> None:
    for subject in subjects:
        subject.reset()
        for step in ENABLED:
            do(subject, step)
        subject.plic.raise_line(10)
        assert subject.access("lw", CLAIM, 0) == (None, 10)
        assert not any(subject.outputs())
        subject.access("sw", CLAIM, 10)
        assert subject.outputs() == [True, True]


def test_a_watched_source_is_left_to_python(subjects: tuple[Subject, Subject]) -> None:
    direct, _ = subjects
    direct.reset()
    for step in ENABLED:
        do(direct, step)
    direct.plic.watch(2)
    direct.plic.raise_line(2)
    loads, stores = direct.windows.loads, direct.windows.stores
    assert direct.access("lw", CLAIM + 0x1000, 0) == (None, 2)
    direct.plic.lower_line(2)
    direct.access("sw", CLAIM + 0x1000, 2)
    assert (direct.windows.loads, direct.windows.stores) == (loads, stores)
    assert direct.plic.statistics() == {2: IrqCount(1, 1, 1)}


@pytest.mark.parametrize("operation", ["lb", "lhu", "ld", "sb", "sh", "sd"])
def test_other_widths_are_refused_as_ever(subjects: tuple[Subject, Subject], operation: str) -> None:
    for subject in subjects:
        subject.reset()
        trap, _ = subject.access(operation, CLAIM, 0)
        assert trap is not None
        assert trap.cause == (7 if operation.startswith("s") else 5)


@pytest.mark.parametrize("operation", ["lw", "lwu"])
def test_loads_extend_the_sign_as_they_should(subjects: tuple[Subject, Subject], operation: str) -> None:
    for subject in subjects:
        subject.reset()
        subject.plic.write(0x2000, 4, 0x8000_0000)
        extended = 0xFFFF_FFFF_8000_0000 if operation == "lw" else 0x8000_0000
        assert subject.access(operation, 0x2000, 0) == (None, extended)


def test_a_load_into_x0_still_claims(subjects: tuple[Subject, Subject]) -> None:
    for subject in subjects:
        subject.reset()
        for step in ENABLED:
            do(subject, step)
        subject.plic.raise_line(31)
        subject.bench.hart.x[10] = PLIC_BASE + CLAIM
        assert subject.bench.execute(word("lw", rd=0, rs1=10, imm=0)) is None
        assert subject.bench.hart.x[0] == 0
        assert subject.plic.snapshot().sources[30].claimed


def test_acknowledging_a_virtio_interrupt_lowers_its_line() -> None:
    slot = 3
    base = VIRTIO_BASE + slot * VIRTIO_STRIDE
    for direct in (True, False):
        subject = Subject(direct)
        board, hart = subject.bench.machine.board, subject.bench.hart
        board.connect(slot, Entropy(bytes))
        transport = board.slots[slot]
        transport._interrupt(mmio.USED_BUFFER)
        transport._interrupt(mmio.CONFIG_CHANGE)
        for acknowledged, left in ((mmio.USED_BUFFER, mmio.CONFIG_CHANGE), (0xFFFF_FFFF, 0)):
            hart.x[11] = acknowledged
            assert subject.bench.load(base + mmio.InterruptACK, operation="sw") is None
            assert subject.bench.load(base + mmio.InterruptStatus, operation="lw") is None
            assert (hart.x[11], transport.interrupt_status) == (left, left)
            assert board.plic.snapshot().sources[VIRTIO_IRQ + slot - 1].level == bool(left)
        assert (subject.windows.loads, subject.windows.stores) == ((2, 2) if direct else (0, 0))


def test_a_table_that_is_full_or_cleared_leaves_the_rest_to_python() -> None:
    subject = Subject(direct=True)
    subject.reset()
    subject.plic.write(THRESHOLD, 4, 5)
    windows = DirectWindows()
    subject.bench.hart.use_direct_physical(windows)
    for number in range(windows_layout.MOST):
        windows.add(0x1000 * number, 0x1000, subject.plic)
    windows.add(PLIC_BASE, 0x60_0000, subject.plic)  # one too many
    assert subject.access("lw", THRESHOLD, 0) == (None, 5)
    assert windows.loads == 0
    windows.clear()
    windows.add(PLIC_BASE, 0x60_0000, subject.plic)
    assert subject.access("lw", THRESHOLD, 0) == (None, 5)
    assert windows.loads == 1
    windows.clear()
    assert subject.access("lw", THRESHOLD, 0) == (None, 5)
    assert windows.loads == 1
