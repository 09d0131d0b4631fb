"""Large pieces of VMs' RAM: from one VM to another they are copied once, from where they are."""

from __future__ import annotations

from typing import cast

from shyper_tui.engine.hypervisor.guest_memory import GuestMemory

Piece = bytes | memoryview
"""Bytes that are to be used before anything else happens: they may still be in a VM's RAM."""


def look(memory: GuestMemory, address: int, size: int) -> Piece:
    """`size` bytes (at least 1) of a VM's RAM at guest-physical `address`: in place when they lie in one region, else a
    copy. Raises BadAddress when any byte is not RAM."""
    found = memory.map(address, size, _used_at_once)
    return memory.read(address, size) if found is None else found.bytes


def _used_at_once() -> None:
    """A piece is not kept, so it does not matter whether its address will mean something else."""


def put(memory: GuestMemory, address: int, piece: Piece) -> None:
    """Stores `piece` in a VM's RAM. Raises BadAddress when any byte is not RAM."""
    memory.write(address, cast("bytes", piece))  # RAM takes whatever bytes can be copied from
