"""The list of mediated disks: what is behind the block devices of VMs.

A disk is either offered by the workstation, which then serves it itself, or registered by a daemon in the managing VM.
The workstation's come first, in the order of its settings; a disk that a daemon registers is appended. Indices never
change: a disk whose daemon is gone keeps its place until it is registered again (same name and path), or until another
registration needs the place and no VM has the disk.

Every mediated block device of a configuration takes a disk of its own, in the order in which the devices are
configured: of the free ones that a daemon serves the one that was registered first, so the order is that of the
daemon's file, whatever an earlier daemon has served; when there is none the first free one of the workstation, those of
a daemon's file (`offer`) before its own. The VM keeps it until it is removed. It depends on the order of configuring
alone, not on the VM's id.

A disk of a daemon's file that cannot be served keeps its place, too: whoever would get it is refused, and nobody gets
the next one instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shyper_tui.engine.board.device import Timebase
from shyper_tui.engine.board.virtio.block import SECTOR
from shyper_tui.engine.board.virtio.disk import Disk, DiskError, MemoryDisk, Overlay, RawFile
from shyper_tui.engine.board.virtio.disk_server import quiet
from shyper_tui.engine.board.virtio.disk_sync import DiskSync
from shyper_tui.engine.hypervisor.definition import VmError
from shyper_tui.engine.hypervisor.devices.daemon_disk import DaemonDisk, Registration
from shyper_tui.engine.hypervisor.devices.disk_page import DiskCache, DiskPage, Translate
from shyper_tui.engine.hypervisor.vm import Vm

MAX_DAEMON_DISKS = 64


@dataclass(slots=True)
class MediatedDisk:
    """One place in the list. `owner` is whatever took the disk, None while it is free; `named`: a daemon's file names
    it; `syncs`: how its writes are stored for good, None where a flush is nothing; `problem`: why nobody serves it;
    `registration`: how many registrations by daemons there were up to its last."""

    backing: Disk | DaemonDisk
    name: str
    owner: object | None = None
    named: bool = False
    syncs: DiskSync | None = None
    problem: str = ""
    registration: int = 0

    @property
    def sectors(self) -> int:
        backing = self.backing
        return backing.sectors if isinstance(backing, DaemonDisk) else backing.size // SECTOR

    @property
    def read_only(self) -> bool:
        """Guests cannot change it."""
        return not isinstance(self.backing, DaemonDisk) and self.backing.read_only

    @property
    def by_daemon(self) -> bool:
        """Served by a daemon in the managing VM, not by the workstation."""
        return isinstance(self.backing, DaemonDisk)

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """The lowest is taken first."""
        return not self.by_daemon, not self.named, self.registration

    @property
    def available(self) -> bool:
        """Somebody serves it."""
        return not isinstance(self.backing, DaemonDisk) or self.backing.online


class MediatedDisks:
    """The list. `disks` are the workstation's, which stay its own to close; those of `offer` are closed by `close`."""

    def __init__(self, disks: Sequence[Disk] = ()) -> None:
        self.disks = [MediatedDisk(disk, f"disk{index}") for index, disk in enumerate(disks)]
        self._opened: list[Disk] = []
        self._registrations = 0

    def offer(self, name: str, path: Path, writable: bool) -> int:
        """Add the raw image file or block device `path` and return its place. `writable`: guests change it for good,
        else their changes end with the engine. One that cannot be used is there as well, with its `problem`."""
        try:
            disk: Disk = RawFile(path) if writable else Overlay(RawFile(path, read_only=True))
        except DiskError as error:
            return self.offer_nothing(name, str(error))
        if disk.size < SECTOR:
            disk.close()
            return self.offer_nothing(name, f"{path}: it has {disk.size} bytes, not even one sector of {SECTOR}")
        self._opened.append(disk)
        syncs = DiskSync(disk.flush) if writable and not disk.read_only else None
        return self._place(MediatedDisk(disk, str(path), named=True, syncs=syncs), name)

    def offer_nothing(self, name: str, problem: str) -> int:
        """Keep a place for a disk that cannot be served, until it is offered again."""
        return self._place(MediatedDisk(MemoryDisk(b""), name, named=True, problem=problem), name)

    def _place(self, entry: MediatedDisk, name: str) -> int:
        """Take the place of a disk of this name that could not be served before, or the next one."""
        for index, old in enumerate(self.disks):
            if old.problem and old.name == name:
                self.disks[index] = entry
                return index
        self.disks.append(entry)
        return len(self.disks) - 1

    def set_patient(self, patient: bool) -> None:
        """Whether the machine may wait for a sync. Any thread may call it: a machine that is to stop does not wait."""
        for entry in list(self.disks):
            if entry.syncs is not None:
                entry.syncs.set_patient(patient)

    def close(self, report: Callable[[str], None] = quiet) -> None:
        """Store what was written for good, and close what `offer` opened."""
        for entry in self.disks:
            if entry.syncs is not None:
                try:
                    entry.syncs.close()
                except OSError as error:
                    report(f"warning: {entry.name}: what guests have written may be lost: {error.strerror or error}")
        for disk in self._opened:
            disk.close()

    # VMs

    def take(self, owner: object) -> int | None:
        """Index of the first free disk, now `owner`'s; None when there is none. Raises VmError when that disk cannot be
        served."""
        free = [index for index, entry in enumerate(self.disks) if entry.owner is None and entry.available]
        first = min(free, key=lambda index: (*self.disks[index].rank, index), default=None)
        if first is not None:
            if self.disks[first].problem:
                raise VmError(f"its disk, number {first}, cannot be served: {self.disks[first].problem}")
            self.disks[first].owner = owner
        return first

    def release(self, owner: object) -> None:
        """Give back the disks of `owner`."""
        for entry in self.disks:
            if entry.owner is owner:
                entry.owner = None

    # Daemons

    def register(
        self,
        mvm: Vm,
        address: int,
        timebase: Timebase | None = None,
        report: Callable[[str], None] = quiet,
        translate: Translate | None = None,
    ) -> DaemonDisk:
        """A daemon in `mvm` offers the disk that its page at `address` describes. Raises VmError when it cannot be one.

        `translate` leads from the daemon's virtual addresses to guest-physical ones.
        """
        page = DiskPage(mvm.memory, address)
        descriptor = page.descriptor()
        cache = DiskCache(mvm.memory, descriptor, translate)
        holder = self.registered(address)
        disk = self._known(descriptor.name, descriptor.path, holder)
        if holder is not None and holder is not disk:
            holder.detach()  # the page belongs to another disk now
        if disk is None:
            disk = DaemonDisk(descriptor.name, descriptor.path, descriptor.block_num, timebase, report)
            self._append(disk)
        if self._end_registrations not in mvm.resets:
            mvm.resets.append(self._end_registrations)
        self._registrations += 1
        next(entry for entry in self.disks if entry.backing is disk).registration = self._registrations
        page.accept(descriptor)
        disk.attach(Registration(mvm, page, cache), descriptor.block_num)
        if cache.scattered:
            report(f"mediated disk {disk.name}: its cache lies scattered in the managing VM's memory")
        if cache.size < descriptor.transfer_size:
            report(f"mediated disk {disk.name}: only {cache.size:#x} bytes of its cache are in RAM")
        return disk

    def registered(self, address: int) -> DaemonDisk | None:
        """The disk whose page a daemon has put at guest-physical `address`."""
        return next((disk for disk in self._daemon_disks() if disk.page == address), None)

    def _daemon_disks(self) -> list[DaemonDisk]:
        return [entry.backing for entry in self.disks if isinstance(entry.backing, DaemonDisk)]

    def _known(self, name: str, path: str, holder: DaemonDisk | None) -> DaemonDisk | None:
        """The disk of that name and path; one that has neither is known by its page alone."""
        if not name and not path:
            return holder if holder is not None and not holder.name and not holder.path else None
        return next((disk for disk in self._daemon_disks() if (disk.name, disk.path) == (name, path)), None)

    def _append(self, disk: DaemonDisk) -> None:
        name = f"{disk.name} ({disk.path})" if disk.path else disk.name
        entry = MediatedDisk(disk, name)
        if len(self._daemon_disks()) < MAX_DAEMON_DISKS:
            self.disks.append(entry)
            return
        for index, old in enumerate(self.disks):
            if old.by_daemon and not old.available and old.owner is None:
                self.disks[index] = entry
                return
        raise VmError(f"daemons have registered {MAX_DAEMON_DISKS} mediated disks, there is no place for another")

    def _end_registrations(self) -> None:
        """The managing VM stops or starts again."""
        for disk in self._daemon_disks():
            disk.detach()
