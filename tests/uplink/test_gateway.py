"""ARP, DHCP and ping of 10.0.2.2: libslirp and the built-in peer answer alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shyper_tui.engine.uplink.addresses import HOST_MAC, NIC_MAC
from shyper_tui.engine.uplink.link import Uplink
from shyper_tui.engine.uplink.packets import checksum
from tests.uplink.frames import GATEWAY, GUEST, addresses, arp, dhcp, ipv4, offered, ping, tcp
from tests.uplink.host import Guest, QuietHost

DISCOVER, OFFER, REQUEST, ACK, NAK, INFORM = 1, 2, 3, 5, 6, 8


@pytest.fixture(params=["libslirp", "built-in peer"])
def guest(request: Any) -> Iterator[Guest]:
    if request.param == "libslirp":
        yield Guest(request.getfixturevalue("slirp_uplink")())
    else:
        yield Guest(request.getfixturevalue("peer_uplink"))


def test_the_gateway_has_a_hardware_address(guest: Guest) -> None:
    guest.send(arp())
    (answer,) = guest.frames()
    assert answer[:14] == NIC_MAC + HOST_MAC + b"\x08\x06"
    assert answer[20:22] == b"\0\2"
    assert answer[22:28] == HOST_MAC
    assert answer[28:32] == bytes((10, 0, 2, 2))


def test_nobody_answers_for_the_guests_own_address(guest: Guest) -> None:
    guest.send(arp(GUEST))
    assert guest.frames() == []


def test_a_client_gets_its_address(guest: Guest) -> None:
    guest.send(dhcp(DISCOVER))
    (offer,) = guest.frames()
    kind, address, options = offered(offer)
    assert (kind, address) == (OFFER, GUEST)
    assert options[1] == bytes((255, 255, 255, 0))
    assert options[3] == options[54] == bytes((10, 0, 2, 2))
    assert int.from_bytes(options[51], "big") == 86400
    guest.send(dhcp(REQUEST, wanted=GUEST, server=GATEWAY))
    (answer,) = guest.frames()
    assert offered(answer)[:2] == (ACK, GUEST)


def test_an_address_of_another_network_is_refused(guest: Guest) -> None:
    guest.send(dhcp(REQUEST, wanted="192.168.1.5"))
    (answer,) = guest.frames()
    assert offered(answer)[0] == NAK


@pytest.mark.parametrize("size", [0, 8, 57, 1400])
def test_ping_comes_back_with_its_data(guest: Guest, size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    guest.send(arp(), ping(data))
    *_, answer = guest.frames()
    assert addresses(answer) == (GATEWAY, GUEST)
    end = 14 + int.from_bytes(answer[16:18], "big")
    assert answer[34] == 0
    assert checksum(answer[34:end]) == checksum(answer[14:34]) == 0
    assert answer[38:42] == b"\0\x4d\0\1"
    assert answer[42:end] == data


def test_an_answer_longer_than_an_ethernets_frame_comes_in_fragments(slirp_uplink: Any) -> None:
    guest = Guest(slirp_uplink())
    data = bytes(index % 251 for index in range(4000))
    whole = ping(data)
    guest.send(arp())
    guest.frames()
    for at in (0, 1480, 2960):
        guest.send(ipv4(1, whole[34 + at : 34 + at + 1480], fragment=at // 8 | (0x2000 if at < 2960 else 0)))
    answers = guest.frames()
    assert max(map(len, answers)) <= 1514
    assert all(checksum(answer[14:34]) == 0 for answer in answers)
    pieces = {8 * (int.from_bytes(answer[20:22], "big") & 0x1FFF): answer for answer in answers}
    message = b"".join(pieces[at][34 : 14 + int.from_bytes(pieces[at][16:18], "big")] for at in sorted(pieces))
    assert message[8:] == data
    assert checksum(message) == 0
    assert [answer[20] & 0x20 for _, answer in sorted(pieces.items())] == [0x20, 0x20, 0]


def test_what_the_peer_cannot_reach_is_unreachable_at_once(peer_uplink: Uplink) -> None:
    guest = Guest(peer_uplink)
    guest.send(tcp(80, 2, to="192.0.2.1"))
    (answer,) = guest.frames()
    assert addresses(answer) == (GATEWAY, GUEST)
    assert answer[34:36] == b"\3\0"
    assert checksum(answer[34 : 14 + int.from_bytes(answer[16:18], "big")]) == 0


def test_the_peer_leaves_other_dhcp_servers_their_clients(peer_uplink: Uplink) -> None:
    guest = Guest(peer_uplink)
    guest.send(dhcp(REQUEST, wanted=GUEST, server="10.0.2.9"))
    assert guest.frames() == []
    guest.send(dhcp(INFORM))
    (answer,) = guest.frames()
    kind, address, options = offered(answer)
    assert (kind, address, 51 in options) == (ACK, "0.0.0.0", False)


def test_a_network_without_connections_asks_for_no_time(host: QuietHost, slirp_uplink: Any) -> None:
    guest = Guest(slirp_uplink())
    guest.send(arp(), ping(), dhcp(DISCOVER))
    assert len(guest.frames()) == 3
    host.advance(1_000_000)  # interrupts for what was sent
    assert host.next_tick() is None
