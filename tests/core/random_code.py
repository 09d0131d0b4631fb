"""Random instructions made from the rows themselves: every operand, biased to what is likely to go wrong."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

from shyper_tui.engine.core.decoder import HandlerTable
from shyper_tui.engine.core.fused import fused_pairs, fused_sequences
from shyper_tui.engine.core.interpreter import Handler
from shyper_tui.engine.hart.csr import CSRS
from shyper_tui.engine.isa.decode import length_of
from shyper_tui.engine.isa.rows import COMPRESSED, INSTRUCTIONS
from tests.core.encoding import Row, encode, word

POINTERS = (8, 9, 2, 14)
"""Registers that blocks load with addresses: two for compressed accesses, sp, another."""

BLOCK = 64
"""Bytes of a block. Trap handlers go on at the next block."""

WRITABLE = [
    "fflags", "frm", "fcsr", "sstatus", "sie", "scounteren", "senvcfg", "sscratch", "sepc", "scause", "stval",
    "sip", "stimecmp", "vsstatus", "vsie", "vsscratch", "vsepc", "vscause", "vstval", "vsip", "vstimecmp",
    "misa", "mideleg", "mie", "mcounteren", "menvcfg", "mcountinhibit", "mscratch", "mepc", "mcause", "mtval",
    "mip", "mtinst", "mtval2", "hstatus", "hedeleg", "hideleg", "hie", "htimedelta", "hcounteren", "hgeie",
    "henvcfg", "htval", "hip", "hvip", "htinst", "mcycle", "minstret", "mhpmcounter3", "mhpmevent3", "mhartid",
    "cycle", "hgeip",
]  # fmt: skip
"""What random code may write. Not the trap vectors, the address spaces, PMP: the programs have to go on."""

NUMBERS = {csr.name: csr.number for csr in CSRS.values()}
RARE = {
    "wfi": 1, "mret": 0.7, "sret": 0.7, "fence": 0.8, "fence.i": 0.8, "jal": 0.7, "jalr": 0.6, "ecall": 1.5,
    "ebreak": 1.5, "c.ebreak": 1.5, "c.jr": 0.8, "c.jalr": 0.8, "csrrw": 0.6, "csrrs": 0.6, "csrrc": 0.6,
}  # fmt: skip
"""Weights of rows that leave the straight line or do little; 1 for all others."""

ROWS: list[Row] = [*INSTRUCTIONS.values(), *COMPRESSED.values()]
_WEIGHTS = [RARE.get(row.name, 0.9 if row.encoding.match & 0x7F == 0x73 else 1.0) for row in ROWS]
JUMPS = {"jal", "beq", "bne", "blt", "bge", "bltu", "bgeu", "c.j", "c.beqz", "c.bnez"}


_AWAY = ("c.ebreak", "c.jr", "c.jalr", "jalr")
_CALM = [row for row in ROWS if row.encoding.match & 0x7F != 0x73 and row.name not in _AWAY]


def _rows(handler: Handler) -> list[Row]:
    """The rows that encode a handler's instruction in its length."""
    if handler.length == 4:
        return [handler.instruction]
    return [row for row in COMPRESSED.values() if row.expands_to is handler.instruction]


@cache
def _sequences() -> list[list[tuple[list[Row], tuple[int, int, int] | None]]]:
    """What native code fuses: for each instruction its rows and, where these matter, operand numbers (rs1, rs2, rd)."""
    table = HandlerTable()
    found: list[list[tuple[list[Row], tuple[int, int, int] | None]]] = []
    found += [[(_rows(handler), None) for handler in pair] for pair in fused_pairs(table)]
    for steps in fused_sequences(table):
        found.append([(_rows(step.handler), (step.rs1, step.rs2, step.rd)) for step in steps])
    return found


class RandomCode:
    """A stream of instructions. `calm` code computes, loads, stores and branches, and seldom traps; other code prefers
    rows that have been `executed` less than others."""

    def __init__(self, random: Random, executed: Counter[str], *, calm: bool = False) -> None:
        self.random = random
        self.executed = executed
        self.calm = calm
        self.pointer = POINTERS[0]
        self.at = 0
        """Where the next instruction will be, from the beginning of the code."""

    def sequence(self) -> list[int]:
        """Instructions that native code may fuse."""
        random = self.random
        made = []
        numbers = [0, *random.sample(range(8, 16), 8), *random.sample((1, 2, 3, 4, 5, 6, 7, *range(16, 32)), 23)]
        if random.random() < 0.5:
            numbers[1] = self.pointer
        for rows, operands in random.choice(_sequences()):
            row = random.choice(rows)
            word_ = self.instruction(row)
            if operands is not None:
                word_ = self._with_operands(row, word_, [numbers[number] for number in operands])
            made.append(word_)
            self.at += length_of(word_)
        return made

    def _with_operands(self, row: Row, made: int, wanted: list[int]) -> int:
        """The instruction with other registers, if the row can have them."""
        changed = made
        for name, number in zip(("rs1", "rs2", "rd"), wanted, strict=True):
            place = row.encoding.registers.get(name)
            if place is not None:
                low, width = place
                ones = (1 << width) - 1
                changed = changed & ~(ones << low) | (number & ones) << low
        return changed if row.encoding.matches(changed) else made

    def register(self) -> int:
        """A destination that is seldom a pointer."""
        number = self.random.randrange(32)
        return number if number not in POINTERS or self.random.random() < 0.1 else 0

    def _immediate(self, row: Row) -> int:
        random = self.random
        pieces = row.encoding.immediate
        if not pieces:
            return 0
        width = max(p.target + p.width for p in pieces)
        if row.name in JUMPS:
            return self.displacement(min(1 << width - 2, 2 * BLOCK))
        choice = random.random()
        if choice < 0.3:
            return random.choice((0, 1, -1, 4, 8, -8, 1 << width - 1, (1 << width - 1) - 1))
        return random.getrandbits(width)

    def displacement(self, reach: int) -> int:
        """How far a jump goes: anywhere, also into the middle of an instruction."""
        random = self.random
        forward, near = random.randrange(6, reach, 2), random.randrange(6, 24, 2)
        return random.choice((forward, -random.randrange(2, reach, 2), near))

    def _csr(self) -> tuple[int, bool]:
        """(number, may be written)."""
        random = self.random
        choice = random.random()
        if choice < 0.7:
            return NUMBERS[random.choice(WRITABLE)], True
        if choice < 0.9:
            return random.choice(list(CSRS)), False
        number = random.getrandbits(12)
        return number, number not in CSRS

    def instruction(self, row: Row | None = None) -> int:
        """A word: 16 or 32 bits."""
        random = self.random
        if row is None:
            if random.random() < (0.001 if self.calm else 0.01):
                short = random.getrandbits(16) & ~3 | random.randrange(3)
                return random.getrandbits(32) | 3 if random.random() < 0.7 else short
            if self.calm:
                row = random.choice(_CALM)
            else:
                row = min(random.choices(ROWS, _WEIGHTS, k=3), key=lambda row: self.executed[row.name])
        operands = row.syntax
        rs1 = random.randrange(32)
        rs2 = random.randrange(32)
        if "(rs1)" in operands:
            rs1 = self.pointer if random.random() < 0.85 else random.choice((*POINTERS, rs1))
        imm = self._immediate(row)
        rd = random.randrange(32) if "fd" in operands else self.register()
        if "csr" in operands:
            imm, writable = self._csr()
            if not writable:
                rs1 = 0
                if "csrrw" in operands:
                    row = INSTRUCTIONS["csrrs"]
        rm = random.choice((0, 1, 2, 3, 4, 7, 7, 7, random.randrange(8)))
        registers = {"rd": rd, "rs1": rs1, "rs2": rs2, "rs3": random.randrange(32)}
        if row.name.startswith("c."):
            _keep_pointers(row, registers, random)
        made = encode(row.encoding, imm=imm, rm=rm, **registers)
        if row.encoding.matches(made):
            return made
        return self.instruction(row)  # an excluded operand

    def modify_status(self) -> list[int]:
        """Sets or clears MPRV, MXR, SUM and MPP, or MPV, in mstatus."""
        random = self.random
        change = word(random.choice(("csrrs", "csrrs", "csrrc")), rd=0, rs1=29, imm=NUMBERS["mstatus"])
        if random.random() < 0.3:
            return [word("lui", rd=29, imm=0x8_0000), word("slli", rd=29, rs1=29, imm=20), change]
        return [word("lui", rd=29, imm=random.getrandbits(32) & 0xE_1000), change]

    def point(self, distance: int) -> list[int]:
        """Two instructions that make a pointer register: `distance` from the first of them."""
        self.pointer = self.random.choice(POINTERS)
        low = (distance + 0x800 & 0xFFF) - 0x800
        pointer = self.pointer
        return [word("auipc", rd=pointer, imm=distance - low), word("addi", rd=pointer, rs1=pointer, imm=low)]


def _keep_pointers(row: Row, registers: dict[str, int], random: Random) -> None:
    """Compressed rows that write a register seldom write a pointer."""
    place = row.encoding.registers.get("rd")
    if place is None or "(rs1)" in row.syntax:
        registers["rs1"] &= 31
    if place is not None:
        low_three = place[1] == 3
        while (registers["rd"] % 8 + 8 if low_three else registers["rd"]) in POINTERS and random.random() < 0.9:
            registers["rd"] = random.randrange(32)
        if row.encoding.registers.get("rs1") == place:
            registers["rs1"] = registers["rd"]
