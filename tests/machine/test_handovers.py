"""Rounds of turns that follow each other in native code, because a device that native code works for has interrupted
another hart."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.board.plic import IrqCount
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.backend import VIRTIO_F_EVENT_IDX
from shyper_tui.engine.hart.group_layout import MOST_HANDOVERS, TURN_ALONE
from tests.board.test_virtio_net import PLAIN, ethernet
from tests.core.encoding import word
from tests.hart.bench import LOOP, RAM
from tests.hypervisor.frames import REGISTERS, Wires

WAITER = RAM + 0x4_0000
WFI = word("wfi")
VSEIP = 1 << 10
PLIC = 0x7000_0000


class Pair:
    """Hart 0 notifies the first station's queue; hart 1 waits for the second one's interrupt."""

    def __init__(self) -> None:
        self.wires = Wires(True, VIRTIO_F_EVENT_IDX, harts=2)
        self.machine = self.wires.machine
        self.sender, self.waiter = self.machine.harts
        self.wires.plic.route(1, self.waiter.field_address("hvip"), VSEIP)
        self.wires.bench.code(WAITER, WFI, word("addi", rd=1, rs1=1, imm=1), LOOP)
        self.waiter.csr.mie = VSEIP
        self.waiter.pc = WAITER
        self.sender.pc = WAITER
        self.machine.run_round()
        assert self.machine._group.idle() == 0b11
        self.machine.run_round(max(hart.cycle for hart in self.machine.harts))  # decoding has taken them ahead
        self.prepare()

    def prepare(self) -> None:
        """A frame is ready to be sent by the hart's next store."""
        sender, receiver = self.wires.stations[:2]
        receiver.receiveq.add(writable=[1526])
        sender.transmitq.add([PLAIN, ethernet(receiver.mac, sender.mac, bytes(60))])
        self.sender.x[10], self.sender.x[11] = REGISTERS + mmio.QueueNotify, 1
        self.wires.bench.code(WAITER + 0x100, word("sw", rs1=10, rs2=11, imm=0), word("addi", rd=1, rs1=1, imm=1), LOOP)
        self.sender.set("waiting", 0)
        self.sender.pc = WAITER + 0x100


def test_who_is_interrupted_runs_in_the_same_round() -> None:
    pair = Pair()
    begun = pair.machine.cycle
    pair.machine.run_round()
    assert pair.wires.windows.stores == 1
    assert (pair.waiter.x[1], pair.sender.x[1]) == (1, 1)
    assert not pair.waiter.waiting
    assert pair.sender.cycle - begun < TURN_ALONE  # the long turn of the only hart that ran has ended


@pytest.mark.parametrize("due", ["event", "alarm", "limit"])
def test_what_is_due_comes_before_the_answer(due: str) -> None:
    pair = Pair()
    machine = pair.machine
    begun = machine.cycle
    seen: list[int] = []
    if due == "event":
        machine.call_at(machine.clock.ticks(begun) + 2, lambda: seen.append(pair.waiter.x[1]))
    elif due == "alarm":
        machine.alarm.listen(lambda now: seen.append(pair.waiter.x[1]))
        machine.alarm.set(machine.clock.ticks(begun) + 2)
    machine.run_round(begun + 20 if due == "limit" else None)
    assert (pair.wires.windows.stores, pair.waiter.x[1]) == (1, 0)
    machine.run_round()
    assert pair.waiter.x[1] == 1
    assert seen == ([] if due == "limit" else [0])


def test_the_hosts_clock_is_looked_at_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    monkeypatch.setattr(pair.machine.clock, "look_again", lambda: 1)  # long ago
    pair.machine.run_round()
    assert (pair.wires.windows.stores, pair.waiter.x[1]) == (1, 0)
    pair.machine.run_round()
    assert pair.waiter.x[1] == 1


def test_harts_that_always_call_each_other_come_back_to_python() -> None:
    """Hart 0 sends the same frame again and again, and hart 1 serves its interrupt each time."""
    pair = Pair()
    wires = pair.wires
    sender, receiver = wires.stations[:2]
    for station, queue in ((sender, sender.transmitq), (receiver, receiver.receiveq)):
        head = station.memory.read(queue.avail + 4, 2)
        station.memory.write(queue.avail + 4, head * queue.size)
    receiver.memory.write(receiver.receiveq.avail + 2, struct.pack("<H", receiver.receiveq.size))
    sender.memory.write(sender.transmitq.avail + 2, bytes(2))
    send = word("lhu", rd=13, rs1=12, imm=0), word("addi", rd=13, rs1=13, imm=1), word("sh", rs1=12, rs2=13, imm=0)
    wires.bench.code(WAITER + 0x100, *send, word("sw", rs1=10, rs2=11, imm=0), word("jal", rd=0, imm=-16))
    pair.sender.x[12] = sender.memory.physical(sender.transmitq.avail + 2)
    wires.windows.add(PLIC, 0x60_0000, wires.plic)
    pair.waiter.use_direct_physical(wires.windows)
    acknowledge, complete = word("sw", rs1=21, rs2=11, imm=0), word("sw", rs1=20, rs2=22, imm=0)
    serve = word("lw", rd=22, rs1=20, imm=0), acknowledge, complete, word("jal", rd=0, imm=-16)
    wires.bench.code(WAITER + 0x200, WFI, *serve)
    pair.waiter.pc = WAITER + 0x200
    pair.waiter.x[11], pair.waiter.x[20], pair.waiter.x[21] = (
        1,
        PLIC + 0x20_1004,
        REGISTERS + 0x1000 + mmio.InterruptACK,
    )
    pair.machine.run_round()
    assert sender.net.sent_frames == MOST_HANDOVERS + 1
    assert wires.plic.statistics()[2] == IrqCount(MOST_HANDOVERS + 1, MOST_HANDOVERS, MOST_HANDOVERS)
