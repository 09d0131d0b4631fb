"""Cuts a large TCP packet into segments, for receivers that cannot take it whole (what hardware calls TSO)."""

from __future__ import annotations

import struct

MAX_SEGMENTS = 256  # of one packet: 64 KiB in pieces of 256 bytes
_FIN_PSH, _CWR = 0x09, 0x80
_VLAN_TAG = 0x8100
_IPV4, _IPV6, _TCP = 0x0800, 0x86DD, 6


def ones_complement_sum(data: bytes) -> int:
    """The 16-bit sum of RFC 1071, not yet inverted."""
    total = int.from_bytes(data + bytes(len(data) & 1), "big")
    return total % 0xFFFF or (0xFFFF if total else 0)  # 65536 is 1 modulo 65535, so this adds up all words


def segment(frame: bytes, size: int) -> list[bytes]:
    """The frames that carry the TCP payload of `frame`, at most `size` bytes each, complete with all checksums.

    Empty for anything but TCP over IPv4 or IPv6 (without extension headers), and for nonsense.
    """
    try:
        return _segment(frame, size)
    except (struct.error, IndexError):  # shorter than its headers say
        return []


def _segment(frame: bytes, size: int) -> list[bytes]:
    ip = 14
    (kind,) = struct.unpack_from(">H", frame, 12)
    if kind == _VLAN_TAG:
        ip = 18
        (kind,) = struct.unpack_from(">H", frame, 16)
    if kind == _IPV4 and frame[ip + 9] == _TCP:
        tcp = ip + 4 * (frame[ip] & 0x0F)
        addresses = frame[ip + 12 : ip + 20]
    elif kind == _IPV6 and frame[ip + 6] == _TCP:
        tcp = ip + 40
        addresses = frame[ip + 8 : ip + 40]
    else:
        return []
    payload = tcp + 4 * (frame[tcp + 12] >> 4)
    count = -(-(len(frame) - payload) // size) if size else 0
    if tcp < ip + 20 or payload < tcp + 20 or not 0 < count <= MAX_SEGMENTS:
        return []

    segments = []
    for index in range(count):
        data = frame[payload + index * size : payload + (index + 1) * size]
        piece = bytearray(frame[:payload] + data)
        if kind == _IPV4:
            _fix_ipv4(piece, ip, tcp, index)
        else:
            struct.pack_into(">H", piece, ip + 4, len(piece) - tcp)
        _fix_tcp(piece, tcp, index * size, first=index == 0, last=index == count - 1)
        pseudo = addresses + struct.pack(">II", len(piece) - tcp, _TCP)
        struct.pack_into(">H", piece, tcp + 16, ~ones_complement_sum(pseudo + piece[tcp:]) & 0xFFFF)
        segments.append(bytes(piece))
    return segments


def _fix_ipv4(piece: bytearray, ip: int, tcp: int, index: int) -> None:
    (identification,) = struct.unpack_from(">H", piece, ip + 4)
    struct.pack_into(">HH", piece, ip + 2, len(piece) - ip, identification + index & 0xFFFF)
    struct.pack_into(">H", piece, ip + 10, 0)
    struct.pack_into(">H", piece, ip + 10, ~ones_complement_sum(bytes(piece[ip:tcp])) & 0xFFFF)


def _fix_tcp(piece: bytearray, tcp: int, offset: int, *, first: bool, last: bool) -> None:
    (sequence,) = struct.unpack_from(">I", piece, tcp + 4)
    struct.pack_into(">I", piece, tcp + 4, sequence + offset & 0xFFFF_FFFF)
    if not last:
        piece[tcp + 13] &= ~_FIN_PSH
    if not first:
        piece[tcp + 13] &= ~_CWR
    struct.pack_into(">H", piece, tcp + 16, 0)
