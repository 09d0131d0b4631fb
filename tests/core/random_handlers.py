"""Trap handlers of random programs, for M, HS and VS.

Each adds what the trap has written to a checksum in memory, and goes on in the next block of code, in the next mode
of a list. An interrupt's handler disables all of them, or there would be no end.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from tests.core.encoding import assemble, word
from tests.core.random_code import BLOCK, NUMBERS

BASE = 0x8000_0000
M_HANDLER, HS_HANDLER, VS_HANDLER = BASE + 0x8000, BASE + 0x9000, BASE + 0xB000
FINISH = BASE + 0x5000
"""Where programs go that end."""

CODE_SIZE = 0x8000
"""Bytes of random code."""

# offsets from the middle of a handler's data page, which follows its code page (for M: the same page)
CHECKSUM, COUNT, MODE_MASK, CODE_MASK, LIMIT, MODES = 0x0, 0x8, 0x10, 0x18, 0x20, 0x100
MODE_COUNT, MODE_SHIFT = 32, 5
SPV = 0x80


def handlers(random: Random, region: Callable[[int, int], int], traps: int | None) -> dict[int, bytes]:
    """What lies where in memory. `region(privilege, virtual)` is where the random code begins for a mode.

    After `traps` traps into M, its handler goes to FINISH; the other handlers make an environment call now and then.
    """
    modes = [(0, 0), (0, 1), (1, 0), (1, 1), (3, 0)]
    whole = "mcause mepc mtval mtval2 mtinst mstatus"
    machine = _code(whole, "mepc", "mstatus", "mie", "mret", data_page=0, traps=traps)
    supervisor = "scause sepc stval htval htinst sstatus hstatus"
    images = {
        M_HANDLER: machine,
        HS_HANDLER: _code(
            supervisor, "sepc", "sstatus", "sie hie", "sret", data_page=0x1000, hypervisor=True, traps=traps
        ),
        VS_HANDLER: _code("scause sepc stval sstatus", "sepc", "sstatus", "sie", "sret", data_page=0x1000, traps=traps),
    }
    for handler, choices in (
        (M_HANDLER, modes),
        (HS_HANDLER, modes[:4]),
        (VS_HANDLER, [mode for mode in modes if mode[1]]),
    ):
        is_machine = handler == M_HANDLER
        data = handler + 0x800 + (0 if is_machine else 0x1000)
        words = {
            MODE_MASK: 3 << 11 | 1 << 39 if is_machine else 1 << 8,
            CODE_MASK: CODE_SIZE - BLOCK,
            LIMIT: traps or 0,
        }
        for k in range(MODE_COUNT):
            privilege, virtual = random.choice(choices)
            status = privilege << 11 | virtual << 39 if is_machine else privilege << 8
            for slot, value in enumerate((region(privilege, virtual), status, virtual * SPV)):
                words[MODES + (k << MODE_SHIFT) + 8 * slot] = value
        images |= {data + offset: struct.pack("<Q", value) for offset, value in words.items()}
    return images


def _code(
    read: str,
    epc: str,
    status: str,
    enables: str,
    leave: str,
    *,
    data_page: int,
    hypervisor: bool = False,
    traps: int | None = None,
) -> bytes:
    """A handler: which CSRs it adds up, where it returns through, what enables interrupts. Uses x23 to x31."""

    def csr(operation: str, name: str, *, rd: int = 0, rs1: int = 0) -> int:
        return word(operation, rd=rd, rs1=rs1, imm=NUMBERS[name])

    clear = [csr("csrrw", name) for name in enables.split()]
    code = [csr("csrrs", read.split()[0], rd=31), word("bge", rs1=31, rs2=0, imm=4 + 4 * len(clear)), *clear]
    here = 4 * len(code)
    code += [  # x30: the middle of the data page
        word("auipc", rd=30, imm=data_page),
        word("addi", rd=30, rs1=30, imm=0x7FF - here),
        word("addi", rd=30, rs1=30, imm=1),
    ]
    code += [  # checksum times 31, minus and plus the CSRs in turn
        word("ld", rd=29, rs1=30, imm=CHECKSUM),
        word("slli", rd=26, rs1=29, imm=5),
        word("sub", rd=29, rs1=26, rs2=29),
    ]
    for name in read.split():
        code += [csr("csrrs", name, rd=28), word("sub", rd=29, rs1=28, rs2=29)]
    code.append(word("sd", rs2=29, rs1=30, imm=CHECKSUM))
    code += [  # x26: the next entry of the list of modes
        word("ld", rd=26, rs1=30, imm=COUNT),
        word("addi", rd=26, rs1=26, imm=1),
        word("sd", rs2=26, rs1=30, imm=COUNT),
    ]
    if traps and leave == "mret":
        code += [word("ld", rd=23, rs1=30, imm=LIMIT), word("bltu", rs1=26, rs2=23, imm=8)]
        code.append(word("jal", rd=0, imm=FINISH - M_HANDLER - 4 * len(code)))
    elif traps:
        code += [word("andi", rd=23, rs1=26, imm=15), word("bne", rs1=23, rs2=0, imm=8), word("ecall")]
    code += [
        word("andi", rd=26, rs1=26, imm=MODE_COUNT - 1),
        word("slli", rd=26, rs1=26, imm=MODE_SHIFT),
        word("add", rd=26, rs1=26, rs2=30),
    ]
    code += [  # the block after the one that trapped, in the mode's image of the code
        csr("csrrs", epc, rd=28),
        word("addi", rd=28, rs1=28, imm=BLOCK),
        word("ld", rd=24, rs1=30, imm=CODE_MASK),
        word("and", rd=28, rs1=28, rs2=24),
        word("ld", rd=24, rs1=26, imm=MODES),
        word("add", rd=28, rs1=28, rs2=24),
        csr("csrrw", epc, rs1=28),
    ]
    code += [  # all loads come before the mode changes what they would mean
        word("ld", rd=25, rs1=30, imm=MODE_MASK),
        word("ld", rd=24, rs1=26, imm=MODES + 8),
        word("ld", rd=23, rs1=26, imm=MODES + 16),
        csr("csrrc", status, rs1=25),
        csr("csrrs", status, rs1=24),
    ]
    if hypervisor:
        code += [
            word("addi", rd=25, rs1=0, imm=SPV),
            csr("csrrc", "hstatus", rs1=25),
            csr("csrrs", "hstatus", rs1=23),
        ]
    code.append(word(leave))
    return assemble(*code)
