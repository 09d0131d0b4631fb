"""Frames as a guest sends them, and what comes back taken apart."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from shyper_tui.engine.uplink.addresses import HOST_MAC, NIC_MAC
from shyper_tui.engine.uplink.packets import checksum, pseudo_header

GUEST, GATEWAY, NAMESERVER = "10.0.2.15", "10.0.2.2", "10.0.2.3"
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def ipv4(
    protocol: int, payload: bytes, to: str = GATEWAY, source: str = GUEST, *, fragment: int = 0, options: bytes = b""
) -> bytes:
    """`fragment`: the word with flags and offset."""
    addresses = socket.inet_aton(source) + socket.inet_aton(to)
    length = 20 + len(options) + len(payload)
    header = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, length, 7, fragment, 64, protocol, 0)
    header += addresses + options
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return HOST_MAC + NIC_MAC + b"\x08\x00" + header + payload


def arp(wanted: str = GATEWAY) -> bytes:
    question = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + NIC_MAC + socket.inet_aton(GUEST)
    return b"\xff" * 6 + NIC_MAC + b"\x08\x06" + question + bytes(6) + socket.inet_aton(wanted)


def ping(data: bytes = b"abcdefgh", to: str = GATEWAY, *, kind: int = 8) -> bytes:
    message = struct.pack(">BBHHH", kind, 0, 0, 77, 1) + data
    return ipv4(1, message[:2] + checksum(message).to_bytes(2, "big") + message[4:], to)


def udp(port: int, data: bytes, to: str = GATEWAY, source: str = GUEST, own: int = 4000) -> bytes:
    header = struct.pack(">HHHH", own, port, 8 + len(data), 0)
    pseudo = pseudo_header(socket.inet_aton(source), socket.inet_aton(to), 17, 8 + len(data))
    return ipv4(17, header[:6] + checksum(pseudo + header + data).to_bytes(2, "big") + data, to, source)


def tcp(
    port: int,
    flags: int,
    sequence: int = 0,
    acknowledged: int = 0,
    data: bytes = b"",
    *,
    to: str = GATEWAY,
    own: int = 4000,
    options: bytes = b"",
) -> bytes:
    head = struct.pack(
        ">HHIIBBHHH", own, port, sequence, acknowledged, (20 + len(options)) << 2, flags, 65535, 0, 0
    )
    segment = head + options + data
    pseudo = pseudo_header(socket.inet_aton(GUEST), socket.inet_aton(to), 6, len(segment))
    return ipv4(6, segment[:16] + checksum(pseudo + segment).to_bytes(2, "big") + segment[18:], to)


def dhcp(kind: int, *, wanted: str | None = None, server: str | None = None) -> bytes:
    options = bytes((53, 1, kind))
    if wanted:
        options += bytes((50, 4)) + socket.inet_aton(wanted)
    if server:
        options += bytes((54, 4)) + socket.inet_aton(server)
    message = struct.pack(">BBBBIHH", 1, 1, 6, 0, 0x1234_5678, 0, 0) + bytes(16) + NIC_MAC + bytes(10 + 192)
    message += bytes.fromhex("63825363") + options + b"\xff"
    header = struct.pack(">HHHH", 68, 67, 8 + len(message), 0)
    frame = ipv4(17, header + message, "255.255.255.255", "0.0.0.0")
    return b"\xff" * 6 + frame[6:]


@dataclass(frozen=True)
class Segment:
    """A TCP segment; `checked`: both checksums are right."""

    source: str
    port: int
    own: int
    sequence: int
    acknowledged: int
    flags: int
    options: bytes
    data: bytes
    checked: bool


def addresses(frame: bytes) -> tuple[str, str]:
    return socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])


def segment(frame: bytes) -> Segment:
    length = int.from_bytes(frame[16:18], "big")
    packet = frame[14 : 14 + length]
    content = packet[20:]
    port, own, sequence, acknowledged, offset, flags = struct.unpack_from(">HHIIBB", content)
    pseudo = pseudo_header(packet[12:16], packet[16:20], 6, len(content))
    checked = checksum(packet[:20]) == 0 and checksum(pseudo + content) == 0
    head = offset >> 4 << 2
    source = socket.inet_ntoa(packet[12:16])
    return Segment(source, port, own, sequence, acknowledged, flags, content[20:head], content[head:], checked)


def offered(frame: bytes) -> tuple[int, str, dict[int, bytes]]:
    """Type, address and options of a DHCP server's answer."""
    message = frame[42:]
    assert message[:4] == b"\x02\x01\x06\x00"
    assert message[4:8] == b"\x12\x34\x56\x78"
    assert message[236:240] == bytes.fromhex("63825363")
    options, place = {}, 240
    while message[place] != 255:
        if message[place] == 0:
            place += 1
            continue
        options[message[place]] = message[place + 2 : place + 2 + message[place + 1]]
        place += 2 + message[place + 1]
    return options[53][0], socket.inet_ntoa(message[16:20]), options
