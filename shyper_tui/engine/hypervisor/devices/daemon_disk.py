"""Mediated disks that a daemon in the managing VM serves: the hypervisor's side of the protocol.

For each request of a guest the hypervisor fills in the disk's page, for a write the daemon's cache as well, and sends
the managing VM the message {3, 0x32}. The daemon moves the data between its file and the cache and says "done" with a
hypercall; then the data of a read go from the cache to the guest, and the guest gets its answer.

A disk has one request with its daemon at a time, in pieces when it is larger than the cache; different disks do not
wait for each other. Zeroing and discarding are not offered.

Rust-Shyper's daemon gets reads and writes, and cannot say that one has failed: a flush is done when all requests before
it are. A daemon that wants more may ask for flushes as requests of their own (`use_flushes`), end a request with an
error (`failed`), and say that it goes (`detach`).

What the daemon does not do:

* The managing VM starts again, or the daemon says that it goes: its registrations end. A daemon that registers the
  disk again (same name and path, on whatever page) gets the request that was under way once more, from the piece that
  was not done.
* No answer for `PATIENCE` seconds, or no daemon for as long: the guest gets I/O errors, at once from then on, until the
  daemon says "done" after all or registers again. Time while the managing VM is paused does not count.
* Each second without an answer the message is sent again: a daemon that is told by signals, of which several that are
  pending count as one, finds what it has missed.
* "Done" for a request whose guest has reset the device, or is gone, moves no data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from shyper_tui.engine.board.device import TICKS_PER_SECOND, Timebase, Timer
from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.board.virtio.block import BASIC, SECTOR, BlockRequest, BlockStatus, RequestType
from shyper_tui.engine.hypervisor.definition import VmError
from shyper_tui.engine.hypervisor.devices.disk_page import FLUSH, READ, WRITE, DiskCache, DiskPage
from shyper_tui.engine.hypervisor.vm import Vm, VmState

MEDIATED, REQUEST_WAITS = 3, 0x32
"""Message {3, 0x32}: a request waits in the page of a disk."""
PATIENCE = 30
"""Seconds without an answer after which a guest's requests fail."""


@dataclass(slots=True)
class Transfer:
    """A request on its way: `start` is added to its sector, `size` bytes from `offset` are with the daemon.

    `ended`: the guest has its answer already, the daemon's is still to come.
    """

    request: BlockRequest
    start: int
    offset: int = 0
    size: int = 0
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """Where a disk's daemon is: its VM, page and cache."""

    mvm: Vm
    page: DiskPage
    cache: DiskCache


class DaemonDisk:
    """A disk of `sectors` sectors, known by the name and path its daemon gave it. Without `timebase` it waits for
    ever."""

    def __init__(
        self, name: str, path: str, sectors: int, timebase: Timebase | None, report: Callable[[str], None]
    ) -> None:
        self.name = name
        self.path = path
        self.sectors = sectors
        self.requests = 0
        """Requests given to the daemon, pieces counted each."""
        self._timebase = timebase
        self._report = report
        self._registration: Registration | None = None
        self._flushes = False
        self._current: Transfer | None = None
        self._waiting: deque[Transfer] = deque()
        self._given_up = False
        self._seconds = 0  # without an answer
        self._timer: Timer | None = None

    @property
    def online(self) -> bool:
        """A daemon has it registered."""
        return self._registration is not None

    @property
    def page(self) -> int | None:
        """Guest-physical address of the disk's page in the managing VM."""
        return self._registration.page.address if self._registration is not None else None

    # The daemon's side

    def attach(self, registration: Registration, sectors: int) -> None:
        """A daemon has registered the disk: what waits is sent to it."""
        self._registration, self.sectors = registration, sectors
        self._given_up = False
        self._seconds = 0
        transfer = self._current
        if transfer is not None and not transfer.ended and not transfer.request.stale:
            self._send(transfer)
        else:
            self._current = None
        self._flushes = False
        self._next()

    def use_flushes(self, wanted: bool) -> None:
        """Whether the daemon that has registered the disk gets flushes as requests."""
        self._flushes = wanted

    def detach(self) -> None:
        """The registration has ended; requests wait for another."""
        self._registration = None
        self._watch()

    def done(self) -> None:
        """The daemon has finished its request. Raises VmError when it has none."""
        transfer, registration = self._answered()
        if transfer.ended or transfer.request.stale:
            self._current = None
        else:
            self._arrived(transfer, registration.cache)
        self._next()

    def failed(self) -> None:
        """The daemon could not do its request. Raises VmError when it has none."""
        transfer, _ = self._answered()
        self._current = None
        if not transfer.ended and not transfer.request.stale:
            transfer.request.complete(BlockStatus.IOERR)
        self._next()

    def _answered(self) -> tuple[Transfer, Registration]:
        """What the daemon has answered."""
        transfer, registration = self._current, self._registration
        if transfer is None or registration is None:
            raise VmError(f"mediated disk {self.name} has no request to finish")
        self._given_up = False
        self._seconds = 0
        return transfer, registration

    def _arrived(self, transfer: Transfer, cache: DiskCache) -> None:
        """The daemon's piece is done: take what was read, send the next piece or answer the guest."""
        request = transfer.request
        if request.type == RequestType.IN:
            try:
                request.write_data(transfer.offset, cache.read(transfer.size))
            except BadAddress as error:
                self._current = None
                request.fail(str(error))
                return
        transfer.offset += transfer.size
        if transfer.offset < request.size and request.type != RequestType.FLUSH:
            self._send(transfer)
        else:
            self._current = None
            request.complete(BlockStatus.OK)

    # The guest's side

    def submit(self, request: BlockRequest, start: int) -> None:
        """A request of the guest, whose disk begins at sector `start` of this one."""
        self._waiting = deque(transfer for transfer in self._waiting if not transfer.request.stale)
        self._waiting.append(Transfer(request, start))
        self._next()

    def _next(self) -> None:
        """Begin with what waits. Completing a request may bring the next one here."""
        while self._waiting and (self._given_up or (self.online and self._current is None)):
            transfer = self._waiting.popleft()
            request = transfer.request
            end = transfer.start + request.sector + request.size // SECTOR
            if request.stale:
                continue
            if self._given_up:
                request.complete(BlockStatus.IOERR)
            elif request.type == RequestType.FLUSH and self._flushes:
                self._current = transfer
                self._send(transfer)
            elif request.type == RequestType.FLUSH or not request.size:
                request.complete(BlockStatus.OK)
            elif end > self.sectors:  # the daemon has come back with a smaller disk
                request.complete(BlockStatus.IOERR)
            else:
                self._current = transfer
                self._send(transfer)
        self._watch()

    def _send(self, transfer: Transfer) -> None:
        """Give the next piece of a request to the daemon."""
        request, registration = transfer.request, self._registration
        if registration is None:
            return
        if request.type == RequestType.FLUSH:
            self._announce(registration, FLUSH, 0, 0)
            return
        transfer.size = min(registration.cache.size, request.size - transfer.offset)
        if request.type == RequestType.OUT:
            try:
                data = request.read_data(transfer.offset, transfer.size)
            except BadAddress as error:
                self._current = None
                request.fail(str(error))
                return
            registration.cache.write(data)
        kind = WRITE if request.type == RequestType.OUT else READ
        sector = transfer.start + request.sector + transfer.offset // SECTOR
        self._announce(registration, kind, sector, transfer.size // SECTOR)

    def _announce(self, registration: Registration, kind: int, sector: int, count: int) -> None:
        registration.page.request(kind, sector, count)
        self.requests += 1
        registration.mvm.notify(MEDIATED, REQUEST_WAITS)

    # Waiting for the daemon

    def _watch(self) -> None:
        """Look again in a second while something waits."""
        if self._given_up or self._timer is not None or self._timebase is None:
            return
        if self._waiting or self._current is not None:
            self._timer = self._timebase.call_at(self._timebase.now() + TICKS_PER_SECOND, self._second)

    def _second(self) -> None:
        self._timer = None
        registration, transfer = self._registration, self._current
        if registration is None or registration.mvm.state is not VmState.PAUSED:
            self._seconds += 1
        if transfer is not None and transfer.request.stale and registration is None:
            self._current = transfer = None
        if self._seconds >= PATIENCE:
            self._give_up()
        elif registration is not None and transfer is not None:
            registration.mvm.notify(MEDIATED, REQUEST_WAITS)
        self._watch()

    def _give_up(self) -> None:
        why = f"does not answer for {PATIENCE} s" if self.online else "is gone"
        self._report(f"mediated disk {self.name}: its daemon {why}, so requests end with an I/O error until it does")
        self._given_up = True
        transfer = self._current
        if not self.online:
            self._current = None
        elif transfer is not None and transfer.ended:
            transfer = None
        if transfer is not None:
            transfer.ended = True
            transfer.request.complete(BlockStatus.IOERR)
        while self._waiting:
            self._waiting.popleft().request.complete(BlockStatus.IOERR)


class DaemonServer:
    """`sectors` sectors from `start` of a daemon's disk, as the disk of one block device."""

    features = BASIC
    depth = 1
    read_only = False

    def __init__(self, disk: DaemonDisk, start: int, sectors: int) -> None:
        self.disk = disk
        self.size = sectors * SECTOR
        self._start = start

    def submit(self, request: BlockRequest) -> None:
        self.disk.submit(request, self._start)

    def close(self) -> None:
        """The disk stays registered; requests of a device that is gone are dropped."""
