"""Reference back end: an instruction's semantics as a Python function over plain ints.

The function's signature is `op(s, rd, rs1, rs2, imm, pc, length, word)`; it returns the next pc, or raises `Trapped`.
Memory is reached through names of the environment: `load`, `store`, `load_reserved`, `store_conditional`, `amo`,
`hypervisor_load`, `hypervisor_store`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shyper_tui.engine.isa.instruction import RS3_SHIFT, Instruction
from shyper_tui.engine.isa.semantics import Semantics
from shyper_tui.engine.isa.value import Value, mask

from . import floating
from .layout import Layout
from .pysource import ENVIRONMENT, PythonBuilder

PARAMETERS = ["rd", "rs1", "rs2", "imm", "pc", "length", "word"]


class Trapped(Exception):  # noqa: N818 the specification's word
    """A synchronous exception."""

    def __init__(self, cause: int, tval: int) -> None:
        super().__init__(f"cause {cause}, tval {tval:#x}")
        self.cause, self.tval = cause, tval


def raise_trap(cause: int, tval: int) -> None:
    raise Trapped(cause, tval)


class ReferenceSemantics(PythonBuilder, Semantics):
    """Operands are the parameters of the generated function."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._x, self._f = layout.index("x"), layout.index("f")

    def _value(self, expression: str, width: int = 64) -> Value:
        return Value(self, self.define(expression), width)

    @property
    def rs1(self) -> Value:
        return self._value(f"s[{self._x} + rs1]")

    @property
    def rs2(self) -> Value:
        return self._value(f"s[{self._x} + rs2]")

    @property
    def rs1_index(self) -> Value:
        return Value(self, "rs1")

    @property
    def rs2_index(self) -> Value:
        return Value(self, "rs2")

    @property
    def rd_index(self) -> Value:
        return Value(self, "rd")

    @property
    def imm(self) -> Value:
        return self._value(f"imm & {mask(64)}")

    def write_rd(self, value: Value) -> None:
        self.emit(f"if rd: s[{self._x} + rd] = {self.text(value)}")

    def read_f(self, operand: int) -> Value:
        index = f"(imm >> {RS3_SHIFT})" if operand == 3 else f"rs{operand}"
        return self._value(f"s[{self._f} + {index}]")

    def write_f(self, value: Value) -> None:
        self.emit(f"s[{self._f} + rd] = {self.text(value)}")
        self.call("dirty_fs")

    @property
    def pc(self) -> Value:
        return Value(self, "pc")

    @property
    def next_pc(self) -> Value:
        return self._value(f"(pc + length) & {mask(64)}")

    @property
    def now(self) -> Value:
        return self.s.deadline

    def load(self, address: Value, width: int, *, signed: bool = False, to_f: bool = False) -> Value:
        return self._value(f"load(s, {self.text(address)}, {width // 8})", width)

    def store(self, address: Value, value: Value) -> None:
        self.emit(f"store(s, {self.text(address)}, {value.width // 8}, {self.text(value, value.width)})")

    def load_reserved(self, address: Value, width: int) -> Value:
        return self._value(f"load_reserved(s, {self.text(address)}, {width // 8})", width)

    def store_conditional(self, address: Value, value: Value) -> Value:
        return self._value(
            f"store_conditional(s, {self.text(address)}, {value.width // 8}, {self.text(value, value.width)})"
        )

    def amo(self, address: Value, value: Value, operation: str) -> Value:
        text = self.text(value, value.width)
        return self._value(f"amo(s, {self.text(address)}, {value.width // 8}, {text}, {operation!r})", value.width)

    def branch_if(self, condition: Value) -> None:
        with self.if_(condition):
            self.jump_relative()

    def jump_relative(self) -> None:
        self.emit(f"return (pc + imm) & {mask(64)}")

    def jump(self, target: Value) -> None:
        self.emit(f"return {self.text(target)}")

    def trap(self, cause: Value | int, tval: Value | int) -> None:
        self.emit(f"raise_trap({self.text(cause)}, {self.text(tval)})")

    def illegal(self) -> None:
        self.emit("raise_trap(2, word)")

    def virtual_instruction(self) -> None:
        self.emit("raise_trap(22, word)")

    def resume(self) -> None:
        self.emit(f"return s[{self.layout.index('pc')}]")

    def wait_for_interrupt(self) -> None:
        self.set("waiting", 1)

    def hypervisor_load(self, address: Value, width: int, *, signed: bool, execute: bool) -> None:
        value = self._value(f"hypervisor_load(s, {self.text(address)}, {width // 8}, {int(execute)})", width)
        self.write_rd(value.sext() if signed else value.zext())

    def hypervisor_store(self, address: Value, value: Value) -> None:
        self.emit(f"hypervisor_store(s, {self.text(address)}, {value.width // 8}, {self.text(value, value.width)})")

    def fp(self, operation: str, rounding: Value, *operands: Value) -> tuple[Value, Value]:
        return floating.in_python(self, operation, rounding, operands)


def build(layout: Layout, instruction: Instruction, environment: dict[str, Any]) -> Callable[..., int]:
    """The instruction as a function; `environment` supplies memory and the hart's functions."""
    semantics = ReferenceSemantics(layout)
    instruction.semantics(semantics)
    semantics.emit(f"return (pc + length) & {mask(64)}")
    space = {**ENVIRONMENT, **floating.ENVIRONMENT, "raise_trap": raise_trap, **environment}
    exec(semantics.source("op", PARAMETERS), space)
    function: Callable[..., int] = space["op"]
    return function
