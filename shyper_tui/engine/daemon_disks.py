"""The disks of a daemon's file (`{"mediated": [...]}`), served by the engine itself.

In the original a program in the managing VM opens these files and serves them. Here they are files of the host, and
what guests write stays in them. Images of the store (`images:…`) belong to all machines, so each time one is named it
is served as a copy on write of its own.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from shyper_tui import config, images
from shyper_tui.engine.boot_plan import refuse
from shyper_tui.engine.hypervisor.devices.disks import MediatedDisks
from shyper_tui.ipc.vm_messages import OfferedDisk

MAX_DISKS = 32
"""Places in the list of disks that daemons' files may fill; one file names up to 16."""


class DaemonDisks:
    """Adds disks to `disks`, the machine's list of mediated disks."""

    def __init__(self, disks: MediatedDisks) -> None:
        self._disks = disks
        self._served: dict[tuple[int, int], int] = {}

    def offer(self, text: str, directory: str, file: str) -> list[OfferedDisk]:
        """Every disk of a daemon's file in its place, with the reason where one cannot be served. EngineError with all
        diagnostics when the file itself is wrong. Relative names are looked up in `directory`."""
        reading = config.read_daemon(text, file)
        if reading.value is None:
            raise refuse(reading.diagnostics, file)
        before = dict(self._served)
        return [self._offer_one(name, Path(directory), before) for name in reading.value.mediated]

    def _offer_one(self, name: str, folder: Path, before: dict[tuple[int, int], int]) -> OfferedDisk:
        """`before`: the files that were served before this daemon's file came, with their places."""
        shared = name.startswith(images.PREFIX)
        try:
            path = images.resolve(name, folder)
            identity = _identity(path)
        except images.ImageError as error:
            return self._refused(name, str(error))
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
            return self._refused(name, (getattr(error, "strerror", None) or str(error)).lower())
        if identity in before:
            return OfferedDisk(name, before[identity], problem=f"{_FAILED.format(name)} this disk is served already")
        if identity in self._served:
            return self._refused(name, f"it is disk {self._served[identity]} of the same list")
        if sum(entry.named for entry in self._disks.disks) >= MAX_DISKS:
            problem = f"{_FAILED.format(name)} there are {MAX_DISKS} disks, which is the limit"
            return OfferedDisk(name, -1, problem=problem)
        place = self._disks.offer(name, path, not shared)
        entry = self._disks.disks[place]
        if entry.problem:
            return OfferedDisk(name, place, problem=f"{_FAILED.format(name)} {entry.problem}")
        if not shared:
            self._served[identity] = place
        return OfferedDisk(name, place, entry.sectors, read_only=entry.read_only)

    def _refused(self, name: str, reason: str) -> OfferedDisk:
        return OfferedDisk(name, self._disks.offer_nothing(name, reason), problem=f"{_FAILED.format(name)} {reason}")


_FAILED = "Add mediated disk {} failed:"


def _identity(path: Path) -> tuple[int, int]:
    """What two names of one disk have in common."""
    status = os.stat(path)
    if stat.S_ISBLK(status.st_mode):
        return -1, status.st_rdev
    return status.st_dev, status.st_ino
