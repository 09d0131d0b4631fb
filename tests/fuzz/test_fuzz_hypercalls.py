"""Random hypercalls of the managing VM and of a guest, in any order, with the machine running in between."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st

from shyper_tui.config import read_vm
from shyper_tui.config.writer import write_vm
from shyper_tui.engine.definitions import configuration
from tests.fuzz.cases import fuzz, numbers
from tests.fuzz.puppet import JUMP_TO_SELF, MVM_BASE, MVM_SIZE, Puppets

PAGE = MVM_BASE + (1 << 20)
NAME, CMDLINE, SETTINGS, IRQS, KERNEL, STRUCT, LIST, RING, DISK = (PAGE + 0x1000 * index for index in range(9))
GUEST_RAM, GUEST_END = 0x8000_0000, 0x8100_0000
POINTERS = (NAME, CMDLINE, SETTINGS, IRQS, KERNEL, STRUCT, LIST, RING, DISK, MVM_BASE, MVM_BASE + MVM_SIZE,
            MVM_BASE + MVM_SIZE - 8, GUEST_RAM, GUEST_END - 8, 0x8020_0000, 0x1000_0000, 0x0C00_0000)  # fmt: skip

HYPERCALL = 0x0A00_0000
EVENTS = [*range(0x006), *range(0x100, 0x118), *range(0x200, 0x208), 0x207, *range(0x330, 0x333), 0x401,
          *range(0x1100, 0x1110), 0x1200, 0x1211, 0xFFFF]  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A hypercall of a VM."""

    vm: int
    number: int
    args: tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """The machine runs for some cycles."""

    cycles: int


@dataclass(frozen=True)
class Store:
    """The VM writes into what it will point to."""

    address: int
    data: bytes


Step = Call | Run | Store

ids = st.sampled_from([2, 2, 2, 2, 3, 3, 1, 1, 0, 4, 8])
values = numbers(*POINTERS)
wild = st.builds(
    Call,
    st.sampled_from([0, 0, 1]),
    st.one_of(st.sampled_from(EVENTS), st.integers(0, 0xFF_FFFF)).map(lambda event: HYPERCALL | event),
    st.tuples(st.one_of(ids, values), values, values, values, values, values, values),
)

sizes = st.sampled_from([0, 1, 4096, 1 << 20, 16 << 20, 64 << 20, 1 << 30, 1 << 40])
addresses = st.sampled_from([0, 0x8000_0000, 0x8010_0000, 0x8020_0000, 0x8800_0000, 0x4000_1000, 0x1000_1000, 1 << 40])


def _call(event: int, *args: st.SearchStrategy[int]) -> st.SearchStrategy[Call]:
    return st.tuples(*args).map(lambda chosen: Call(0, HYPERCALL | event, chosen))


just = st.just
sensible = st.one_of(
    _call(0x1100, just(STRUCT)),
    _call(0x1102, ids, st.integers(0, 4), st.integers(0, 31), st.integers(0, 4)),
    _call(0x1103, ids, addresses, sizes),
    _call(0x1104, ids, just(NAME), addresses, sizes, st.integers(0, 70), just(SETTINGS), st.integers(0, 14)),
    _call(0x1105, ids, addresses, addresses, sizes),
    _call(0x1106, ids, just(IRQS), st.integers(0, 20)),
    _call(0x1107, ids, just(IRQS), st.integers(0, 3)),
    _call(0x1108, ids, just(NAME), st.integers(0, 6), just(IRQS), st.integers(0, 9), addresses, sizes),
    _call(0x1109, ids, sizes, just(KERNEL), st.sampled_from([0, 4, 4096, 1 << 20]), st.integers(0, 5000)),
    _call(0x110A, ids, just(2), just(IRQS), just(1)),
    _call(0x110B, ids, sizes, just(KERNEL), just(0), st.integers(0, 5000)),
    _call(0x0102, ids),
    _call(0x0103, st.builds(lambda vm, force: vm | force << 16, ids, st.integers(0, 1))),
    _call(0x0104, st.builds(lambda vm, force: vm | force << 16, ids, st.integers(0, 1))),
    _call(0x0110, ids),
    _call(0x1101, ids),
    _call(0x0200, just(LIST), just(RING)),
    _call(0x0330, just(0), just(DISK)),
    _call(0x0331, just(DISK)),
)
stores = st.builds(
    Store,
    st.builds(int.__add__, st.sampled_from([NAME, SETTINGS, IRQS, KERNEL, STRUCT, DISK]), st.integers(0, 128)),
    st.one_of(st.binary(max_size=40), values.map(lambda value: struct.pack("<Q", value))),
)
runs = st.builds(Run, st.sampled_from([100, 3000, 20_000]))
CONFIGURED: list[Step] = [
    Call(0, HYPERCALL | 0x1100, (STRUCT,)),
    Call(0, HYPERCALL | 0x1102, (2, 1, 0b0010, 1)),
    Call(0, HYPERCALL | 0x1103, (2, 0x8000_0000, 16 << 20)),
    Call(0, HYPERCALL | 0x1104, (2, NAME, 0x0C00_0000, 0x60_0000, 0, SETTINGS, 13)),
]
"""A VM that has all it needs but a kernel."""
BOOTED: list[Step] = [Call(0, HYPERCALL | 0x1109, (2, 4, KERNEL, 0, 4)), Call(0, HYPERCALL | 0x0102, (2,)), Run(3000)]

some_steps = st.lists(st.one_of(wild, sensible, sensible, stores, runs), max_size=8)
sequences = st.builds(
    lambda first, middle, then, last: [*first, *middle, *then, *last],
    st.sampled_from([[], CONFIGURED, CONFIGURED]),
    some_steps,
    st.sampled_from([[], BOOTED, BOOTED]),
    some_steps,
)


@pytest.fixture(scope="module")
def puppets() -> Puppets:
    return Puppets()


def prepare(puppets: Puppets) -> None:
    """What the arguments of a sensible call point to."""
    memory = puppets.manager.vm(0).memory
    memory.write(PAGE, bytes(0x9000))
    memory.write(NAME, b"fuzzed")
    memory.write(CMDLINE, b"console=hvc0")
    memory.write(SETTINGS, struct.pack("<16Q", 0, 0x4000_1000, *range(14)))
    memory.write(IRQS, struct.pack("<16Q", *range(16)))
    memory.write(KERNEL, JUMP_TO_SELF)
    kernel, tree = 0x8020_0000, 0x8080_0000
    memory.write(STRUCT, struct.pack("<9Q", NAME, 6, 0, CMDLINE, 12, kernel, tree, 0, 0))
    memory.write(DISK + 8 + 64, struct.pack("<QQQ", 2048, 64, 64 << 10))
    memory.write(DISK + 8 + 104, struct.pack("<Q", MVM_BASE + (2 << 20)))


@fuzz("hypercalls", share=0.12, quick=60, steps=sequences)
def test_no_sequence_of_hypercalls_breaks_the_hypervisor(puppets: Puppets, steps: list[Step]) -> None:
    station = puppets.begin()
    prepare(puppets)
    for step in steps:
        if isinstance(step, Run):
            station.run(step.cycles)
        elif isinstance(step, Store):
            puppets.manager.vm(0).memory.write(step.address, step.data)
        else:
            vm = puppets.vm(step.vm)
            if vm is None:
                continue
            result = puppets.ecall(vm, step.number, step.args[6] if len(step.args) > 6 else 0, step.args[:6])
            known = step.number & 0xFFFF in EVENTS
            assert result is None or known or result == (1 << 64) - 1, f"an unknown call gives {result}"
    for entry in puppets.manager.table.values():
        try:
            read_vm(write_vm(configuration(entry.definition)), "exported.json")
        except ValueError:
            """A type that a hypercall may name and a configuration may not."""
    puppets.settle()
