"""Random instructions made from the rows themselves: every operand, biased to what is likely to go wrong."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

from shyper_tui.engine.core.decoder import HandlerTable
from shyper_tui.engine.core.fused import fused_sequences
from shyper_tui.engine.hart.csr import CSRS
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
_JUMPS = {"jal", "beq", "bne", "blt", "bge", "bltu", "bgeu", "c.j", "c.beqz", "c.bnez"}


_AWAY = ("c.ebreak", "c.jr", "c.jalr", "jalr")
_CALM = [row for row in ROWS if row.encoding.match & 0x7F != 0x73 and row.name not in _AWAY]


@cache
def _sequences() -> list[list[list[Row]]]:
    """Fused sequences; each instruction as the rows that encode it in its length."""
    return [
        [
            [r for r in COMPRESSED.values() if r.expands_to is h.instruction] if h.length == 2 else [h.instruction]
            for h in sequence
        ]
        for sequence in fused_sequences(HandlerTable())
    ]


class RandomCode:
    """A stream of instructions. `calm` code computes, loads, stores and branches, and seldom traps; other code prefers
    rows that have been `executed` less than others."""

    def __init__(self, random: Random, executed: Counter[str], *, calm: bool = False) -> None:
        self.random = random
        self.executed = executed
        self.calm = calm
        self.pointer = POINTERS[0]

    def sequence(self) -> list[int]:
        """Instructions that native code may fuse."""
        return [self.instruction(self.random.choice(rows)) for rows in self.random.choice(_sequences())]

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
        if row.name in _JUMPS:
            reach = min(1 << width - 2, 2 * BLOCK)
            forward, near = random.randrange(6, reach, 2), random.randrange(6, 24, 2)
            return random.choice((forward, -random.randrange(2, reach, 2), near))
        choice = random.random()
        if choice < 0.3:
            return random.choice((0, 1, -1, 4, 8, -8, 1 << width - 1, (1 << width - 1) - 1))
        return random.getrandbits(width)

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
