"""What stands between a device and memory: the addresses it uses belong to whoever drives it, as behind an IOMMU."""

from __future__ import annotations

from shyper_tui.engine.board.memory import BadAddress, Memory


class NoMemory:
    """The address space of nobody: every access fails."""

    def read(self, address: int, size: int) -> bytes:
        raise BadAddress(address, size)

    def write(self, address: int, data: bytes) -> None:
        raise BadAddress(address, size=len(data))


class DmaPort:
    """`Memory` for one device. `target` is physical memory until a hypervisor gives the device to a VM, whose
    guest-physical memory it is then; nothing else is reached."""

    def __init__(self, memory: Memory) -> None:
        self.target = memory

    def read(self, address: int, size: int) -> bytes:
        return self.target.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        self.target.write(address, data)
