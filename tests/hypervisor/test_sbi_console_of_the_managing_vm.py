"""The managing VM has its serial port for input; SBI console calls write to the same console and read nothing of it."""

from __future__ import annotations

from tests.hypervisor.caller import Call, Caller
from tests.hypervisor.station import Station

DBCN, PUTCHAR, GETCHAR = 0x4442434E, 1, 2
RECEIVER_BUFFER, LINE_STATUS = 0, 5
DATA_READY = 1
TEXT = 0x9300_0000


def test_reading_the_sbi_console_takes_nothing_from_the_serial_port() -> None:
    station = Station(ram=1 << 30)
    mvm = Caller(station)
    station.type(0, b"x")
    assert mvm.perform(Call(GETCHAR), Call(DBCN, 1, (8, TEXT, 0))) == [(-1, 0), (0, 0)]
    uart = station.machine.board.uart
    assert uart.read(LINE_STATUS, 1) & DATA_READY
    assert uart.read(RECEIVER_BUFFER, 1) == ord("x")


def test_what_it_writes_through_sbi_is_on_its_own_console() -> None:
    station = Station(ram=1 << 30)
    mvm = Caller(station)
    mvm.perform(Call(PUTCHAR, 0, (ord("a"),)), Call(DBCN, 2, (ord("b"),)))
    assert bytes(station.consoles[0]).endswith(b"ab")
