"""What the outer network is given of a guest's frames; and random frames for both networks."""

from __future__ import annotations

import os
import random
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.engine.uplink.gate import Gate
from shyper_tui.engine.uplink.packets import packet
from shyper_tui.engine.uplink.peer import BuiltInPeer
from shyper_tui.engine.uplink.slirp import SlirpNetwork
from tests.uplink.frames import GATEWAY, GUEST, NAMESERVER, SYN, arp, dhcp, ipv4, ping, tcp, udp
from tests.uplink.host import QuietHost

CASES = int(os.environ.get("SHYPER_FUZZ_CASES", "20000"))


@pytest.fixture
def gate(host: QuietHost) -> Gate:
    return Gate(host.now)


@pytest.mark.parametrize(
    "frame",
    [
        arp(), ping(), ping(to="192.0.2.1"), dhcp(1), udp(53, b"question", NAMESERVER), tcp(53, SYN, to=NAMESERVER),
        tcp(80, SYN, to="192.0.2.1"), udp(123, b"time", "192.0.2.1"), tcp(80, SYN), udp(9, b"", source="10.0.2.200"),
    ],
)  # fmt: skip
def test_ordinary_frames_pass(gate: Gate, frame: bytes) -> None:
    admitted = gate.admit(frame + bytes(8))
    assert admitted is not None
    assert admitted[0] == frame, "what is behind the packet is cut off"
    assert gate.refused == 0


BAD = {
    "nothing": b"",
    "a header alone": arp()[:14],
    "half a question": arp()[:41],
    "ARP of another network": arp()[:14] + b"\0\2" + arp()[16:],
    "IPv6": arp()[:12] + b"\x86\xdd" + bytes(60),
    "a tag": arp()[:12] + b"\x81\0" + bytes(60),
    "a sender that is a group": arp()[:6] + b"\xff" + arp()[7:],
    "version 6": ping()[:14] + b"\x65" + ping()[15:],
    "options": ipv4(1, bytes(16), options=bytes((7, 7, 4, 0, 0, 0, 0, 0))),
    "a packet longer than its frame": ping()[:-1],
    "a packet shorter than its header": ping()[:16] + b"\0\x13" + ping()[18:],
    "half a TCP header": ipv4(6, bytes(19)),
    "a TCP header longer than its packet": ipv4(6, bytes(12) + b"\xf0" + bytes(7)),
    "a TCP header too short": ipv4(6, bytes(12) + b"\x40" + bytes(7)),
    "half a datagram": ipv4(17, bytes(7)),
    "a datagram longer than its packet": ipv4(17, struct.pack(">HHHH", 1, 2, 9, 0)),
    "a datagram shorter than its header": ipv4(17, struct.pack(">HHHH", 1, 2, 7, 0)),
    "half an echo": ipv4(1, bytes(7)),
    "an answer nobody asked for": ping(kind=0),
    "a redirect": ping(kind=5),
    "IGMP": ipv4(2, bytes(8), "224.0.0.1"),
    "a tunnel": ipv4(4, bytes(40)),
    "the host's loopback": tcp(22, SYN, to="127.0.0.1"),
    "this host": tcp(22, SYN, to="0.0.0.0"),
    "a group": udp(5353, b"?", "224.0.0.251"),
    "everybody": udp(137, b"?", "255.255.255.255"),
    "another port of the name server": tcp(22, SYN, to=NAMESERVER),
    "another address of the network": tcp(22, SYN, to="10.0.2.9"),
    "a fragment of TCP": ipv4(6, bytes(64), "192.0.2.1", fragment=0x2003),
    "TFTP": udp(69, b"\0\1file\0octet\0"),
    "another network's sender": udp(9, b"", source="192.168.0.1"),
    "the host as sender": udp(9, b"", source=GATEWAY),
    "the name server as sender": udp(9, b"", source=NAMESERVER),
    "no sender": udp(9, b"", "192.0.2.1", source="0.0.0.0"),
    "the whole network as sender": udp(9, b"", source="10.0.2.255"),
}


@pytest.mark.parametrize("name", BAD)
def test_frames_that_nobody_needs_do_not_pass(gate: Gate, name: str) -> None:
    assert gate.admit(BAD[name]) is None
    assert gate.refused == 1


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_whatever_a_frame_is_its_headers_are_true_or_it_is_no_packet(data: bytes) -> None:
    found = packet(data)
    assert found is None or 34 <= found.ends <= len(data)


def changed(frame: bytes, numbers: random.Random) -> bytes:
    """A frame with some bytes changed, put in, or cut off; its IPv4 checksum is right again mostly."""
    data = bytearray(frame)
    for _ in range(numbers.randrange(1, 6)):
        kind, place = numbers.randrange(8), numbers.randrange(len(data) or 1)
        if kind == 0:
            del data[place:]
        elif kind == 1:
            data[place:place] = numbers.randbytes(numbers.randrange(64))
        elif data:
            data[place % len(data)] = numbers.choice((0, 1, 0x7F, 0x80, 0xFF, numbers.randrange(256)))
    if len(data) >= 34 and numbers.random() < 0.8:
        from shyper_tui.engine.uplink.packets import checksum

        data[24:26] = b"\0\0"
        data[24:26] = checksum(bytes(data[14:34])).to_bytes(2, "big")
    return bytes(data)


def ordinary(numbers: random.Random) -> bytes:
    own, port = numbers.randrange(1, 40), numbers.choice((67, 69, 53, 9, 22))
    data = numbers.randbytes(numbers.choice((0, 1, 40, 1400)))
    to = numbers.choice((GATEWAY, GATEWAY, NAMESERVER))
    match numbers.randrange(7):
        case 0:
            return arp(numbers.choice((GATEWAY, GUEST, NAMESERVER, "10.0.2.77")))
        case 1:
            return ping(data)
        case 2:
            return dhcp(numbers.randrange(9), wanted=numbers.choice((None, GUEST)))
        case 3:
            return udp(port, data, to, own=own)
        case 4:
            return ipv4(numbers.choice((1, 17)), data, fragment=numbers.choice((0x2000, 0x2001, 5, 0x10)))
        case 5:
            mss = b"\x02\x04" + numbers.randbytes(2)
            return tcp(port, numbers.choice((SYN, SYN | 16, 4)), numbers.randrange(1 << 32), own=own, options=mss)
        case _:
            sequence = numbers.choice((100, 101, 5000, numbers.randrange(1 << 32)))
            return tcp(port, numbers.randrange(64), sequence, numbers.randrange(1 << 32), data, own=own)


@pytest.mark.parametrize("name", ["libslirp", "built-in peer"])
def test_random_frames_do_no_harm(host: QuietHost, request: Any, name: str) -> None:
    """The guest's address is isolated here: nothing leaves the host, whatever comes out of the dice."""
    answers: list[bytes] = []
    if name == "libslirp":
        library = request.getfixturevalue("library")
        network: SlirpNetwork | BuiltInPeer = SlirpNetwork(library, answers.append, host.now, restricted=True)
    else:
        network = BuiltInPeer(answers.append)
    gate, numbers, passed = Gate(host.now), random.Random(11), 0
    for count in range(CASES):
        frame = ordinary(numbers)
        admitted = gate.admit(changed(frame, numbers) if numbers.random() < 0.8 else frame)
        if admitted is not None:
            passed += 1
            network.send(admitted[0])
        if count % 50 == 0 and isinstance(network, SlirpNetwork):
            host.advance(1_000_000)
            network.wanted()
            network.serve({})
    assert passed > CASES // 10
    answers.clear()
    network.send(arp())
    assert answers[0][12:14] == b"\x08\x06", "it still answers"
    network.close()
