"""The gateway that is always there: ARP, DHCP and ping of 10.0.2.2, and nothing behind it (RFC 826, 2131, 792)."""

from __future__ import annotations

import struct
from collections.abc import Callable

from shyper_tui.engine.uplink import addresses as at
from shyper_tui.engine.uplink.packets import (
    ARP_TYPE,
    ETHERNET,
    ICMP,
    IPV4,
    UDP,
    UDP_HEADER,
    Packet,
    checksum,
    ethernet_type,
    ipv4_frame,
    packet,
    pseudo_header,
)

LEASE_SECONDS = 86400
_REQUEST, _REPLY = 1, 2
_ECHO_REPLY, _UNREACHABLE, _ECHO_REQUEST = 0, 3, 8
_SERVER, _CLIENT = 67, 68
_MAGIC = bytes.fromhex("63825363")
_FIXED = 236  # of a BOOTP message
_DISCOVER, _OFFER, _DHCPREQUEST, _ACK, _NAK, _INFORM = 1, 2, 3, 5, 6, 8
_PAD, _MASK, _ROUTER, _WANTED, _LEASE, _TYPE, _SERVER_ID, _END = 0, 1, 3, 50, 51, 53, 54, 255
_HOST = at.HOST.packed


class BuiltInPeer:
    """A network behind a card, like `SlirpNetwork`; `send` takes well-formed frames of the guest alone (`gate.py`)."""

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    def send(self, data: bytes) -> None:
        """A frame of the guest."""
        if ethernet_type(data) == ARP_TYPE:
            self._arp(data)
            return
        found = packet(data)
        if found is None or found.fragment:
            return
        if found.protocol == UDP and found.ports == (_CLIENT, _SERVER):
            self._dhcp(data[ETHERNET + IPV4 + UDP_HEADER : found.ends])
        elif found.protocol == ICMP and found.destination == _HOST:
            self._echo(data, found)
        else:
            self._refuse(data, found)

    def _arp(self, data: bytes) -> None:
        operation, sender, address, _, wanted = struct.unpack_from(">H6s4s6s4s", data, ETHERNET + 6)
        if operation == _REQUEST and wanted == _HOST:
            answer = struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, _REPLY, at.HOST_MAC, _HOST, sender, address)
            self._receive(sender + at.HOST_MAC + ARP_TYPE.to_bytes(2, "big") + answer)

    def _echo(self, data: bytes, found: Packet) -> None:
        message = data[ETHERNET + IPV4 : found.ends]
        if message[0] == _ECHO_REQUEST:
            self._icmp(data, found, _ECHO_REPLY, message[4:])

    def _refuse(self, data: bytes, found: Packet) -> None:
        """The network is unreachable: programs need not wait until they give up."""
        self._icmp(data, found, _UNREACHABLE, bytes(4) + data[ETHERNET : ETHERNET + IPV4 + 8])

    def _icmp(self, data: bytes, found: Packet, kind: int, rest: bytes) -> None:
        message = bytes((kind, 0, 0, 0)) + rest
        message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
        self._receive(ipv4_frame(data[6:12], at.HOST_MAC, ICMP, _HOST, found.source, message))

    def _dhcp(self, message: bytes) -> None:
        if len(message) < _FIXED + 4 or message[0] != _REQUEST or message[_FIXED : _FIXED + 4] != _MAGIC:
            return
        options = _options(message[_FIXED + 4 :])
        client, hardware = message[12:16], message[28:34]
        kind = options.get(_TYPE, b"\0")[0] if options.get(_TYPE) else 0
        if options.get(_SERVER_ID, _HOST) != _HOST:
            return  # it has chosen another server
        mine = at.GUEST.packed
        if kind == _DISCOVER:
            self._answer(message, hardware, _OFFER, mine)
        elif kind == _DHCPREQUEST:
            wanted = options.get(_WANTED, client)
            self._answer(message, hardware, _ACK if wanted == mine else _NAK, mine)
        elif kind == _INFORM:
            self._answer(message, hardware, _ACK, bytes(4))

    def _answer(self, request: bytes, hardware: bytes, kind: int, yours: bytes) -> None:
        options = bytes((_TYPE, 1, kind, _SERVER_ID, 4)) + _HOST
        if kind != _NAK:
            options += bytes((_MASK, 4)) + at.NETWORK.netmask.packed + bytes((_ROUTER, 4)) + _HOST
            if any(yours):
                options += struct.pack(">BBI", _LEASE, 4, LEASE_SECONDS)
        else:
            yours = bytes(4)
        message = struct.pack(
            ">BBBB4sHH4s4s4s4s16s192x",
            _REPLY, 1, 6, 0, request[4:8], 0, int.from_bytes(request[10:12], "big"),
            request[12:16], yours, _HOST, bytes(4), request[28:44],
        )  # fmt: skip
        message = (message + _MAGIC + options + bytes((_END,))).ljust(300, b"\0")
        to = b"\xff" * 4
        header = struct.pack(">HHHH", _SERVER, _CLIENT, UDP_HEADER + len(message), 0)
        whole = checksum(pseudo_header(_HOST, to, UDP, UDP_HEADER + len(message)) + header + message) or 0xFFFF
        datagram = header[:6] + whole.to_bytes(2, "big") + message
        self._receive(ipv4_frame(hardware, at.HOST_MAC, UDP, _HOST, to, datagram))

    def close(self) -> None:
        """Nothing is held."""


def _options(data: bytes) -> dict[int, bytes]:
    """DHCP options by their code (RFC 2132); what is cut off is left out."""
    found: dict[int, bytes] = {}
    at_byte = 0
    while at_byte < len(data) and data[at_byte] != _END:
        if data[at_byte] == _PAD:
            at_byte += 1
            continue
        if at_byte + 2 > len(data):
            break
        length = data[at_byte + 1]
        found[data[at_byte]] = data[at_byte + 2 : at_byte + 2 + length]
        at_byte += 2 + length
    return found

