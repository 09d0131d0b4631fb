"""Fragments of a guest: put together here, whatever order they come in, and never kept without end."""

from __future__ import annotations

import random
from itertools import pairwise, permutations

import pytest

from shyper_tui.engine.uplink.gate import Gate
from shyper_tui.engine.uplink.packets import checksum, packet
from shyper_tui.engine.uplink.reassembly import GIVE_UP_TICKS, MOST_BYTES, MOST_PACKETS, Reassembly
from tests.uplink.frames import NAMESERVER, ipv4, ping, udp
from tests.uplink.host import QuietHost

MORE = 0x2000


def pieces(frame: bytes, *cuts: int) -> list[bytes]:
    """The packet of a frame in fragments that begin at multiples of 8 bytes."""
    whole = packet(frame)
    assert whole is not None
    payload, places = frame[34 : whole.ends], [0, *cuts, whole.ends - 34]
    to = ".".join(map(str, whole.destination))
    return [
        ipv4(whole.protocol, payload[at:end], to, fragment=at // 8 | (MORE if end < len(payload) else 0))
        for at, end in pairwise(places)
    ]


def test_fragments_become_the_packet_in_any_order(host: QuietHost) -> None:
    frame = udp(9, bytes(range(256)) * 8, "192.0.2.1")
    parts = pieces(frame, 8, 512, 1480)
    for order in permutations(parts):
        gate = Gate(host.now)
        *early, last = order
        assert [gate.admit(part) for part in early] == [None] * 3
        admitted = gate.admit(last)
        assert admitted is not None
        assert admitted[0][34:] == frame[34:]
        assert checksum(admitted[0][14:34]) == 0
        assert gate.refused == 0


def test_what_a_packet_says_is_looked_at_when_it_is_whole(host: QuietHost) -> None:
    for forbidden in (udp(22, bytes(2000), NAMESERVER), udp(69, bytes(2000)), ping(bytes(2000), kind=5)):
        gate = Gate(host.now)
        assert [gate.admit(part) for part in pieces(forbidden, 1480)] == [None, None]
        assert gate.refused == 1


@pytest.mark.parametrize(
    "words",
    [
        [(0, 800, MORE), (792, 800, MORE)],  # overlap
        [(0, 800, MORE), (0, 800, MORE)],  # twice
        [(800, 100, 0), (896, 100, MORE)],  # beyond the end
        [(800, 100, 0), (1600, 100, 0)],  # two ends
        [(1600, 800, MORE), (800, 100, 0)],  # an end before what is there
        [(0, 801, MORE)],  # not in units of 8
        [(0xFFF8, 1000, 0)],  # longer than a packet can be
    ],
)
def test_fragments_that_contradict_each_other_are_dropped(host: QuietHost, words: list[tuple[int, int, int]]) -> None:
    reassembly = Reassembly(host.now)
    for at, size, more in words:
        frame = ipv4(17, bytes(size), "192.0.2.1", fragment=at // 8 | more)
        found = packet(frame)
        assert found is not None
        assert reassembly.add(frame, found) is None
    assert reassembly.size == 0


def test_packets_that_are_never_complete_take_no_more_than_their_share(host: QuietHost) -> None:
    reassembly, numbers = Reassembly(host.now), random.Random(1)
    for index in range(5000):
        frame = bytearray(ipv4(17, bytes(8 * numbers.randrange(1, 180)), "192.0.2.1", fragment=MORE | index % 3 << 10))
        frame[18:20] = numbers.randrange(100).to_bytes(2, "big")
        found = packet(bytes(frame))
        assert found is not None
        reassembly.add(bytes(frame), found)
        assert reassembly.size <= min(MOST_BYTES, MOST_PACKETS * 3 * 1440)
    host.advance(GIVE_UP_TICKS)
    last = ipv4(17, bytes(8), "192.0.2.1", fragment=MORE)
    found = packet(last)
    assert found is not None
    reassembly.add(last, found)
    assert reassembly.size == 8
