"""ACLINT, goldfish RTC, test finisher."""

from __future__ import annotations

import pytest

from shyper_tui.engine.board import rtc
from shyper_tui.engine.board.aclint import Aclint
from shyper_tui.engine.board.device import AccessFault, ManualTimebase
from shyper_tui.engine.board.finisher import Finisher
from shyper_tui.engine.board.rtc import GoldfishRtc
from tests.board.wires import RecordedLine

SECOND = 1_000_000_000
ALL_ONES = (1 << 64) - 1


class Clint:
    """An ACLINT of `harts` that records what it tells them."""

    def __init__(self, harts: int = 4) -> None:
        self.time = ManualTimebase(0x1_2345_6789)
        self.msip: list[tuple[int, bool]] = []
        self.mtimecmp: list[tuple[int, int]] = []
        self.device = Aclint(
            harts,
            self.time,
            lambda hart, level: self.msip.append((hart, level)),
            lambda hart, value: self.mtimecmp.append((hart, value)),
        )


def test_software_interrupts_reach_their_hart_once() -> None:
    clint = Clint()
    clint.device.write(8, 4, 1)
    clint.device.write(8, 4, 0xFFFF_FFFF)
    clint.device.write(8, 4, 0xFFFF_FFFE)
    clint.device.write(0, 8, 1 << 32)  # two harts in one store
    clint.device.write(16, 4, 1)  # no such hart
    assert clint.msip == [(2, True), (2, False), (1, True)]
    assert [clint.device.read(4 * hart, 4) for hart in range(5)] == [0, 1, 0, 0, 0]
    assert clint.device.read(0, 8) == 1 << 32


def test_mtimecmp_in_one_store_or_in_halves() -> None:
    clint = Clint()
    assert clint.device.read(0x4008, 8) == ALL_ONES
    clint.device.write(0x4008, 8, 0x1122_3344_5566_7788)
    clint.device.write(0x4010, 4, 5)
    clint.device.write(0x4014, 4, 6)
    clint.device.write(0x4020, 8, 1)  # no such hart
    assert clint.mtimecmp == [(1, 0x1122_3344_5566_7788), (2, 0xFFFF_FFFF_0000_0005), (2, 0x6_0000_0005)]
    assert (clint.device.read(0x4008, 4), clint.device.read(0x400C, 4)) == (0x5566_7788, 0x1122_3344)


def test_mtime_is_the_timebase() -> None:
    clint = Clint()
    assert (clint.device.read(0xBFF8, 8), clint.device.read(0xBFFC, 4)) == (0x1_2345_6789, 1)
    clint.time.advance(1)
    clint.device.write(0xBFF8, 8, 0)
    assert clint.device.read(0xBFF8, 4) == 0x2345_678A


@pytest.mark.parametrize(("offset", "width"), [(0, 1), (0xBFF8, 2), (0x4004, 8)])
def test_the_aclint_refuses_other_accesses(offset: int, width: int) -> None:
    with pytest.raises(AccessFault):
        Clint().device.read(offset, width)
    with pytest.raises(AccessFault):
        Clint().device.write(offset, width, 0)


class Clock:
    """An RTC whose clock follows manual time, from a given second."""

    def __init__(self, second: int) -> None:
        self.time = ManualTimebase()
        self.line = RecordedLine()
        self.rtc = GoldfishRtc(lambda: second * SECOND + self.time.now() * 100, self.time, self.line)

    def read64(self, low: int) -> int:
        value = self.rtc.read(low, 4)
        return value | self.rtc.read(low + 4, 4) << 32

    def write64(self, low: int, value: int) -> None:
        self.rtc.write(low + 4, 4, value >> 32)
        self.rtc.write(low, 4, value & 0xFFFF_FFFF)


def test_reading_the_low_half_latches_the_high_one() -> None:
    clock = Clock(0)
    clock.time.advance_to(42_949_672)  # 95 ns before bit 32 changes
    assert clock.rtc.read(rtc.TIME_LOW, 4) == 0xFFFF_FFA0
    clock.time.advance(1)
    assert clock.rtc.read(rtc.TIME_HIGH, 4) == 0
    assert clock.read64(rtc.TIME_LOW) == 1 << 32 | 4


def test_the_alarm_rings_when_due_and_only_if_enabled() -> None:
    clock = Clock(1_700_000_000)
    clock.rtc.write(rtc.IRQ_ENABLED, 4, 1)
    clock.write64(rtc.ALARM_LOW, 1_700_000_002 * SECOND)
    assert (clock.rtc.read(rtc.ALARM_STATUS, 4), clock.line.high()) == (1, False)
    clock.time.advance(19_999_999)
    assert not clock.line.high()
    clock.time.advance(1)
    assert (clock.rtc.read(rtc.ALARM_STATUS, 4), clock.line.high()) == (0, True)
    clock.rtc.write(rtc.CLEAR_INTERRUPT, 4, 1)
    assert not clock.line.high()
    clock.write64(rtc.ALARM_LOW, 1_700_000_001 * SECOND)  # in the past
    assert clock.line.high()
    clock.rtc.write(rtc.IRQ_ENABLED, 4, 0)
    assert not clock.line.high()


def test_a_cleared_alarm_does_not_ring() -> None:
    clock = Clock(0)
    clock.rtc.write(rtc.IRQ_ENABLED, 4, 1)
    clock.write64(rtc.ALARM_LOW, SECOND)
    clock.rtc.write(rtc.CLEAR_ALARM, 4, 1)
    clock.time.advance(100_000_000)
    assert clock.line.rises == 0


def test_the_guest_may_set_the_time() -> None:
    clock = Clock(1_700_000_000)
    clock.write64(rtc.TIME_LOW, 5 * SECOND)
    clock.time.advance(10_000_000)
    assert clock.read64(rtc.TIME_LOW) == 6 * SECOND


def test_the_finisher_ends_fails_and_restarts() -> None:
    events: list[tuple[str, int]] = []
    finisher = Finisher(lambda event, code: events.append((event, code)))
    for offset, value in [(0, 0x5555), (0, 0x3333 | 42 << 16), (0, 0x7777), (0, 0x1234), (4, 0x5555)]:
        finisher.write(offset, 4, value)
    assert events == [("poweroff", 0), ("fail", 42), ("reset", 0)]
    assert finisher.read(0, 4) == 0
    with pytest.raises(AccessFault):
        finisher.write(0, 8, 0x5555)
