"""TCP between a guest and servers and clients on the host's loopback."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shyper_tui.engine.board.virtio import net
from shyper_tui.engine.uplink.flows import MOST_SOCKETS, MOST_UNACKNOWLEDGED
from shyper_tui.engine.uplink.link import BUSY_FRAMES, Uplink
from tests.uplink.conftest import MakeUplink
from tests.uplink.frames import ACK, FIN, PSH, RST, SYN, Segment, arp, segment, tcp, udp
from tests.uplink.host import PLAIN, Guest, QuietHost

MSS = b"\x02\x04\x05\xb4"
"""The option that announces 1460 bytes."""


@contextmanager
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        yield listening


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def segments(guest: Guest, host: QuietHost, enough: Callable[[list[Segment]], bool]) -> list[Segment]:
    """TCP segments that come until there are enough."""
    found = [segment(frame) for frame in guest.frames() if frame[23] == 6]
    while not enough(found):
        host.go_on()
        found += [segment(frame) for frame in guest.frames() if frame[12:14] == b"\x08\0" and frame[23] == 6]
    return found


def connect(guest: Guest, host: QuietHost, port: int, own: int = 4000, options: bytes = MSS) -> Segment:
    """The guest opens a connection; the answer to its SYN."""
    guest.send(arp())
    guest.frames()
    guest.send(tcp(port, SYN, 99, own=own, options=options))
    answer = segments(guest, host, bool)[0]
    assert answer.flags == SYN | ACK
    assert answer.acknowledged == 100
    guest.send(tcp(port, ACK, 100, answer.sequence + 1, own=own))
    return answer


def test_a_guest_sends_to_a_server_of_the_host(host: QuietHost, slirp_uplink: MakeUplink) -> None:
    guest = Guest(slirp_uplink())
    with server() as listening:
        answer = connect(guest, host, port_of(listening))
        connection, _ = listening.accept()
        with connection:
            guest.send(tcp(port_of(listening), ACK | PSH, 100, answer.sequence + 1, b"hello"))
            assert connection.recv(100) == b"hello"
            connection.sendall(b"answer")
            answers = segments(guest, host, lambda seen: any(s.data for s in seen))
            (received,) = [found for found in answers if found.data]
            assert (received.data, received.acknowledged, received.checked) == (b"answer", 105, True)


def test_a_packet_of_the_guest_goes_out_whole_although_it_is_larger_than_a_frame(
    host: QuietHost, slirp_uplink: MakeUplink
) -> None:
    guest = Guest(slirp_uplink())
    data = bytes(index % 251 for index in range(60_000))
    with server() as listening:
        answer = connect(guest, host, port_of(listening))
        connection, _ = listening.accept()
        with connection:
            frame = bytearray(tcp(port_of(listening), ACK | PSH, 100, answer.sequence + 1, data))
            frame[50:52] = b"\0\0"  # its checksum is the card's work
            header = b"\1\1" + (54).to_bytes(2, "little") + (1460).to_bytes(2, "little") + b"\x22\0\x10\0\1\0"
            guest.send(bytes(frame), header=header)
            received = b""
            while len(received) < len(data):
                received += connection.recv(1 << 16)
            assert received == data
    assert segments(guest, host, bool)[-1].acknowledged == 100 + len(data)


@pytest.mark.parametrize("offload", [True, False])
def test_what_a_server_sends_arrives_whole_and_in_large_packets_where_the_driver_takes_them(
    host: QuietHost, slirp_uplink: MakeUplink, offload: bool
) -> None:
    guest = Guest(slirp_uplink(), without=0 if offload else net.VIRTIO_NET_F_GUEST_TSO4 | net.VIRTIO_NET_F_GUEST_ECN)
    data = bytes(index % 249 for index in range(200_000))
    with server() as listening:
        port = port_of(listening)
        answer = connect(guest, host, port)
        connection, _ = listening.accept()
        with connection:
            connection.sendall(data)
            received, sizes, start = bytearray(), [], answer.sequence + 1
            while len(received) < len(data):
                arrived = guest.frames_with_headers()
                if not arrived:
                    host.go_on()
                for header, frame in arrived:
                    found = segment(frame)
                    if not found.data:
                        continue
                    assert found.sequence == start + len(received)
                    received += found.data
                    sizes.append(len(frame))
                    if header[1]:
                        assert int.from_bytes(header[4:6], "little") == 1460
                        assert header[0] == 1
                    else:
                        assert len(frame) <= 1514
                    guest.send(tcp(port, ACK, 100, start + len(received)))
            assert bytes(received) == data
    assert (max(sizes) > 30_000) is offload


def test_a_small_segment_size_of_the_guest_is_respected(host: QuietHost, slirp_uplink: MakeUplink) -> None:
    guest = Guest(slirp_uplink(), without=net.VIRTIO_NET_F_GUEST_TSO4 | net.VIRTIO_NET_F_GUEST_ECN)
    with server() as listening:
        connect(guest, host, port_of(listening), options=b"\x02\x04\x02\x18")
        connection, _ = listening.accept()
        with connection:
            connection.sendall(bytes(5000))
            found = segments(guest, host, lambda seen: any(s.data for s in seen))
            assert max(len(one.data) for one in found) <= 536


def test_a_segment_with_an_unfinished_checksum_has_the_pseudo_headers(
    host: QuietHost, slirp_uplink: MakeUplink
) -> None:
    guest = Guest(slirp_uplink())
    with server() as listening:
        connect(guest, host, port_of(listening))
        connection, _ = listening.accept()
        with connection:
            connection.sendall(bytes(1000))
            found: list[tuple[bytes, bytes]] = []
            while not any(len(frame) > 1000 for _, frame in found):
                host.go_on()
                found += guest.frames_with_headers()
    header, frame = next(one for one in found if len(one[1]) > 1000)
    assert header == b"\1\0\0\0\0\0\x22\0\x10\0\1\0"
    finished = net.Frame(frame, 1, 0, 0, 0, 34, 16).with_checksum().data
    assert segment(finished).checked


def test_no_frame_is_lost_while_the_guest_has_no_buffers(host: QuietHost, slirp_uplink: MakeUplink) -> None:
    uplink = slirp_uplink()
    guest = Guest(uplink, buffers=4, without=net.VIRTIO_NET_F_GUEST_TSO4 | net.VIRTIO_NET_F_GUEST_ECN)
    with server() as listening:
        port = port_of(listening)
        answer = connect(guest, host, port, options=b"\x02\x04\x00\xc8")  # 200 bytes: many frames
        connection, _ = listening.accept()
        with connection:
            data = bytes(index % 247 for index in range(60_000))
            connection.sendall(data)
            while not uplink.waiting:
                host.go_on()
            assert uplink.net.backlog >= BUSY_FRAMES - 4
            received, start = b"", answer.sequence + 1
            for _ in range(5000):
                for frame in guest.frames():
                    found = segment(frame)
                    if found.data:
                        assert found.sequence == start + len(received)
                        received += found.data
                guest.send(tcp(port, ACK, 100, start + len(received)))
                if len(received) == len(data):
                    break
                host.go_on()
            assert received == data
    assert uplink.dropped == uplink.net.received_dropped == 0


def test_the_hosts_loopback_is_out_of_reach_unless_asked_for(host: QuietHost, slirp_uplink: MakeUplink) -> None:
    with server() as listening, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        datagrams.setblocking(False)
        port, uplink = port_of(listening), slirp_uplink(host_loopback=False)
        guest = Guest(uplink)
        guest.send(arp())
        guest.frames()
        listening.setblocking(False)
        for to in ("10.0.2.2", "10.0.2.3", "10.0.2.7", "127.0.0.1", "127.0.0.53", "0.0.0.0"):
            guest.send(tcp(port, SYN, 99, own=4001, to=to, options=MSS))
            guest.send(udp(datagrams.getsockname()[1], b"datagram", to))
        host.advance(20_000_000)
        with pytest.raises(BlockingIOError):
            listening.accept()
        with pytest.raises(BlockingIOError):
            datagrams.recv(100)
        assert not any(found.flags & ACK and found.flags & SYN for found in map(segment, guest.frames()))


def test_an_isolated_guest_reaches_nothing(host: QuietHost, slirp_uplink: MakeUplink) -> None:
    with server() as listening:
        guest = Guest(slirp_uplink(restricted=True))
        guest.send(arp())
        assert len(guest.frames()) == 1
        listening.setblocking(False)
        guest.send(tcp(port_of(listening), SYN, 99, options=MSS))
        host.advance(20_000_000)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_connections_end_on_both_sides(host: QuietHost, slirp_uplink: MakeUplink) -> None:
    uplink = slirp_uplink()
    guest = Guest(uplink)
    with server() as listening:
        port = port_of(listening)
        answer = connect(guest, host, port)
        connection, _ = listening.accept()
        assert uplink.sockets == 1
        connection.close()
        found = segments(guest, host, lambda seen: any(s.flags & FIN for s in seen))
        end = next(one for one in found if one.flags & FIN)
        guest.send(tcp(port, ACK | FIN, 100, end.sequence + 1))
        host.advance(100_000_000)
        assert uplink.sockets == 0
        assert answer.source == "10.0.2.2"
        host.advance(100_000_000)
        assert host.next_tick() is None, "nothing is timed any more"


def test_a_guest_gets_no_more_sockets_than_there_are_for_it(host: QuietHost, slirp_uplink: MakeUplink) -> None:
    uplink = slirp_uplink()
    guest = Guest(uplink)
    guest.send(arp())
    with server() as listening:
        for own in range(1000, 1000 + MOST_SOCKETS + 200):
            guest.send(tcp(port_of(listening), SYN, 99, own=own, options=MSS))
        assert uplink.sockets <= MOST_SOCKETS
        for own in range(1000, 3000):
            guest.send(udp(port_of(listening), b"?", own=own))
        assert uplink.sockets <= 2 * MOST_SOCKETS
        assert uplink.refused > 1000
    guest.send(arp())
    kinds: list[bytes] = []
    while b"\x08\x06" not in kinds:  # what needs no socket goes on
        kinds = [frame[12:14] for frame in guest.frames()]
        host.go_on()


def test_segments_out_of_order_are_not_kept_without_end(host: QuietHost, slirp_uplink: MakeUplink) -> None:
    uplink = slirp_uplink()
    guest = Guest(uplink)
    with server() as listening:
        port = port_of(listening)
        answer = connect(guest, host, port)
        before = uplink.refused
        for index in range(2000):
            guest.send(tcp(port, ACK, 102 + 2 * index, answer.sequence + 1, b"x"))
            guest.frames()
        host.advance(10_000_000)  # what the card has not looked at yet
        assert uplink.refused - before == 2000 - MOST_UNACKNOWLEDGED
        guest.send(tcp(port, RST, 100, answer.sequence + 1))


def test_frames_of_a_stream_are_sent_together_and_at_once_when_the_machine_rests(
    host: QuietHost, slirp_uplink: MakeUplink
) -> None:
    uplink = slirp_uplink()
    guest = Guest(uplink)
    with server() as listening:
        port = port_of(listening)
        answer = connect(guest, host, port)
        connection, _ = listening.accept()
        with connection:
            connection.setblocking(False)
            sequence = 100

            def write(data: bytes) -> None:
                nonlocal sequence
                guest.send(tcp(port, ACK | PSH, sequence, answer.sequence + 1, data))
                sequence += len(data)

            host.advance(10_000_000)
            write(b"first")
            assert connection.recv(100) == b"first", "the first one does not wait"
            write(b"second")
            write(b"third")
            with pytest.raises(BlockingIOError):
                connection.recv(100)
            assert uplink.rests()
            assert connection.recv(100) == b"secondthird"
            write(b"fourth")
            host.advance(10_000)
            assert connection.recv(100) == b"fourth"
            assert not uplink.rests()


def test_what_nobody_looks_at_takes_no_more_than_its_share_of_memory(host: QuietHost, peer_uplink: Uplink) -> None:
    guest = Guest(peer_uplink, buffers=0)
    ping = PLAIN  # any header
    from tests.uplink.frames import ping as echo

    for _ in range(300):
        guest.send(*[echo(bytes(1400))] * 50, header=ping)
        host.advance(100_000)
    assert peer_uplink.waiting_bytes <= 8 << 20
    assert peer_uplink.dropped > 0
