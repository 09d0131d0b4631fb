"""TCP in large pieces between the guest's card and the user network (segmentation offload, VIRTIO 1.2, section 5.1.6).

The guest sends packets of up to 64 KiB, which libslirp takes whole. It sends as large ones if the guest's SYN says that
it takes them, so that is what the SYN says on its way. The card hands them over whole, with the segment size that the
guest did announce, or cuts them for a driver that takes no large ones.
"""

from __future__ import annotations

from collections.abc import Iterator

from shyper_tui.engine.board.virtio.net import Frame
from shyper_tui.engine.board.virtio.segmentation import ones_complement_sum
from shyper_tui.engine.uplink.addresses import MTU
from shyper_tui.engine.uplink.packets import (
    ETHERNET,
    IPV4,
    SYN,
    TCP,
    TCP_HEADER,
    Packet,
    checksum,
    ipv4_frame,
    packet,
    pseudo_header,
)

SEGMENT = MTU - IPV4 - TCP_HEADER
"""What a guest announces on an Ethernet, and the size that large packets stand for."""
LARGE_SEGMENT = 32768
"""What libslirp sends at most in one segment."""
LEAST_SEGMENT = 200
"""Nobody needs smaller ones, and a large packet would be cut into too many."""
MOST_SMALL = 1024
"""Connections of which something is remembered."""
GSO_TCPV4, GSO_ECN, NEEDS_CSUM = 1, 0x80, 1
_AT = ETHERNET + IPV4
_CHECKSUM = 16
_END_OF_OPTIONS, _NO_OPERATION, _MSS = 0, 1, 2
_LONG = 512
"""From this length on a checksum is left to the guest, which need not verify it then."""


def finished(frame: Frame) -> bytes | None:
    """A frame of the guest with all done that its driver has left to the device; a large packet stays whole. None for
    what the card never offered."""
    if not frame.gso_type:
        return frame.with_checksum().data if frame.flags & NEEDS_CSUM else frame.data
    if frame.gso_type & ~GSO_ECN != GSO_TCPV4 or not frame.flags & NEEDS_CSUM:
        return None
    found = packet(frame.data)
    return None if found is None or found.protocol != TCP or found.fragment else with_tcp_checksum(frame.data, found)


def with_tcp_checksum(frame: bytes, found: Packet) -> bytes:
    """The same packet with the right checksum."""
    header = pseudo_header(found.source, found.destination, TCP, found.ends - _AT)
    place = _AT + _CHECKSUM
    segment = b"".join((header, frame[_AT:place], b"\0\0", frame[place + 2 : found.ends]))
    return b"".join((frame[:place], checksum(segment).to_bytes(2, "big"), frame[place + 2 : found.ends]))


def announced_size(frame: bytes) -> tuple[int, int] | None:
    """The segment size that a SYN announces (RFC 9293, section 3.7.1), and where in the frame it says so."""
    if not frame[_AT + 13] & SYN:
        return None
    at, end = _AT + TCP_HEADER, _AT + 4 * (frame[_AT + 12] >> 4)
    while at + 1 < end and frame[at] != _END_OF_OPTIONS:
        if frame[at] == _NO_OPERATION:
            at += 1
            continue
        length = frame[at + 1]
        if length < 2 or at + length > end:
            return None
        if frame[at] == _MSS and length == 4:
            return int.from_bytes(frame[at + 2 : at + 4], "big"), at + 2
        at += length
    return None


class SegmentSizes:
    """What the guest's connections have announced: libslirp forgets it now and then."""

    def __init__(self) -> None:
        self._small: dict[bytes, int] = {}
        """Sizes below that of an Ethernet, by addresses and ports as the guest's frames have them, oldest first."""

    def announce(self, frame: bytes, found: Packet) -> bytes:
        """A frame of the guest, which announces large segments now if it announced those of an Ethernet."""
        announced = announced_size(frame)
        if announced is None:
            return frame
        size, place = announced
        connection = frame[26:38]
        self._small.pop(connection, None)
        if size < SEGMENT:
            if len(self._small) >= MOST_SMALL:
                del self._small[next(iter(self._small))]
            self._small[connection] = max(size, LEAST_SEGMENT)
            return frame
        if size >= LARGE_SEGMENT:
            return frame
        return with_tcp_checksum(frame[:place] + LARGE_SEGMENT.to_bytes(2, "big") + frame[place + 2 :], found)

    def of(self, frame: bytes) -> int:
        """The size for a frame to the guest."""
        return self._small.get(frame[30:34] + frame[26:30] + frame[36:38] + frame[34:36], SEGMENT)


def for_guest(frame: bytes, found: Packet | None, size: int = SEGMENT) -> Iterator[Frame]:
    """The network's frame as the card takes it: TCP that stands for segments of `size` whole, anything else in
    fragments."""
    if found is not None and found.protocol == TCP and len(frame) >= _LONG:
        header = pseudo_header(found.source, found.destination, TCP, found.ends - _AT)
        place = _AT + _CHECKSUM
        data = frame[:place] + ones_complement_sum(header).to_bytes(2, "big") + frame[place + 2 :]
        headers = _AT + 4 * (frame[_AT + 12] >> 4)
        if found.ends - headers > size:
            yield Frame(data, NEEDS_CSUM, GSO_TCPV4, headers, size, _AT, _CHECKSUM)
        else:
            yield Frame(data, NEEDS_CSUM, 0, 0, 0, _AT, _CHECKSUM)
    elif found is not None and len(frame) > ETHERNET + MTU:
        yield from map(Frame, fragments(frame, found))
    else:
        yield Frame(frame)


def fragments(frame: bytes, found: Packet) -> Iterator[bytes]:
    """A packet in pieces that fit into an Ethernet's frames (RFC 791, section 3.2)."""
    payload, most = frame[_AT : found.ends], (MTU - IPV4) // 8 * 8
    identification = frame[ETHERNET + 4 : ETHERNET + 6]
    for start in range(0, len(payload), most):
        more = 0x2000 if start + most < len(payload) or found.more else 0
        word = more | (found.offset + start) // 8
        piece = ipv4_frame(
            frame[:6], frame[6:12], found.protocol, found.source, found.destination, payload[start : start + most], word
        )
        head = piece[ETHERNET : ETHERNET + 4] + identification + piece[ETHERNET + 6 : ETHERNET + 10] + b"\0\0"
        head += piece[ETHERNET + 12 : _AT]
        head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
        yield piece[:ETHERNET] + head + piece[_AT:]
