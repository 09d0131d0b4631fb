"""The disks of a daemon's file (`{"mediated": [...]}`), served by the engine itself.

In the original a program in the managing VM opens these files and serves them. Here they are files of the host, and
what guests write stays in them. Images of the store (`images:…`) belong to all machines, so each time one is named it
is served as a copy on write of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

from shyper_tui import config, images
from shyper_tui.engine.boot_plan import refuse
from shyper_tui.engine.hypervisor.devices.disks import MediatedDisks
from shyper_tui.ipc.vm_messages import OfferedDisk

MAX_DISKS = 16
"""Disks that the engine serves for daemons' files; one file may name as many."""


class DaemonDisks:
    """Adds disks to `disks`, the machine's list of mediated disks."""

    def __init__(self, disks: MediatedDisks) -> None:
        self._disks = disks
        self._files: set[tuple[int, int]] = set()
        self._served = 0

    def offer(self, text: str, directory: str, file: str) -> list[OfferedDisk]:
        """Every disk of a daemon's file, taken or with the reason why not. EngineError with all diagnostics when the
        file itself is wrong. Relative names are looked up in `directory`."""
        reading = config.read_daemon(text, file)
        if reading.value is None:
            raise refuse(reading.diagnostics, file)
        return [self._offer_one(name, Path(directory)) for name in reading.value.mediated]

    def _offer_one(self, name: str, folder: Path) -> OfferedDisk:
        shared = name.startswith(images.PREFIX)
        problems: list[str] = []
        try:
            path = images.resolve(name, folder)
            status = os.stat(path)
        except images.ImageError as error:
            return _refused(name, str(error))
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
            return _refused(name, (getattr(error, "strerror", None) or str(error)).lower())
        identity = (status.st_dev, status.st_ino)
        if identity in self._files:
            return _refused(name, "this disk is served already")
        if self._served >= MAX_DISKS:
            return _refused(name, f"{MAX_DISKS} disks are served already, which is the limit")
        self._disks.add_paths([path], not shared, problems.append)
        if problems:
            return OfferedDisk(name, -1, problem=problems[0])
        self._served += 1
        if not shared:
            self._files.add(identity)
        return OfferedDisk(name, len(self._disks.disks) - 1, self._disks.disks[-1].sectors)


def _refused(name: str, reason: str) -> OfferedDisk:
    return OfferedDisk(name, -1, problem=f"Add mediated disk {name} failed: {reason}")
