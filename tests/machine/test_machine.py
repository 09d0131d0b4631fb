"""The machine's loop: turns, events, idle time, memory that Python writes, software written in Python."""

from __future__ import annotations

import struct
import threading
import time

import pytest

from shyper_tui.engine.board.memory_map import RAM_BASE, RTC_BASE
from shyper_tui.engine.clock import VIRTUAL_DIVIDER, Clock, VirtualClock, WallClock
from shyper_tui.engine.hart.group_layout import TURN, TURN_ALONE
from shyper_tui.engine.hart.hart import Hart, Mode
from shyper_tui.engine.machine import Machine

WFI = 0x1050_0073
LOOP = 0x0000_006F  # j .
ADDI_X1 = 0x0010_8093  # addi x1, x1, 1
BACK_4 = 0xFFDF_F06F  # j .-4
ECALL = 0x0000_0073


def machine(*code: int, harts: int = 1, ram: int = 16 << 20) -> Machine:
    made = Machine(harts, ram)
    made.memory.write(RAM_BASE, struct.pack(f"<{len(code)}I", *code))
    for hart in made.harts:
        hart.reset(RAM_BASE)
    return made


def idle(machine: Machine, hart: Hart) -> bool:
    """The hart waits, and nothing that is pending ends it."""
    return bool(machine._group.idle() >> hart.hart_id & 1)


def test_harts_take_turns_of_equal_length() -> None:
    made = machine(ADDI_X1, BACK_4, harts=3)
    for _ in range(10):
        made.run_round()
    assert made.cycle == 10 * TURN
    for hart in made.harts:  # a turn ends at the first branch after its last cycle; decoding takes some, too
        assert hart.x[1] == pytest.approx((10 * TURN - hart.get("skipped")) // 2, abs=2)


def test_a_run_repeats_exactly() -> None:
    def run() -> tuple[int, int, list[int]]:
        made = machine(ADDI_X1, BACK_4, harts=2)
        for _ in range(7):
            made.run_round()
        return made.cycle, made.instructions, [hart.pc for hart in made.harts]

    assert run() == run()


def test_events_come_at_their_tick_in_order_and_can_be_cancelled() -> None:
    made = machine(ADDI_X1, BACK_4)
    seen: list[tuple[str, int]] = []
    made.call_at(3000, lambda: seen.append(("b", made.now())))
    made.call_at(1000, lambda: seen.append(("a", made.now())))
    made.call_at(2000, lambda: seen.append(("never", made.now()))).cancel()
    while made.now() < 4000:
        made.run_round()
    assert [name for name, _ in seen] == ["a", "b"]
    assert all(late - tick <= 1 for (_, late), tick in zip(seen, (1000, 3000), strict=True))


def test_waiting_jumps_to_the_next_event() -> None:
    made = machine(WFI, LOOP)
    made.call_at(50_000_000, made.stop)
    made.run()
    assert made.now() >= 50_000_000
    assert made.instructions <= 2


def test_a_timer_ends_waiting_at_its_tick() -> None:
    made = machine(WFI, LOOP)
    hart = made.harts[0]
    hart.csr.mie = 1 << 7
    hart.set_mtimecmp(1_234_567)
    made.run_round()
    while hart.waiting:
        made.run_round()
    assert made.clock.ticks(hart.cycle) >= 1_234_567
    assert hart.get("skipped") == 1_234_567 * VIRTUAL_DIVIDER - 1  # all but the WFI itself


class Sender:
    """M-mode software: hart 1's ecall raises the software interrupt of hart 0."""

    def __init__(self, made: Machine) -> None:
        self.machine = made
        self.sent_at = 0

    def trap(self, hart: Hart) -> None:
        assert hart.mode is Mode.M
        self.sent_at = hart.cycle
        self.machine.harts[0].set_line(3, True)
        hart.csr.mepc = hart.csr.mepc + 4
        hart.mret()


def test_an_interrupt_from_a_hart_that_goes_to_sleep_wakes_the_other_in_time() -> None:
    """Both harts wait at the end of the round, but one has an interrupt pending: time must not jump."""
    made = machine(ECALL, WFI, LOOP, harts=2)
    sender = Sender(made)
    made.use_software(sender)
    first, second = made.harts
    first.csr.pmpaddr0 = second.csr.pmpaddr0 = (1 << 54) - 1
    first.csr.pmpcfg0 = second.csr.pmpcfg0 = 0x1F
    first.pc = RAM_BASE + 4  # only waits
    first.csr.mie = 1 << 3
    made.call_at(1_000_000_000, made.stop)
    for hart in made.harts:
        hart.set("prv", 1)
    made.run_round()
    made.run_round()
    assert sender.sent_at
    assert not first.waiting
    assert made.cycle <= TURN + TURN_ALONE


def test_a_hart_that_is_woken_goes_on_at_once_while_the_other_had_a_long_turn() -> None:
    made = machine(ECALL, LOOP, WFI, LOOP, harts=2)
    sender = Sender(made)
    first, second = made.harts
    first.csr.pmpaddr0 = second.csr.pmpaddr0 = (1 << 54) - 1
    first.csr.pmpcfg0 = second.csr.pmpcfg0 = 0x1F
    first.pc = RAM_BASE + 8  # only waits
    second.pc = RAM_BASE + 4  # only loops
    first.csr.mie = 1 << 3
    for hart in made.harts:
        hart.set("prv", 1)
    made.run_round()
    assert made.cycle == TURN
    made.run_round()
    assert made.cycle == TURN + TURN_ALONE
    made.use_software(sender)
    second.pc = RAM_BASE  # the call
    made.run_round()
    assert made.cycle == sender.sent_at
    assert first.cycle == made.cycle
    assert not idle(made, first)


def test_a_sleeping_harts_timer_ends_the_others_long_turn() -> None:
    made = machine(WFI, LOOP, LOOP, harts=2)
    first, second = made.harts
    second.pc = RAM_BASE + 4
    first.csr.mie = 1 << 7
    made.run_round()
    first.set_mtimecmp((made.cycle + 12_340) // VIRTUAL_DIVIDER)
    made.run_round()
    assert made.cycle == TURN + 12_340
    assert not idle(made, first)


def test_time_never_goes_back_from_one_hart_to_another() -> None:
    """Each compares the time with what the other has read last, which may have been at the end of its turn."""
    code = (
        0xC010_22F3,  # rdtime t0
        0x0005_3303,  # ld t1, 0(a0)
        0x0062_F463,  # bgeu t0, t1, 8
        0x0013_8393,  # addi t2, t2, 1
        0x0055_3023,  # sd t0, 0(a0)
        0xFEDF_F06F,  # j -20
    )
    made = machine(*code, harts=3)
    for hart in made.harts:
        hart.x[10] = RAM_BASE + 0x1000
    for _ in range(10):
        made.run_round()
        assert made.now() >= int.from_bytes(made.memory.read(RAM_BASE + 0x1000, 8), "little")
    assert [hart.x[7] for hart in made.harts] == [0, 0, 0]


def test_nothing_to_wait_for_ends_with_a_post_from_another_thread() -> None:
    made = machine(WFI, LOOP)
    threading.Timer(0.05, lambda: made.post(made.stop)).start()
    made.run()
    assert made.cycle < 1 << 40  # time did not run away


def test_zeroed_memory_forgets_the_code_decoded_from_it() -> None:
    made = machine(ADDI_X1, BACK_4)
    handler = RAM_BASE + (2 << 20)
    made.memory.write(handler, struct.pack("<I", LOOP))
    hart = made.harts[0]
    hart.csr.mtvec = handler
    made.run_round()
    before = hart.x[1]
    assert before
    made.zero(RAM_BASE, 1 << 20)
    assert made.memory.read(RAM_BASE, 8) == bytes(8)
    made.run_round()
    assert hart.x[1] == before
    assert hart.csr.mcause == 2  # zeros are an illegal instruction
    with pytest.raises(ValueError, match="not pages of RAM"):
        made.zero(RAM_BASE + 1, 4096)


def test_a_long_write_changes_the_code_in_every_page_that_it_touches() -> None:
    made = machine(ADDI_X1, BACK_4)
    far = RAM_BASE + (5 << 12) + 8
    made.memory.write(far, struct.pack("<II", ADDI_X1, LOOP))
    hart = made.harts[0]
    made.run_round()
    hart.pc = far
    made.run_round()
    block = bytearray(far + 8 - RAM_BASE)
    block[0:4] = struct.pack("<I", LOOP)
    block[-8:] = struct.pack("<II", 0x0020_8093, LOOP)  # addi x1, x1, 2
    made.memory.write(RAM_BASE, bytes(block))
    before, hart.pc = hart.x[1], far
    made.run_round()
    assert hart.x[1] == before + 2
    hart.pc = RAM_BASE
    made.run_round()
    assert hart.pc == RAM_BASE


def test_code_written_by_python_is_executed() -> None:
    made = machine(ADDI_X1, BACK_4)
    made.run_round()
    made.memory.write(RAM_BASE, struct.pack("<I", 0x0020_8093))  # addi x1, x1, 2
    hart = made.harts[0]
    before, executed = hart.x[1], hart.instructions
    made.run_round()
    assert hart.x[1] - before == pytest.approx(hart.instructions - executed, abs=2)


def test_the_real_time_clock_shows_the_hosts_time_or_one_that_repeats() -> None:
    def seconds(clock: Clock) -> int:
        board = Machine(1, 16 << 20, clock=clock).board
        low = board.bus.read(RTC_BASE, 4)
        return (board.bus.read(RTC_BASE + 4, 4) << 32 | low) // 1_000_000_000

    before = int(time.time())
    assert before <= seconds(WallClock()) <= time.time()
    assert seconds(VirtualClock()) == 0
