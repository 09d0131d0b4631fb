"""Bounds what the guest can make the user network keep: sockets of the host, and segments out of order."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.uplink.packets import ETHERNET, ICMP, IPV4, RST, SYN, TCP, Packet

MOST_SOCKETS = 256
"""Sockets from which on no new connection begins."""
KNOWN_SENDERS = 256
"""Senders of datagrams that are still heard then."""
MOST_UNACKNOWLEDGED, MOST_HELD, MOST_FLOWS = 512, 8192, 4096
"""Segments of one connection that the network has not acknowledged, of all together, and connections that have some."""
FORGET_TICKS = 3_000_000_000
"""After five minutes nothing is kept any more."""

Key = tuple[bytes, bytes, int, int]


class _Flow:
    __slots__ = ("acknowledged", "began", "pending")

    def __init__(self, now: int) -> None:
        self.acknowledged, self.pending, self.began = -1, 0, now


class Flows:
    """`sockets`: how many there are now; `now`: ticks."""

    def __init__(self, sockets: Callable[[], int], now: Callable[[], int]) -> None:
        self._sockets, self._now = sockets, now
        self._flows: dict[Key, _Flow] = {}
        self._held = 0
        self._senders: dict[Key, None] = {}
        self.refused = 0

    @property
    def full(self) -> bool:
        return self._sockets() >= MOST_SOCKETS

    def admit(self, packet: Packet, frame: bytes) -> bool:
        """Whether one more packet of the guest is let through."""
        admitted = self._admit_segment(packet, frame) if packet.protocol == TCP else self._admit_datagram(packet)
        self.refused += not admitted
        return admitted

    def _admit_datagram(self, packet: Packet) -> bool:
        # libslirp has a socket for each port of the guest, and for each echo request
        sender = (packet.source, b"", packet.protocol, packet.ports[0])
        if sender not in self._senders:
            if self.full:
                return False
            if len(self._senders) >= KNOWN_SENDERS:
                del self._senders[next(iter(self._senders))]
            self._senders[sender] = None
        return packet.protocol != ICMP or not self.full

    def _admit_segment(self, packet: Packet, frame: bytes) -> bool:
        at = ETHERNET + IPV4
        flags = frame[at + 13]
        if flags & SYN and self.full:
            return False
        if packet.ends == at + 4 * (frame[at + 12] >> 4) and not flags & SYN:
            return True  # without data nothing of it is kept
        key = (packet.source, packet.destination, *packet.ports)
        flow = self._flows.get(key)
        if flow is None:
            if len(self._flows) >= MOST_FLOWS:
                self._forget()
            if len(self._flows) >= MOST_FLOWS:
                return False
            flow = self._flows[key] = _Flow(self._now())
        if flow.pending >= MOST_UNACKNOWLEDGED or self._held >= MOST_HELD:
            return False
        flow.pending += 1
        self._held += 1
        return True

    def answered(self, packet: Packet, frame: bytes) -> None:
        """The network has sent a TCP segment to the guest."""
        key = (packet.destination, packet.source, packet.ports[1], packet.ports[0])
        flow = self._flows.get(key)
        if flow is None:
            return
        at = ETHERNET + IPV4
        acknowledged = int.from_bytes(frame[at + 8 : at + 12], "big")
        reset = frame[at + 13] & RST
        if acknowledged != flow.acknowledged or reset:
            self._held -= flow.pending
            flow.acknowledged, flow.pending = acknowledged, 0
        if reset:
            del self._flows[key]

    def _forget(self) -> None:
        """Connections of which nothing is kept, or nothing any more."""
        old = self._now() - FORGET_TICKS
        for key, flow in list(self._flows.items()):
            if not flow.pending or flow.began < old:
                self._held -= flow.pending
                del self._flows[key]
