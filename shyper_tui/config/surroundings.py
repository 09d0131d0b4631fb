"""What a VM's configuration is checked against: the machine, and the other VMs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .board import DEFAULT_BOARD, Board
from .model import VmConfig


@dataclass(frozen=True)
class Surroundings:
    """`others`: guest VMs that are there already. `folder`: where relative file names start. `mvm`: the configuration
    is the managing VM's own. `vm_id`: the VM's id if it is known; `peers`: VMs by id as far as they are known, for the
    pairs of consoles."""

    folder: Path
    board: Board = DEFAULT_BOARD
    others: tuple[VmConfig, ...] = ()
    mvm: bool = False
    vm_id: int | None = None
    peers: Mapping[int, VmConfig] = field(default_factory=dict)

    @property
    def highest_irq(self) -> int:
        """Highest source of the VM's interrupt controller."""
        return self.board.plic_sources if self.mvm else MAX_IRQ


MAX_IRQ = 511
"""Highest source of a guest VM's PLIC."""
EMULATED = "emulated_device.emulated_device_list"
PASSTHROUGH = "passthrough_device.passthrough_device_list"
DTB = "dtb_device.dtb_device_list"
"""JSON paths of the three lists of devices."""
