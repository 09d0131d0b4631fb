"""The ring of messages to a VM: both sides stay in step, whatever happens to the interrupts."""

from __future__ import annotations

import struct

from shyper_tui.engine.board.memory import RamMemory
from shyper_tui.engine.board.plic import Plic
from shyper_tui.engine.hypervisor.guest_memory import GuestMemory, RamRegion
from shyper_tui.engine.hypervisor.layout import HVC_IRQ
from shyper_tui.engine.hypervisor.mailbox import MAX_WAITING, SLOT, SLOTS, Mailbox

RAM, PAGE, OTHER_PAGE = 0x8000_0000, 0x8000_1000, 0x8000_2000
MACHINE = 0x9000_0000
CONTEXT = 1


class Receiver:
    """The kernel module's side: its handler reads the slot at its own pointer and moves that on."""

    def __init__(self) -> None:
        machine = RamMemory(memoryview(bytearray(0x4000)), MACHINE)
        self.memory = GuestMemory(machine, [RamRegion(RAM, MACHINE, 0x4000)])
        self.plic = Plic(95, 2, [lambda level: None, lambda level: None])
        self.plic.set_priority(HVC_IRQ, 1)
        self.plic.write(0x2080 + 4 * (HVC_IRQ // 32), 4, 1 << HVC_IRQ % 32)
        self.mailbox = Mailbox(self.memory, lambda: self.plic.pulse(HVC_IRQ))
        self.received: list[tuple[int, ...]] = []
        self.listen(PAGE)

    def listen(self, page: int) -> None:
        self.page, self.slot = page, 0
        assert self.mailbox.prepare(page)

    def interrupt(self) -> bool:
        """One run of the handler; False when nothing is pending."""
        if self.plic.claim(CONTEXT) != HVC_IRQ:
            return False
        self.mailbox.claimed()
        self.received.append(struct.unpack("<3Q", self.memory.read(self.page + SLOT * self.slot, 24)))
        self.slot = (self.slot + 1) % SLOTS
        self.plic.complete(CONTEXT, HVC_IRQ)
        return True

    def read_all(self) -> list[tuple[int, ...]]:
        self.received.clear()
        while self.interrupt():
            pass
        return self.received


def test_the_first_message_is_at_offset_0_and_the_next_512_bytes_on() -> None:
    receiver = Receiver()
    receiver.mailbox.send(3, 0x32)
    receiver.mailbox.send(1, 4, 5)
    page = receiver.memory.read(PAGE, 4096)
    assert page[:16] == struct.pack("<2Q", 3, 0x32)
    assert page[512 : 512 + 24] == struct.pack("<3Q", 1, 4, 5)


def test_25_messages_in_a_burst_arrive_once_each_in_order() -> None:
    receiver = Receiver()
    sent = [(1, 4, number) for number in range(25)]
    assert all(receiver.mailbox.send(*message) for message in sent)
    assert receiver.read_all() == sent


def test_messages_that_arrive_while_others_are_read_wrap_around_the_ring() -> None:
    receiver = Receiver()
    sent = [(1, 4, number) for number in range(40)]
    for index in range(0, 40, 5):
        for message in sent[index : index + 5]:
            receiver.mailbox.send(*message)
        receiver.interrupt()
        receiver.interrupt()
    while receiver.interrupt():
        pass
    assert receiver.received == sent


def test_no_interrupt_is_pending_when_everything_is_read() -> None:
    receiver = Receiver()
    for number in range(25):
        receiver.mailbox.send(1, 4, number)
    assert len(receiver.read_all()) == 25
    assert not receiver.interrupt()
    assert receiver.plic.statistics()[HVC_IRQ].raised == 25


def test_no_message_is_overwritten_before_it_is_read() -> None:
    receiver = Receiver()
    for number in range(20):
        receiver.mailbox.send(1, 4, number)
    words = [receiver.memory.read_u64(PAGE + SLOT * slot + 16) for slot in range(SLOTS)]
    assert words == [0, 1, 2, 3, 4, 5, 6, 0]


def test_a_module_that_is_loaded_again_starts_at_offset_0() -> None:
    receiver = Receiver()
    for number in range(3):
        receiver.mailbox.send(1, 4, number)
    receiver.read_all()
    receiver.listen(OTHER_PAGE)
    receiver.mailbox.send(1, 4, 77)
    assert receiver.read_all() == [(1, 4, 77)]


def test_an_interrupt_of_the_old_ring_does_not_break_the_step_in_the_new_one() -> None:
    receiver = Receiver()
    receiver.mailbox.send(1, 4, 1)  # stays unread: its interrupt is pending when the module comes again
    receiver.listen(OTHER_PAGE)
    assert receiver.read_all() == [(0, 0, 0)]  # no message: the receiver has moved on all the same
    sent = [(1, 4, 100 + number) for number in range(12)]
    for message in sent:
        receiver.mailbox.send(*message)
    assert receiver.read_all() == sent


def test_without_a_ring_nothing_is_sent() -> None:
    receiver = Receiver()
    receiver.mailbox.reset()
    assert not receiver.mailbox.ready
    assert not receiver.mailbox.send(1, 3, 0)
    assert not receiver.interrupt()


def test_a_ring_outside_of_ram_is_refused_and_the_old_one_stays() -> None:
    receiver = Receiver()
    assert not receiver.mailbox.prepare(RAM + 0x3800)
    assert receiver.mailbox.send(1, 4, 9)
    assert receiver.read_all() == [(1, 4, 9)]


def test_a_vm_that_never_reads_costs_a_bounded_amount() -> None:
    receiver = Receiver()
    taken = sum(receiver.mailbox.send(1, 4, number) for number in range(1000))
    assert taken == MAX_WAITING + SLOTS - 1
    assert len(receiver.read_all()) == taken
