"""Paired consoles: who gets what a VM transmits, who waits for whom, and what becomes of it when nobody reads."""

from __future__ import annotations

import pytest

from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.console import RECEIVEQ, TRANSMITQ, Console
from shyper_tui.engine.hypervisor.devices.consoles import PATIENCE, PROGRESS, RING, ConsoleHub, Key
from shyper_tui.engine.hypervisor.devices.vm_console import VmConsole
from tests.board.driver import Driver

MVM_END, GVM_END = (0, 0x4000_1000), (1, 0x4000_1000)
SECOND = 10_000_000
PIECE = 4096


class End(Driver):
    """A guest's driver of the console at `key`."""

    def __init__(
        self, hub: ConsoleHub, key: Key, peer: Key, timebase: ManualTimebase | None, pane: VmConsole | None = None
    ) -> None:
        self.key = key
        self.console: Console = hub.add(key, peer, pane, timebase)
        super().__init__(self.console, size=16 << 20)

    def send(self, data: bytes) -> bool:
        """Transmit one buffer; whether the device gave it back at once."""
        self.queues[TRANSMITQ].add([data])
        self.queues[TRANSMITQ].notify()
        return self.sent() > 0

    def sent(self) -> int:
        return len(self.queues[TRANSMITQ].collect())

    def read(self, buffers: int = 1, size: int = PIECE) -> bytes:
        """Give receive buffers as long as there is something for them, and take what comes."""
        queue, received = self.queues[RECEIVEQ], b""
        while buffers and self.console.waiting:
            buffers -= 1
            queue.add(writable=[size])
            queue.notify()
            received += b"".join(data[:length] for length, data in queue.collect())
        return received


class Pair:
    """The managing VM's end and a guest's, both driven."""

    def __init__(self) -> None:
        self.timebase = ManualTimebase(1000)
        self.hub = ConsoleHub()
        self.pane = VmConsole()
        self.shown = bytearray()
        self.pane.output = self.shown.extend
        self.mvm = End(self.hub, MVM_END, GVM_END, self.timebase).start()
        self.guest = End(self.hub, GVM_END, MVM_END, self.timebase, self.pane).start()

    def fill(self) -> bytes:
        """The guest transmits until it has to wait; returns all that it has handed over."""
        given = b""
        for number in range(100):
            piece = bytes((number,)) * PIECE
            given += piece
            self.timebase.advance(100_000)  # at a pace that is no flood
            if not self.guest.send(piece):
                return given
        raise AssertionError("the guest never waits")


def test_bytes_travel_both_ways_and_the_pane_sees_the_guests() -> None:
    pair = Pair()
    assert pair.guest.send(b"login: ")
    assert pair.mvm.read() == b"login: "
    assert pair.mvm.send(b"root\r")
    assert pair.guest.read() == b"root\r"
    assert bytes(pair.shown) == b"login: "
    pair.pane.type(b"typed\r")
    assert pair.guest.read() == b"typed\r"


def test_bytes_for_a_peer_that_does_not_exist_yet_are_kept_and_delivered() -> None:
    hub, timebase = ConsoleHub(), ManualTimebase()
    mvm = End(hub, MVM_END, GVM_END, timebase).start()
    assert mvm.send(b"typed ahead ")
    assert mvm.send(b"of its creation")
    guest = End(hub, GVM_END, MVM_END, timebase)
    assert guest.console.waiting == 27
    guest.start()
    assert guest.read() == b"typed ahead of its creation"


def test_what_is_kept_for_an_absent_peer_is_bounded_and_the_oldest_gives_way() -> None:
    hub, timebase = ConsoleHub(), ManualTimebase()
    guest = End(hub, GVM_END, MVM_END, timebase).start()
    for number in range(20):
        assert guest.send(bytes((number,)) * PIECE)  # a sender never waits for a VM that is not there
        timebase.advance(SECOND)
    assert guest.console.sent_dropped == 20 * PIECE - RING
    mvm = End(hub, MVM_END, GVM_END, timebase).start()
    received = mvm.read(32)
    assert received == b"".join(bytes((number,)) * PIECE for number in range(4, 20))


def test_a_peer_without_a_driver_gets_the_newest_bytes_when_it_has_one() -> None:
    pair = Pair()
    pair.mvm.put(mmio.Status, 0)
    for number in range(20):
        assert pair.guest.send(bytes((number,)) * PIECE)
        pair.timebase.advance(SECOND)
    assert pair.mvm.console.received_dropped == 20 * PIECE - RING
    pair.mvm.start()
    assert pair.mvm.read(32) == b"".join(bytes((number,)) * PIECE for number in range(4, 20))


def test_a_sender_waits_for_a_slow_reader_and_goes_on_as_soon_as_there_is_room() -> None:
    pair = Pair()
    given = pair.fill()
    assert len(given) == RING + PIECE  # a ring full, and the one piece that waits
    pair.timebase.advance(PATIENCE // 2)
    assert pair.guest.sent() == 0
    received = pair.mvm.read(1)
    assert pair.guest.sent() == 1
    received += pair.mvm.read(40)
    assert received == given
    assert (pair.guest.console.sent_dropped, pair.mvm.console.received_dropped) == (0, 0)


def test_a_megabyte_passes_to_a_slow_reader_in_order() -> None:
    pair = Pair()
    data = b"".join(b"line %06d\n" % number for number in range(100_000))[: 1 << 20]
    pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
    received, waits = b"", 0
    waiting = False
    while pieces or waiting:
        if not waiting and pieces:
            waiting = not pair.guest.send(pieces.pop(0))
            waits += waiting
        received += pair.mvm.read(1, 3000)  # reads less than is sent
        pair.timebase.advance(PATIENCE // 4)
        waiting = waiting and not pair.guest.sent()
    received += pair.mvm.read(40)
    assert received == data
    assert waits > 50
    assert (pair.guest.console.sent_dropped, pair.mvm.console.received_dropped) == (0, 0)
    assert bytes(pair.shown) == data  # and the workstation has seen it all


def test_the_pane_shows_a_piece_while_its_reader_is_waited_for() -> None:
    pair = Pair()
    given = pair.fill()
    assert bytes(pair.shown) == given
    assert pair.guest.console.holding


def test_a_reader_that_has_stopped_is_not_waited_for() -> None:
    pair = Pair()
    pair.fill()
    pair.timebase.advance(PATIENCE - 200_000)
    assert pair.guest.sent() == 0
    pair.timebase.advance(400_000)
    assert pair.guest.sent() == 1
    for number in range(100):
        assert pair.guest.send(b"%04d" % number * 1024)  # from now on the oldest bytes give way
        pair.timebase.advance(100_000)
    assert pair.mvm.console.received_dropped > 0
    received = pair.mvm.read(16)
    assert received == b"".join(b"%04d" % number * 1024 for number in range(84, 100))


def test_a_reader_that_comes_back_is_waited_for_again() -> None:
    pair = Pair()
    pair.fill()
    pair.timebase.advance(2 * PATIENCE)
    assert pair.guest.sent() == 1
    pair.mvm.read(10)  # more than half of the ring
    assert pair.fill()
    held, lost = pair.guest.console.holding, pair.mvm.console.received_dropped
    pair.mvm.read(1)
    assert (held, pair.guest.console.holding) == (True, False)
    assert (pair.guest.sent(), pair.mvm.console.received_dropped) == (1, lost)


def test_a_reader_that_drips_cannot_hold_a_sender_for_long() -> None:
    pair = Pair()
    pair.fill()
    waited = 0
    while not pair.guest.sent():
        pair.mvm.read(1, 1)  # a byte at a time
        pair.timebase.advance(PATIENCE // 10)
        waited += PATIENCE // 10
        assert waited <= 2 * PATIENCE
    assert PROGRESS > 20


def test_two_vms_that_both_transmit_and_do_not_read_do_not_block_each_other() -> None:
    pair = Pair()
    pair.fill()
    while pair.mvm.send(bytes(PIECE)):
        pair.timebase.advance(10_000)
    pair.timebase.advance(3 * PATIENCE)
    assert pair.guest.sent() == 1
    assert pair.mvm.sent() == 1


def test_without_a_timebase_nobody_waits() -> None:
    hub = ConsoleHub()
    End(hub, MVM_END, GVM_END, None).start()
    guest = End(hub, GVM_END, MVM_END, None).start()
    for _ in range(20):
        assert guest.send(bytes(PIECE))


def test_a_sender_goes_on_when_the_vm_it_waits_for_is_removed() -> None:
    pair = Pair()
    pair.fill()
    pair.mvm.transport.reset()
    pair.hub.remove(MVM_END, pair.mvm.console)
    assert pair.guest.sent() == 1
    assert pair.guest.send(b"to nobody")


def test_a_removed_vm_leaves_nothing_behind_that_still_runs() -> None:
    pair = Pair()
    pair.fill()
    before = bytes(pair.shown)
    pair.guest.transport.reset()
    pair.hub.remove(GVM_END, pair.guest.console)
    pair.mvm.read(32)
    pair.timebase.advance(10 * PATIENCE)
    assert (pair.guest.sent(), bytes(pair.shown)) == (0, before)
    again = End(pair.hub, GVM_END, MVM_END, pair.timebase).start()  # a new VM of the same id
    pair.hub.remove(GVM_END, pair.guest.console)  # late news of the old one
    assert again.send(b"new")
    assert pair.mvm.read(4).endswith(b"new")


def test_input_typed_into_a_pane_waits_for_room_and_none_of_it_is_lost() -> None:
    pair = Pair()
    text = b"".join(b"%05d" % number for number in range(30_000))
    assert pair.pane.type(text) == len(text)
    assert pair.pane.waiting == len(text) - RING
    received = b""
    for _ in range(80):
        received += pair.guest.read()
    assert received == text
    assert pair.pane.waiting == 0


def test_typed_input_stays_for_an_sbi_console_until_the_guest_has_a_driver() -> None:
    hub, pane = ConsoleHub(), VmConsole()
    guest = End(hub, GVM_END, MVM_END, ManualTimebase(), pane)
    pane.type(b"for SBI, for virtio")
    assert pane.take(9) == b"for SBI, "
    guest.start()
    assert (pane.waiting, guest.read()) == (0, b"for virtio")
    guest.put(mmio.Status, 0)
    pane.type(b"SBI again")
    assert (pane.take(100), guest.console.waiting) == (b"SBI again", 0)


def test_a_console_paired_with_itself_hears_itself() -> None:
    hub, timebase = ConsoleHub(), ManualTimebase()
    end = End(hub, GVM_END, GVM_END, timebase).start()
    assert end.send(b"echo")
    assert end.read() == b"echo"
    for _ in range(20):
        end.send(bytes(PIECE))
        timebase.advance(SECOND)
    assert end.console.received_dropped > 0
    assert len(end.read(40)) == RING


def test_many_senders_to_one_reader_all_go_on() -> None:
    hub, timebase = ConsoleHub(), ManualTimebase()
    reader = End(hub, MVM_END, GVM_END, timebase).start()
    senders = [End(hub, (1, 0x5000_0000 + 0x1000 * n), MVM_END, timebase).start(sizes=[4, 4]) for n in range(60)]
    for sender in senders:
        sender.send(bytes(PIECE))
    received = 0
    for _ in range(30):
        received += len(reader.read(4))
        timebase.advance(PATIENCE // 5)
    assert received == 60 * PIECE
    assert reader.console.received_dropped == 0
    assert not any(sender.console.holding for sender in senders)


def test_the_size_of_the_pane_reaches_the_guests_console_with_a_configuration_interrupt() -> None:
    pair = Pair()
    generation = pair.guest.get(mmio.ConfigGeneration)
    pair.pane.resize(132, 43)
    assert (pair.guest.get(0x100, 2), pair.guest.get(0x102, 2)) == (132, 43)
    assert pair.guest.acknowledge() & mmio.CONFIG_CHANGE
    assert pair.guest.get(mmio.ConfigGeneration) != generation
    assert (pair.mvm.get(0x100, 2), pair.mvm.get(0x102, 2)) == (80, 25)  # the other end is another terminal
    pair.pane.resize(0, 100_000)
    assert (pair.guest.get(0x100, 2), pair.guest.get(0x102, 2)) == (1, 65535)


def test_a_size_from_before_the_console_existed_is_known_to_it() -> None:
    pane = VmConsole()
    pane.resize(100, 30)
    end = End(ConsoleHub(), GVM_END, MVM_END, None, pane)
    assert end.console.size == (100, 30)


@pytest.mark.parametrize("size", [1, 16, 5000])
def test_consoles_count_the_bytes_they_carry(size: int) -> None:
    pair = Pair()
    pair.guest.send(bytes(size))
    pair.mvm.read(4)
    assert (pair.guest.console.sent_bytes, pair.mvm.console.received_bytes) == (size, size)
    assert (pair.guest.console.sent_dropped, pair.mvm.console.received_dropped) == (0, 0)
