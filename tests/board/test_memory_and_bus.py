"""RAM, the bus, and manual time."""

from __future__ import annotations

import ctypes

import pytest

from shyper_tui.engine.board.bus import Bus
from shyper_tui.engine.board.device import AccessFault, ManualTimebase
from shyper_tui.engine.board.memory import BadAddress, RamMemory
from tests.board.wires import RAM_BASE, ram


class Registers:
    """A device that remembers what was stored."""

    def __init__(self) -> None:
        self.stored: dict[int, int] = {}

    def read(self, offset: int, width: int) -> int:
        return self.stored.get(offset, 0)

    def write(self, offset: int, width: int, value: int) -> None:
        self.stored[offset] = value


def test_memory_is_the_buffer_itself_and_tells_every_write() -> None:
    buffer = (ctypes.c_uint8 * 4096)()
    writes: list[tuple[int, int]] = []
    memory = RamMemory(memoryview(buffer), RAM_BASE, lambda address, size: writes.append((address, size)))
    memory.write(RAM_BASE + 8, b"abc")
    memory.write_u64(RAM_BASE + 16, 0x1122_3344_5566_7788)
    memory.write(RAM_BASE, b"")
    assert bytes(buffer[8:11]) == b"abc"
    assert memory.read_u32(RAM_BASE + 16) == 0x5566_7788
    assert memory.read_u16(RAM_BASE + 22) == 0x1122
    assert memory.read_u8(RAM_BASE + 16) == 0x88
    assert writes == [(RAM_BASE + 8, 3), (RAM_BASE + 16, 8)]


@pytest.mark.parametrize(("address", "size"), [(RAM_BASE - 1, 1), (RAM_BASE + 4095, 2), (1 << 64, 1), (RAM_BASE, 4097)])
def test_bytes_outside_of_memory_are_a_bad_address(address: int, size: int) -> None:
    memory = ram(4096)
    with pytest.raises(BadAddress) as caught:
        memory.read(address, size)
    assert (caught.value.address, caught.value.size) == (address, size)
    with pytest.raises(BadAddress):
        memory.write(address, bytes(size))


def test_the_bus_finds_devices_also_where_they_share_a_page() -> None:
    bus, a, b, c = Bus(), Registers(), Registers(), Registers()
    bus.attach(0x1000, 0x100, a, "a")
    bus.attach(0x1100, 0x10, b, "b")
    bus.attach(0x4000, 0x3000, c, "c")
    for address in (0x1000, 0x1100, 0x4000, 0x6FFC):
        bus.write(address, 4, address)
    assert (a.stored, b.stored, c.stored) == ({0: 0x1000}, {0: 0x1100}, {0: 0x4000, 0x2FFC: 0x6FFC})
    assert bus.read(0x6FFC, 4) == 0x6FFC
    assert [window.name for window in bus] == ["a", "b", "c"]
    bus.detach(0x1100)
    assert bus.read(0x1000, 4) == 0x1000
    with pytest.raises(AccessFault):
        bus.read(0x1100, 4)


def test_a_huge_window_costs_nothing_and_works() -> None:
    bus, small, huge = Bus(), Registers(), Registers()
    bus.attach(0x1000, 0x800, small, "small")
    bus.attach(0x1800, 1 << 50, huge, "huge")
    for address in (0x1000, 0x1800, 0x2000, 1 << 49):
        bus.write(address, 8, address)
    assert (small.stored, huge.stored) == ({0: 0x1000}, {0: 0x1800, 0x800: 0x2000, (1 << 49) - 0x1800: 1 << 49})


@pytest.mark.parametrize(("address", "width"), [(0x0, 4), (0x1100, 4), (0x10FC, 8), (0x1002, 4), (0x2000, 1)])
def test_what_no_device_answers_is_an_access_fault(address: int, width: int) -> None:
    bus = Bus()
    bus.attach(0x1000, 0x100, Registers(), "a")
    with pytest.raises(AccessFault):
        bus.read(address, width)
    with pytest.raises(AccessFault):
        bus.write(address, width, 0)


@pytest.mark.parametrize(("base", "length"), [(0xF00, 0x101), (0x1010, 4), (0x10FF, 1), (0x0, 0x10000)])
def test_overlapping_windows_are_refused(base: int, length: int) -> None:
    bus = Bus()
    bus.attach(0x1000, 0x100, Registers(), "first")
    with pytest.raises(ValueError, match=r"second at .* overlaps first"):
        bus.attach(base, length, Registers(), "second")
    bus.attach(0x1100, 1, Registers(), "adjacent")


def test_manual_time_runs_calls_in_order_and_skips_cancelled_ones() -> None:
    time = ManualTimebase()
    seen: list[tuple[str, int]] = []
    time.call_at(30, lambda: seen.append(("late", time.now())))
    cancelled = time.call_at(5, lambda: seen.append(("cancelled", time.now())))
    time.call_at(10, lambda: seen.append(("early", time.now())))
    time.call_at(10, lambda: seen.append(("early too", time.now())))
    cancelled.cancel()
    assert time.next_tick() == 10
    time.advance_to(20)
    assert (seen, time.now()) == ([("early", 10), ("early too", 10)], 20)
    time.advance(10)
    assert seen[-1] == ("late", 30)
    assert time.next_tick() is None
