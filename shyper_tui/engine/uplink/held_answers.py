"""Acknowledgements of which one stands for several (RFC 9293, section 3.8.6.3).

libslirp acknowledges each segment at once; of a guest's segments that are sent together, one answer is enough.
"""

from __future__ import annotations

from shyper_tui.engine.uplink.packets import ACK, ETHERNET, IPV4, Packet

_AT = ETHERNET + IPV4
_PSH = 8


def is_data(frame: bytes, found: Packet) -> bool:
    """Whether a TCP segment is one of data, without a beginning, an end, or anything else to do."""
    return not frame[_AT + 13] & ~(ACK | _PSH) and found.ends > _AT + 4 * (frame[_AT + 12] >> 4)


class HeldAnswers:
    """The last pure acknowledgement, until something else is sent."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def hold(self, frame: bytes, found: Packet) -> bool:
        """Whether a TCP segment is kept here, perhaps in the place of one before. What is kept goes out before any
        other frame does."""
        if frame[_AT + 13] != ACK or found.ends != _AT + 4 * (frame[_AT + 12] >> 4):
            return False
        if self._held and not _supersedes(frame, self._held[0]):
            return False
        self._held = [frame]
        return True

    def take(self) -> list[bytes]:
        """What is kept, and is not any more."""
        held, self._held = self._held, []
        return held


def _supersedes(new: bytes, old: bytes) -> bool:
    """Of the same connection, and acknowledges more."""
    if new[26:38] != old[26:38]:  # addresses and ports
        return False
    ahead = int.from_bytes(new[42:46], "big") - int.from_bytes(old[42:46], "big") & 0xFFFF_FFFF
    return 0 < ahead < 1 << 31
