"""virtio-net and the switch: frames from driver to driver."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.board.virtio import mmio, net
from shyper_tui.engine.board.virtio.backend import VIRTIO_F_EVENT_IDX, VIRTIO_F_VERSION_1
from shyper_tui.engine.board.virtio.net import Frame, Net
from shyper_tui.engine.board.virtio.segmentation import segment
from shyper_tui.engine.board.virtio.switch import BROADCAST, Switch
from tests.board.driver import Driver

PLAIN = bytes(10) + b"\1\0"  # the header of a frame with nothing left to do
CSUM = net.VIRTIO_NET_F_CSUM | net.VIRTIO_NET_F_GUEST_CSUM


def mac(number: int) -> bytes:
    return b"\x52\x54\0\0\0" + bytes((number,))


def ethernet(destination: bytes, source: bytes, payload: bytes = b"payload") -> bytes:
    return destination + source + b"\x08\x00" + payload


class Station(Driver):
    """A machine on the switch."""

    def __init__(
        self,
        switch: Switch,
        number: int,
        features: int = 0,
        backlog: int = 256,
        *,
        known: bool = False,
        vm: int | None = None,
        timebase: ManualTimebase | None = None,
        sent_length: bool = False,
    ) -> None:
        self.mac = mac(number)
        self.net = Net(self.mac, features=features, backlog=backlog, timebase=timebase, sent_length=sent_length)
        self.port = switch.attach(f"station {number}", self.net.deliver, mac=self.mac if known else None, vm=vm)
        self.net.port = self.port
        super().__init__(self.net)
        self.start()

    def give_buffers(self, count: int = 4, size: int = 1526) -> None:
        for _ in range(count):
            self.queues[net.RECEIVEQ].add(writable=[12, size - 12])
        self.queues[net.RECEIVEQ].notify()

    def send(self, frame: bytes, header: bytes = PLAIN) -> None:
        assert self.queues[net.TRANSMITQ].request(header, frame) == (0, b"")

    def frames(self) -> list[bytes]:
        """Received frames; checks that headers are plain."""
        received = self.queues[net.RECEIVEQ].collect()
        assert all(data[:12] == PLAIN for _, data in received)
        return [data[12:length] for length, data in received]


def test_a_frame_is_flooded_first_and_switched_then() -> None:
    switch = Switch()
    a, b, c = (Station(switch, number) for number in (1, 2, 3))
    for station in (a, b, c):
        station.give_buffers()
    first = ethernet(b.mac, a.mac)
    a.send(first)
    assert (a.frames(), b.frames(), c.frames()) == ([], [first], [first])
    assert b.acknowledge() == mmio.USED_BUFFER
    answer = ethernet(a.mac, b.mac)
    b.send(answer)
    assert (a.frames(), b.frames(), c.frames()) == ([answer], [], [])
    for group in (BROADCAST, b"\x33\x33\0\0\0\1", b"\1\0\x5e\0\0\1"):
        call = ethernet(group, c.mac)
        c.send(call)
        assert (a.frames(), b.frames(), c.frames()) == ([call], [call], [])
    assert (c.port.in_frames, c.port.out_frames, a.port.out_bytes) == (3, 1, 4 * len(first))


def test_a_station_that_moves_is_followed_and_one_that_leaves_forgotten() -> None:
    switch = Switch()
    a, b, c = (Station(switch, number) for number in (1, 2, 3))
    b.send(ethernet(a.mac, mac(9)))
    assert switch.table[mac(9)] is b.port
    c.send(ethernet(a.mac, mac(9)))
    assert switch.table[mac(9)] is c.port
    c.port.unplug()
    assert mac(9) not in switch.table
    c.send(ethernet(a.mac, c.mac))
    assert (c.port.dropped, c.mac in switch.table) == (1, False)


def test_learned_addresses_of_a_port_are_bounded_and_the_ports_are() -> None:
    switch = Switch(capacity=3, max_ports=2)
    port = switch.attach("one")
    other = switch.attach("two")
    other.send(Frame(ethernet(mac(200), mac(100))))
    for number in (1, 2, 3, 1, 4):
        port.send(Frame(ethernet(mac(200), mac(number))))
    assert set(switch.table) == {mac(3), mac(1), mac(4), mac(100)}  # the other port keeps what it has made known
    with pytest.raises(ValueError, match="all 2 ports"):
        switch.attach("three")
    port.send(Frame(b"runt"))
    port.send(Frame(ethernet(mac(5), BROADCAST)))
    assert (port.in_dropped, BROADCAST in switch.table) == (1, False)


def test_a_configured_address_is_reached_before_it_has_sent_anything() -> None:
    switch = Switch()
    a, b, c = (Station(switch, number, known=True) for number in (1, 2, 3))
    for station in (a, b, c):
        station.give_buffers()
    call = ethernet(b.mac, a.mac)
    a.send(call)
    assert (a.frames(), b.frames(), c.frames()) == ([], [call], [])


def test_nobody_takes_a_configured_address_over_by_sending_from_it() -> None:
    switch = Switch()
    a, b, thief = (Station(switch, number, known=True) for number in (1, 2, 3))
    for station in (a, b, thief):
        station.give_buffers()
    thief.send(ethernet(BROADCAST, b.mac))
    a.frames(), b.frames()
    call = ethernet(b.mac, a.mac)
    a.send(call)
    assert (b.frames(), thief.frames()) == ([call], [])


def test_of_two_equal_configured_addresses_the_later_gets_the_frames_until_it_leaves() -> None:
    switch = Switch()
    first, second, a = Station(switch, 1, known=True), Station(switch, 1, known=True), Station(switch, 2, known=True)
    first.give_buffers()
    second.give_buffers()
    calls = [ethernet(mac(1), a.mac, bytes((number,))) for number in range(2)]
    a.send(calls[0])
    second.port.unplug()
    a.send(calls[1])
    assert (first.frames(), second.frames()) == ([calls[1]], [calls[0]])


def test_a_frame_to_the_senders_own_configured_address_comes_back() -> None:
    switch = Switch()
    a, b = Station(switch, 1, known=True), Station(switch, 2, known=True)
    a.give_buffers()
    b.give_buffers()
    own = ethernet(a.mac, a.mac)
    a.send(own)
    assert (a.frames(), b.frames()) == ([own], [])
    a.send(ethernet(mac(7), mac(7)))  # a learned one is on the same side: it does not
    assert (a.frames(), b.frames()) == ([], [])


def test_a_flood_goes_to_other_vms_and_not_to_another_interface_of_the_same() -> None:
    switch = Switch()
    one, two = Station(switch, 1, known=True, vm=1), Station(switch, 2, known=True, vm=1)
    other = Station(switch, 3, known=True, vm=2)
    for station in (one, two, other):
        station.give_buffers()
    for destination in (BROADCAST, b"\1\0\x5e\0\0\xfb", mac(99)):
        call = ethernet(destination, one.mac)
        one.send(call)
        assert (one.frames(), two.frames(), other.frames()) == ([], [], [call])
    direct = ethernet(two.mac, one.mac)
    one.send(direct)
    assert two.frames() == [direct]


def test_dhcp_passes_the_switch() -> None:
    switch = Switch()
    server, client, third = (Station(switch, number, known=True, vm=number) for number in (1, 2, 3))
    for station in (server, client, third):
        station.give_buffers()
    discover = BROADCAST + client.mac + b"\x08\0" + bytes.fromhex("4500011c0000000040117ad2 00000000ffffffff 00440043")
    client.send(discover + bytes(200))
    assert server.frames() == [discover + bytes(200)]
    offer = client.mac + server.mac + b"\x08\0" + bytes(300)
    server.send(offer)
    assert (client.frames(), len(third.frames())) == ([offer], 1)


def test_ports_count_what_came_in_went_out_and_was_dropped() -> None:
    switch = Switch()
    a, b = Station(switch, 1, known=True, vm=0), Station(switch, 2, known=True, vm=1, backlog=1)
    frame = ethernet(b.mac, a.mac)
    for _ in range(3):
        a.send(frame)
    assert [(port.vm, port.name, port.mac) for port in switch.ports] == [
        (0, "station 1", a.mac), (1, "station 2", b.mac)
    ]  # fmt: skip
    assert (a.port.in_frames, a.port.in_bytes, a.port.dropped) == (3, 3 * len(frame), 0)
    assert (b.port.out_frames, b.port.out_bytes, b.port.out_dropped, b.port.dropped) == (1, len(frame), 2, 2)
    assert (b.net.received_frames, b.net.received_dropped, a.net.sent_frames) == (0, 2, 3)


def test_a_hostile_or_slow_receiver_does_not_hold_up_the_others() -> None:
    switch = Switch()
    sender, slow, broken, good = (Station(switch, number, known=True, vm=number) for number in (1, 2, 3, 4))
    head = broken.queues[net.RECEIVEQ].add(writable=[2000])
    broken.memory.write_u64(broken.queues[net.RECEIVEQ].desc + 16 * head, 0x10)
    good.give_buffers(8)
    calls = [ethernet(BROADCAST, sender.mac, bytes((number,))) for number in range(5)]
    for call in calls:
        sender.send(call)
    assert good.frames() == calls
    assert broken.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET
    assert not sender.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET
    slow.give_buffers(8)
    assert slow.frames() == calls


def test_a_sender_that_floods_waits_for_the_machines_time() -> None:
    switch, timebase = Switch(), ManualTimebase()
    flooder = Station(switch, 1, known=True, vm=1, timebase=timebase)
    others = [Station(switch, number, known=True, vm=number) for number in range(2, 9)]
    flooder.queues[net.TRANSMITQ] = type(flooder.queues[net.TRANSMITQ])(flooder, net.TRANSMITQ, 256)
    flooder.put(mmio.QueueSel, net.TRANSMITQ)
    flooder.put(mmio.QueueReady, 0)
    queue = flooder.queues[net.TRANSMITQ]
    queue.set_up()
    for _ in range(120):
        queue.add([PLAIN, ethernet(BROADCAST, flooder.mac)])
    queue.notify()
    at_once = flooder.net.sent_frames
    assert 0 < at_once < 40
    for _ in range(10):
        queue.notify()  # asking again changes nothing
    assert flooder.net.sent_frames == at_once
    others[0].send(ethernet(others[1].mac, others[0].mac))  # and nobody else waits
    assert others[1].port.out_frames == at_once + 1
    timebase.advance(10_000_000)
    assert flooder.net.sent_frames == 120
    assert len(queue.collect()) == 120
    assert all(station.port.out_frames + station.port.out_dropped >= 120 for station in others)


def test_frames_wait_for_buffers_up_to_a_bound() -> None:
    switch = Switch()
    a, b = Station(switch, 1), Station(switch, 2, backlog=3)
    for number in range(5):
        a.send(ethernet(b.mac, a.mac, bytes((number,))))
    assert b.frames() == []
    b.give_buffers(8)
    assert b.frames() == [ethernet(b.mac, a.mac, bytes((number,))) for number in range(3)]
    assert (b.net.received_frames, b.net.received_dropped) == (3, 2)


def test_frames_that_do_not_fit_are_dropped_and_the_buffer_kept() -> None:
    switch = Switch()
    a, b = Station(switch, 1), Station(switch, 2)
    b.give_buffers(1, size=100)
    a.send(ethernet(b.mac, a.mac, bytes(200)))
    small = ethernet(b.mac, a.mac, b"fits")
    a.send(small)
    assert b.frames() == [small]
    assert b.net.received_dropped == 1


def test_configuration_link_and_runts() -> None:
    switch = Switch()
    a, b = Station(switch, 1), Station(switch, 2)
    assert a.features() & 0xFFFF_FF == net.VIRTIO_NET_F_MAC | net.VIRTIO_NET_F_STATUS
    assert bytes(a.get(0x100 + index, 1) for index in range(6)) == a.mac
    assert a.get(0x106, 2) == net.LINK_UP
    a.net.set_link(False)
    assert (a.get(0x106, 2), a.acknowledge()) == (0, mmio.CONFIG_CHANGE)
    b.give_buffers()
    a.send(ethernet(b.mac, a.mac))
    a.net.set_link(True)
    a.send(b"short")
    a.queues[net.TRANSMITQ].request(b"no")
    assert (a.net.sent_dropped, b.frames()) == (3, [])
    a.send(ethernet(b.mac, a.mac))
    assert len(b.frames()) == 1


def test_a_guest_is_asked_to_announce_itself_on_a_new_link() -> None:
    station = Station(Switch(), 1, net.VIRTIO_NET_F_CTRL_VQ | net.VIRTIO_NET_F_GUEST_ANNOUNCE)
    generation = station.get(mmio.ConfigGeneration)
    station.net.set_link(False)
    assert (station.get(0x106, 2), station.acknowledge()) == (0, mmio.CONFIG_CHANGE)
    station.net.set_link(True)
    assert (station.get(0x106, 2), station.acknowledge()) == (net.LINK_UP | net.ANNOUNCE, mmio.CONFIG_CHANGE)
    assert station.get(mmio.ConfigGeneration) == generation + 2
    station.net.set_link(True)  # no news
    assert station.acknowledge() == 0
    assert station.queues[net.CONTROLQ].request(b"\3\0", writable=[1]) == (1, b"\0")
    assert station.get(0x106, 2) == net.LINK_UP


def test_without_that_feature_only_the_link_comes_back() -> None:
    station = Station(Switch(), 1)
    station.net.set_link(False)
    station.net.set_link(True)
    assert station.get(0x106, 2) == net.LINK_UP


@pytest.mark.parametrize(
    ("accepted", "needed"),
    [
        (net.VIRTIO_NET_F_GUEST_TSO4, "GUEST_CSUM"),
        (net.VIRTIO_NET_F_GUEST_UFO, "GUEST_CSUM"),
        (net.VIRTIO_NET_F_HOST_TSO6, "F_CSUM"),
        (net.VIRTIO_NET_F_HOST_ECN, "HOST_TSO4 or 6"),
        (net.VIRTIO_NET_F_GUEST_ANNOUNCE, "CTRL_VQ"),
    ],
)
def test_offload_features_need_the_ones_they_build_on(accepted: int, needed: str) -> None:
    station = Station(Switch(), 1, 0x0023_7DA3)
    assert not station.accept(VIRTIO_F_VERSION_1 | accepted)
    assert needed in str(station.transport.last_error)
    assert station.accept(VIRTIO_F_VERSION_1 | 0x0023_7DA3)


def test_the_used_length_of_a_sent_frame_is_its_own_where_that_is_wanted() -> None:
    station = Station(Switch(), 1, sent_length=True)
    frame = ethernet(mac(2), station.mac)
    assert station.queues[net.TRANSMITQ].request(PLAIN, frame) == (len(frame), b"")


def test_nothing_is_delivered_to_a_driver_that_is_not_ready() -> None:
    switch = Switch()
    a, b = Station(switch, 1), Station(switch, 2)
    b.put(mmio.Status, 0)
    a.send(ethernet(b.mac, a.mac))
    b.start()
    b.give_buffers()
    assert (b.frames(), b.net.received_dropped) == ([], 1)


def udp_frame() -> bytes:
    """An IPv4/UDP frame whose checksum field holds the sum of the pseudo header, as a driver leaves it."""
    payload = b"odd payload"
    ip = bytes.fromhex("450000270000000040110000") + b"\x0a\0\0\1" + b"\x0a\0\0\2"
    udp_length = 8 + len(payload)
    pseudo = b"\x0a\0\0\1\x0a\0\0\2\0\x11" + struct.pack(">H", udp_length)
    udp = struct.pack(">HHHH", 1000, 2000, udp_length, ones_sum(pseudo)) + payload
    return ethernet(mac(2), mac(1), ip + udp)


def ones_sum(data: bytes) -> int:
    data += bytes(len(data) & 1)
    total = sum(int.from_bytes(data[index : index + 2], "big") for index in range(0, len(data), 2))
    return total % 0xFFFF or (0xFFFF if total else 0)


NEEDS_CSUM = struct.pack("<BBHHHH", 1, 0, 0, 0, 34, 6) + b"\0\0"


def test_an_unfinished_checksum_travels_to_a_receiver_that_takes_it() -> None:
    switch = Switch()
    a, b = Station(switch, 1, CSUM), Station(switch, 2, CSUM)
    b.give_buffers()
    a.send(udp_frame(), NEEDS_CSUM)
    ((length, data),) = b.queues[net.RECEIVEQ].collect()
    assert data[:length] == NEEDS_CSUM[:10] + b"\1\0" + udp_frame()


def test_and_is_finished_for_one_that_does_not() -> None:
    switch = Switch()
    a, b = Station(switch, 1, CSUM), Station(switch, 2)
    b.give_buffers()
    a.send(udp_frame(), NEEDS_CSUM)
    (frame,) = b.frames()
    pseudo = b"\x0a\0\0\1\x0a\0\0\2\0\x11" + frame[38:40]
    assert ones_sum(pseudo + frame[34:]) == 0xFFFF  # what a receiver checks
    assert frame[:40] == udp_frame()[:40]
    fragments = struct.pack("<BBHHHH", 1, 3, 42, 1448, 34, 6) + b"\0\0"
    a.send(udp_frame(), fragments)  # UFO: not cut for receivers without it
    assert (b.frames(), b.net.received_dropped) == ([], 1)


TSO = net.VIRTIO_NET_F_GUEST_TSO4 | net.VIRTIO_NET_F_GUEST_TSO6 | 1 << 11 | 1 << 12  # and the HOST_ side


def tcp_frame(payload: bytes, version: int, flags: int = 0x99) -> tuple[bytes, bytes]:
    """An IP/TCP packet as a driver leaves it to the device, and its virtio header with segments of 1000 bytes."""
    tcp = struct.pack(">HHIIBBHHH", 80, 5000, 0xFFFF_FF00, 7, 8 << 4, flags, 1024, 0, 0) + bytes(12)
    if version == 4:
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp) + len(payload), 0xFFFF, 0, 64, 6, 0)
        ip += b"\x0a\0\0\1\x0a\0\0\2"
        kind = b"\x08\x00"
    else:
        ip = struct.pack(">IHBB", 6 << 28, len(tcp) + len(payload), 6, 64) + bytes(range(32))
        kind = b"\x86\xdd"
    gso_type = 1 if version == 4 else 4
    header = struct.pack("<BBHHHH", 1, gso_type, 14 + len(ip) + len(tcp), 1000, 14 + len(ip), 16) + b"\0\0"
    return mac(2) + mac(1) + kind + ip + tcp + payload, header


@pytest.mark.parametrize("version", [4, 6])
def test_a_large_tcp_packet_is_cut_for_a_receiver_that_cannot_take_it(version: int) -> None:
    switch = Switch()
    a, b, c = Station(switch, 1, CSUM | TSO), Station(switch, 2), Station(switch, 3, CSUM | TSO)
    payload = bytes(range(256)) * 9 + b"end"
    frame, header = tcp_frame(payload, version)
    b.give_buffers(5)
    c.give_buffers(1, size=4096)
    a.send(frame, header)
    ((length, data),) = c.queues[net.RECEIVEQ].collect()
    assert data[:length] == header[:10] + b"\1\0" + frame  # whole

    segments = b.frames()
    ip_length = 20 if version == 4 else 40
    tcp = 14 + ip_length
    assert b"".join(piece[tcp + 32 :] for piece in segments) == payload
    for index, piece in enumerate(segments):
        sequence, flags = struct.unpack_from(">I", piece, tcp + 4)[0], piece[tcp + 13]
        assert sequence == (0xFFFF_FF00 + 1000 * index) & 0xFFFF_FFFF
        assert flags == (0x90, 0x10, 0x19)[index]  # CWR in the first, FIN and PSH in the last
        addresses = piece[26:34] if version == 4 else piece[22:54]
        assert ones_sum(addresses + struct.pack(">II", len(piece) - tcp, 6) + piece[tcp:]) == 0xFFFF
        if version == 4:
            assert ones_sum(piece[14:34]) == 0xFFFF
            assert struct.unpack_from(">HH", piece, 16) == (len(piece) - 14, (0xFFFF + index) & 0xFFFF)
        else:
            assert struct.unpack_from(">H", piece, 18)[0] == len(piece) - tcp


def test_a_packet_with_ecn_is_cut_for_a_receiver_that_takes_large_ones_without_it() -> None:
    switch = Switch()
    a, b = Station(switch, 1, CSUM | TSO), Station(switch, 2, CSUM | TSO)
    frame, header = tcp_frame(bytes(1500), 4)
    b.give_buffers(4, size=4096)
    a.send(frame, header[:1] + bytes((header[1] | 0x80,)) + header[2:])
    assert len(b.frames()) == 2


@given(st.binary(max_size=200), st.integers(0, 0xFFFF), st.integers(0, 70))
def test_no_packet_makes_the_cutting_raise(data: bytes, size: int, keep: int) -> None:
    frame, _ = tcp_frame(b"payload" * 50, 4)
    for piece in segment(frame[:keep] + data, size) + segment(frame[: 14 + keep], size):
        assert len(piece) <= len(frame) + 300


def test_offload_without_negotiation_is_ignored() -> None:
    switch = Switch()
    a, b = Station(switch, 1), Station(switch, 2, CSUM)
    b.give_buffers()
    a.send(udp_frame(), NEEDS_CSUM)
    assert b.frames() == [udp_frame()]


def test_the_control_queue_answers() -> None:
    station = Station(Switch(), 1, net.VIRTIO_NET_F_CTRL_VQ)
    control = station.queues[net.CONTROLQ]
    assert control.request(b"\3\0", writable=[1]) == (1, b"\0")
    assert control.request(b"\3\1", writable=[1]) == (1, b"\1")
    assert control.request(b"\0\0\1", writable=[1]) == (1, b"\1")


@given(st.binary(max_size=80), st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_no_header_makes_the_checksum_raise(data: bytes, flags: int, start: int, offset: int) -> None:
    done = Frame(data, flags, csum_start=start, csum_offset=offset).with_checksum()
    assert (len(done.data), done.flags) == (len(data), 0)


def test_the_interrupt_for_frames_sent_comes_once_and_a_little_later() -> None:
    switch, timebase = Switch(), ManualTimebase()
    sender, receiver = Station(switch, 1, timebase=timebase), Station(switch, 2)
    receiver.give_buffers()
    queue = sender.queues[net.TRANSMITQ]
    for _ in range(3):
        queue.add([PLAIN, ethernet(receiver.mac, sender.mac)])
        queue.notify()
    assert len(receiver.frames()) == 3  # nobody waits for that
    assert not sender.line.high()
    timebase.advance(net.SENT_DELAY - 1)
    assert not sender.line.high()
    timebase.advance(1)
    assert sender.line.high()
    assert len(queue.collect()) == 3


def test_a_driver_that_sends_much_gets_its_buffers_back_without_delay() -> None:
    switch, timebase = Switch(), ManualTimebase()
    sender, receiver = Station(switch, 1, timebase=timebase), Station(switch, 2)
    queue = sender.queues[net.TRANSMITQ]
    for sent in range(net.SENT_HELD):
        assert not sender.line.high(), sent
        queue.add([PLAIN, ethernet(receiver.mac, sender.mac)])
        queue.notify()
        assert len(queue.collect()) == 1
    assert sender.line.high()


def test_a_reset_takes_the_interrupt_for_frames_sent_back() -> None:
    switch, timebase = Switch(), ManualTimebase()
    sender = Station(switch, 1, timebase=timebase)
    queue = sender.queues[net.TRANSMITQ]
    queue.add([PLAIN, ethernet(BROADCAST, sender.mac)])
    queue.notify()
    sender.put(mmio.Status, 0)
    timebase.advance(net.SENT_DELAY)
    assert not sender.line.high()


@pytest.mark.parametrize("without", [0, VIRTIO_F_EVENT_IDX])
def test_a_queue_that_is_reset_while_its_interrupt_is_on_the_way(without: int) -> None:
    """The interrupt for frames sent comes a little later: by then the queue may be gone, or another."""
    switch, timebase = Switch(), ManualTimebase()
    station = Station(switch, 1, timebase=timebase)
    station.start(without=without)
    station.send(ethernet(mac(2), station.mac))
    station.put(mmio.QueueSel, net.TRANSMITQ)
    station.put(mmio.QueueReset, 1)
    timebase.advance(10 * net.SENT_DELAY)
    assert station.transport.last_error is None
    assert station.acknowledge() == 0
    station.queues[net.TRANSMITQ] = type(station.queues[net.TRANSMITQ])(station, net.TRANSMITQ, 16)
    station.queues[net.TRANSMITQ].set_up()
    station.send(ethernet(mac(2), station.mac))
    timebase.advance(10 * net.SENT_DELAY)
    assert station.acknowledge() == mmio.USED_BUFFER
