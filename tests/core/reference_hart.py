"""A hart in plain Python: every generated function in its Python form, on a list of words and its own RAM."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, Protocol

from shyper_tui.engine.board.device import AccessFault
from shyper_tui.engine.hart import all_functions  # noqa: F401  (it registers them)
from shyper_tui.engine.hart.evaluator import Evaluator, Words
from shyper_tui.engine.hart.fields import FETCH
from shyper_tui.engine.hart.functions import python_functions
from shyper_tui.engine.hart.state import LAYOUT
from shyper_tui.engine.isa.decode import decode, length_of

PC, DEADLINE, WAITING, SKIPPED, MIE, END = (
    LAYOUT.index(name) for name in ("pc", "deadline", "waiting", "skipped", "mie", "slice_end")
)
PRV, VIRT = LAYOUT.index("prv"), LAYOUT.index("virt")


class Bus(Protocol):
    def read(self, address: int, width: int) -> int: ...
    def write(self, address: int, width: int, value: int) -> None: ...


class ReferenceHart:
    """Runs to a given cycle, and takes interrupts where native code looks for them (see `run`)."""

    def __init__(self, base: int, size: int, bus: Bus) -> None:
        self.base = base
        self.ram = bytearray(size)
        self.bus = bus
        self.words: list[int] = []
        self.effect = self.trapped = False
        self.trace: deque[tuple[int, int, int, int]] = deque(maxlen=64)
        self._pages: dict[tuple[int, int, int], int] = {}
        environment = {"ram_load": self._ram_load, "ram_compare_exchange": self._ram_compare_exchange}
        for name in ("flush_translations", "forget_contexts", "sfence_vma", "hfence_vvma", "hfence_gvma"):
            environment[name] = self._forget
        self.functions = python_functions(environment)
        self._translate = self.functions["translate"]
        self._csr_write = self.functions["csr_write"]
        self.functions["translate"] = self._translate_fetches_once
        self.functions["csr_write"] = self._noting_effect
        for name in ("mret", "sret"):
            self.functions[name] = self._resuming(self.functions[name])
        self._exception = self.functions["exception"]
        self.functions["exception"] = self._noting_exception
        self.evaluator = _Noting(self.functions, self)

    # what generated code calls
    def _ram_load(self, pa: int, width: int) -> int:
        offset = pa - self.base
        return int.from_bytes(self.ram[offset : offset + width // 8], "little")

    def _ram_compare_exchange(self, pa: int, expected: int, new: int) -> int:
        old = self._ram_load(pa, 64)
        if old == expected:
            self.ram[pa - self.base : pa - self.base + 8] = new.to_bytes(8, "little")
        return old

    def _forget(self, *arguments: Any) -> int:
        self._pages.clear()
        self.effect = True
        return 0

    def _translate_fetches_once(self, s: Words, va: int, access: int, prv: int, virt: int) -> int:
        """Fetches from a page are translated once until something changes: most time would go there."""
        if access != FETCH:
            return int(self._translate(s, va, access, prv, virt))
        key = va >> 12, prv, virt
        page = self._pages.get(key)
        if page is None:
            pa = int(self._translate(s, va, access, prv, virt))
            if pa < 1 << 63:
                self._pages[key] = pa & ~0xFFF
            return pa
        return page | va & 0xFFF

    def _noting_effect(self, s: Words, number: int, value: int, now: int) -> int:
        self._pages.clear()
        effect = int(self._csr_write(s, number, value, now))
        self.effect = self.effect or effect != 0
        return effect

    def _noting_exception(self, s: Words, cause: int, tval: int, epc: int) -> int:
        self.trapped = True
        return int(self._exception(s, cause, tval, epc))

    def _resuming(self, function: Any) -> Any:
        def call(s: Words) -> int:
            self.effect = True
            return int(function(s))

        return call

    # PhysicalAccess
    def is_ram(self, pa: int) -> bool:
        return self.base <= pa < self.base + len(self.ram)

    def load(self, pa: int, size: int) -> int | None:
        if self.is_ram(pa) and self.is_ram(pa + size - 1):
            offset = pa - self.base
            return int.from_bytes(self.ram[offset : offset + size], "little")
        try:
            return self.bus.read(pa, size)
        except AccessFault:
            return None

    def store(self, pa: int, size: int, value: int) -> bool:
        if self.is_ram(pa) and self.is_ram(pa + size - 1):
            offset = pa - self.base
            self.ram[offset : offset + size] = value.to_bytes(size, "little")
            return True
        try:
            self.bus.write(pa, size, value)
        except AccessFault:
            return False
        return True

    # running
    def write_csr(self, number: int, value: int) -> None:
        self._noting_effect(self.words, number, value, self.words[DEADLINE])

    def run(self, end: int, stop: int, looks: set[int]) -> None:
        """Until cycle `stop`, where the native hart stopped after a slice to `end`.

        The native hart looks for interrupts when it is entered (`looks` are the cycles of that), after what changes
        their state, and at the first exception, jump or new page after its deadline: the next timer, or the slice's
        end. An exception counts although its vector may be where nothing can be fetched: that would be for ever.
        """
        s = self.words
        s[END] = end
        self._pages.clear()
        target = self._wait(end) if s[WAITING] else self._look(end)
        while s[DEADLINE] < stop:
            pc = s[PC]
            self.effect = self.trapped = False
            self.evaluator.step(s)
            now = s[DEADLINE]
            if s[WAITING]:
                target = self._wait(end)
            elif self.effect or now in looks or (now > target and self.trapped):
                target = self._look(end)
            elif now > target:
                following = s[PC]
                straight = following == pc + length_of(self.evaluator.word)
                jumped = not straight or following >> 12 != pc >> 12 or self.evaluator.word & 0x7F == 0x6F
                if jumped and self._executable(following):
                    target = self._look(end)

    def _executable(self, pc: int) -> bool:
        """A jump to where nothing can be fetched raises its exception before interrupts are looked for."""
        pa = self.functions["translate"](self.words, pc, FETCH, self.words[PRV], self.words[VIRT])
        return self.is_ram(pa)

    def _look(self, end: int) -> int:
        """Takes an interrupt unless the slice is over; the next deadline."""
        s = self.words
        now = s[DEADLINE]
        if now >= end:
            return end
        taken = self.functions["interrupt_to_take"](s, now)
        if taken:
            self.functions["interrupt"](s, taken, s[PC])
        return min(int(self.functions["next_timer"](s, now)), end)

    def _wait(self, end: int) -> int:
        s = self.words
        now = s[DEADLINE]
        while True:
            if self.functions["pending_interrupts"](s, now) & s[MIE]:
                s[WAITING], s[DEADLINE] = 0, now
                return self._look(end)
            if now >= end:
                break
            until = min(int(self.functions["next_timer"](s, now)), end)
            s[SKIPPED] += until - now
            now = until
        s[WAITING], s[DEADLINE] = 1, now
        return end


class _Noting(Evaluator):
    """Remembers what it executes."""

    def __init__(self, functions: dict[str, Any], hart: ReferenceHart) -> None:
        super().__init__(functions, hart)
        self._hart = hart
        self.word = 0
        self.rows: Counter[str] = Counter()
        """How often each row has been executed or has trapped."""

    def fetch(self, s: Words, pc: int) -> int:
        self.word = 0
        self.word = super().fetch(s, pc)
        self._hart.trace.append((pc, self.word, s[PRV], s[VIRT]))
        decoded = decode(self.word)
        self.rows[decoded.row.name if decoded else "illegal"] += 1
        return self.word
