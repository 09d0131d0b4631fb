"""Frames that native code brings from one VM's network device to another's. `tests/fuzz/test_fuzz_frames.py` compares
that with what the devices' Python does."""

from __future__ import annotations

import pytest

from shyper_tui.engine.board.virtio import mmio, net
from shyper_tui.engine.hart.direct import net_layout, windows_layout
from tests.board.test_virtio_net import PLAIN, ethernet
from tests.hypervisor.frames import FULL, REGISTERS, Doer, Wires


def _exchange(wires: Wires) -> None:
    doer = Doer(wires)
    for step in FULL:
        doer.do(step)
    sender, receiver = wires.stations[:2]
    doer.send(sender, receiver.mac, None, 84, PLAIN, 12, indirect=False)
    sender.transmitq.notify()


def test_a_frame_stays_in_native_code() -> None:
    wires = Wires(True)
    _exchange(wires)
    sender, receiver, other = wires.stations
    assert wires.windows.stores == 1
    assert (wires.words[0], wires.words[1], wires.words[2]) == (0, 0x400, 0)
    ((length, data),) = receiver.receiveq.collect()
    assert data[:12] == PLAIN
    assert data[12:length] == ethernet(receiver.mac, sender.mac, bytes(range(84)))
    assert [length for length, _ in sender.transmitq.collect()] == [98]
    assert (sender.net.sent_frames, receiver.net.received_frames, other.net.received_frames) == (1, 1, 0)


def test_the_interrupt_for_the_frame_sent_comes_with_the_alarm() -> None:
    wires = Wires(True)
    _exchange(wires)
    sender = wires.stations[0]
    assert sender.transport.interrupt_status == 0
    due = wires.machine.alarm.tick
    assert due == sender.net.words[net_layout.SIGNAL_AT // 8]
    assert 0 <= due - net.SENT_DELAY < 10
    wires.machine.alarm.ring(due - 1)  # somebody else's
    assert sender.transport.interrupt_status == 0
    assert wires.machine.alarm.tick == due
    wires.machine.alarm.ring(due)
    assert sender.transport.interrupt_status == mmio.USED_BUFFER
    assert (sender.net.words[net_layout.HELD // 8], wires.machine.alarm.tick) == (0, net_layout.NEVER)


def test_a_sender_that_is_ahead_rests_as_ever() -> None:
    """Native code pays the same price, so that a flood ends in Python's rest."""
    wires = Wires(True)
    doer = Doer(wires)
    sender, receiver = wires.stations[:2]
    for _ in range(200):
        doer.give(receiver, [1526], False)
        doer.send(sender, receiver.mac, None, 1400, PLAIN, 12, False)
        sender.transmitq.notify()
        receiver.receiveq.collect()
        sender.transmitq.collect()
    assert 90 <= sender.net.sent_frames <= 120
    assert 80 <= wires.windows.stores <= sender.net.sent_frames


def test_a_device_that_has_left_the_switch_is_not_reached() -> None:
    wires = Wires(True)
    wires.stations[1].net.leave()
    _exchange(wires)
    sender, receiver = wires.stations[:2]
    assert wires.windows.stores == 0
    assert (receiver.net.received_frames, sender.net.sent_frames) == (0, 1)
    wires.stations[0].net.leave()
    Doer(wires).send(sender, wires.stations[2].mac, None, 84, PLAIN, 12, indirect=False)
    sender.transmitq.notify()
    assert wires.windows.stores == 0
    assert wires.stations[2].net.received_frames == 1  # the first one, which was flooded


@pytest.mark.parametrize("elsewhere", [False, True], ids=["code in the buffer", "code elsewhere"])
def test_code_in_a_receivers_buffer_is_dropped_when_a_frame_comes(elsewhere: bool) -> None:
    """The receiver executes from a page that a buffer of it lies in."""
    wires = Wires(True)
    sender, receiver = wires.stations[:2]
    head = receiver.receiveq.add(writable=[1526])
    ((buffer, _),) = receiver.receiveq.pending[head].buffers
    physical = receiver.memory.physical(buffer) + (0x4_0000 if elsewhere else 26)
    assert wires.bench.execute(0x0010_0293, at=physical, pc=physical) is None  # addi x5, x0, 1
    assert wires.bench.hart.x[5] == 1
    Doer(wires).send(sender, receiver.mac, None, 84, PLAIN, 12, indirect=False)
    sender.transmitq.notify()
    assert wires.windows.stores == elsewhere
    ((length, data),) = receiver.receiveq.collect()
    assert data[12:length] == ethernet(receiver.mac, sender.mac, bytes(range(84)))


def test_a_full_table_of_windows_needs_no_native_way() -> None:
    wires = Wires(True)
    wires.windows.clear()
    for number in range(windows_layout.MOST):
        wires.windows.add(0x1000 * number, 0x1000, wires.stations[0].transport)
    wires.windows.add(REGISTERS, 0x1000, wires.stations[0].transport)
    _exchange(wires)
    assert wires.windows.stores == 0
    assert wires.stations[1].net.received_frames == 1
