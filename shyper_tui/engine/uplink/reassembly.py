"""Puts the guest's fragments together (RFC 791, section 3.2), so that libslirp never sees one: version 4.7 ends the
process for a last fragment that comes first."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.uplink.packets import ETHERNET, IPV4, Packet, checksum

MOST_PACKETS, MOST_BYTES, MOST_PIECES = 32, 1 << 20, 128
"""Packets that are not complete, what they take together, and fragments of one of them."""
GIVE_UP_TICKS = 300_000_000
"""A packet that is not complete after 30 s is forgotten."""
LARGEST = 0xFFFF - IPV4
_AT = ETHERNET + IPV4

Key = tuple[bytes, int]


class _Unfinished:
    def __init__(self, until: int) -> None:
        self.pieces: dict[int, bytes] = {}
        self.headers = b""
        self.size = 0
        """Bytes of all pieces."""
        self.end: int | None = None
        """Where the last one ends, once it is there."""
        self.until = until


class Reassembly:
    """`now`: ticks."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._packets: dict[Key, _Unfinished] = {}
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._size

    def add(self, frame: bytes, found: Packet) -> bytes | None:
        """A fragment; the frame with the whole packet when it was the last that was missing."""
        data, now = frame[_AT : found.ends], self._now()
        key = (frame[26:34] + frame[18:20], found.protocol)
        self._forget(now)
        packet = self._packets.setdefault(key, _Unfinished(now + GIVE_UP_TICKS))
        if not self._fits(packet, data, found):
            self._drop(key)  # fragments that contradict each other are no accident
            return None
        packet.pieces[found.offset] = data
        packet.size += len(data)
        self._size += len(data)
        if found.offset == 0:
            packet.headers = frame[:_AT]
        if not found.more:
            packet.end = found.offset + len(data)
        if packet.size == packet.end:
            self._drop(key)
            return _whole(packet)
        self._make_room()
        return None

    @staticmethod
    def _fits(packet: _Unfinished, data: bytes, found: Packet) -> bool:
        start, end = found.offset, found.offset + len(data)
        if not data or end > LARGEST or (found.more and len(data) % 8) or len(packet.pieces) >= MOST_PIECES:
            return False
        if packet.end is not None and (end > packet.end or not found.more):
            return False
        if not found.more and any(at + len(piece) > end for at, piece in packet.pieces.items()):
            return False
        return not any(at < end and start < at + len(piece) for at, piece in packet.pieces.items())

    def _make_room(self) -> None:
        """The oldest packets go."""
        while len(self._packets) > MOST_PACKETS or self._size > MOST_BYTES:
            self._drop(next(iter(self._packets)))

    def _forget(self, now: int) -> None:
        while self._packets and next(iter(self._packets.values())).until <= now:
            self._drop(next(iter(self._packets)))

    def _drop(self, key: Key) -> None:
        self._size -= self._packets.pop(key).size


def _whole(packet: _Unfinished) -> bytes:
    data = b"".join(packet.pieces[at] for at in sorted(packet.pieces))
    headers = packet.headers
    ip = headers[ETHERNET : ETHERNET + 2] + (IPV4 + len(data)).to_bytes(2, "big") + headers[18:20] + bytes(2)
    ip += headers[22:24] + bytes(2) + headers[26:_AT]
    return headers[:ETHERNET] + ip[:10] + checksum(ip).to_bytes(2, "big") + ip[12:] + data
