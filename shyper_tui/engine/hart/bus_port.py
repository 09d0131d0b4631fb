"""What a hart needs of the bus behind its RAM."""

from __future__ import annotations

from typing import Protocol


class BusFault(Exception):  # noqa: N818 the architecture's name for it
    """An access that nothing answers, or that a device refuses: the hart takes an access fault."""


class BusPort(Protocol):
    """Devices by physical address. Both methods raise BusFault."""

    def read(self, address: int, width: int) -> int: ...
    def write(self, address: int, width: int, value: int) -> None: ...
