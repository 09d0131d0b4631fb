"""Handlers of decoded code: finding a page's records, decoding an instruction where it is first executed, and putting
sequences together."""

from __future__ import annotations

from shyper_tui.engine.core import fused, records
from shyper_tui.engine.core import tlb_layout as tlb
from shyper_tui.engine.core.builder import Variable
from shyper_tui.engine.core.interpreter import HandlerBuilder, distance_of
from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.isa.value import Value

from . import debt
from .handler_set import Handlers


def records_base(b: LlvmBuilder, record: Value) -> Value:
    """The first record of the page that `record` belongs to."""
    offset = record - b.s.arena
    return b.s.arena + offset.udiv(records.STRIDE) * records.STRIDE


def place_of(b: LlvmBuilder, record: Value) -> tuple[Value, Value, Value]:
    """Of a record's instruction: the first record of the page, the offset in the page, the host address."""
    base = records_base(b, record)
    offset = (record - base) >> records.SCALE
    return base, offset, b.host_load(base, records.HOST) + offset


def instruction_length(b: LlvmBuilder, record: Value) -> Value:
    """The length of a record's instruction. It is asked for before a store that may hit the instruction itself."""
    _, _, host = place_of(b, record)
    return _length(b.host_load(host, 0, 16))


def _length(word: Value) -> Value:
    """From an instruction's first halfword."""
    return ((word & 3) == 3).select(Value(word.emitter, 4), Value(word.emitter, 2))


def _distance(b: LlvmBuilder, number: Value) -> Value:
    """What a record holds for the handler with a number."""
    return distance_of(b, b.peek(b.gep("@handlers", number << 3)))


def emit_code(h: Handlers, row_length: int) -> None:
    with h.handler("fetch_miss") as (b, target, _, _):
        found = b.call("fill_execute", b.address("%tlb"), target, 0)
        with b.if_(found.slt(0), False):
            b.tail("@raise_exception", -found, target, target)
        debt.leave_if_due(b, target)
        b.enter_page(target, found, "%bud")
    with h.handler("cross_page") as (b, *_):
        b.jump_to(b.record_pc(), "%bud")
    with h.handler("refetch") as (b, *_):
        # the records of a page that was dropped: the TLB still leads here
        pc = b.record_pc()
        b.host_store(b.address("%tlb") + ((pc >> 8) & tlb.INDEX_MASK), -1, tlb.EXECUTE)
        b.tail("@fetch_miss", pc)

    with h.handler("decode_record") as (b, *_):
        record = b.address("%rec")
        base, offset, host = place_of(b, record)
        b.host_store(base, 0, records.STORES)
        debt.owe(b, debt.DECODE)
        word = b.variable(b.host_load(host, 0, 16).zext())
        with b.if_((word.value & 3) == 3):
            with b.if_(offset == 4094, False):
                b.host_store(base, 0, records.STRADDLE_WORD)
                b.host_store(record, distance_of(b, b.address("@straddle")), records.HANDLER, 32)
                b.tail("@straddle")
            word.value = b.host_load(host, 0, 32, align=2).zext()
        number = b.call("decode_word", word.value, record, offset)
        chosen = b.variable(_distance(b, number), 32)
        if row_length:
            _fuse(b, row_length, record, offset, host, word.value, number, chosen)
        b.host_store(record, chosen.value, records.HANDLER, 32)
        b.tail(b.handler_at(chosen.value))

    with h.handler("straddle") as (b, *_):
        # an instruction with its second half on the next page: that page may change or be remapped at any time
        record = b.address("%rec")
        base = records_base(b, record)
        pc = b.record_pc()
        following = pc + 2
        entry = b.address("%tlb") + ((following >> 8) & tlb.INDEX_MASK)
        next_base = b.variable(0)
        with b.if_(b.host_load(entry, tlb.EXECUTE) == following, True):
            next_base.value = b.host_load(entry, tlb.EXECUTE + 8)
        with b.else_():
            filled = b.call("fill_execute", b.address("%tlb"), following, base)
            with b.if_(filled.slt(0), False):
                b.tail("@raise_exception", -filled, following, pc)
            next_base.value = filled
        low = b.host_load(b.host_load(base, records.HOST), 4094, 16).zext()
        high = b.host_load(b.host_load(next_base.value, records.HOST), 0, 16).zext()
        joined = low | (high << 16)
        with b.if_(b.host_load(base, records.STRADDLE_WORD) != joined, False):
            number = b.call("decode_word", joined, record, 4094)
            b.host_store(base, joined, records.STRADDLE_WORD)
            b.host_store(base, _distance(b, number), records.STRADDLE_HANDLER, 32)
        b.tail(b.handler_at(b.host_load(base, records.STRADDLE_HANDLER, 32)))


def _fuse(
    b: HandlerBuilder,
    row_length: int,
    record: Value,
    offset: Value,
    host: Value,
    word: Value,
    number: Value,
    chosen: Variable,
) -> None:
    """Decodes the following instructions too, as long as they continue a fused sequence, and takes its handler."""
    s = b.s
    s.generation = s.generation + 1
    operands = b.variable(0)
    key = b.variable(0)
    current = b.variable(number)
    distance = b.variable(0)
    length = b.variable(_length(word))
    previous = b.variable(0)
    with b.loop() as following:
        key.value = _mixed(b, key.value, current.value, operands)
        entry = _find(b, row_length, key.value)
        with b.if_((previous.value != 0) & ((entry & 0xFFFF) != 0)):
            chosen.value = _distance(b, entry & 0xFFFF)
        # a first instruction goes on for the sake of pairs
        goes_on = ((entry & fused.LONGER) != 0) | (previous.value == 0)
        ahead = distance.value + length.value
        with b.if_(~goes_on | (current.value == 0) | (offset + ahead).uge(4093)):
            following.leave()
        parcel = b.variable(b.host_load(host + ahead, 0, 16).zext())
        length.value = 2
        with b.if_((parcel.value & 3) == 3):
            parcel.value = b.host_load(host + ahead, 0, 32, align=2).zext()
            length.value = 4
        next_record = record + (ahead << records.SCALE)
        undecoded = b.host_load(next_record, records.HANDLER, 32) == distance_of(b, b.address("@decode_record"))
        next_number = b.call("decode_word", parcel.value, next_record, offset + ahead)
        with b.if_(undecoded):
            b.host_store(next_record, _distance(b, next_number), records.HANDLER, 32)
        with b.if_(previous.value == 0):
            pair = s.fused_table + ((current.value * row_length + next_number) << 1)
            both = b.host_load(pair, 0, 16).zext()
            with b.if_(both != 0):
                chosen.value = _distance(b, both)
            with b.if_((entry & fused.LONGER) == 0):
                following.leave()
        previous.value = current.value
        current.value = next_number
        distance.value = ahead


def _mixed(b: HandlerBuilder, key: Value, number: Value, operands: Variable) -> Value:
    """`core.fused.mix` with the operand numbers of the instruction decoded last; `operands` counts registers seen so
    far."""
    s = b.s
    fields = s.decoded_registers
    mixed = number << 12
    for shift, low in ((8, 8), (4, 16), (0, 0)):  # rs1, rs2, rd
        register = (fields >> low) & 0xFF
        known = b.get("operand_of", register)
        operand = b.variable(known & 0xFF)
        with b.if_((register & 31) == 0):
            operand.value = 0
        with b.else_():
            with b.if_((known >> 8) != s.generation):
                operands.value = operands.value + 1
                operand.value = operands.value
                b.set("operand_of", (s.generation << 8) | operand.value, register)
        # more registers than the key has room for: no sequence does
        too_many = operand.value.uge(fused.MOST_REGISTERS + 1).zext() << 40
        mixed = mixed | (operand.value << shift) | too_many
    return key * fused.KEY_FACTOR + mixed + 1


def _find(b: HandlerBuilder, row_length: int, key: Value) -> Value:
    """The sequence table's entry for a key, 0 when there is none."""
    table = b.s.fused_table + 2 * row_length * row_length
    slot = b.variable((key * fused.KEY_FACTOR) >> 51)
    found = b.variable(0)
    with b.loop() as probing:
        entry = table + (slot.value << 4)
        present = b.host_load(entry)
        with b.if_(present == 0):
            probing.leave()
        with b.if_(present == key):
            found.value = b.host_load(entry, 8)
            probing.leave()
        slot.value = (slot.value + 1) & (fused.SLOTS - 1)
    return found.value
