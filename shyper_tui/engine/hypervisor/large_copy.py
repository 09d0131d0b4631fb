"""Large pieces of VMs' RAM: from one VM to another they are copied once, from where they are."""

from __future__ import annotations

from typing import cast

from shyper_tui.engine.board.memory import Memory, RamMemory
from shyper_tui.engine.hypervisor.guest_memory import GuestMemory

Piece = bytes | memoryview
"""Bytes that are to be used before anything else happens: they may still be in a VM's RAM."""


def look(memory: GuestMemory, machine: Memory, address: int, size: int) -> Piece:
    """`size` bytes of a VM's RAM at guest-physical `address`: in place when they lie in one region, else a copy. Raises
    BadAddress when any byte is not RAM."""
    if isinstance(machine, RamMemory):
        for region in memory.regions:
            if region.ipa <= address and address + size <= region.ipa + region.length:
                return machine.view(region.physical + address - region.ipa, size)
    return memory.read(address, size)


def put(memory: GuestMemory, address: int, piece: Piece) -> None:
    """Stores `piece` in a VM's RAM. Raises BadAddress when any byte is not RAM."""
    memory.write(address, cast("bytes", piece))  # RAM takes whatever bytes can be copied from
