"""Random programs that begin and end by themselves, as ELF files for another simulator.

They keep to what the specification determines: no counters and timers, LR only with its SC, no stores into code, jumps
only forwards.
"""

from __future__ import annotations

import struct
from collections import Counter

from shyper_tui.engine.isa.decode import decode
from shyper_tui.engine.isa.instruction import INSTRUCTIONS
from tests.core.encoding import Row, assemble, encode, load_constant, word
from tests.core.random_code import BLOCK, NUMBERS, ROWS, WRITABLE, RandomCode
from tests.core.random_handlers import BASE, CODE_SIZE, FINISH
from tests.core.random_machine import RandomMachine

SAVED, TO_HOST = BASE + 0x6000, BASE + 0x7000
END = BASE + 0x20_0000
"""Memory up to here is compared; page tables are in it, so accessed and dirty bits are compared, too."""

MTIMECMP = 0x200_4000

_AMOS = [row for row in INSTRUCTIONS.values() if row.name.startswith("amo")]
_EXCLUDED_ROWS = {"mret", "sret", "wfi", "jalr", "c.jr", "c.jalr", "lr.w", "lr.d", "sc.w", "sc.d"}
_EXCLUDED_ROWS |= {row.name for row in _AMOS}
_EXCLUDED_CSRS = {
    "cycle", "mcycle", "minstret", "mcountinhibit", "mhpmcounter3", "mhpmevent3", "misa", "stimecmp", "vstimecmp",
    "mideleg", "hgeie", "hedeleg", "menvcfg", "senvcfg", "henvcfg",
}  # fmt: skip
ALIGNED = 27
"""A register with the address for atomic accesses, written by nothing else."""
_CSRS = [name for name in WRITABLE if name not in _EXCLUDED_CSRS]
_NARROW = (NUMBERS["mie"], NUMBERS["hie"])
"""Written with small immediates only: whether there is a bit 12 depends on the number of guest external interrupts."""
_SAVED_CSRS = [*_CSRS, "satp", "vsatp", "hgatp", "mtvec", "stvec", "vstvec", "mstatus"]


class OracleCode(RandomCode):
    """Instructions whose effect the specification determines."""

    def _csr(self) -> tuple[int, bool]:
        return NUMBERS[self.random.choice(_CSRS)], True

    def displacement(self, reach: int) -> int:
        """To the beginning of one of the following blocks."""
        following = BLOCK - self.at % BLOCK
        return following + BLOCK * self.random.randrange(2)

    def align(self) -> list[int]:
        """The address of an atomic access, sometimes a new one. Which exception a misaligned one raises is a choice."""
        pages = 8 + self.random.randrange(8)
        fresh = [word("auipc", rd=ALIGNED, imm=pages << 12)] if self.random.random() < 0.5 else []
        return [*fresh, word("andi", rd=ALIGNED, rs1=ALIGNED, imm=-8)]

    def sequence(self) -> list[int]:
        random = self.random
        if random.random() < 0.4:
            made = self.align()
            operands = {"rd": self.random.randrange(20), "rs1": ALIGNED, "rs2": random.randrange(32)}
            if random.random() < 0.5:
                return [*made, encode(random.choice(_AMOS).encoding, **operands)]
            width = random.choice("wd")
            made.append(word(f"lr.{width}", **operands))
            return [*made, word(f"sc.{width}", **(operands | {"rd": random.randrange(20)}))]
        made = super().sequence()
        names = {found.row.name for found in map(decode, made) if found}
        return made if not names & _EXCLUDED_ROWS else self.sequence()

    def instruction(self, row: Row | None = None) -> int:
        if row is None and self.random.random() < 0.01:
            made = self.random.getrandbits(32) | 3
            return made if decode(made) is None else self.instruction()
        while row is None or row.name in _EXCLUDED_ROWS:
            row = self.random.choice(ROWS)
        made = super().instruction(row)
        if row.name in ("csrrw", "csrrs", "csrrc") and made >> 20 in _NARROW:
            made |= 1 << 14  # the immediate form
        decoded = decode(made)
        spoils = decoded is not None and decoded.instruction.writes_integer and decoded.rd == ALIGNED
        return self.instruction(row) if spoils else made


class Recorder:
    """Turns the setting up of a machine into instructions of the program's beginning."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.images: dict[int, bytes] = {}
        self.code: list[int] = []
        self.time = 0
        self._fields: dict[tuple[str, int], int] = {}

    def begin(self, images: dict[int, bytes]) -> None:
        self.images = dict(images)
        for name in ("stimecmp", "vstimecmp"):
            self.write_csr(NUMBERS[name], -1)
        self.code += [*load_constant(5, MTIMECMP), word("addi", rd=6, rs1=0, imm=-1), word("sd", rs1=5, rs2=6, imm=0)]

    def get(self, field: str) -> int:
        return self._fields.get((field, 0), 0)

    def set(self, field: str, value: int, index: int = 0) -> None:
        self._fields[field, index] = value

    def write_csr(self, number: int, value: int) -> None:
        self.code += [*load_constant(5, value), word("csrrw", rd=0, rs1=5, imm=number)]

    def update_timers(self) -> None:
        pass

    def finish(self, status: int) -> None:
        """The registers, and to the first instruction in its mode; mstatus is `status` with the mode."""
        fields = self._fields
        self.write_csr(NUMBERS["mstatus"], status | fields["prv", 0] << 11 | fields["virt", 0] << 39)
        self.write_csr(NUMBERS["mepc"], fields["pc", 0])
        for k in range(32):
            self.code += [*load_constant(5, fields.get(("f", k), 0)), word("fmv.d.x", rd=k, rs1=5)]
        for k in range(1, 32):
            self.code += load_constant(k, fields["x", k])
        self.code.append(word("mret"))
        begin = assemble(*self.code)
        assert len(begin) <= FINISH - BASE
        self.images[BASE] = begin
        end = load_constant(30, SAVED)
        end += [word("sd", rs1=30, rs2=k, imm=8 * k) for k in range(1, 23)]
        end += [*load_constant(29, 3 << 13), word("csrrs", rd=28, rs1=29, imm=NUMBERS["mstatus"])]
        end += [word("fsd", rs1=30, rs2=k, imm=256 + 8 * k) for k in range(32)]
        for k, name in enumerate(_SAVED_CSRS):
            end += [word("csrrs", rd=29, rs1=0, imm=NUMBERS[name]), word("sd", rs1=30, rs2=29, imm=512 + 8 * k)]
        end += [word("sd", rs1=30, rs2=28, imm=0), *load_constant(30, TO_HOST), word("addi", rd=29, rs1=0, imm=1)]
        end += [word("sd", rs1=30, rs2=29, imm=0), word("jal", rd=0, imm=0)]
        self.images[FINISH] = assemble(*end)
        assert len(self.images[FINISH]) <= SAVED - FINISH


class OracleMachine(RandomMachine):
    """A random program with its beginning and end: `images` are what lies where in memory."""

    TRAPS = 300
    NOT_DELEGATED = 1 << 9
    """Environment calls of the HS handler, so that the end is reached."""

    def __init__(self, seed: int) -> None:
        self.recorder = Recorder()
        super().__init__(seed, self.recorder)
        self.images = self.recorder.images

    def _stream(self) -> RandomCode:
        return OracleCode(self.random, self.target.rows, calm=self.calm)

    def _code(self) -> bytes:
        """The last blocks only call the environment: nothing runs off the end."""
        code = super()._code()
        tail = 4 * BLOCK
        return code[:-tail] + assemble(*[word("ecall")] * (tail // 4))

    def _distance(self, at: int) -> int:
        while True:
            distance = super()._distance(at)
            if at + distance >= CODE_SIZE:
                return distance - (at + distance) % 8  # stores that cross pages are rare: see `differences`

    def _value(self, region: int) -> int:
        while True:
            value = super()._value(region)
            if not region <= value < region + CODE_SIZE:
                return value

    def _protect(self) -> None:
        """Below the memory there is nothing for either simulator."""
        super()._protect()
        write = self.target.write_csr
        write(NUMBERS["pmpaddr8"], (1 << 54) - 1)
        write(NUMBERS["pmpcfg2"], 0x1F)
        write(NUMBERS["pmpaddr7"], (BASE >> 3) - 1)
        write(NUMBERS["pmpcfg0"], self.protection & (1 << 56) - 1 | 0x98 << 56)

    def shake(self) -> None:
        random, recorder = self.random, self.recorder
        privilege, virtual = random.choice(((3, 0), (1, 0), (0, 0), (1, 1), (0, 1)))
        region = self._region(privilege, virtual)
        for k in range(1, 32):
            recorder.set("x", self._value(region), k)
        recorder.set("x", region + CODE_SIZE, ALIGNED)
        for k in range(32):
            recorder.set("f", self._float(), k)
        recorder.set("prv", privilege)
        recorder.set("virt", virtual)
        recorder.set("pc", region + random.randrange(0, CODE_SIZE, BLOCK))
        recorder.finish(self.status)


def _pages(images: dict[int, bytes]) -> dict[int, bytes]:
    """The images as whole pages."""
    pages: dict[int, bytearray] = {}
    for address, data in images.items():
        for at in range(address & ~0xFFF, address + len(data), 0x1000):
            page = pages.setdefault(at, bytearray(0x1000))
            begin, end = max(address, at), min(address + len(data), at + 0x1000)
            page[begin - at : end - at] = data[begin - address : end - address]
    return {at: bytes(page) for at, page in pages.items()}


def elf(images: dict[int, bytes]) -> bytes:
    """An ELF file with a segment for each page, and the symbols that Spike looks for."""
    symbols = {"tohost": TO_HOST, "fromhost": TO_HOST + 64, "begin_signature": BASE, "end_signature": END}
    names = b"\0" + b"".join(name.encode() + b"\0" for name in symbols)
    table = bytes(24)
    for name, value in symbols.items():
        table += struct.pack("<IBBHQQ", names.index(name.encode()), 0x10, 0, 0xFFF1, value, 0)
    sections = b"\0.symtab\0.strtab\0.shstrtab\0"
    pages = sorted(_pages(images).items())
    count = len(pages)
    at = 64 + 56 * count
    headers = b""
    body = b""
    for address, data in pages:
        headers += struct.pack("<IIQQQQQQ", 1, 7, at + len(body), address, address, len(data), len(data), 1)
        body += data
    places = []
    for part in (table, names, sections):
        places.append((at + len(body), len(part)))
        body += part
    section = struct.Struct("<IIQQQQIIQQ")
    rows = section.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    rows += section.pack(1, 2, 0, 0, *places[0], 2, 1, 8, 24)
    rows += section.pack(9, 3, 0, 0, *places[1], 0, 0, 1, 0)
    rows += section.pack(17, 3, 0, 0, *places[2], 0, 0, 1, 0)
    identity = b"\x7fELF\2\1\1" + bytes(9)
    header = identity + struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, BASE, 64, at + len(body), 5, 64, 56, count, 64, 4, 3)
    return header + headers + body + rows
