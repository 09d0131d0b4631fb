"""Native code against the reference on random programs, in all modes: nothing may differ, every row is executed.

SHYPER_LOCKSTEP_INSTRUCTIONS sets how many instructions are compared; continuous integration asks for more than
a million.
"""

from __future__ import annotations

import os
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.engine.isa.rows import COMPRESSED, INSTRUCTIONS
from tests.core.lockstep import Difference, Lockstep
from tests.core.random_machine import RandomMachine

INSTRUCTIONS_COMPARED = int(os.environ.get("SHYPER_LOCKSTEP_INSTRUCTIONS", "240000"))
PARTS = 4
SLICES = 20


def run(lockstep: Lockstep, seed: int, instructions: int) -> None:
    """Programs from `seed` on until so many instructions have been compared."""
    while lockstep.executed < instructions:
        machine = RandomMachine(seed, lockstep)
        for number in range(SLICES):
            try:
                lockstep.run(machine.slice())
            except Difference as difference:
                raise Difference(f"program {seed}, slice {number}:\n{difference}") from None
            machine.shake()
        seed += 1


@pytest.mark.parametrize("part", range(PARTS))
def test_native_code_is_the_reference(part: int) -> None:
    """Half of the parts with fused sequences, half without."""
    lockstep = Lockstep(fuse=part % 2 == 0)
    run(lockstep, 1_000_000 * (part + 1), INSTRUCTIONS_COMPARED // PARTS)
    rows = lockstep.rows
    enough = INSTRUCTIONS_COMPARED // (PARTS * 60_000)
    assert [(name, rows[name]) for name in (*INSTRUCTIONS, *COMPRESSED) if rows[name] < enough] == []


@cache
def _lockstep(fuse: bool) -> Lockstep:
    return Lockstep(fuse=fuse)


@settings(max_examples=max(20, INSTRUCTIONS_COMPARED // 12_000), derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), fuse=st.booleans(), slices=st.integers(1, SLICES))
def test_programs_that_hypothesis_chooses(seed: int, fuse: bool, slices: int) -> None:
    """Any program, with and without fused sequences; a failure is narrowed down to few slices."""
    lockstep = _lockstep(fuse)
    machine = RandomMachine(seed, lockstep)
    for _ in range(slices):
        lockstep.run(machine.slice())
        machine.shake()


def test_a_difference_is_noticed() -> None:
    """In a register, in memory, in a CSR: the comparison is not blind."""
    lockstep = Lockstep()
    machine = RandomMachine(1, lockstep)
    lockstep.run(machine.slice())
    native = lockstep.native

    def memory() -> None:
        native.physical_write(0x8030_0000, 1, native.physical_read(0x8030_0000, 1) ^ 1)

    def register() -> None:
        native.set("x", native.get("x", 7) ^ 1, 7)

    def flags() -> None:
        native.set("fflags", native.get("fflags") ^ 1)

    for spoil in (memory, register, flags):
        lockstep.compare()
        spoil()
        with pytest.raises(Difference):
            lockstep.compare()
        spoil()
