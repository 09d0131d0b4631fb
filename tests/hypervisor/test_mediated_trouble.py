"""Mediated disks when the daemon, the managing VM or the guest does what it should not."""

from __future__ import annotations

import struct
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.engine.board.device import TICKS_PER_SECOND
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.guest_view import translate
from shyper_tui.engine.hypervisor.calls import call
from shyper_tui.engine.hypervisor.devices.daemon_disk import PATIENCE
from shyper_tui.engine.hypervisor.devices.disks import MAX_DAEMON_DISKS
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.disk_driver import (
    APPEND,
    DETACH,
    DONE,
    FAILED,
    FEATURES,
    FLUSH,
    IN,
    OUT,
    RING,
    Daemon,
    GuestDisk,
    Lab,
    one,
    pattern,
)

OK, IOERR = 0, 1


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_done_without_a_request_is_refused(lab: Lab) -> None:
    daemon, disk = one(lab)
    assert daemon.done() == -1
    assert lab.call(DONE, daemon.page + 8) == -1
    disk.ask(IN, 5, room=512)
    assert [daemon.serve(), daemon.done()] == [0, -1]
    assert disk.answers() == [(513, pattern(5), OK)]


def test_a_guest_cannot_offer_disks_or_answer_requests(lab: Lab) -> None:
    daemon, disk = one(lab)
    disk.ask(IN, 5, room=512)
    gvm = lab.station.manager.vm(1)
    for number in (APPEND, DONE):
        args = [daemon.page if number == DONE else 3, daemon.page, 0, 0, 0, 0, 0]
        assert call(lab.station.hypervisor, gvm.vcpus[0], number, args) == -1
    assert disk.answers() == []
    assert daemon.serve() == 0
    assert disk.answers() == [(513, pattern(5), OK)]


def test_buffers_outside_of_the_guests_memory_fail_that_device_alone(lab: Lab) -> None:
    daemon, disk = one(lab)
    queue = disk.queues[0]
    for kind in (IN, OUT):
        head = queue.add([struct.pack("<IIQ", kind, 0, 0), *([bytes(512)] if kind else [])], [1] if kind else [512, 1])
        second = queue.pending[head].descriptors[1]
        disk.memory.write_u64(queue.desc + 16 * second, 1 << 40)
        queue.notify()
        if kind == IN:
            assert daemon.serve() == 0
        assert disk.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET
        disk.start()
        queue = disk.queues[0]
    disk.ask(IN, 5, room=512)
    assert daemon.serve() == 0
    assert disk.answers() == [(513, pattern(5), OK)]


def test_a_request_of_a_reset_device_is_dropped_when_it_is_done(lab: Lab) -> None:
    daemon, disk = one(lab, cache_size=512)
    head = disk.ask(IN, 5, room=4 * 512)
    buffer = disk.queues[0].pending[head].buffers[0][0]
    disk.start()
    disk.ask(IN, 6, room=512)
    assert daemon.serve() == 0
    assert disk.memory.read(buffer, 4 * 512) == bytes(4 * 512)
    assert daemon.served == [(0, 5, 1)]
    assert daemon.serve() == 0  # no more pieces of the old request
    assert daemon.served[1:] == [(0, 6, 1)]
    assert disk.answers() == [(513, pattern(6), OK)]


def test_a_request_of_a_removed_vm_touches_nobody(lab: Lab) -> None:
    daemon, disk = one(lab)
    disk.ask(IN, 5, room=512)
    lab.remove(1)
    successor = lab.guest(2)  # in the same RAM, with the same disk
    before = successor.memory.read(0x8000_0000, 16 << 20)
    assert daemon.serve() == 0
    assert successor.memory.read(0x8000_0000, 16 << 20) == before
    again = GuestDisk(successor)
    again.ask(IN, 6, room=512)
    assert daemon.serve() == 0
    assert again.answers() == [(513, pattern(6), OK)]


def test_a_guest_that_resets_its_device_again_and_again_leaves_nothing_behind(lab: Lab) -> None:
    daemon, disk = one(lab)
    for _ in range(50):
        for _ in range(4):
            disk.ask(IN, 5, room=512)
        disk.start()
    disk.ask(IN, 6, room=512)
    daemon.serve_all()
    assert daemon.served == [(0, 5, 1), (0, 6, 1)]
    assert disk.answers() == [(513, pattern(6), OK)]


def test_a_request_is_repeated_when_the_managing_vm_has_started_again(lab: Lab) -> None:
    daemon, disk = one(lab, cache_size=2 * 512)
    disk.ask(IN, 5, room=3 * 512)
    daemon.serve()
    lab.mvm.reset_devices()
    assert daemon.done() == -1  # the registration ended with the reset
    daemon.page += 0x10_000
    daemon.register()
    assert (daemon.nreq, daemon.request) == (1, (0, 7, 1))  # the piece that was not done
    daemon.serve()
    assert disk.answers() == [(3 * 512 + 1, pattern(5, 3), OK)]
    assert len(lab.disks.disks) == 1


def test_requests_made_without_a_daemon_wait_for_it(lab: Lab) -> None:
    daemon, disk = one(lab)
    lab.mvm.reset_devices()
    disk.ask(IN, 5, room=512)
    disk.ask(IN, 6, room=512)
    lab.time.advance((PATIENCE - 1) * TICKS_PER_SECOND)
    assert disk.answers() == []
    daemon.register()
    daemon.serve_all()
    assert [data for _, data, _ in disk.answers()] == [pattern(5), pattern(6)]


def test_a_daemon_that_never_comes_back_ends_in_io_errors(lab: Lab) -> None:
    daemon, disk = one(lab)
    lab.mvm.reset_devices()
    for _ in range(2):
        disk.ask(IN, 5, room=512)
    lab.time.advance(PATIENCE * TICKS_PER_SECOND)
    assert disk.answers() == [(1, bytes(512), IOERR)] * 2
    assert disk.read(5) == (bytes(512), IOERR)  # at once from now on
    assert any("its daemon is gone" in line for line in lab.log)
    daemon.register()
    disk.ask(IN, 5, room=512)
    daemon.serve()
    assert disk.answers() == [(513, pattern(5), OK)]


def test_a_daemon_that_does_not_answer_ends_in_io_errors_until_it_does(lab: Lab) -> None:
    daemon, disk = one(lab)
    head = disk.ask(IN, 5, room=512)
    buffer = disk.queues[0].pending[head].buffers[0][0]
    lab.time.advance(PATIENCE * TICKS_PER_SECOND)
    assert disk.answers() == [(1, bytes(512), IOERR)]
    assert disk.send(OUT, 5, b"x" * 512) == IOERR
    assert daemon.serve() == 0  # the late answer is for nobody
    assert disk.memory.read(buffer, 512) == bytes(512)
    assert disk.answers() == []
    disk.ask(IN, 6, room=512)
    daemon.serve()
    assert disk.answers() == [(513, pattern(6), OK)]
    assert any("does not answer for 30 s" in line for line in lab.log)


def test_time_does_not_count_while_the_managing_vm_is_paused(lab: Lab) -> None:
    daemon, disk = one(lab)
    disk.ask(IN, 5, room=512)
    lab.mvm.state = VmState.PAUSED
    lab.time.advance(10 * PATIENCE * TICKS_PER_SECOND)
    lab.mvm.state = VmState.ACTIVE
    daemon.serve()
    assert disk.answers() == [(513, pattern(5), OK)]


def test_the_message_is_repeated_each_second_without_an_answer(lab: Lab) -> None:
    """A daemon that is told by signals may have missed one: two pending signals are one."""
    daemon, disk = one(lab)
    disk.ask(IN, 5, room=512)
    assert lab.messages() == 1
    lab.time.advance(TICKS_PER_SECOND)
    assert (lab.messages(), daemon.nreq) == (1, 1)
    lab.time.advance(2 * TICKS_PER_SECOND)
    assert lab.messages() == 2
    daemon.serve()
    lab.time.advance(5 * TICKS_PER_SECOND)
    assert lab.messages() == 0


def test_a_disk_that_comes_back_smaller_ends_in_io_errors_beyond_its_end(lab: Lab) -> None:
    daemon, disk = one(lab)
    daemon.sectors = 10
    daemon.register()
    assert disk.read(10) == (bytes(512), IOERR)
    disk.ask(IN, 9, room=512)
    daemon.serve()
    assert disk.answers() == [(513, pattern(9), OK)]


def test_a_page_may_be_taken_over_by_another_disk(lab: Lab) -> None:
    daemon, disk = one(lab)
    disk.ask(IN, 5, room=512)
    other = Daemon(lab, name="OTHER")
    assert (other.page, other.register()) == (daemon.page, 0)
    assert other.nreq == 0
    assert other.done() == -1
    daemon.page += 0x10_000
    assert daemon.register() == 0
    daemon.serve()
    assert disk.answers() == [(513, pattern(5), OK)]


def test_what_a_terminal_might_obey_in_a_disks_name_is_not_shown(lab: Lab) -> None:
    assert Daemon(lab, name="\x1b[2J\u202eMED").register() == 0
    assert "?[2J?MED" in lab.log[-1]
    assert lab.log[-1].isprintable()


def test_registrations_are_bounded_and_places_of_lost_disks_used_again(lab: Lab) -> None:
    daemon, disk = one(lab)
    results = []
    for number in range(1, MAX_DAEMON_DISKS + 1):
        other = Daemon(lab, name=f"disk{number}")
        other.page += 0x1000 * number
        results.append(other.register())
    assert results == [0] * (MAX_DAEMON_DISKS - 1) + [-1]
    lab.mvm.reset_devices()
    assert other.register() == 0
    assert len(lab.disks.disks) == MAX_DAEMON_DISKS
    daemon.register()
    disk.ask(IN, 5, room=512)
    daemon.serve()
    assert disk.answers() == [(513, pattern(5), OK)]


def test_a_cache_whose_pages_are_scattered_is_used_page_by_page(lab: Lab) -> None:
    """The daemon's cache is one piece of its virtual memory; its pages lie wherever its system has put them."""
    daemon = Daemon(lab, cache_size=4 * 4096)
    memory, tables, virtual = daemon.memory, 0x9380_0000, 0x3F_8000_0000
    pages = [daemon.cache, daemon.cache + 0x5000, daemon.cache + 0x3000]  # the fourth is not in memory

    def put(table: int, index: int, address: int, flags: int) -> None:
        memory.write(table + 8 * index, struct.pack("<Q", address >> 12 << 10 | flags))

    put(tables, virtual >> 30 & 0x1FF, tables + 0x1000, 1)
    put(tables + 0x1000, virtual >> 21 & 0x1FF, tables + 0x2000, 1)
    for index, page in enumerate(pages):
        put(tables + 0x2000, index, page, 0xD7)
    descriptor = daemon.descriptor()
    memory.write(daemon.page + 8, descriptor[:96] + struct.pack("<Q", virtual) + descriptor[104:])
    satp = 8 << 60 | tables >> 12
    lab.disks.register(lab.mvm, daemon.page, lab.time, lab.log.append, partial(translate, memory, satp))
    assert any("scattered" in line for line in lab.log)
    assert any("only 0x3000 bytes" in line for line in lab.log)
    disk = GuestDisk(lab.guest())
    data = bytes(range(256)) * 64
    disk.ask(OUT, 8, data)
    assert daemon.request == (1, 8, 24)
    assert b"".join(memory.read(page, 4096) for page in pages) == data[: 3 * 4096]
    assert daemon.done() == 0
    assert daemon.request == (1, 32, 8)
    assert daemon.done() == 0
    disk.ask(IN, 8, room=3 * 4096)
    for index, page in enumerate(pages):
        memory.write(page, bytes([index]) * 4096)
    assert daemon.done() == 0
    assert disk.answers()[-1][1] == b"\0" * 4096 + b"\1" * 4096 + b"\2" * 4096


@pytest.fixture(scope="module")
def long_lived() -> Lab:
    """One machine for all examples: making one takes longer than an example."""
    return Lab()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_nothing_in_the_page_breaks_the_hypervisor_or_the_guest(long_lived: Lab, data: st.DataObject) -> None:
    """The managing VM may write what it likes there, whenever it likes, and say done as often as it likes."""
    lab = long_lived
    if 1 in lab.station.manager.table:
        lab.remove(1)
    lab.log.clear()
    lab.mvm.reset_devices()
    lab.mvm.mailbox.prepare(RING)
    lab.disks.disks.clear()
    daemon, disk = one(lab)
    for _ in range(data.draw(st.integers(1, 8))):
        step = data.draw(st.sampled_from(("page", "done", "read", "write", "register", "reset", "seconds")))
        if step == "page":
            at = data.draw(st.integers(0, 151))
            junk = data.draw(st.binary(max_size=152))[: 152 - at] or b"\xff"
            daemon.memory.write(daemon.page + at, junk)
        elif step == "done":
            assert daemon.done() in (0, -1)
        elif step == "register":
            assert lab.call(APPEND, 3, daemon.page) in (0, -1)
        elif step == "reset":
            lab.mvm.reset_devices()
            lab.mvm.mailbox.prepare(RING)
        elif step == "seconds":
            lab.time.advance(data.draw(st.integers(1, 40)) * TICKS_PER_SECOND)
        elif len(disk.queues[0].free) > 3:
            kind = IN if step == "read" else OUT
            disk.ask(kind, data.draw(st.integers(0, 70)), bytes(512) if kind else b"", 0 if kind else 512)
    assert not any("Traceback" in line for line in lab.log)
    assert not disk.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET
    assert {status for _, _, status in disk.answers()} <= {OK, IOERR}


def test_a_daemon_can_say_that_a_request_has_failed(lab: Lab) -> None:
    daemon, disk = one(lab, cache_size=1024)
    disk.ask(IN, 5, room=2048)
    disk.ask(OUT, 6, bytes(512))
    daemon.take()
    assert lab.call(FAILED, daemon.page) == 0  # with three more sectors to come
    assert disk.answers() == [(1, bytes(2048), IOERR)]
    assert daemon.serve() == 0
    assert disk.answers() == [(1, b"", OK)]
    assert lab.call(FAILED, daemon.page) == -1
    assert lab.call(FAILED, daemon.page + 8) == -1


def test_a_daemon_that_wants_flushes_gets_them_in_order_and_others_do_not(lab: Lab) -> None:
    daemon, disk = one(lab)
    disk.ask(FLUSH)
    assert disk.answers() == [(1, b"", OK)]
    assert lab.call(FEATURES, daemon.page, 0xFF) == 1
    disk.ask(OUT, 6, pattern(9))
    disk.ask(FLUSH)
    disk.ask(FLUSH, 1 << 40, bytes(512))  # sector and data of a flush mean nothing
    disk.ask(IN, 6, room=512)
    assert daemon.serve() == 0
    assert disk.answers() == [(1, b"", OK)]
    assert daemon.take() == (2, 0, 0)
    assert disk.answers() == []
    assert daemon.done() == 0
    assert disk.answers() == [(1, b"", OK)]
    assert daemon.take() == (2, 0, 0)
    assert lab.call(FAILED, daemon.page) == 0
    assert disk.answers() == [(1, b"", IOERR)]
    assert daemon.serve() == 0
    assert disk.answers() == [(513, pattern(9), OK)]
    assert daemon.register() == 0  # another daemon, which has not asked
    disk.ask(FLUSH)
    assert disk.answers() == [(1, b"", OK)]


def test_a_flush_under_way_is_repeated_for_the_next_daemon(lab: Lab) -> None:
    daemon, disk = one(lab)
    assert lab.call(FEATURES, daemon.page, 1) == 1
    disk.ask(FLUSH)
    daemon.take()
    assert lab.call(DETACH, daemon.page) == 0
    assert daemon.register() == 0
    assert daemon.take() == (2, 0, 0)
    assert daemon.done() == 0
    assert disk.answers() == [(1, b"", OK)]


def test_pages_of_a_daemon_that_has_said_that_it_goes_are_not_touched(lab: Lab) -> None:
    daemon, disk = one(lab)
    other = Daemon(lab, 1)
    assert other.register() == 0
    second = GuestDisk(lab.guest(2, cores=0b0100))
    disk.ask(IN, 5, room=512)
    assert lab.call(DETACH, daemon.page) == 0
    assert lab.call(DETACH, daemon.page) == -1
    before = daemon.memory.read(daemon.page, 0x1000), daemon.memory.read(daemon.cache, daemon.cache_size)
    disk.ask(OUT, 6, b"x" * 512)
    second.ask(IN, 7, room=512)
    assert other.serve() == 0
    assert second.answers() == [(513, pattern(7), OK)]
    assert (daemon.memory.read(daemon.page, 0x1000), daemon.memory.read(daemon.cache, daemon.cache_size)) == before
    assert daemon.register() == 0
    daemon.serve_all()
    assert disk.answers() == [(513, pattern(5), OK), (1, b"", OK)]
