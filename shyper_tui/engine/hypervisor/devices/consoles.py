"""Paired virtio consoles: what one VM transmits arrives in the console of its peer, and in the workstation.

A transmitting Linux waits for its console with interrupts off, so it must never wait for long on another VM: it waits
for a reader that goes on reading, and for no other.
"""

from __future__ import annotations

from shyper_tui.engine.board.device import TICKS_PER_SECOND, Timebase
from shyper_tui.engine.board.virtio.console import Console
from shyper_tui.engine.hypervisor.devices.vm_console import VmConsole

Key = tuple[int, int]
"""(VM id, guest-physical base of the console device)."""

RING = 64 << 10
"""Bytes kept for a peer: one that has no room for them now, or does not exist yet."""
PATIENCE = TICKS_PER_SECOND // 20
"""Ticks (50 ms) in which a reader whose ring is full must take `PROGRESS` bytes to be waited for."""
PROGRESS = 4096


class Pairing:
    """One console and the way to its peer.

    * no console at the peer's place: bytes wait here, at most `RING`, and the oldest give way
    * a peer without a driver, or one that has stopped reading: the same in its own ring
    * a peer that reads: what does not fit in its ring is held back, and the sender waits
    """

    def __init__(self, hub: ConsoleHub, peer: Key, pane: VmConsole | None, timebase: Timebase | None) -> None:
        self._hub = hub
        self.peer = peer
        self._pane = pane
        self._timebase = timebase
        self._kept = bytearray()
        self._timing = False
        self._stalled = False  # the peer was waited for in vain
        self._taken_before = 0
        self.console = Console(self._show, capacity=RING, forward=self._forward, timebase=timebase)
        self.console.on_room = self._room_made

    def peer_appeared(self, console: Console) -> None:
        """The peer's console exists now: it gets what was kept for it."""
        self._stalled = False
        kept, self._kept = bytes(self._kept), bytearray()
        if kept:
            console.push(kept)

    def typed(self) -> None:
        """Bytes wait in the workstation's pane: as many as there is room for go to the console.

        Until the guest has a driver for it they stay there, for an SBI console to take.
        """
        if self._pane is not None and self._pane.waiting and self.console.ready:
            self.console.receive(self._pane.take(max(0, self.console.room)))

    def resized(self, columns: int, rows: int) -> None:
        self.console.resize(columns, rows)

    def _show(self, data: bytes) -> None:
        if self._pane is not None:
            self._pane.write(data)

    def _room_made(self) -> None:
        self.typed()
        self._hub.room_made(self)

    def reader_went_on(self, reader: Console) -> None:
        """The peer has taken input."""
        if self._stalled and reader.room >= reader.capacity // 2:
            self._stalled = False
        if self.console.holding:
            self.console.resume_output()

    def _forward(self, data: bytes) -> int:
        """See `Console`: how many of these bytes the peer takes now."""
        reader = self._hub.console(self.peer)
        if reader is None:
            self._kept += data
            excess = max(0, len(self._kept) - RING)
            self.console.sent_dropped += excess
            del self._kept[:excess]
            return len(data)
        taken = reader.receive(data)
        if taken < len(data) and not self._waits_for(reader):
            reader.push(data[taken:])
            return len(data)
        return taken

    def _waits_for(self, reader: Console) -> bool:
        if self._timebase is None or self._stalled or not reader.ready:
            return False
        if not self._timing:
            self._watch(self._timebase, reader)
        return True

    def _watch(self, timebase: Timebase, reader: Console) -> None:
        self._timing = True
        self._taken_before = reader.received_bytes
        timebase.call_at(timebase.now() + PATIENCE, lambda: self._judge(timebase, reader))

    def _judge(self, timebase: Timebase, reader: Console) -> None:
        """Whether the reader is worth waiting for still."""
        self._timing = False
        if not self.console.holding:
            return
        if self._hub.console(self.peer) is reader and reader.received_bytes - self._taken_before >= PROGRESS:
            self._watch(timebase, reader)
            return
        self._stalled = True
        self.console.resume_output()


class ConsoleHub:
    """All virtio consoles of all VMs, found by (VM id, device address) as their configuration names the peer."""

    def __init__(self) -> None:
        self._pairings: dict[Key, Pairing] = {}
        self._went_on: list[Pairing] = []  # readers whose senders are still to be told
        self._telling = False

    def add(self, key: Key, peer: Key, pane: VmConsole | None, timebase: Timebase | None = None) -> Console:
        """A console at `key` whose output goes to `peer`, and to the VM's pane in the workstation if it has one.

        With a pane, bytes typed there go to this console, and its size is the pane's. Without a `timebase` no sender
        ever waits for a reader.
        """
        pairing = self._pairings[key] = Pairing(self, peer, pane, timebase)
        console = pairing.console
        for other in list(self._pairings.values()):
            if other.peer == key:
                other.peer_appeared(console)
        if pane is not None:
            pane.on_input = pairing.typed
            pane.on_resize = pairing.resized
            pairing.resized(*pane.size)
            pairing.typed()
        return console

    def remove(self, key: Key, console: Console) -> None:
        """The console's VM is gone; a new VM of the same id may have put its own in this place already."""
        pairing = self._pairings.get(key)
        if pairing is None or pairing.console is not console:
            return
        del self._pairings[key]
        for other in list(self._pairings.values()):
            if other.peer == key and other.console.holding:
                other.console.resume_output()

    def console(self, key: Key) -> Console | None:
        """The console at `key`."""
        pairing = self._pairings.get(key)
        return pairing.console if pairing is not None else None

    def room_made(self, reader: Pairing) -> None:
        """The guest behind `reader` has taken input: whoever waits for that goes on."""
        if reader not in self._went_on:
            self._went_on.append(reader)
        if self._telling:
            return  # a sender that went on made another reader go on
        self._telling = True
        try:
            while self._went_on:
                reader = self._went_on.pop(0)
                for pairing in list(self._pairings.values()):
                    if self._pairings.get(pairing.peer) is reader:
                        pairing.reader_went_on(reader.console)
        finally:
            self._telling = False
