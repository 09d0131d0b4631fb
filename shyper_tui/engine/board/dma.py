"""What stands between a device and memory: the addresses it uses belong to whoever drives it, as behind an IOMMU."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.memory import BadAddress, Mapping, Memory


class NoMemory:
    """The address space of nobody: every access fails."""

    direct = 0

    def read(self, address: int, size: int) -> bytes:
        raise BadAddress(address, size)

    def write(self, address: int, data: bytes) -> None:
        raise BadAddress(address, size=len(data))

    def map(self, address: int, size: int, lost: Callable[[], None]) -> Mapping | None:
        raise BadAddress(address, size)


class DmaPort:
    """`Memory` for one device. `target` is physical memory until a hypervisor gives the device to a VM, whose
    guest-physical memory it is then; nothing else is reached. A new target ends all mappings."""

    direct = 0  # it may lead elsewhere at any time

    def __init__(self, memory: Memory) -> None:
        self._target = memory
        self._mapped: dict[Callable[[], None], None] = {}  # who has mappings, and is to be told

    @property
    def target(self) -> Memory:
        return self._target

    @target.setter
    def target(self, memory: Memory) -> None:
        self._target = memory
        mapped, self._mapped = self._mapped, {}
        for lost in mapped:
            lost()

    def read(self, address: int, size: int) -> bytes:
        return self._target.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        self._target.write(address, data)

    def map(self, address: int, size: int, lost: Callable[[], None]) -> Mapping | None:
        mapping = self._target.map(address, size, lost)
        if mapping is not None:
            self._mapped[lost] = None
        return mapping
