"""A native hart and a reference hart on the same program: run a slice, compare everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from unittest.mock import patch

from shyper_tui.engine import machine as machine_module
from shyper_tui.engine.board.device import AccessFault
from shyper_tui.engine.board.memory_map import RAM_BASE
from shyper_tui.engine.core.compile import compile_ir, source_key
from shyper_tui.engine.core.object_cache import Compiled, load_cached, store_cached
from shyper_tui.engine.hart.exits import Reason
from shyper_tui.engine.hart.program import ENGINE, Program, generate, program
from shyper_tui.engine.hart.slow_path import SlowPath
from shyper_tui.engine.hart.state import CSR_FIELDS, LAYOUT
from shyper_tui.engine.isa.disassembly import disassemble
from shyper_tui.engine.machine import Machine
from tests.core.reference_hart import ReferenceHart

RAM_SIZE = 4 << 20
DEVICE, DEVICE_SIZE = 0x1000_0000, 0x1000
MASK64 = (1 << 64) - 1

COMPARED = [
    ("x", 32), ("f", 32), ("pmpcfg", 16), ("pmpaddr", 16),
    *((name, 1) for name in CSR_FIELDS),
    *((name, 1) for name in (
        "pc", "deadline", "prv", "virt", "mip_soft", "skipped", "instret_offset", "cycle_offset", "waiting",
        "mtimer_cycle", "stimer_cycle", "vstimer_cycle", "fault_gva",
    )),
]  # fmt: skip


class PatternDevice:
    """A bus with one page of registers: reads depend on the address and on what was written before."""

    def __init__(self) -> None:
        self.state = 1
        self.accesses = 0

    def _check(self, address: int, width: int) -> None:
        if not DEVICE <= address <= DEVICE + DEVICE_SIZE - width or address & 0x800:
            raise AccessFault(address, width, "nothing answers")

    def read(self, address: int, width: int) -> int:
        self._check(address, width)
        self.accesses += 1
        return (address * 0x9E37_79B9_7F4A_7C15 ^ self.state) & (1 << 8 * width) - 1

    def write(self, address: int, width: int, value: int) -> None:
        self._check(address, width)
        self.accesses += 1
        self.state = (self.state * 31 + address + value) & MASK64


@lru_cache(maxsize=2)
def core(fuse: bool) -> Program:
    """The native program, with or without fused pairs."""
    if fuse:
        return program()
    key = source_key([ENGINE / name for name in ("isa", "core", "hart")]) + "-unfused"
    compiled = load_cached(key)
    if compiled is None:
        ir, tables = generate(fuse=False)
        compiled = Compiled(compile_ir(ir), tables)
        store_cached(key, compiled)
    return Program(compiled)


class Difference(AssertionError):  # noqa: N818
    """The harts disagree."""


class Lockstep:
    """Both harts, from power-on. `executed` counts instructions compared, `rows` the executions of each row's name."""

    def __init__(self, *, fuse: bool = True) -> None:
        self._bus = PatternDevice()
        self.machine = Machine(1, RAM_SIZE, core=core(fuse))
        self.machine.board.bus = self._bus  # type: ignore[assignment]
        self.native = self.machine.harts[0]
        self.native.bus = self._bus
        self.machine._slow = SlowPath(core(fuse), self.machine.host, self._bus)
        self._looks: set[int] = set()
        enter: Callable[[int], int] = self.native.enter
        self.slow: Counter[Reason] = Counter()

        def noting(until: int) -> int:
            self._looks.add(self.native.cycle)
            reason = enter(until)
            self.slow[Reason(reason)] += 1
            return reason

        self.native.enter = noting  # type: ignore[method-assign]
        self.reference = ReferenceHart(RAM_BASE, RAM_SIZE, PatternDevice())
        self.rows = self.reference.evaluator.rows
        self.executed = 0

    def begin(self, images: dict[int, bytes]) -> None:
        """Power-on with these bytes in RAM, the rest zero. Set up through `both` and `write_csr` afterwards."""
        ram = self.machine.host.ram.bytes
        ram[:RAM_SIZE] = bytes(RAM_SIZE)
        for address, data in images.items():
            ram[address - RAM_BASE : address - RAM_BASE + len(data)] = data
        self.machine.host.forget_code()
        self.native.reset(RAM_BASE)
        for name in ("deadline", "skipped", "debt", "instret_offset", "cycle_offset", "time_base", "time_cycle"):
            self.native.set(name, 0)
        self.native.native["update_timers"](self.native.address)
        self._bus.state = self._bus.accesses = 1
        reference = self.reference
        reference.ram[:] = ram[:RAM_SIZE]
        reference.words = list(self.native.words)
        reference.words[LAYOUT.index("ram_addend")] = 0
        reference.bus = PatternDevice()
        reference.bus.accesses = 1

    def get(self, field: str) -> int:
        return self.native.get(field)

    @property
    def time(self) -> int:
        return self.native.time

    # changing both
    def set(self, field: str, value: int, index: int = 0) -> None:
        self.native.set(field, value, index)
        self.reference.words[LAYOUT.index(field) + index] = value & MASK64

    def write_csr(self, number: int, value: int) -> None:
        self.native.csr[number] = value
        self.reference.write_csr(number, value & MASK64)

    def update_timers(self) -> None:
        self.native.native["update_timers"](self.native.address)
        self.reference.functions["update_timers"](self.reference.words)

    # running
    def run(self, cycles: int, *, memory: bool = True) -> None:
        """A slice of at least `cycles`, then the comparison, which takes its time when it is of the `memory`, too."""
        self._looks.clear()
        before = self.native.instructions
        end = self.native.cycle + cycles
        # time that passes in devices is the machine's affair
        with patch.object(machine_module, "MMIO_CYCLES", 0), patch.object(machine_module, "SLOW_CYCLES", 0):
            while self.native.cycle < end and (reason := self.native.enter(end)) != Reason.SLICE:
                if reason == Reason.OWES:
                    self.native.set("debt", 0)  # the machine's affair, too
                else:
                    self.machine._serve(self.native)
        self.executed += self.native.instructions - before
        self.reference.run(end, self.native.cycle, self._looks)
        self.compare(memory=memory)

    def compare(self, *, memory: bool = True) -> None:
        """Raises Difference with what differs and the reference's last instructions."""
        native, words = self.native, self.reference.words
        wrong = []
        for field, count in COMPARED:
            start = LAYOUT.index(field)
            ours = list(native.words[start : start + count])
            theirs = words[start : start + count]
            if ours != theirs:
                wrong += [
                    f"{field}{[k] if count > 1 else ''}: native {a:#x}, reference {b:#x}"
                    for k, (a, b) in enumerate(zip(ours, theirs, strict=True))
                    if a != b
                ]
        reservation = native.get("reservation")
        if reservation:
            reservation = (reservation - native.get("ram_addend")) & MASK64
        if reservation != words[LAYOUT.index("reservation")]:
            wrong.append(f"reservation: native {reservation:#x}, reference {words[LAYOUT.index('reservation')]:#x}")
        ram = self.machine.host.ram.bytes
        if memory and bytes(ram[:RAM_SIZE]) != self.reference.ram:
            places = [k for k in range(RAM_SIZE) if ram[k] != self.reference.ram[k]]
            wrong.append(f"{len(places)} bytes of memory, first at {RAM_BASE + places[0]:#x}")
        if (self._bus.state, self._bus.accesses) != (self.reference.bus.state, self.reference.bus.accesses):  # type: ignore[attr-defined]
            wrong.append("accesses to the device")
        if wrong:
            trace = [
                f"  {'V' if virt else ' '}{prv} {pc:#x}: {disassemble(word, pc)}"
                for pc, word, prv, virt in list(self.reference.trace)[-24:]
            ]
            raise Difference("\n".join([*wrong[:20], "the reference's last instructions:", *trace]))
