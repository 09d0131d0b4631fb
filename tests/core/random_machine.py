"""A machine state for random programs: page tables, protection, trap handlers, code and data.

The region (code, then data) appears at one address for M, HS and VS and at another for U and VU, so that both
privileges can execute it. Guest-physical addresses differ from physical ones by a constant.
"""

from __future__ import annotations

import struct
from collections import Counter
from random import Random
from typing import Protocol

from shyper_tui.engine.isa.float_format import BINARY32, BINARY64
from tests.core.encoding import assemble, word
from tests.core.float_operands import edges
from tests.core.lockstep import DEVICE
from tests.core.page_tables import FULL, A, D, G, R, Tables, U, V, W, X
from tests.core.random_code import BLOCK, NUMBERS, RandomCode
from tests.core.random_handlers import BASE, CODE_SIZE, HS_HANDLER, M_HANDLER, VS_HANDLER, handlers

REGION = BASE + 0x1_0000
DATA_SIZE = 0x1_8000
DATA = REGION + CODE_SIZE
USER = 0x4000_0000
"""How far above the region its user-mode image is."""
NAPOT = BASE + 0x10_0000
WIDE = BASE + 0x20_0000
"""2 MiB that superpages map."""
TABLES = BASE + 0x18_0000
GUEST_OFFSET = 0x8000_0000

EDGES = (0, 1, 2, 31, 32, 63, 64, (1 << 31) - 1, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


class Target(Protocol):
    """What a random machine is built into."""

    rows: Counter[str]

    @property
    def time(self) -> int: ...
    def begin(self, images: dict[int, bytes]) -> None: ...
    def get(self, field: str) -> int: ...
    def set(self, field: str, value: int, index: int = 0) -> None: ...
    def write_csr(self, number: int, value: int) -> None: ...
    def update_timers(self) -> None: ...


class RandomMachine:
    """Builds one from a seed and shakes it between slices."""

    TRAPS: int | None = None
    """After how many traps into M the program ends; None for never."""
    NOT_DELEGATED = 0
    """Exceptions that medeleg leaves to M."""

    def __init__(self, seed: int, target: Target) -> None:
        self.random = random = Random(seed)
        self.target = target
        self.satp_mode = random.choice((0, 8, 8, 9, 10))
        self.vsatp_mode = random.choice((0, 8, 8, 9, 10))
        self.hgatp_mode = random.choice((0, 8, 8, 9, 10))
        self.offset = GUEST_OFFSET if self.hgatp_mode else 0
        self.user = USER if self.satp_mode else 0
        self.guest_base = REGION if self.vsatp_mode else REGION + self.offset
        self.guest_user = USER if self.vsatp_mode else 0
        self.words: dict[int, int] = {}
        self.calm = random.random() < 0.4
        self.code = self._stream()
        images = {REGION: self._code(), DATA: random.randbytes(DATA_SIZE), NAPOT: random.randbytes(0x1_0000)}
        images |= handlers(random, self._region, self.TRAPS)
        self._map()
        images |= {address: struct.pack("<Q", value) for address, value in self.words.items()}
        target.begin(images)
        self._set_up()

    # code
    def _stream(self) -> RandomCode:
        return RandomCode(self.random, self.target.rows, calm=self.calm)

    def _code(self) -> bytes:
        code = bytearray()
        while len(code) < CODE_SIZE:
            block: list[int] = []
            end = len(code) + BLOCK
            at = len(code)
            while at < end:
                self.code.at = at
                if self.random.random() < 0.12 and end - at >= 8:
                    fresh = self.code.point(self._distance(at))
                elif not self.calm and self.random.random() < 0.01 and end - at >= 12:
                    fresh = self.code.modify_status()
                elif self.random.random() < (0.35 if self.calm else 0.1):
                    fresh = self.code.sequence()
                else:
                    fresh = [self.code.instruction()]
                size = len(assemble(*fresh))
                if at + size > end:
                    fresh = [word("c.addi", rd=0, imm=0)] * ((end - at) // 2)
                    size = end - at
                block += fresh
                at += size
            code += assemble(*block)
        return bytes(code)

    def _distance(self, at: int) -> int:
        """From the code at `at` to data: near the edge of a page, aligned, anywhere, the code itself."""
        random = self.random
        choice = random.random()
        if choice < (0.02 if self.calm else 0.12):
            return random.randrange(0, 2 * BLOCK, 2) + 8
        if choice < 0.16:
            return NAPOT - REGION - at + random.randrange(0, 0x1_0000)
        if choice < 0.2:
            return WIDE - REGION - at + random.randrange(0, 0x20_0000)
        page = random.randrange(DATA_SIZE >> 12) << 12
        if self.calm:
            return DATA - REGION - at + page + random.randrange(0x800, 0x1000, 8) - 0x400
        edges = (0, 8, 0xFF8, 0xFFC, 0xFFF, random.randrange(4096))
        inside = random.choice(edges) if random.random() < 0.25 else random.randrange(0, 4096, 8)
        return DATA - REGION - at + page + inside

    def _region(self, privilege: int, virtual: int) -> int:
        """Where the code is for a mode."""
        if privilege == 3:
            return REGION
        if virtual:
            return self.guest_base + (0 if privilege else self.guest_user)
        return REGION + (0 if privilege else self.user)

    # page tables
    def _flags(self, user: int) -> int:
        """A data page's flags, sometimes unusual."""
        random = self.random
        choice = random.random()
        if choice < (0.97 if self.calm else 0.75):
            return FULL | user
        return random.choice(
            (
                V | R | A | user, V | R | W | A | user, V | R | X | A | D | user, V | X | A | user,
                V | R | W | D | user, V | R | W | X | user, R | W | X, V | W | A | D | user,
                (FULL | user) ^ U, FULL | user | G,
                FULL | user | 1 << 61, FULL | user | 2 << 61, FULL | user | 3 << 61, FULL | user | 1 << 63,
                FULL | user | 1 << 54, FULL | user | 1 << 60, V | user, V | A | D,
            )
        )  # fmt: skip

    def _map_stage(self, tables: Tables, shift: int, *, user_image: int, guest: bool) -> None:
        """One stage: pages of S at one place and of U at another, or for the G stage all for U at one."""
        always = U if guest else 0
        for page in range(BASE, BASE + 0x1_0000, 0x1000):
            tables.map(page + (shift if guest else 0), page + (0 if guest else shift), FULL | always)
        for page in range(TABLES, TABLES + 0x8_0000, 0x1000):
            if guest:
                tables.map(page + shift, page, FULL | U)
        images = ((0, U),) if guest else ((0, 0), (user_image, U))
        for image, user in images:
            for page in range(REGION, REGION + CODE_SIZE + DATA_SIZE, 0x1000):
                code = page < DATA
                flags = FULL | user if code and self.random.random() < 0.9 else self._flags(user)
                if code:
                    flags |= V | R | X | user
                    flags &= (1 << 61) - 1 & ~(1 << 54 | 1 << 60)
                tables.map(page + (shift if guest else image), page + (0 if guest else shift), flags)
            contiguous = FULL | user | 1 << 63
            for page in range(0, 0x1_0000, 0x1000):
                target = NAPOT | 0x8000
                tables.map(NAPOT + page + (shift if guest else image), target + (0 if guest else shift), contiguous)
            tables.map(WIDE + (shift if guest else image), WIDE + (0 if guest else shift), self._flags(user), level=1)
            if not guest:
                tables.map(DEVICE + image, DEVICE + shift, FULL | user)
        if guest:
            tables.map(DEVICE + shift, DEVICE, FULL | U)

    def _map(self) -> None:
        at = TABLES
        self.satp = self.vsatp = self.hgatp = 0
        if self.satp_mode:
            tables = Tables(self.words, at, self.satp_mode)
            self._map_stage(tables, 0, user_image=USER, guest=False)
            self.satp = self.satp_mode << 60 | tables.root >> 12
            at = tables.next
        if self.vsatp_mode:
            tables = Tables(self.words, at, self.vsatp_mode, entry_offset=self.offset)
            self._map_stage(tables, self.offset, user_image=USER, guest=False)
            self.vsatp = self.vsatp_mode << 60 | (tables.root + self.offset) >> 12
            at = tables.next
        if self.hgatp_mode:
            tables = Tables(self.words, at + 0x3FFF & ~0x3FFF, self.hgatp_mode, stage2=True)
            self._map_stage(tables, self.offset, user_image=0, guest=True)
            if self.random.random() < 0.3:  # tables of the VS stage that may not be written: A and D updates fail
                for page in range(TABLES, TABLES + 0x8_0000, 0x1000):
                    tables.map(page + self.offset, page, FULL & ~W | U)
            self.hgatp = self.hgatp_mode << 60 | tables.root >> 12
            at = tables.next
        assert at <= TABLES + 0x8_0000, hex(at)

    # registers
    def _set_up(self) -> None:
        random, both = self.random, self.target
        write = both.write_csr
        write(NUMBERS["mtvec"], M_HANDLER)
        write(NUMBERS["stvec"], HS_HANDLER)
        write(NUMBERS["vstvec"], VS_HANDLER + (0 if self.vsatp_mode else self.offset))
        self._protect()
        illegal = 1 << 2
        traps = random.random() < 0.15
        status = random.getrandbits(3) << 20 if traps else 0
        self.status = 3 << 13 | random.getrandbits(1) << 18 | random.getrandbits(1) << 19 | status
        write(NUMBERS["mstatus"], self.status)
        write(NUMBERS["vsstatus"], 3 << 13 | random.getrandbits(1) << 18 | random.getrandbits(1) << 19)
        delegated = random.choice((0, (1 << 64) - 1, random.getrandbits(64)))
        write(NUMBERS["medeleg"], delegated & ~self.NOT_DELEGATED & ~(illegal if traps else 0))
        write(NUMBERS["hedeleg"], random.choice((0, (1 << 64) - 1, random.getrandbits(64))))
        write(NUMBERS["mideleg"], random.getrandbits(16))
        write(NUMBERS["hideleg"], random.getrandbits(16))
        write(NUMBERS["menvcfg"], random.choice((0, 7 << 61, random.getrandbits(64))))
        write(NUMBERS["henvcfg"], random.choice((0, 7 << 61, random.getrandbits(64))))
        for name in ("mcounteren", "scounteren", "hcounteren"):
            write(NUMBERS[name], random.choice((0, 0xFFFF_FFFF, random.getrandbits(32))))
        write(NUMBERS["satp"], self.satp)
        write(NUMBERS["vsatp"], self.vsatp)
        write(NUMBERS["hgatp"], self.hgatp)
        both.set("time_divider", random.choice((1, 3, 10)))
        both.update_timers()
        self.shake()

    def _protect(self) -> None:
        """Entry 0 allows everything, or some entries before the last refuse parts of the data."""
        random, write = self.random, self.target.write_csr
        config = 0
        if random.random() < 0.5:
            for entry in range(6):
                kind = random.choice((0, 1, 3))
                first = (random.choice((DATA, WIDE, NAPOT)) + random.randrange(0, DATA_SIZE, 0x1000)) >> 2
                if kind == 1:
                    entry_address = first
                    write(NUMBERS["pmpaddr0"] + entry, entry_address)
                    continue
                write(NUMBERS["pmpaddr0"] + entry, first & ~0x3FF | random.choice((0x1FF, 0x3FF, 0x7FF)))
                config |= (random.getrandbits(3) | kind << 3 | (0x80 if random.random() < 0.2 else 0)) << 8 * entry
            # a range from its predecessor's address to its own
            first = (DATA + random.randrange(0, DATA_SIZE - 0x4000, 0x1000)) >> 2
            write(NUMBERS["pmpaddr6"], first + random.choice((0x400, 0x800, 0x1000)))
            write(NUMBERS["pmpaddr5"], first)
            config = config & ~(0xFF << 40) | (random.getrandbits(3) | 1 << 3) << 48
        write(NUMBERS["pmpaddr7"], (1 << 54) - 1)
        self.protection = config & (1 << 56) - 1 | 0x1F << 56
        write(NUMBERS["pmpcfg0"], self.protection)

    def slice(self) -> int:
        """How many cycles to run before the next comparison."""
        return self.random.choice((100, 200)) if self.calm else self.random.choice((1, 20, 40, 80))

    def shake(self) -> None:
        """New registers, mode, pc and interrupts, as if somebody else had run in between."""
        random, both = self.random, self.target
        privilege, virtual = random.choice(((3, 0), (1, 0), (0, 0), (1, 1), (0, 1)))
        region = self._region(privilege, virtual)
        for k in range(1, 32):
            both.set("x", self._value(region), k)
        for k in range(32):
            if random.random() < 0.3:
                both.set("f", self._float(), k)
        both.set("prv", privilege)
        both.set("virt", virtual)
        both.set("waiting", 0)
        if random.random() < 0.8:  # floating point on
            for name in ("mstatus", "vsstatus"):
                both.set(name, self.target.get(name) | 3 << 13)
        both.set("reservation", 0)
        both.set("pc", region + random.randrange(0, CODE_SIZE, BLOCK))
        if random.random() < 0.3:
            both.set("lines", random.getrandbits(12) & (1 << 3 | 1 << 9 | 1 << 11))
            both.write_csr(NUMBERS["mie"], random.getrandbits(16))
            near = self.target.time + random.choice((0, 3, 20, 100))
            for name in ("mtimecmp", "stimecmp", "vstimecmp"):
                both.set(name, random.choice(((1 << 64) - 1, near, near + 7)))
            both.write_csr(NUMBERS["hvip"], random.getrandbits(16) & random.getrandbits(16))
            both.write_csr(NUMBERS["hideleg"], random.choice((0, 0xFFFF, random.getrandbits(16))))
            both.set("htimedelta", random.choice((0, 5, -3, random.getrandbits(64))))
            both.update_timers()
        if random.random() < 0.2:
            both.write_csr(NUMBERS["satp"], self.satp | random.getrandbits(2) << 44)
            both.write_csr(NUMBERS["vsatp"], self.vsatp | random.getrandbits(2) << 44)
            both.write_csr(NUMBERS["hgatp"], self.hgatp | random.getrandbits(2) << 44)

    def _value(self, region: int) -> int:
        random = self.random
        choice = random.random()
        if choice < 0.35:
            return region + CODE_SIZE + random.randrange(DATA_SIZE)
        if choice < 0.45:
            place = random.choice((DEVICE, DEVICE + USER, region, region + random.randrange(CODE_SIZE)))
            return place + random.randrange(64) * 8
        if choice < 0.5:
            return random.choice((NAPOT, WIDE, NAPOT + USER, WIDE + USER)) + random.randrange(0x1_0000)
        if choice < 0.75:
            return random.choice(EDGES)
        if choice < 0.85:
            return random.getrandbits(random.randrange(1, 65))
        return random.getrandbits(64)

    def _float(self) -> int:
        random = self.random
        boxed = 0xFFFF_FFFF << 32
        return random.choice(
            (
                random.getrandbits(64), boxed | random.getrandbits(32), random.getrandbits(32),
                boxed | random.choice(edges(BINARY32)), random.choice(edges(BINARY64)),
                (0x3F0 + random.getrandbits(5)) << 52 | random.getrandbits(52),
                boxed | (0x70 + random.getrandbits(5)) << 23 | random.getrandbits(23),
            )
        )  # fmt: skip
