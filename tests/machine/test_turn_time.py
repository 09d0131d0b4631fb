"""What harts pay for work of the host, and what turns take of its time."""

from __future__ import annotations

import time

from shyper_tui.engine.board.memory_map import RAM_BASE
from shyper_tui.engine.clock import VirtualClock
from shyper_tui.engine.hart.debt import BACKING, EMPTY_CONTEXT
from shyper_tui.engine.hart.group_layout import FASTEST_PACE, MOST_TIME, TURN
from shyper_tui.engine.machine import SLOW_CYCLES, Machine, Payer
from tests.core.encoding import assemble, word

DATA = RAM_BASE + (4 << 20)
SECOND = 1_000_000_000
COUNT = (word("addi", rd=1, rs1=1, imm=1), word("jal", rd=0, imm=-4))
HS_SOFTWARE = 2
MOST = 5 * TURN
"""Of ten turns: a busy host makes single ones shorter. A hart that waits has none."""


def made(*programs: tuple[int, ...]) -> Machine:
    """A hart for each program, in M-mode."""
    machine = Machine(len(programs), 8 << 20, clock=VirtualClock())
    for number, (hart, program) in enumerate(zip(machine.harts, programs, strict=True)):
        place = RAM_BASE + 0x1_0000 * number
        machine.memory.write(place, assemble(*program))
        hart.reset(place)
        hart.set("waiting", 0)
    return machine


def shared(machine: Machine, *vms: int) -> Machine:
    """The harts run these VMs, and their turns are measured."""
    machine._group.count_time()
    for hart, vm in zip(machine.harts, vms, strict=True):
        hart.set("hgatp", vm << 44)
        hart.set("python_modes", HS_SOFTWARE)
    return machine


def rounds(machine: Machine, count: int) -> list[int]:
    """Instructions that each hart executes in so many rounds."""
    before = [hart.instructions for hart in machine.harts]
    for _ in range(count):
        machine.run_round()
    return [hart.instructions - then for hart, then in zip(machine.harts, before, strict=True)]


def test_a_vm_that_has_taken_much_of_the_hosts_time_waits_for_the_others() -> None:
    machine = shared(made(COUNT, COUNT), 1, 2)
    rounds(machine, 2)
    machine._group.charge(0, 3600 * SECOND)
    held, other = rounds(machine, 10)
    assert held == 0
    assert other >= MOST
    assert machine.harts[0].cycle >= machine.cycle, "time passes for it"
    machine._group.charge(1, 7200 * SECOND)
    held, other = rounds(machine, 10)
    assert held >= MOST
    assert other == 0


def test_harts_of_one_vm_never_wait_for_each_other() -> None:
    """One may hold what the others spin for."""
    machine = shared(made(COUNT, COUNT), 7, 7)
    machine._group.charge(0, 3600 * SECOND)
    assert min(rounds(machine, 10)) >= MOST


def test_a_hart_that_sleeps_saves_nothing_up() -> None:
    machine = shared(made(COUNT, (word("wfi"), *COUNT)), 1, 2)
    rounds(machine, 2)
    machine._group.charge(0, 3600 * SECOND)
    rounds(machine, 1)
    sleeper = machine.harts[1]
    assert machine._group.used(1) >= 3600 * SECOND
    sleeper.set("waiting", 0)
    assert min(rounds(machine, 10)) > 0


class SlowDevice:
    """Each access takes the host long."""

    accesses = 0

    def read(self, offset: int, width: int) -> int:
        self.accesses += 1
        end = time.perf_counter_ns() + 3 * MOST_TIME
        while time.perf_counter_ns() < end:
            pass
        return 0

    def write(self, offset: int, width: int, value: int) -> None:
        raise AssertionError


def test_a_turn_that_takes_the_host_long_ends_and_the_next_ones_are_shorter() -> None:
    device = SlowDevice()
    machine = shared(made((word("lw", rd=5, rs1=10, imm=0), word("jal", rd=0, imm=-4)), COUNT), 1, 2)
    machine.board.bus.attach(0x7000_0000, 0x1000, device, "slow")
    machine.harts[0].x[10] = 0x7000_0000
    machine.run_round()
    assert device.accesses == 1, "though its price leaves room for a hundred in a turn"
    assert machine._group.pace(0) < FASTEST_PACE
    assert machine._group.spent(0) >= 3 * MOST_TIME


def test_what_a_device_does_later_is_for_the_hart_that_asked() -> None:
    machine = shared(made(COUNT, COUNT), 1, 2)
    machine.clock.follows_host = True  # as a wall clock does
    told: list[int] = []
    machine.bill_for = lambda hart: told.append
    ordered: list[Payer | None] = []

    def first() -> None:
        time.sleep(0.001)  # what it takes; nothing waits for it
        machine.call_at(1 << 40, lambda: None)
        ordered.append(machine._events[-1][2].payer)

    machine._current = machine.harts[1]
    machine.call_at(0, first)
    machine._current = None
    before = machine._group.used(1)
    machine._run_events()
    assert [payer.hart for payer in ordered if payer] == [1], "and what that orders"
    assert told[0] >= 10_000
    assert machine._group.used(1) > before
    assert machine._group.used(0) == 0


def test_instructions_that_python_executes_take_their_time_from_that_hart_alone() -> None:
    """Loads that lie in two pages."""
    machine = made((word("ld", rd=5, rs1=10, imm=0), word("jal", rd=0, imm=-4)), COUNT)
    machine.harts[0].x[10] = DATA + 0xFFC
    slow, other = rounds(machine, 20)
    assert other >= 10 * TURN
    assert 0 < slow <= 2 * 21 * TURN // SLOW_CYCLES


def paid(machine: Machine, cycles: int) -> int:
    """Cycles in which the first hart has executed nothing, of about so many."""
    hart = machine.harts[0]
    before, end = hart.get("skipped"), hart.cycle + cycles
    while hart.cycle < end:
        machine.run_round(end)
    return hart.get("skipped") - before


def test_memory_that_the_host_has_to_clear_is_paid_for_once() -> None:
    machine = made((word("sd", rs1=10, rs2=0, imm=0), word("jal", rd=0, imm=-4)))
    machine.harts[0].x[10] = DATA
    assert BACKING <= paid(machine, 2 * BACKING) < 1.5 * BACKING
    assert paid(machine, 2 * BACKING) == 0
    machine.harts[0].x[10] = DATA + (1 << 20)
    assert paid(machine, 2 * BACKING) == 0, "it is there already"
    machine.zero(DATA, 2 << 20)
    machine.harts[0].sfence_vma()
    assert BACKING <= paid(machine, 2 * BACKING) < 1.5 * BACKING


def test_memory_that_a_file_was_loaded_into_is_there_already() -> None:
    machine = made((word("sd", rs1=10, rs2=0, imm=0), word("jal", rd=0, imm=-4)))
    machine.memory.write(DATA, bytes(5000))
    machine.harts[0].x[10] = DATA
    assert paid(machine, 2 * BACKING) < BACKING


def test_fences_are_paid_for_by_what_they_empty() -> None:
    """Every instruction fetch after one fills the context again."""
    loop = word("jal", rd=0, imm=-4)
    fences = paid(made((word("sfence.vma", rs1=0, rs2=0), loop)), 10 * TURN)
    assert fences > 0.9 * 10 * TURN
    assert paid(made(COUNT), 10 * TURN) < EMPTY_CONTEXT * 5
