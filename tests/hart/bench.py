"""A hart with a few pages of memory, on which tests execute single instructions in any mode.

Trap vectors of M, HS and VS are loops at known places: where the hart ends up tells who got the trap.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass

from shyper_tui.engine.hart.hart import Hart, Mode
from shyper_tui.engine.machine import Machine
from tests.core.encoding import assemble, word
from tests.core.page_tables import FULL, Tables, U

RAM = 0x8000_0000
CODE, DATA, OTHER, TABLES = RAM + 0x1_0000, RAM + 0x2_0000, RAM + 0x3_0000, RAM + 0x20_0000
VECTORS = {"M": RAM + 0x100, "HS": RAM + 0x200, "VS": RAM + 0x300}
LOOP = word("jal", rd=0, imm=0)
MODES = {Mode.M: (3, 0), Mode.HS: (1, 0), Mode.U: (0, 0), Mode.VS: (1, 1), Mode.VU: (0, 1)}
ALL = (1 << 64) - 1
ENVCFG_ALL = 7 << 61 | 1


@dataclass(frozen=True)
class Trap:
    """Who got a trap, and what it was told. `gpa` is htval or mtval2, `inst` htinst or mtinst."""

    to: str
    cause: int
    tval: int
    epc: int
    gpa: int = 0
    inst: int = 0


class _Words(MutableMapping[int, int]):
    """64-bit words of physical memory."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def __getitem__(self, address: int) -> int:
        return int.from_bytes(self._bench.machine.memory.read(address, 8), "little")

    def __setitem__(self, address: int, value: int) -> None:
        self._bench.machine.memory.write(address, (value & ALL).to_bytes(8, "little"))

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and self[address] != 0

    def __delitem__(self, address: int) -> None:
        self[address] = 0

    def __iter__(self):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError


class Bench:
    """The first hart of a machine. All of memory is open to every mode, no translation, everything delegated to
    nobody."""

    def __init__(self, harts: int = 1) -> None:
        self.machine = Machine(harts, 8 << 20)
        self.hart: Hart = self.machine.harts[0]
        self.hart.reset(RAM)
        self.words = _Words(self)
        for place in VECTORS.values():
            self.code(place, LOOP)
        csr = self.hart.csr
        csr.pmpaddr0, csr.pmpcfg0 = ALL, 0x1F
        csr.mtvec, csr.stvec, csr.vstvec = VECTORS["M"], VECTORS["HS"], VECTORS["VS"]
        csr.mcounteren = csr.hcounteren = csr.scounteren = 0xFFFF_FFFF
        csr.menvcfg = ENVCFG_ALL
        csr.henvcfg = ENVCFG_ALL
        csr.mstatus = csr.vsstatus = 1 << 13
        self.tables = TABLES

    def code(self, address: int, *words: int) -> None:
        self.machine.memory.write(address, assemble(*words))

    def enter(self, mode: Mode, pc: int) -> None:
        self.hart.set("prv", MODES[mode][0])
        self.hart.set("virt", MODES[mode][1])
        self.hart.set("waiting", 0)
        self.hart.pc = pc

    def run(self, cycles: int = 16) -> None:
        """At least so many cycles, not counting those that pass while the host works."""
        end, quiet = self.hart.instructions + cycles, 0
        while (before := self.hart.instructions) < end:
            self.machine.run_round(max(self.machine.cycle, self.hart.cycle) + end - before)
            quiet = quiet + 1 if self.hart.instructions == before else 0
            if quiet > 2 or (quiet and self.hart.get("waiting")):  # it waits, or faults for ever
                break

    def execute(self, *words: int, mode: Mode = Mode.M, pc: int = CODE, at: int = CODE) -> Trap | None:
        """Runs instructions, stored at physical address `at`, from `pc`; the trap they ended in, if any."""
        self.code(at, *words, LOOP)
        self.enter(mode, pc)
        self.run(len(words) + 4)
        return self.trap()

    def trap(self) -> Trap | None:
        csr, pc = self.hart.csr, self.hart.pc
        if pc == VECTORS["M"] and self.hart.mode is Mode.M:
            return Trap("M", csr.mcause, csr.mtval, csr.mepc, csr.mtval2, csr.mtinst)
        if pc == VECTORS["HS"] and self.hart.mode is Mode.HS:
            return Trap("HS", csr.scause, csr.stval, csr.sepc, csr.htval, csr.htinst)
        if pc == csr.vstvec and self.hart.mode is Mode.VS:
            return Trap("VS", csr.vscause, csr.vstval, csr.vsepc)
        return None

    def cause(self, *words: int, mode: Mode = Mode.M) -> int | None:
        """The cause that instructions end in, or None."""
        trap = self.execute(*words, mode=mode)
        return trap.cause if trap else None

    def load(self, address: int, mode: Mode = Mode.M, operation: str = "ld", pc: int = CODE) -> Trap | None:
        """A load (or, with another operation, a store of x11) through x10 into x11."""
        self.hart.x[10] = address
        operands = {"rs1": 10, "rs2": 11} if operation[0] == "s" and operation != "sc" else {"rs1": 10, "rd": 11}
        return self.execute(word(operation, imm=0, **operands), mode=mode, pc=pc)

    def cause_of_load(self, address: int, mode: Mode) -> int | None:
        trap = self.load(address, mode)
        return trap.cause if trap else None

    # address spaces
    def stage1(self, mode: int = 8, *, guest: bool = False, user: int = 0, offset: int = 0) -> Tables:
        """Tables for satp (or vsatp) that map code and vectors; `offset` from physical to guest-physical addresses."""
        tables = Tables(self.words, self.tables, mode, entry_offset=offset)  # type: ignore[arg-type]
        self.tables += 0x2_0000
        for page in (RAM, CODE):
            tables.map(page, page + offset, FULL | user)
        value = mode << 60 | (tables.root + offset) >> 12
        if guest:
            self.hart.csr.vsatp = value
        else:
            self.hart.csr.satp = value
        return tables

    def stage2(self, mode: int = 8, *, offset: int = 0) -> Tables:
        """Tables for hgatp that map all of memory, in small pages, at `offset` above itself."""
        tables = Tables(self.words, self.tables, mode, stage2=True)  # type: ignore[arg-type]
        self.tables += 0x2_0000
        for page in range(RAM, RAM + 0x4_0000, 0x1000):
            tables.map(page + offset, page, FULL | U)
        for page in range(TABLES, TABLES + 0x8_0000, 0x1000):
            tables.map(page + offset, page, FULL | U)
        self.hart.csr.hgatp = mode << 60 | tables.root >> 12
        return tables
