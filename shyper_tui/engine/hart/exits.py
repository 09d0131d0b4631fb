"""Why native code returns to Python."""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    SLICE = 1
    """`slice_end` is reached; with `waiting`, the hart is in WFI."""
    TRAP = 2
    """A trap has entered a mode whose software is Python."""
    MMIO_LOAD = 3
    MMIO_STORE = 4
    """An access outside RAM: exit_pa, exit_size, exit_value."""
    SLOW = 5
    """The instruction at pc is for the reference evaluator: page-crossing accesses, MPRV, rare floating point."""

    CALLED = 6
    """A device that native code works for has interrupted another hart."""

    OWES = 7
    """The hart's debt is due (`hart.debt`): `settle`, and go on."""


IN_WFI, IN_PYTHON = 1, 2
"""Values of the state's `waiting`: WFI of native code; Python software that waits for an interrupt."""
