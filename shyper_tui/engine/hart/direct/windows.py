"""The windows of one address space whose registers native code answers."""

from __future__ import annotations

from typing import Protocol

from shyper_tui.engine.hart.host_memory import Block

from . import windows_layout as at


class DirectDevice(Protocol):
    """A device with registers that native code answers."""

    @property
    def direct(self) -> tuple[int, Block]:
        """The kind of its state (`windows_layout`), and where it is."""


class DirectWindows:
    """A table for harts: `Hart.use_direct` for guest-physical addresses, `Hart.use_direct_physical` for the bus.

    The state of a device that is in the table lives as long as the table. What does not fit is left to Python.
    """

    def __init__(self) -> None:
        self._block = Block(at.SIZE)
        self._words = self._block.bytes.cast("Q")
        self._states: list[Block] = []

    @property
    def address(self) -> int:
        """Of the table in host memory."""
        return self._block.address

    @property
    def loads(self) -> int:
        """Loads that native code has answered."""
        return self._words[at.LOADS // 8]

    @property
    def stores(self) -> int:
        """Stores that native code has answered."""
        return self._words[at.STORES // 8]

    @property
    def load_time(self) -> int:
        """Nanoseconds of the host that those loads took."""
        return self._words[at.LOAD_TIME // 8]

    @property
    def store_time(self) -> int:
        """Nanoseconds of the host that those stores took."""
        return self._words[at.STORE_TIME // 8]

    def add(self, base: int, length: int, device: DirectDevice) -> None:
        """`device` answers at `base .. base + length`, and nothing else does."""
        number = self._words[at.WINDOWS // 8]
        if number == at.MOST or base % 4:
            return
        kind, state = device.direct
        first = (at.ENTRIES + number * at.ENTRY_SIZE) // 8
        for place, word in ((at.BASE, base), (at.LENGTH, length), (at.KIND, kind), (at.STATE, state.address)):
            self._words[first + place // 8] = word
        self._states.append(state)
        self._words[at.WINDOWS // 8] = number + 1

    def clear(self) -> None:
        """Native code answers nothing any more: every access goes to the devices' Python."""
        self._words[at.WINDOWS // 8] = 0
