"""What the checks know of the machine and of the managing VM (MVM)."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True)
class Board:
    """Defaults: the `virt` board with 8 GiB and Rust-Shyper's built-in MVM."""

    cores: int = 4
    mvm_cores: frozenset[int] = frozenset({0})
    gvm_pool: int = 0xF000_0000
    """Bytes of memory for all guest VMs together: what the MVM's 4 GiB leave of the pool."""
    ram_start: int = 0x8000_0000
    ram_length: int = 8 * GIB
    plic_sources: int = 95
    """Highest source of the machine's PLIC."""
    vplic_sources: int = 63
    """Highest source of a guest VM's PLIC (`riscv,ndev` in its device tree)."""
    mvm_mac: tuple[int, ...] = (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD0)
    mvm_consoles: tuple[int, ...] = (0x4000_1000, 0x4000_2000)
    """Guest-physical addresses of the MVM's virtio consoles, which guests' consoles are paired with."""
    max_vms: int = 8


DEFAULT_BOARD = Board()
