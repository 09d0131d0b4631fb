"""The native decoder fills in records as the Python decoder decodes: all 16-bit words, many 32-bit words."""

from __future__ import annotations

from random import Random

import pytest

from shyper_tui.engine.core import records
from shyper_tui.engine.core.decoder import SINK, HandlerTable
from shyper_tui.engine.core.interpreter import Handler
from shyper_tui.engine.core.operands import operand_format
from shyper_tui.engine.hart.hart import Hart
from shyper_tui.engine.hart.host_memory import Block, HostMemory
from shyper_tui.engine.hart.program import program
from shyper_tui.engine.isa.decode import decode
from shyper_tui.engine.isa.instruction import Instruction, parse_encoding
from shyper_tui.engine.isa.rows import INSTRUCTIONS
from tests.core.lockstep import PatternDevice


class Probe:
    """Decodes one word natively, as if it stood at `offset` in its page."""

    def __init__(self) -> None:
        self._hart = Hart(0, program(), HostMemory(0x8000_0000, 4096, 1), PatternDevice())
        self._record = Block(records.RECORD_SIZE)
        self._table = HandlerTable()

    def check(self, word: int, offset: int) -> None:
        self._record.bytes[: records.RECORD_SIZE] = bytes(records.RECORD_SIZE)
        number = self._hart.native["decode_probe"](self._hart.address, word, self._record.address, offset)
        decoded = decode(word)
        if decoded is None:
            assert number == 0, f"{word:#x} is illegal"
            return
        assert number, f"{word:#x} is {decoded.instruction.name}"
        handler = self._table.handlers[number - 1]
        assert handler.instruction is decoded.instruction, f"{word:#x}"
        assert handler.length == decoded.length
        if decoded.instruction.relative:
            assert handler.far == (not 0 <= offset + decoded.imm < 4096)
        if handler.discard:
            assert decoded.rd == 0
        rd = SINK if decoded.instruction.writes_integer and decoded.rd == 0 else decoded.rd
        assert self._hart.get("decoded_registers") == rd | decoded.rs1 << 8 | decoded.rs2 << 16, f"{word:#x}"
        names = decoded.instruction.encoding.registers
        numbers = {"rd": rd, "rs1": decoded.rs1, "rs2": decoded.rs2}
        held = bytes(self._record.bytes[: records.RECORD_SIZE])
        assert {name: held[place] for name, place in handler.operands.registers.items()} == {
            name: number for name, number in numbers.items() if name in names
        }, f"{word:#x}"
        assert immediate(handler, held) == decoded.imm, f"{word:#x}"


def immediate(handler: Handler, record: bytes) -> int:
    """What a record's handler reads from it. Near displacements are distances of records."""
    operands = handler.operands
    held = int.from_bytes(record[operands.immediate :], "little", signed=operands.signed)
    if handler.instruction.relative and not handler.far:
        assert held % records.RECORD_SIZE == 0
        return held // records.RECORD_SIZE * 2
    return held << -operands.shift


@pytest.fixture(scope="module")
def probe() -> Probe:
    return Probe()


def test_all_compressed_words(probe: Probe) -> None:
    for word in range(65536):
        if word & 3 != 3:
            probe.check(word, word * 2 & 0xFFE)


def test_random_words(probe: Probe) -> None:
    random = Random(1)
    for _ in range(30_000):
        probe.check(random.getrandbits(32) | 3, random.randrange(0, 4092, 2))


def test_every_row_with_random_operands_and_neighbouring_words(probe: Probe) -> None:
    """Words that match a row, and words that miss it by one fixed bit."""
    random = Random(2)
    for row in INSTRUCTIONS.values():
        encoding = row.encoding
        for _ in range(40):
            word = random.getrandbits(32) & ~encoding.mask | encoding.match
            probe.check(word, random.randrange(0, 4092, 2))
            probe.check(word ^ (1 << random.randrange(2, 32)) | 3, random.randrange(0, 4092, 2))


def test_a_branch_is_near_or_far_by_its_target_page(probe: Probe) -> None:
    for displacement in (-4096, -4094, -2, 2, 4, 2048, 4094):
        beq = INSTRUCTIONS["beq"].encoding
        word = beq.match
        for piece in beq.immediate:
            word |= (displacement >> piece.target & (1 << piece.width) - 1) << piece.low
        for offset in (0, 2, 2048, 4088, 4090, 4094):
            probe.check(word, offset)


@pytest.mark.parametrize(
    "encoding",
    ["imm[19:0] rs1 0000011", "uimm[31:12] rd 0110111", "imm[8:0] 0 rs2 rs1 rd 0001011", "imm[24:0] 0000011"],
)
def test_operands_that_a_record_has_no_room_for(encoding: str) -> None:
    row = Instruction("none", "none", parse_encoding(encoding, 4), lambda s: None, "rv_none")
    with pytest.raises(ValueError, match="none do not fit"):
        operand_format(row, near=False)
