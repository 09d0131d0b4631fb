"""Interpreter back end: a handler per instruction, threaded by `musttail` calls.

Every handler has one signature: state, record, budget, TLB context, the first handler's address, and three spare
arguments (`poison` where unused).
The budget counts down instructions until `deadline`; only taken branches and jumps look at it. A fused pair is two
semantic functions in one handler.
"""

from __future__ import annotations

from dataclasses import dataclass

from shyper_tui.engine.isa.instruction import RS3_SHIFT, Instruction
from shyper_tui.engine.isa.semantics import Semantics
from shyper_tui.engine.isa.value import Value

from . import floating, records, tlb_layout
from .layout import Layout
from .llvm import GUEST, RECORD, STATE, LlvmBuilder
from .operands import OperandFormat, operand_format

CONVENTION = "preserve_nonecc"
PARAMETERS = "ptr %st, ptr %rec, i64 %bud, ptr %tlb, ptr %first, i64 %a, i64 %b, i64 %c"
FIRST_HANDLER = "@op_illegal"
"""Records hold a handler as its distance from this one, which is number 0."""
LOAD_SIGNED, LOAD_TO_F, LOAD_RESERVED = 1 << 8, 1 << 9, 1 << 10


class HandlerBuilder(LlvmBuilder):
    """A function with a handler's signature: ends by jumping to another one."""

    def tail(
        self,
        handler: str,
        *arguments: Value | int,
        record: str = "%rec",
        budget: Value | int | str = "%bud",
        tlb: str = "%tlb",
    ) -> None:
        """Jumps to `handler` (a symbol or an SSA pointer)."""
        if self.ended:
            return
        spare = [f"i64 {self.text(a)}" for a in arguments] + ["i64 poison"] * (3 - len(arguments))
        bud = budget if isinstance(budget, str) else self.text(budget)
        fixed = f"ptr %st, ptr {record}, i64 {bud}, ptr {tlb}, ptr %first"
        self.emit(f"musttail call {CONVENTION} void {handler}({fixed}, {', '.join(spare)})")
        self.emit("ret void")

    def handler_at(self, distance: Value) -> str:
        """The handler at a record's 32-bit distance from the first one."""
        return self.gep("%first", distance.sext())

    def dispatch(self, record: str, budget: Value | str, tlb: str = "%tlb") -> None:
        """Executes a record."""
        handler = self.handler_at(self.peek(self.gep(record, records.HANDLER), 32, RECORD))
        self.tail(handler, record=record, budget=budget, tlb=tlb)

    def jump_to(self, target: Value, budget: Value | str, tlb: str = "%tlb") -> None:
        """Continues at a virtual address, through the execute TLB."""
        entry = self.gep(self.gep(tlb, (target >> 8) & tlb_layout.INDEX_MASK), tlb_layout.EXECUTE)
        page = target & ~0xFFF
        hit, miss = self.new_label(), self.new_label()
        equal = self.peek(entry, 64, STATE) == page
        self.emit(f"br i1 {equal.operand}, label %{hit}, label %{miss}, !prof !20")
        self.label(miss)
        self.tail("@fetch_miss", target, budget=budget, tlb=tlb)
        self.label(hit)
        self.enter_page(target, self.peek(self.gep(entry, 8), 64, STATE), budget, tlb)

    def enter_page(self, target: Value, base: Value, budget: Value | str, tlb: str = "%tlb") -> None:
        """Continues at `target`, whose page's records begin at `base`."""
        self.s.bias = (target & ~0xFFF) - (base >> records.SCALE)
        record = self.pointer(base + ((target & 0xFFE) << records.SCALE))
        self.check_budget(record, budget, tlb)
        self.dispatch(record, budget, tlb)

    def check_budget(self, record: str, budget: Value | str, tlb: str = "%tlb") -> None:
        left = budget if isinstance(budget, Value) else Value(self, budget)
        with self.if_(left.slt(0), False):
            self.tail("@budget_used", record=record, budget=budget, tlb=tlb)

    def record_pc(self, record: str = "%rec") -> Value:
        return (self.address(record) >> records.SCALE) + self.s.bias


def distance_of(b: LlvmBuilder, handler: Value) -> Value:
    """What a record holds for the handler at an address: 32 bits."""
    return (handler - b.address(FIRST_HANDLER)).trunc(32)


def handler_function(name: str, body: str, attribute: str = "") -> str:
    return f"define internal {CONVENTION} void @{name}({PARAMETERS}) {attribute} {{\n{body}\n}}\n"


@dataclass(frozen=True)
class Handler:
    """A specialisation of an instruction: its length, a branch that leaves the page, a result that goes to x0."""

    instruction: Instruction
    length: int
    far: bool = False
    discard: bool = False

    @property
    def symbol(self) -> str:
        marks = ("_far" if self.far else "") + ("_x0" if self.discard else "")
        return f"op_{self.instruction.name.replace('.', '_')}_{self.length}{marks}"

    @property
    def operands(self) -> OperandFormat:
        return operand_format(self.instruction, near=self.instruction.relative and not self.far)


class InterpreterSemantics(HandlerBuilder, Semantics):
    """Semantics whose operands are fields of the record. `steps` instructions run in this handler."""

    def __init__(self, layout: Layout, steps: int = 1) -> None:
        super().__init__(layout)
        self._offset = 0
        self._retired = 0
        self._finished = False
        self._slow: list[tuple[str, str, list[Value | int], int, int]] = []
        self._handler: Handler
        self._after = self.define(f"sub i64 %bud, {steps}")
        # of a sequence with known operands: which operand is which register, their places and values so far
        self._operands: dict[str, int] | None = None
        self._places: dict[int, str] = {}
        self._values: dict[int, Value] = {}

    def run(self, handler: Handler, *, last: bool, operands: tuple[int, int, int] | None = None) -> None:
        """Emits one instruction. `operands` numbers rs1, rs2 and rd across the sequence: equal numbers are the same
        register, 0 is x0."""
        self._handler = handler
        if operands is not None:
            self._operands = dict(zip(("rs1", "rs2", "rd"), operands, strict=True))
        handler.instruction.semantics(self)
        self._offset += handler.length << records.SCALE
        self._retired += 1
        if last:
            if not self._finished:
                self.dispatch(self.gep("%rec", self._offset), self._after)
            self._emit_slow_paths()

    def _emit_slow_paths(self) -> None:
        for label, handler, arguments, offset, retired in self._slow:
            self.label(label)
            self.tail(handler, *arguments, record=self.gep("%rec", offset), budget=self._budget_at(retired))

    def _budget_at(self, retired: int) -> Value | str:
        return self.define(f"sub i64 %bud, {retired}") if retired else "%bud"

    def _slow_path(self, handler: str, *arguments: Value | int) -> str:
        label = self.new_label()
        self._slow.append((label, handler, list(arguments), self._offset, self._retired))
        return label

    def _leave(self, handler: str, *arguments: Value | int, executed: int = 0) -> None:
        """Jumps out of the instruction, before (0) or after (1) it has executed."""
        self.tail(
            handler,
            *arguments,
            record=self.gep("%rec", self._offset),
            budget=self._budget_at(self._retired + executed),
        )

    # operands
    def _number(self, name: str) -> Value:
        """The number of the register that is operand `name`."""
        place = self._handler.operands.registers[name]
        return self.peek(self.gep("%rec", self._offset + place), 8, RECORD).zext()

    def _register(self, name: str) -> str:
        return self.name(f"getelementptr i64, ptr %st, i64 {self._number(name).operand}")

    def _place(self, name: str) -> str:
        """Pointer to an operand's register; the same pointer for the same register."""
        if self._operands is None:
            return self._register(name)
        operand = self._operands[name]
        if operand not in self._places:
            self._places[operand] = self._register(name)
        return self._places[operand]

    def _read(self, name: str) -> Value:
        if self._operands is None:
            return self.peek(self._register(name), 64, STATE)
        operand = self._operands[name]
        if operand == 0:
            return self.const(0)
        if operand not in self._values:
            self._values[operand] = self.peek(self._place(name), 64, STATE)
        return self._values[operand]

    @property
    def rs1(self) -> Value:
        return self._read("rs1")

    @property
    def rs2(self) -> Value:
        return self._read("rs2")

    @property
    def rs1_index(self) -> Value:
        return self._number("rs1")

    @property
    def rs2_index(self) -> Value:
        return self._number("rs2")

    @property
    def rd_index(self) -> Value:
        return self._number("rd")

    def _held_immediate(self) -> Value:
        """The immediate as the record holds it."""
        operands = self._handler.operands
        if operands.width == 24:  # the host loads no three bytes
            return self.peek(self.gep("%rec", self._offset + records.OPERANDS), 32, RECORD).sext().sra(8)
        held = self.peek(self.gep("%rec", self._offset + operands.immediate), operands.width, RECORD)
        return held.sext() if operands.signed else held.zext()

    @property
    def imm(self) -> Value:
        return self._handler.operands.immediate_of(self._held_immediate())

    def write_rd(self, value: Value) -> None:
        if self._handler.discard:
            return
        if self._operands is not None:
            operand = self._operands["rd"]
            if operand == 0:
                return
            self._values[operand] = value
        self.poke(self._place("rd"), value, 64, STATE)

    def read_f(self, operand: int) -> Value:
        index = (self.imm >> RS3_SHIFT) if operand == 3 else self._number(f"rs{operand}")
        return self.get("f", index)

    def write_f(self, value: Value) -> None:
        self.set("f", value, self._number("rd"))
        self.call("dirty_fs")

    @property
    def pc(self) -> Value:
        base = self.address("%rec") >> records.SCALE
        return base + (self._offset >> records.SCALE) + self.s.bias

    @property
    def next_pc(self) -> Value:
        return self.pc + self._handler.length

    @property
    def now(self) -> Value:
        return self.s.deadline - Value(self, "%bud") + self._retired

    # memory
    def probe(self, address: Value, size: int, table: int, slow: str, *, aligned: bool = False) -> str:
        """The host pointer of an access that hits the TLB; otherwise control goes to `slow`."""
        entry = self.gep("%tlb", (address >> 8) & tlb_layout.INDEX_MASK)
        tag = self.peek(self.gep(entry, table), 64, STATE)
        if aligned or size == 1:
            page = address & (~0xFFF | (size - 1))
        else:
            # the page of the last byte: an access that crosses pages misses
            page = (address + (size - 1)) & ~0xFFF
        hit = self.new_label()
        self.emit(f"br i1 {(page == tag).operand}, label %{hit}, label %{slow}, !prof !20")
        self.label(hit)
        return self.pointer(self.peek(self.gep(entry, table + 8), 64, STATE) + address)

    def load(self, address: Value, width: int, *, signed: bool = False, to_f: bool = False) -> Value:
        size = width // 8
        flags = (LOAD_SIGNED if signed else 0) | (LOAD_TO_F if to_f else 0)
        pointer = self.probe(address, size, tlb_layout.READ, self._slow_path("@slow_load", address, size | flags))
        return self.peek(pointer, width, GUEST, align=1)

    def store(self, address: Value, value: Value) -> None:
        size = value.width // 8
        wide = value.zext() if value.width < 64 else value
        pointer = self.probe(address, size, tlb_layout.WRITE, self._slow_path("@slow_store", address, size, wide))
        self.poke(pointer, value, value.width, GUEST, align=1)

    def load_reserved(self, address: Value, width: int) -> Value:
        size = width // 8
        slow = self._slow_path("@slow_load", address, size | LOAD_RESERVED)
        pointer = self.probe(address, size, tlb_layout.READ, slow, aligned=True)
        value = self.define(f"load atomic i{width}, ptr {pointer} seq_cst, align {size}{GUEST}", width)
        self.s.reservation = self.address(pointer)
        self.s.reserved_value = value.zext()
        return value

    def store_conditional(self, address: Value, value: Value) -> Value:
        size = value.width // 8
        pointer = self.probe(address, size, tlb_layout.WRITE, self._slow_path("@slow_amo", address, size), aligned=True)
        failed = self.variable(1)
        with self.if_(self.address(pointer) == self.s.reservation):
            expected = self.s.reserved_value.trunc(value.width)
            pair = self.name(
                f"cmpxchg ptr {pointer}, i{value.width} {expected.operand}, i{value.width} {value.operand}"
                f" seq_cst seq_cst, align {size}{GUEST}"
            )
            failed.value = (~self.define(f"extractvalue {{ i{value.width}, i1 }} {pair}, 1", 1)).zext()
        self.s.reservation = 0
        return failed.value

    def amo(self, address: Value, value: Value, operation: str) -> Value:
        size = value.width // 8
        pointer = self.probe(address, size, tlb_layout.WRITE, self._slow_path("@slow_amo", address, size), aligned=True)
        return self.define(
            f"atomicrmw {operation} ptr {pointer}, i{value.width} {value.operand} seq_cst, align {size}{GUEST}",
            value.width,
        )

    # control flow of the hart
    def jump_relative(self) -> None:
        self._finished = True
        if self._handler.far:
            self.jump_to(self.pc + self.imm, self._after)
            return
        record = self.gep(self.gep("%rec", self._offset), self._held_immediate())
        self.check_budget(record, self._after)
        self.dispatch(record, self._after)

    def branch_if(self, condition: Value) -> None:
        with self.if_(condition):
            self.jump_relative()
        self.dispatch(self.gep("%rec", self._offset + (self._handler.length << records.SCALE)), self._after)

    def jump(self, target: Value) -> None:
        self._finished = True
        self.jump_to(target, self._after)

    def trap(self, cause: Value | int, tval: Value | int) -> None:
        self._leave("@raise_exception", cause, tval, self.pc)

    def illegal(self) -> None:
        self._leave("@raise_instruction", 2)

    def virtual_instruction(self) -> None:
        self._leave("@raise_instruction", 22)

    def resume(self) -> None:
        self._leave("@resync", self.get("pc"), executed=1)

    def wait_for_interrupt(self) -> None:
        self.set("pc", self.next_pc)
        self._leave("@wait", executed=1)

    def leave_to_python(self) -> None:
        """The reference executes this instruction."""
        self._leave("@exit_slow")

    def hypervisor_load(self, address: Value, width: int, *, signed: bool, execute: bool) -> None:
        pa = self._hypervisor_address(address, width, 3 if execute else 0)
        value = self.peek(self.ram_pointer(pa), width, GUEST, align=1)
        self.write_rd(value.sext() if signed else value.zext())

    def hypervisor_store(self, address: Value, value: Value) -> None:
        pa = self._hypervisor_address(address, value.width, 1)
        self.call("store_physical", pa, value.width // 8, value.zext())

    def _hypervisor_address(self, address: Value, width: int, access: int) -> Value:
        last = address + (width // 8 - 1)
        with self.if_(((address ^ last) >> 12) != 0, False):
            self.leave_to_python()
        spvp = self.get("hstatus").bits(8, 8)
        pa = self.call("translate", address, access, spvp, 1)
        with self.if_(pa.slt(0), False):
            self.set("fault_gva", 1)
            self.trap(-pa, address)
        with self.if_((pa - self.get("ram_base")).uge(self.get("ram_size")), False):
            self.leave_to_python()
        return pa

    def fp(self, operation: str, rounding: Value, *operands: Value) -> tuple[Value, Value]:
        return floating.native(self, operation, rounding, operands, self.leave_to_python)
