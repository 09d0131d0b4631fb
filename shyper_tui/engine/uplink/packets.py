"""Ethernet frames with IPv4 in them: what of their headers the outer network looks at (RFC 791, 793, 768, 826)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from shyper_tui.engine.board.virtio.segmentation import ones_complement_sum

ETHERNET, IPV4, TCP_HEADER, UDP_HEADER, ICMP_HEADER = 14, 20, 20, 8, 8
"""Lengths of headers, without options."""
ARP_TYPE, IPV4_TYPE = 0x0806, 0x0800
ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, ACK = 1, 2, 4, 16
ARP_FRAME = ETHERNET + 28
BROADCAST_MAC = b"\xff" * 6

_IP = struct.Struct(">BxHxxHxB2x4s4s")  # version and header length, total length, fragment, protocol, addresses
_MORE_FRAGMENTS, _OFFSET = 0x2000, 0x1FFF


class Packet(NamedTuple):
    """An IPv4 packet without options in a frame. `ends`: its length with the Ethernet header; `offset`: of a fragment,
    in bytes; `ports` are (0, 0) where there are none."""

    protocol: int
    source: bytes
    destination: bytes
    ends: int
    offset: int
    more: bool
    ports: tuple[int, int]

    @property
    def fragment(self) -> bool:
        return self.more or self.offset > 0


def ethernet_type(frame: bytes) -> int:
    return frame[12] << 8 | frame[13]


def packet(frame: bytes) -> Packet | None:
    """The packet in a frame, if all that its headers say is in there."""
    if len(frame) < ETHERNET + IPV4 or ethernet_type(frame) != IPV4_TYPE:
        return None
    version, length, fragment, protocol, source, destination = _IP.unpack_from(frame, ETHERNET)
    if version != 0x45 or not IPV4 <= length <= len(frame) - ETHERNET:
        return None
    offset, more = 8 * (fragment & _OFFSET), bool(fragment & _MORE_FRAGMENTS)
    payload, ports = length - IPV4, (0, 0)
    if offset == 0:
        at = ETHERNET + IPV4
        if protocol == TCP:
            if payload < TCP_HEADER or not TCP_HEADER <= 4 * (frame[at + 12] >> 4) <= payload:
                return None
        elif protocol == UDP:
            if payload < UDP_HEADER or not (more or UDP_HEADER <= frame[at + 4] << 8 | frame[at + 5] <= payload):
                return None
        elif protocol == ICMP and payload < ICMP_HEADER:
            return None
        if protocol != ICMP:
            ports = (frame[at] << 8 | frame[at + 1], frame[at + 2] << 8 | frame[at + 3]) if payload >= 4 else ports
    return Packet(protocol, source, destination, ETHERNET + length, offset, more, ports)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    return ~ones_complement_sum(data) & 0xFFFF


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> bytes:
    """What checksums of TCP and UDP begin with; `length` of their header and data."""
    return source + destination + bytes((0, protocol)) + length.to_bytes(2, "big")


def ipv4_frame(
    to: bytes, sender: bytes, protocol: int, source: bytes, destination: bytes, payload: bytes, more: int = 0
) -> bytes:
    """A frame with an IPv4 packet; `more` is the word with flags and fragment offset."""
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, IPV4 + len(payload), 0, more, 64, protocol, 0, source, destination
    )
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return to + sender + IPV4_TYPE.to_bytes(2, "big") + header + payload
