"""The assembled board: addresses, interrupt wiring, and a disk driven through the bus as by a hart."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.board.board import MEIP, MSIP, SEIP, Board
from shyper_tui.engine.board.device import AccessFault, ManualTimebase
from shyper_tui.engine.board.memory import RamMemory
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.disk import MemoryDisk
from shyper_tui.engine.board.virtio.entropy import Entropy
from tests.board.driver import Driver
from tests.board.wires import RAM_BASE, ram

PLIC, UART, CLINT, VIRTIO = 0xC00_0000, 0x1000_0000, 0x200_0000, 0x1000_1000


class Machine:
    """A board without harts: their interrupt inputs and everything else it reports."""

    def __init__(self, harts: int = 4) -> None:
        self.memory: RamMemory = ram()
        self.time = ManualTimebase()
        self.interrupts: set[tuple[int, int]] = set()
        self.deadlines: dict[int, int] = {}
        self.output = bytearray()
        self.power: list[tuple[str, int]] = []
        self.board = Board(
            self.memory,
            harts,
            self.time,
            set_interrupt=self._set_interrupt,
            set_mtimecmp=self.deadlines.__setitem__,
            on_console=self.output.extend,
            on_power=lambda event, code: self.power.append((event, code)),
            drives=[MemoryDisk(b"sector 0".ljust(512, b"."))],
        )
        self.read, self.write = self.board.bus.read, self.board.bus.write

    def _set_interrupt(self, hart: int, bit: int, level: bool) -> None:
        (self.interrupts.add if level else self.interrupts.discard)((hart, bit))

    def enable(self, source: int, context: int) -> None:
        self.write(PLIC + 4 * source, 4, 1)
        self.write(PLIC + 0x2000 + 0x80 * context, 4, 1 << source)


@pytest.mark.parametrize(("context", "expected"), [(0, (0, MEIP)), (1, (0, SEIP)), (7, (3, SEIP))])
def test_serial_input_interrupts_the_context_that_enabled_it(context: int, expected: tuple[int, int]) -> None:
    machine = Machine()
    machine.enable(10, context)
    machine.write(UART + 1, 1, 1)
    machine.board.uart.receive(b"x")
    assert machine.interrupts == {expected}
    assert machine.read(PLIC + 0x20_0004 + 0x1000 * context, 4) == 10
    assert machine.interrupts == set()
    assert machine.read(UART, 1) == ord("x")
    machine.write(PLIC + 0x20_0004 + 0x1000 * context, 4, 10)
    assert machine.interrupts == set()


def test_clint_finisher_rtc_and_serial_are_in_their_places() -> None:
    machine = Machine()
    machine.write(CLINT + 12, 4, 1)
    assert machine.interrupts == {(3, MSIP)}
    machine.write(CLINT + 0x4010, 8, 1234)
    assert machine.deadlines == {2: 1234}
    machine.time.advance(5)
    assert (machine.read(CLINT + 0xBFF8, 8), machine.read(0x10_1000, 4)) == (5, 500)
    machine.write(0x10_0000, 4, 0x5555)
    machine.write(UART, 1, ord("A"))
    assert (machine.power, bytes(machine.output)) == ([("poweroff", 0)], b"A")
    assert [window.name for window in machine.board.bus][:5] == ["test", "rtc", "clint", "plic", "uart"]


def test_addresses_without_a_device_fault() -> None:
    machine = Machine()
    for address in (0, 0x1000_0100, 0x1000_9000, 0x3000_0000, RAM_BASE, PLIC + 0x60_0000):
        with pytest.raises(AccessFault):
            machine.read(address, 4)


def test_a_drive_is_in_the_first_slot_and_the_others_are_free() -> None:
    machine = Machine()
    assert [machine.read(VIRTIO + 0x1000 * slot + 8, 4) for slot in range(8)] == [2, 0, 0, 0, 0, 0, 0, 0]
    machine.board.connect(7, Entropy(bytes))
    assert machine.read(VIRTIO + 0x7008, 4) == 4
    with pytest.raises(ValueError, match="slot 0 is in use"):
        machine.board.connect(0, Entropy(bytes))


def test_a_disk_interrupt_reaches_the_hart() -> None:
    machine = Machine()
    machine.enable(1, 1)
    slot = machine.board.slots[0]
    backend = slot.backend
    assert backend is not None
    driver = Driver(backend, memory=machine.memory)
    driver.device = slot  # the board's own slot, with the board's own line
    slot.connect(backend)
    driver.start()
    length, data = driver.queues[0].request(struct.pack("<IIQ", 0, 0, 0), writable=[512, 1])
    assert (length, data[:8], data[-1]) == (513, b"sector 0", 0)
    assert machine.interrupts == {(0, SEIP)}
    assert machine.read(PLIC + 0x20_1004, 4) == 1
    assert driver.acknowledge() == mmio.USED_BUFFER
    machine.write(PLIC + 0x20_1004, 4, 1)
    assert machine.interrupts == set()


def test_a_snapshot_shows_devices_slots_and_sources() -> None:
    machine = Machine()
    state = machine.board.snapshot()
    assert [(w.name, w.base, w.irq) for w in state.windows[:6]] == [
        ("test", 0x10_0000, None),
        ("rtc", 0x10_1000, 11),
        ("clint", CLINT, None),
        ("plic", PLIC, None),
        ("uart", UART, 10),
        ("virtio0", VIRTIO, 1),
    ]
    assert [(slot.device_id, len(slot.queues)) for slot in state.slots[:2]] == [(2, 1), (0, 0)]
    assert (len(state.plic.sources), len(state.plic.contexts)) == (95, 8)
    machine.board.close()


def test_a_reset_is_power_on_for_every_device() -> None:
    machine = Machine()
    machine.enable(10, 1)
    machine.write(UART + 1, 1, 2)
    machine.write(CLINT, 4, 1)
    machine.write(VIRTIO + 0x70, 4, 3)
    assert machine.interrupts == {(0, SEIP), (0, MSIP)}
    machine.board.reset()
    assert machine.interrupts == set()
    assert (machine.read(VIRTIO + 0x70, 4), machine.read(PLIC + 40, 4), machine.read(UART + 1, 1)) == (0, 0, 0)
    assert machine.board.plic.snapshot().sources[9].pending is False
