"""Paired virtio consoles: what one VM transmits arrives in the console of its peer, and in the workstation."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.virtio.console import Console
from shyper_tui.engine.hypervisor.devices.vm_console import VmConsole

Key = tuple[int, int]
"""(VM id, guest-physical base of the console device)."""

HELD = 64 << 10
"""Bytes kept for a peer that does not exist yet; the oldest give way."""


class ConsoleHub:
    """All virtio consoles of all VMs, found by (VM id, device address) as their configuration names the peer."""

    def __init__(self) -> None:
        self._consoles: dict[Key, Console] = {}
        self._held: dict[Key, bytearray] = {}

    def add(self, key: Key, peer: Key, pane: VmConsole | None) -> Console:
        """A console at `key` whose output goes to `peer`, and to the VM's pane in the workstation if it has one.

        With a pane, bytes typed there go to this console.
        """

        def transmit(data: bytes) -> None:
            if pane is not None:
                pane.write(data)
            self._send(peer, data)

        console = Console(transmit)
        self._consoles[key] = console
        held = self._held.pop(key, None)
        if held:
            console.receive(bytes(held))
        if pane is not None:
            pane.on_input = self._typist(pane, console)
            pane.on_input()
        return console

    def remove(self, key: Key, console: Console) -> None:
        """The console's VM is gone; a new VM of the same id may have put its own in this place already."""
        if self._consoles.get(key) is console:
            del self._consoles[key]

    def _send(self, peer: Key, data: bytes) -> None:
        console = self._consoles.get(peer)
        if console is not None:
            console.receive(data)
            return
        held = self._held.setdefault(peer, bytearray())
        held += data
        del held[: max(0, len(held) - HELD)]

    @staticmethod
    def _typist(vm_console: VmConsole, console: Console) -> Callable[[], None]:
        def deliver() -> None:
            data = vm_console.take(vm_console.waiting)
            taken = console.receive(data)
            if taken < len(data):
                vm_console.put_back(data[taken:])

        return deliver
