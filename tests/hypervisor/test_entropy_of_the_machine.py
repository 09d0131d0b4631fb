"""The managing VM's entropy device, in the last of the board's virtio slots that are passed through to it."""

from __future__ import annotations

from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.clock import Clock, VirtualClock, WallClock
from shyper_tui.engine.hart.program import program
from shyper_tui.engine.shyper_machine import Hooks, ShyperMachine
from tests.board.driver import DriverCore, MemoryFrom

AREA = 0x9000_0000


def read_entropy(clock: Clock) -> list[bytes]:
    built = ShyperMachine(clock, program(), Hooks(lambda vm, data: None, lambda: None, lambda line: None), None, None)
    try:
        slot = built.machine.board.slots[7]
        assert slot.read(mmio.DeviceID, 4) == 4
        driver = DriverCore(MemoryFrom(built.machine.memory, AREA), slot, (64,)).start()
        return [driver.queues[0].request(writable=[32, 32])[1] for _ in range(3)]
    finally:
        built.close()


def test_with_the_virtual_clock_it_is_the_same_in_every_run() -> None:
    first = read_entropy(VirtualClock())
    assert first == read_entropy(VirtualClock())
    assert len(set(first)) == 3


def test_with_the_wall_clock_it_is_not() -> None:
    assert read_entropy(WallClock()) != read_entropy(WallClock())
