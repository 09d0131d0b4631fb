"""Disks behind the VMs' block devices: the list of mediated disks, served by the engine, and scratch disks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shyper_tui.engine.board.virtio.disk import Disk, DiskWindow, Overlay

SECTOR = 512


class Zeros:
    """A read-only disk of `size` zero bytes: what lies under a scratch disk."""

    read_only = True

    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        return bytes(size)

    def write(self, offset: int, data: bytes) -> None:
        raise OSError("read-only")

    def flush(self) -> None:
        """Nothing to do."""

    def discard(self, offset: int, size: int) -> None:
        """Nothing to do."""

    def write_zeroes(self, offset: int, size: int) -> None:
        """They are zeros already."""

    def close(self) -> None:
        """Nothing to do."""


@dataclass(slots=True)
class MediatedDisk:
    """One disk of the list. `page` is the guest-physical page of a daemon in the MVM that registered it."""

    disk: Disk | None
    owner: object | None = None
    page: int | None = None
    outstanding: int = 0


class MediatedDisks:
    """Mediated disks in the order of their configuration; a VM gets the first that is free, not one by its id."""

    def __init__(self, disks: Sequence[Disk] = ()) -> None:
        self.disks = [MediatedDisk(disk) for disk in disks]

    def take(self, owner: object) -> int | None:
        """Index of the first free disk, now `owner`'s; None when there is none."""
        for index, entry in enumerate(self.disks):
            if entry.owner is None and entry.disk is not None:
                entry.owner = owner
                return index
        return None

    def release(self, owner: object) -> None:
        """Give back the disks of `owner`."""
        for entry in self.disks:
            if entry.owner is owner:
                entry.owner = None

    def window(self, index: int | None, start: int, sectors: int) -> Disk:
        """`sectors` sectors from `start` of disk `index`, or of a scratch disk whose contents end with the engine."""
        entry = self.disks[index] if index is not None and index < len(self.disks) else None
        if entry is None or entry.disk is None:
            return Overlay(Zeros(sectors * SECTOR))
        return DiskWindow(entry.disk, start * SECTOR, sectors * SECTOR)

    def register(self, page: int) -> None:
        """A daemon in the MVM offers a disk by its page; offering it again changes nothing."""
        if self.registered(page) is None:
            self.disks.append(MediatedDisk(None, page=page))

    def registered(self, page: int) -> MediatedDisk | None:
        """The disk a daemon registered with this page."""
        return next((entry for entry in self.disks if entry.page == page), None)
