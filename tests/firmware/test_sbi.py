"""SBI 2.0 as native code in S-mode gets it from the firmware, on the real core."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.firmware.console import UartConsole
from shyper_tui.engine.firmware.firmware import Firmware
from shyper_tui.engine.firmware.sbi import Extension, HsmState, ResetType
from shyper_tui.engine.hart.hart import Mode
from shyper_tui.engine.machine import Machine
from tests.hypervisor.caller import ENTRY, PROGRAM, TABLE_OFFSET, UNTOUCHED, Call

RAM, SIZE = 0x8000_0000, 64 << 20
CODE = 0x8020_0000
WFI = CODE + 4 * (len(PROGRAM) // 4 - 2)
TIME, IPI, RFENCE, HSM, SRST, DBCN = (
    int(extension)
    for extension in (
        Extension.TIME, Extension.IPI, Extension.RFENCE, Extension.HSM, Extension.SRST, Extension.DBCN,
    )
)  # fmt: skip
NOT_SUPPORTED, INVALID_PARAM, INVALID_ADDRESS, ALREADY_AVAILABLE = -2, -3, -5, -6


class Bare:
    """A machine whose S-mode software makes the calls of a table."""

    def __init__(self, *calls: Call, harts: int = 2) -> None:
        self.shown = bytearray()
        self.resets: list[tuple[ResetType, int]] = []
        self.count = len(calls)
        self.machine = Machine(harts, SIZE, on_console=self.shown.extend)
        self.firmware = Firmware(
            self.machine.harts,
            self.machine.memory,
            UartConsole(self.machine.board.bus),
            lambda kind, reason: self.resets.append((kind, reason)),
        )
        self.machine.use_software(self.firmware)
        table = struct.pack("<Q", len(calls))
        for call in calls:
            table += struct.pack("<10Q", *call.registers(), UNTOUCHED, UNTOUCHED)
        self.machine.memory.write(CODE, PROGRAM.ljust(TABLE_OFFSET, b"\0") + table)
        self.firmware.reset(CODE, 0x8100_0000)

    def run(self, cycles: int = 1_000_000) -> list[tuple[int, int]]:
        """Run for a while; returns (a0, a1) of every call, signed."""
        end = self.machine.cycle + cycles
        while self.machine.cycle < end:
            self.machine.run_round(end)
        at = CODE + TABLE_OFFSET + 8
        return [struct.unpack("<qq", self.machine.memory.read(at + n * ENTRY + 64, 16)) for n in range(self.count)]


def results(*calls: Call) -> list[tuple[int, int]]:
    return Bare(*calls).run()


def test_the_boot_hart_enters_supervisor_mode_as_specified() -> None:
    bare = Bare(Call(0x10))
    hart, other = bare.machine.harts
    assert (hart.mode, hart.pc) == (Mode.HS, CODE)
    assert (hart.x[10], hart.x[11]) == (0, 0x8100_0000)
    assert (hart.csr.satp, hart.csr.sie, hart.csr.sstatus >> 13 & 3) == (0, 0, 0)
    assert (other.mode, other.waiting) == (Mode.M, True)
    assert hart.csr.mcounteren & 7 == 7
    assert hart.csr.menvcfg >> 61 == 0b111


def test_base_and_probe() -> None:
    extensions = [0x10, TIME, IPI, RFENCE, HSM, SRST, DBCN, 1, 2, 8]
    absent = [0, 3, 4, 0x504D55, 0x53555350]
    found = results(Call(0x10), *[Call(0x10, 3, (extension,)) for extension in (*extensions, *absent)], Call(0x10, 9))
    assert found[0] == (0, 0x0200_0000)
    assert found[1:-1] == [(0, 1)] * len(extensions) + [(0, 0)] * len(absent)
    assert found[-1] == (NOT_SUPPORTED, 0)


def test_console_calls() -> None:
    bare = Bare(
        Call(DBCN, 2, (ord("a"),)),
        Call(1, 0, (ord("b"), 7)),
        Call(DBCN, 0, (4, CODE, 0)),
        Call(DBCN, 0, (8, RAM + SIZE - 4, 0)),
        Call(DBCN, 0, (8, CODE, 1)),
        Call(DBCN, 1, (4, RAM + SIZE, 0)),
        Call(2, 0, (0, 7)),
    )
    bare.machine.board.uart.receive(b"Q")
    assert bare.run() == [
        (0, 0), (0, 7), (0, 4), (INVALID_PARAM, 0), (INVALID_PARAM, 0), (INVALID_PARAM, 0), (ord("Q"), 7),
    ]  # fmt: skip
    assert bytes(bare.shown) == b"ab" + PROGRAM[:4]
    bare = Bare(Call(DBCN, 1, (16, 0x8300_0000, 0)), Call(2, 0, (0, 7)))
    bare.machine.board.uart.receive(b"x")
    assert bare.run() == [(0, 1), (-1, 7)]
    assert bare.machine.memory.read(0x8300_0000, 2) == b"x\0"


def test_hart_state_management() -> None:
    bare = Bare(
        Call(HSM, 2, (0,)),
        Call(HSM, 2, (1,)),
        Call(HSM, 2, (2,)),
        Call(HSM, 0, (5, CODE, 0)),
        Call(HSM, 0, (1, 0x1000, 0)),
        Call(HSM, 0, (0, CODE, 0)),
        Call(HSM, 0, (1, WFI, 0x1234)),
        Call(HSM, 0, (1, WFI, 0x1234)),
    )
    assert bare.run() == [
        (0, 0), (0, 1), (INVALID_PARAM, 0), (INVALID_PARAM, 0), (INVALID_ADDRESS, 0), (ALREADY_AVAILABLE, 0), (0, 0),
        (ALREADY_AVAILABLE, 0),
    ]  # fmt: skip
    hart = bare.machine.harts[1]
    assert (hart.mode, hart.x[10], hart.x[11]) == (Mode.HS, 1, 0x1234)
    assert bare.firmware.contexts[1].state is HsmState.STARTED


def test_a_hart_that_stops_can_be_started_again() -> None:
    bare = Bare(Call(HSM, 1))
    bare.run()
    hart = bare.machine.harts[0]
    assert (hart.mode, bare.firmware.contexts[0].state) == (Mode.M, HsmState.STOPPED)
    bare.firmware.call(bare.machine.harts[1], HSM, 0, [0, WFI, 5])
    bare.run()
    assert (hart.mode, hart.x[11]) == (Mode.HS, 5)


def test_interprocessor_interrupts_and_fences_check_their_masks() -> None:
    good, bad = [(0b11, 0), (1, 1), (0, (1 << 64) - 1)], [(0b100, 0), (1, 2), (3, 1), (1, 1 << 63)]
    calls = [Call(IPI, 0, mask) for mask in good + bad]
    for function in range(7):
        calls += [Call(RFENCE, function, (*mask, 0x8000_0000, 0x3000, 1)) for mask in (*good, *bad)]
    calls += [Call(RFENCE, 1, (1, 0, (1 << 64) - 4096, 8192)), Call(RFENCE, 7, (1, 0))]
    expected = [(0, 0)] * len(good) + [(INVALID_PARAM, 0)] * len(bad)
    assert results(*calls) == [*expected * 8, (INVALID_ADDRESS, 0), (NOT_SUPPORTED, 0)]


def test_an_ipi_raises_the_supervisor_software_interrupt_of_its_targets() -> None:
    bare = Bare(Call(IPI, 0, (0b10, 0)))
    bare.run()
    assert [hart.pending_interrupts & 2 for hart in bare.machine.harts] == [0, 2]


def test_a_timer_interrupt_comes_at_its_deadline() -> None:
    bare = Bare(Call(TIME, 0, (50_000,)))
    bare.run(400_000)  # 40 000 ticks
    assert bare.machine.harts[0].pending_interrupts >> 5 & 1 == 0
    bare.run(200_000)
    assert bare.machine.harts[0].pending_interrupts >> 5 & 1 == 1
    bare.firmware.call(bare.machine.harts[0], TIME, 0, [(1 << 64) - 1])
    assert bare.machine.harts[0].pending_interrupts >> 5 & 1 == 0


def test_a_timer_without_sstc_goes_through_mtimecmp() -> None:
    bare = Bare(Call(0x10))
    hart = bare.machine.harts[0]
    hart.csr.menvcfg = 0
    bare.firmware.contexts[0].sstc = False
    bare.firmware.call(hart, TIME, 0, [50_000])
    bare.run(400_000)
    assert hart.pending_interrupts >> 5 & 1 == 0
    bare.run(200_000)
    assert hart.pending_interrupts >> 5 & 1 == 1
    assert hart.mode is Mode.HS


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (Call(SRST, 0, (0, 0)), (ResetType.SHUTDOWN, 0)),
        (Call(SRST, 0, (1, 1)), (ResetType.COLD_REBOOT, 1)),
        (Call(SRST, 0, (2, 0)), (ResetType.WARM_REBOOT, 0)),
        (Call(8), (ResetType.SHUTDOWN, 0)),
    ],
)
def test_system_reset_reaches_the_machine(call: Call, expected: tuple[ResetType, int]) -> None:
    bare = Bare(call)
    bare.run()
    assert bare.resets == [expected]
    assert bare.machine.harts[0].mode is Mode.M


def test_system_reset_refuses_what_it_does_not_know() -> None:
    calls = [Call(SRST, 0, args) for args in ((3, 0), (0, 2), (1 << 32, 0), (0xF000_0000, 0))]
    assert results(*calls) == [(INVALID_PARAM, 0)] * 3 + [(NOT_SUPPORTED, 0)]


def test_a_suspended_hart_resumes_where_it_asked_to() -> None:
    bare = Bare(Call(HSM, 3, (0, 0, 0)), Call(HSM, 3, (5, 0, 0)), Call(HSM, 3, (0x8000_0000, WFI, 0x77)))
    assert bare.run()[:2] == [(0, 0), (INVALID_PARAM, 0)]
    hart = bare.machine.harts[0]
    assert (hart.mode, hart.x[10], hart.x[11]) == (Mode.HS, 0, 0x77)


def test_an_exception_that_cannot_be_delegated_is_handed_to_the_supervisor() -> None:
    bare = Bare(Call(0x10))
    hart = bare.machine.harts[0]
    hart.csr.medeleg = 0
    hart.csr.stvec = WFI
    bare.machine.memory.write(CODE, b"\0\0\0\0")
    bare.run(100_000)
    assert (hart.mode, hart.csr.scause, hart.csr.sepc) == (Mode.HS, 2, CODE)
    assert hart.csr.sstatus >> 8 & 1 == 1
    assert hart.pc in (WFI, WFI + 4)
