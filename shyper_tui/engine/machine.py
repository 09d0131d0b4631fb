"""The machine: harts, board and clock, run in one thread.

Harts take turns of a fixed number of virtual cycles, so that a run with the virtual clock repeats to the instruction.
Between turns the machine performs what other threads have posted, and device events that are due.
"""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shyper_tui.engine.board.alarm import Alarm
from shyper_tui.engine.board.board import Board
from shyper_tui.engine.board.device import AccessFault
from shyper_tui.engine.board.finisher import PowerEvent
from shyper_tui.engine.board.memory import RamMemory
from shyper_tui.engine.board.memory_map import RAM_BASE
from shyper_tui.engine.board.virtio.disk import Disk
from shyper_tui.engine.clock import TICKS_PER_SECOND, Clock, VirtualClock
from shyper_tui.engine.core import records
from shyper_tui.engine.hart.direct.windows import DirectWindows
from shyper_tui.engine.hart.exits import Reason
from shyper_tui.engine.hart.fields import Cause, Mstatus
from shyper_tui.engine.hart.group import HartGroup
from shyper_tui.engine.hart.hart import Hart, Mode, TrapHandler
from shyper_tui.engine.hart.host_memory import CODE_MEMORY, PAGE, HostMemory
from shyper_tui.engine.hart.program import Program, program
from shyper_tui.engine.hart.slow_path import SlowPath
from shyper_tui.engine.hart.state import LAYOUT, NEVER
from shyper_tui.engine.wake import Wake

TRAP_CYCLES, MMIO_CYCLES, SLOW_CYCLES = 1000, 200, 1000
"""Cycles that pass in software or a device written in Python, and in an instruction that native code leaves to the
evaluator. They keep a guest that does nothing else from taking the host's time from the other harts' turns."""

NANOSECONDS_PER_TICK = 1_000_000_000 // TICKS_PER_SECOND

M_SOFTWARE, HS_SOFTWARE = 1, 2
"""Bits of `python_modes`."""


Bill = Callable[[int], None]
"""Takes ticks of the host's time."""


@dataclass(frozen=True, slots=True)
class Payer:
    """On whose behalf the host works: a hart, and `bill` is told what that took, too."""

    hart: int
    bill: Bill | None


class Event:
    """A device's call at a tick, on the account of `payer`, if it is anybody's."""

    def __init__(self, callback: Callable[[], None], payer: Payer | None) -> None:
        self.callback: Callable[[], None] | None = callback
        self.payer = payer

    def cancel(self) -> None:
        self.callback = None


class Machine:
    """`harts` harts with `ram_size` bytes of RAM on the `virt` board.

    All but `post`, `stop`, `pause` and `resume` belongs to the thread that calls `run`.

    `firmware` and `hypervisor` are software for M and HS written in Python; where there is none, guest code runs there.
    """

    def __init__(
        self,
        harts: int = 1,
        ram_size: int = 1 << 30,
        *,
        clock: Clock | None = None,
        on_console: Callable[[bytes], None] = lambda data: None,
        on_power: Callable[[PowerEvent, int], None] | None = None,
        drives: Sequence[Disk] = (),
        report: Callable[[str], None] = lambda line: None,
        core: Program | None = None,
        code_memory: int = CODE_MEMORY,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.host = HostMemory(RAM_BASE, ram_size, harts, code_memory)
        self._latest_time = self.host.shared.word(records.SHARED_TIME)
        self.power: tuple[PowerEvent, int] | None = None
        self._on_power = on_power
        self._events: list[tuple[int, int, Event]] = []
        self.alarm = Alarm()
        self._order = itertools.count()
        self._posted: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake: threading.Event | Wake = threading.Event()
        self._outside: Callable[[], None] | None = None
        self._stopping = False
        self.paused = False
        self.cycle = 0
        self._current: Hart | None = None
        self._payer: Payer | None = None  # of what runs between turns: events that it orders are on the same account
        self.bill_for: Callable[[int], Bill | None] = lambda hart: None
        """Whom to tell what the host does later for the software that hart `hart` runs now."""
        self.before_rest: Callable[[], bool] = lambda: False
        """Called when no hart has anything to do; True when that may have changed."""
        self._mtimecmp_written = False
        self.firmware: TrapHandler | None = None
        self.hypervisor: TrapHandler | None = None
        code = self.host.page_records.bytes.cast("Q")
        self.memory = RamMemory(self.host.ram.bytes, RAM_BASE, self._ram_written, code)
        self.harts: list[Hart] = []
        self.board = Board(
            self.memory,
            harts,
            self,
            set_interrupt=self._set_interrupt,
            set_mtimecmp=self._set_mtimecmp,
            on_console=on_console,
            on_power=self._power_event,
            drives=drives,
            report=report,
            clock=self.clock.calendar,
        )
        core = core or program()
        self.harts = [Hart(number, core, self.host, self.board.bus) for number in range(harts)]
        self._group = HartGroup(self.harts, self.alarm.address)
        if self.clock.follows_host:
            self._group.count_time()
        self._direct = DirectWindows()
        self._answer_directly()
        self._slow = SlowPath(core, self.host, self.board.bus)
        self._set_time()

    def _set_interrupt(self, hart: int, bit: int, level: bool) -> None:
        if self.harts:  # devices lower their lines while they are made; the harts come after the bus
            self.harts[hart].set_line(bit, level)

    def _set_mtimecmp(self, hart: int, value: int) -> None:
        self.harts[hart].set_mtimecmp(value)
        self._mtimecmp_written = True

    def _answer_directly(self) -> None:
        """Harts claim and acknowledge interrupts of the board without coming to Python."""
        self.board.add_direct(self._direct)
        for hart in self.harts:
            hart.use_direct_physical(self._direct)
            for context, bit in self.board.plic_outputs(hart.hart_id):
                self.board.plic.route(context, hart.field_address("lines"), 1 << bit)

    # time
    def host_time(self, hart: int) -> int:
        """What the host has spent on a hart's turns, in ticks; with a clock that follows the host's."""
        return self._group.spent(hart) // NANOSECONDS_PER_TICK

    def now(self) -> int:
        """mtime in ticks of 100 ns (`Timebase`): no less than any hart has read."""
        latest = self._latest_time
        latest.value = max(latest.value, self.clock.ticks(self._current.cycle if self._current else self.cycle))
        return latest.value

    def call_at(self, tick: int, callback: Callable[[], None]) -> Event:
        """Calls `callback` at the first turn that begins at or after `tick` (`Timebase`)."""
        event = Event(callback, self.payer())
        heapq.heappush(self._events, (tick, next(self._order), event))
        return event

    def call_promptly(self, tick: int, callback: Callable[[], None]) -> Event:
        """As `call_at`, and the turns that are under way go no further than `tick`."""
        event = self.call_at(tick, callback)
        if self._current is not None:
            self._group.end_turns_at(self.clock.cycle_of(tick))
        return event

    def _next_event(self) -> int | None:
        while self._events and self._events[0][2].callback is None:
            heapq.heappop(self._events)
        tick = min(self._events[0][0] if self._events else NEVER, self.alarm.tick)
        return tick if tick != NEVER else None

    def _run_events(self) -> None:
        now = self.clock.ticks(self.cycle)
        while (tick := self._next_event()) is not None and tick <= now:
            if tick == self.alarm.tick:
                self.alarm.ring(now)
                continue
            self._run_event(heapq.heappop(self._events)[2])

    def _run_event(self, event: Event) -> None:
        if event.callback is not None:
            self.on_account(event.payer, event.callback)

    def payer(self) -> Payer | None:
        """On whose account the host works now."""
        if self._current is None:
            return self._payer
        return Payer(self._current.hart_id, self.bill_for(self._current.hart_id))

    def on_account(self, payer: Payer | None, call: Callable[[], None]) -> None:
        """Performs `call` between turns; what it takes the host is counted for `payer`."""
        if payer is None or not self.clock.follows_host or self._current is not None:
            call()
            return
        before, begin = self._payer, time.perf_counter_ns()
        self._payer = payer
        call()
        self._payer = before
        taken = time.perf_counter_ns() - begin
        self._group.charge(payer.hart, taken)
        if payer.bill is not None:
            payer.bill(taken // NANOSECONDS_PER_TICK)

    def _set_time(self) -> None:
        """Hands the harts the clock's mapping from cycles to ticks."""
        for hart in self.harts:
            hart.set("time_base", self.clock.base_tick)
            hart.set("time_cycle", self.clock.base_cycle)
            hart.set("time_divider", self.clock.divider)
            hart.native["update_timers"](hart.address)

    # other threads
    def post(self, call: Callable[[], None]) -> None:
        """Performs `call` in the machine's thread, between turns. Any thread may post."""
        self._posted.put(call)
        self._wake.set()

    def watch(self, descriptor: int, look: Callable[[], None]) -> None:
        """From now on `look` is called between turns, and at once when the machine waits and `descriptor` is
        readable. The machine must not run yet."""
        self._outside = look
        self._wake = Wake(descriptor)

    def ignore(self) -> None:
        """Undoes `watch`."""
        self._outside = None
        self._wake = threading.Event()
        self._wake.set()

    def stop(self) -> None:
        """Makes `run` return. Any thread may call it."""
        self._stopping = True
        self._wake.set()

    def pause(self) -> None:
        self.paused = True
        self._wake.set()

    def resume(self) -> None:
        self.paused = False
        self._wake.set()

    # running
    @property
    def instructions(self) -> int:
        """Instructions executed by all harts."""
        return sum(hart.instructions for hart in self.harts)

    def use_software(self, firmware: TrapHandler | None, hypervisor: TrapHandler | None = None) -> None:
        """Python software for M-mode and for HS-mode."""
        self.firmware, self.hypervisor = firmware, hypervisor
        modes = (M_SOFTWARE if firmware else 0) | (HS_SOFTWARE if hypervisor else 0)
        for hart in self.harts:
            hart.set("python_modes", modes)

    def run(self) -> None:
        """Runs until `stop` or until the machine powers off; may be called again."""
        self._stopping = False
        while not self._stopping and self.power is None:
            self._wake.clear()
            self._perform_posted()
            if self.paused and not self._stopping:
                self._wake.wait_until_set() if isinstance(self._wake, Wake) else self._wake.wait()
                self.clock.restart(self.cycle)
                continue
            self.run_round()

    def _perform_posted(self) -> None:
        for _ in range(self._posted.qsize()):  # what these post has its turn after the next round
            self._posted.get_nowait()()

    def run_round(self, limit: int | None = None) -> None:
        """One turn of every hart, more where harts call each other, and the events that are due; not past cycle
        `limit`."""
        if self.clock.adjust(self.cycle, max(hart.cycle for hart in self.harts)):
            self._set_time()
        if self._outside is not None:
            self._outside()
        self._run_events()
        tick = self._next_event()
        event_at = NEVER if tick is None else self.clock.cycle_of(tick)
        group = self._group
        if not group.begin(self.cycle, event_at, NEVER if limit is None else limit, self.clock.look_again()):
            self._idle(limit)
            return
        self._mtimecmp_written = False
        while (hart := group.run()) is not None:
            self._current = hart
            self._serve(hart)
            self._current = None
            if self.power is not None:
                group.break_off()
                break
        self.cycle = group.cycle

    def _serve(self, hart: Hart) -> None:
        """Does what `hart` has stopped for."""
        reason = hart.words[_REASON]
        if reason == _TRAP:
            self._software_trap(hart)
        elif reason == _MMIO_LOAD:
            self._mmio_load(hart)
        elif reason == _MMIO_STORE:
            self._mmio_store(hart)
        else:
            trapped = self._slow.step(hart)
            _pass_cycles(hart, SLOW_CYCLES)
            if trapped:
                self._software_trap(hart)
        if self._mtimecmp_written:
            self._mtimecmp_written = False
            self._group.end_turn(hart)

    def _software_trap(self, hart: Hart) -> None:
        """A trap has entered a mode whose software is Python."""
        words = hart.words
        handler = self.firmware if words[_PRV] == _M else self.hypervisor
        assert handler is not None
        words[_DEADLINE] += TRAP_CYCLES
        words[_SKIPPED] += TRAP_CYCLES
        handler.trap(hart)
        # software that was itself interrupted while it waited goes on waiting
        if not words[_VIRT] and not words[_WAITING] and self._in_software(hart):
            hart.wait()

    def _in_software(self, hart: Hart) -> bool:
        mode = hart.mode
        return (mode is Mode.M and self.firmware is not None) or (mode is Mode.HS and self.hypervisor is not None)

    def _mmio_load(self, hart: Hart) -> None:
        words = hart.words
        access = words[_EXIT_SIZE]
        size = access & 0xFF
        try:
            value = self.board.bus.read(words[_EXIT_PA], size)
        except AccessFault:
            self._access_fault(hart, Cause.LOAD_ACCESS)
            return
        if access & 0x100 and value >> (8 * size - 1):
            value |= (1 << 64) - (1 << 8 * size)
        rd = access >> 24
        if access & 0x200:
            words[_F + rd] = value if size == 8 else value | 0xFFFF_FFFF_0000_0000
            words[_MSTATUS] |= Mstatus.FS
            if words[_VIRT]:
                words[_VSSTATUS] |= Mstatus.FS
        else:
            words[_X + rd] = value
        words[_PC] += access >> 16 & 0xFF
        words[_DEADLINE] += 1
        _pass_cycles(hart, MMIO_CYCLES)

    def _mmio_store(self, hart: Hart) -> None:
        words = hart.words
        access = words[_EXIT_SIZE]
        size = access & 0xFF
        words[_PC] += access >> 16 & 0xFF
        try:
            self.board.bus.write(words[_EXIT_PA], size, words[_EXIT_VALUE])
        except AccessFault:
            words[_PC] -= access >> 16 & 0xFF
            self._access_fault(hart, Cause.STORE_ACCESS)
            return
        words[_DEADLINE] += 1
        _pass_cycles(hart, MMIO_CYCLES)

    def _access_fault(self, hart: Hart, cause: int) -> None:
        if hart.raise_exception(cause, hart.get("exit_address")):
            self._software_trap(hart)

    def _idle(self, limit: int | None) -> None:
        """Every hart waits: on to the next timer or event, or to what another thread posts."""
        if self.before_rest():
            return
        soonest = self._group.soonest
        tick = self._next_event()
        if tick is not None:
            soonest = min(soonest, self.clock.cycle_of(tick))
        if soonest == NEVER and limit is None:
            # only another thread can end this; `run` clears the event before it looks at what was posted
            if not self._posted.qsize() and not self._stopping:
                self._wake.wait()
            return
        target = self.clock.sleep_until(self.cycle, soonest, self._wake)
        if limit is not None:
            target = min(target, limit)
        if target > self.cycle:
            self._advance(target)

    def _advance(self, cycle: int) -> None:
        """Time passes without an instruction."""
        self._group.sleep_until(self._group.all, cycle)
        self.cycle = cycle

    # memory
    def _ram_written(self, address: int, size: int) -> None:
        """Python stored into RAM: code decoded from these bytes goes."""
        self.host.note_backed(address, size)
        ram_written, state = self.harts[0].native["ram_written"], self.harts[0].address
        end = address + size
        first = address & -PAGE
        if end <= first + PAGE:
            if self.host.has_records(address):
                ram_written(state, address, size)
            return
        for page in self.host.pages_with_records(first, (end - first + PAGE - 1) & -PAGE):
            start = max(address, page)
            ram_written(state, start, min(end, page + PAGE) - start)

    def zero(self, address: int, length: int) -> None:
        """Clears whole pages of RAM and gives their memory back to the host."""
        if address % PAGE or length % PAGE or not self.host.contains(address, length):
            raise ValueError(f"{length:#x} bytes at {address:#x} are not pages of RAM")
        for page in self.host.pages_with_records(address, length):
            self._ram_written(page, PAGE)
        self.host.clear_ram(address - self.host.base, length)

    # power
    def _power_event(self, event: PowerEvent, code: int) -> None:
        self.power_off(event, code)

    def power_off(self, event: PowerEvent, code: int = 0) -> None:
        """The machine ends (or asks for a reset): `run` returns, `power` says how."""
        self.power = (event, code)
        self._wake.set()
        if self._on_power:
            self._on_power(event, code)

    def close(self) -> None:
        self.board.close()


def _pass_cycles(hart: Hart, cycles: int) -> None:
    """Time passes without an instruction."""
    hart.words[_DEADLINE] += cycles
    hart.words[_SKIPPED] += cycles


_word: Callable[[str], int] = LAYOUT.index
_WAITING = _word("waiting")
_TRAP, _MMIO_LOAD, _MMIO_STORE = map(int, (Reason.TRAP, Reason.MMIO_LOAD, Reason.MMIO_STORE))
_REASON = _word("reason")
_PRV, _M = _word("prv"), 3
_SKIPPED = _word("skipped")
_EXIT_PA, _EXIT_SIZE, _EXIT_VALUE = _word("exit_pa"), _word("exit_size"), _word("exit_value")
_X, _F, _PC, _DEADLINE = _word("x"), _word("f"), _word("pc"), _word("deadline")
_MSTATUS, _VSSTATUS, _VIRT = _word("mstatus"), _word("vsstatus"), _word("virt")
