"""Which of the guest's frames the outer network sees.

libslirp is C code that reads what a hostile guest has written, so it gets well-formed ARP and IPv4 alone, with every
length checked, in one piece, from the guest's own addresses. What it must not reach is kept from it here, whatever the
library does: the host's loopback, and at the name server's address anything but names.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from shyper_tui.engine.uplink import addresses as at
from shyper_tui.engine.uplink.packets import (
    ARP_FRAME,
    ARP_TYPE,
    ETHERNET,
    ICMP,
    IPV4,
    IPV4_TYPE,
    TCP,
    UDP,
    Packet,
    ethernet_type,
    packet,
)
from shyper_tui.engine.uplink.reassembly import Reassembly

LARGEST_FRAME = ETHERNET + 0xFFFF

_PREFIX = at.NETWORK.network_address.packed[:3]
_HOST, _NAMESERVER = at.HOST.packed, at.NAMESERVER.packed
_EVERYBODY = b"\xff" * 4
_ARP_START = struct.pack(">HHBB", 1, IPV4_TYPE, 6, 4)
_DHCP_SERVER, _DHCP_CLIENT, _DNS, _TFTP = 67, 68, 53, 69
_ECHO_REQUEST = 8


class Gate:
    """`now`: ticks."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._reassembly = Reassembly(now)
        self.refused = 0
        """Frames that were not let through."""

    def admit(self, frame: bytes) -> tuple[bytes, Packet | None] | None:
        """The frame, cut to what is in it, and its packet, if it is one of IPv4; None when it is not let through, or is
        a fragment that must wait for others."""
        admitted = self._look(frame)
        if admitted is None:
            self.refused += 1
        elif admitted[1] is not None and admitted[1].fragment:
            whole = self._reassembly.add(admitted[0], admitted[1])
            return self.admit(whole) if whole is not None else None
        return admitted

    def _look(self, frame: bytes) -> tuple[bytes, Packet | None] | None:
        if not ARP_FRAME <= len(frame) <= LARGEST_FRAME or frame[6] & 1:
            return None
        kind = ethernet_type(frame)
        if kind == ARP_TYPE:
            return (frame[:ARP_FRAME], None) if frame.startswith(_ARP_START, ETHERNET) else None
        if kind != IPV4_TYPE:
            return None
        found = packet(frame)
        if found is None or not self._may_go(found, frame):
            return None
        return (frame if len(frame) == found.ends else frame[: found.ends]), found

    def _may_go(self, found: Packet, frame: bytes) -> bool:
        protocol, source, destination = found.protocol, found.source, found.destination
        if protocol == UDP and found.ports[1] == _DHCP_SERVER and not found.fragment:
            return found.ports[0] == _DHCP_CLIENT and destination in (_HOST, _EVERYBODY)
        own = source.startswith(_PREFIX) and 0 < source[3] < 255 and source not in (_HOST, _NAMESERVER)
        if not own or destination[0] in (0, 127) or destination[0] >= 224:
            return False
        if found.fragment:  # what is in there is looked at when it is whole
            return protocol in (ICMP, UDP)
        if protocol == ICMP and frame[ETHERNET + IPV4] != _ECHO_REQUEST:
            return False
        if not destination.startswith(_PREFIX):
            return protocol in (ICMP, TCP, UDP)
        if destination == _HOST:
            return protocol in (ICMP, TCP) or (protocol == UDP and found.ports[1] != _TFTP)
        return destination == _NAMESERVER and protocol in (TCP, UDP) and found.ports[1] == _DNS
