"""Random SBI calls of a guest with three vCPUs, in any order, with the machine running in between."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import strategies as st

from shyper_tui.engine.firmware.sbi import Extension
from tests.fuzz.cases import U64, fuzz, numbers
from tests.fuzz.puppet import MVM_BASE, Puppets
from tests.hypervisor.station import GUEST_BASE, RAM_BASE, guest

CODE = GUEST_BASE  # the jump to itself
END = RAM_BASE + (16 << 20)
OTHERS = [0x0, 0x3, 0x4, 0x5, 0x6, 0x7, 0x504D55, 0x53555350, 0x43505043, 0x4E41434C, 0x535441, 0x0900_0000, U64]
LEGACY_VALUES = (1, 2, 3)
"""Calls whose a0 is no error: console output and input, and whether there was an IPI to clear."""
ERRORS = range(-9, 1)

extensions = st.one_of(
    st.sampled_from([int(extension) for extension in Extension]), st.sampled_from(OTHERS), st.integers(0, U64)
)
functions = st.one_of(st.integers(0, 8), st.integers(0, 8), numbers())
values = numbers(CODE, RAM_BASE, END, END - 1, MVM_BASE, 0x8020_0000, 0xF000_0000, 0xE000_0000, 0x1000_0000)
small = st.integers(0, 8)
masks = st.one_of(small, values)
Call = tuple[int, int, tuple[int, ...]]

six = st.tuples(masks, masks, values, values, values, values)
wild: st.SearchStrategy[Call] = st.tuples(extensions, functions, six)


def _call(extension: Extension, function: int, *args: st.SearchStrategy[int]) -> st.SearchStrategy[Call]:
    return st.tuples(st.just(int(extension)), st.just(function), st.tuples(*args))


sensible = st.one_of(
    _call(Extension.HSM, 0, small, st.sampled_from([CODE, CODE + 1, 0, END - 2]), values),
    _call(Extension.HSM, 2, small),
    _call(Extension.HSM, 3, st.sampled_from([0, 0x8000_0000, 1]), st.sampled_from([CODE, 0]), values),
    _call(Extension.IPI, 0, small, st.sampled_from([0, 1, 2, 63, 64, U64])),
    *(_call(Extension.RFENCE, number, small, st.sampled_from([0, U64]), values, values, values) for number in range(7)),
    _call(Extension.TIME, 0, values),
    *(_call(Extension.DBCN, number, small, values, st.sampled_from([0, 0, 1])) for number in range(3)),
    _call(Extension.SRST, 0, small, small),
)
steps = st.lists(st.one_of(sensible, wild, st.sampled_from([100, 5000, 50_000])), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def puppets() -> Puppets:
    return Puppets(partial(guest, 1, 0b1110))


@fuzz("SBI calls", share=0.12, quick=80, chosen=steps)
def test_any_sbi_call_is_answered(puppets: Puppets, chosen: list[Call | int]) -> None:
    station = puppets.begin()
    puppets.check_guest(1)
    mvm = puppets.manager.vm(0)
    for step in chosen:
        if isinstance(step, int):
            station.run(step)
            continue
        extension, function, args = step
        vm = puppets.vm(1)
        if vm is None:
            puppets.ecall(mvm, 0x10)  # the managing VM is served whatever state the guest is in
            continue
        result = puppets.ecall(vm, extension, function, args)
        hypercall = 0x0A00_0000 <= extension <= 0x0AFF_FFFF
        if result is not None and not hypercall and extension not in LEGACY_VALUES:
            assert result - (result >> 63 << 64) in ERRORS
    puppets.check_guest(1)
    puppets.settle()
