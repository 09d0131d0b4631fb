"""Plain-Python back end: a function under construction as Python source.

Values are unsigned ints held in locals; the state is a sequence of 64-bit words. This is the reference that lockstep
tests compare native code with, and the slow path for what native code leaves to Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from shyper_tui.engine.isa.value import Operand, Value, mask

from .builder import Builder, Likely, Loop, Variable
from .layout import Layout

_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "shl": "<<"}
_BITWISE = {"and": "&", "or": "|", "xor": "^", "lshr": ">>", "udiv": "//", "urem": "%"}
_COMPARE = {"eq": "==", "ne": "!=", "ult": "<", "uge": ">=", "slt": "<", "sge": ">="}


def truncated_quotient(a: int, b: int) -> int:
    """Signed division that rounds towards zero."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def truncated_remainder(a: int, b: int) -> int:
    remainder = abs(a) % abs(b)
    return -remainder if a < 0 else remainder


ENVIRONMENT: dict[str, Any] = {"sdiv": truncated_quotient, "srem": truncated_remainder}


class PythonVariable(Variable):
    def __init__(self, builder: PythonBuilder, name: str, width: int) -> None:
        self._builder, self._name, self._width = builder, name, width

    @property
    def value(self) -> Value:
        # a copy: the variable may change before the value is used
        return Value(self._builder, self._builder.define(self._name), self._width)

    @value.setter
    def value(self, new: Value | int) -> None:
        self._builder.emit(f"{self._name} = {self._builder.text(new, self._width)}")


class PythonLoop(Loop):
    def __init__(self, builder: PythonBuilder) -> None:
        self._builder = builder

    def leave(self) -> None:
        self._builder.emit("break")

    def again(self) -> None:
        self._builder.emit("continue")


class PythonBuilder(Builder):
    """Source of one function's body. `s` is the state."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self._lines: list[str] = []
        self._depth = 1
        self._counter = 0

    def source(self, name: str, parameters: list[str]) -> str:
        body = self._lines or [" pass"]
        return f"def {name}({', '.join(['s', *parameters])}):\n" + "\n".join(body) + "\n"

    def emit(self, line: str) -> None:
        self._lines.append(" " * self._depth + line)

    def define(self, expression: str) -> str:
        self._counter += 1
        self.emit(f"t{self._counter} = {expression}")
        return f"t{self._counter}"

    def text(self, value: Value | int, width: int = 64) -> str:
        return str(value & mask(width)) if isinstance(value, int) else str(value.operand)

    @staticmethod
    def _signed(operand: Operand, width: int) -> str:
        return f"(({operand} ^ {1 << (width - 1)}) - {1 << (width - 1)})"

    # Emitter
    def binary(self, op: str, a: Operand, b: Operand, width: int) -> Operand:
        if op == "shl":
            # LLVM's result is undefined for such shifts; semantics never ask for them, except in the
            # arm of a select not taken
            return self.define(f"({a} << ({b} & 255)) & {mask(width)}")
        if op in _ARITHMETIC:
            return self.define(f"({a} {_ARITHMETIC[op]} {b}) & {mask(width)}")
        if op in _BITWISE:
            return self.define(f"{a} {_BITWISE[op]} {b}")
        if op == "ashr":
            return self.define(f"({self._signed(a, width)} >> {b}) & {mask(width)}")
        return self.define(f"{op}({self._signed(a, width)}, {self._signed(b, width)}) & {mask(width)}")

    def compare(self, predicate: str, a: Operand, b: Operand, width: int) -> Operand:
        if predicate[0] == "s":
            return self.define(f"int({self._signed(a, width)} {_COMPARE[predicate]} {self._signed(b, width)})")
        return self.define(f"int({a} {_COMPARE[predicate]} {b})")

    def cast(self, kind: str, a: Operand, width: int, to: int) -> Operand:
        if kind == "sext":
            return self.define(f"{self._signed(a, width)} & {mask(to)}")
        return self.define(f"{a} & {mask(to)}")

    def select(self, condition: Operand, a: Operand, b: Operand, width: int) -> Operand:
        return self.define(f"{a} if {condition} else {b}")

    # state and memory
    def _slot(self, field: str, index: Value | int) -> str:
        base = self.layout.index(field)
        return f"s[{base + index}]" if isinstance(index, int) else f"s[{base} + {index.operand}]"

    def get(self, field: str, index: Value | int = 0) -> Value:
        return Value(self, self.define(self._slot(field, index)))

    def set(self, field: str, value: Value | int, index: Value | int = 0) -> None:
        self.emit(f"{self._slot(field, index)} = {self.text(value)}")

    def ram_load(self, pa: Value, width: int) -> Value:
        return Value(self, self.define(f"ram_load({self.text(pa)}, {width})"), width)

    def ram_compare_exchange(self, pa: Value, expected: Value, new: Value) -> Value:
        return Value(self, self.define(f"ram_compare_exchange({self.text(pa)}, {expected.operand}, {new.operand})"))

    # control flow
    def variable(self, initial: Value | int, width: int = 64) -> PythonVariable:
        return PythonVariable(self, self.define(self.text(initial, width)), width)

    @contextmanager
    def _block(self, head: str) -> Iterator[None]:
        self.emit(head)
        self._depth += 1
        self.emit("pass")
        yield
        self._depth -= 1

    @contextmanager
    def if_(self, condition: Value, likely: Likely = None) -> Iterator[None]:
        with self._block(f"if {condition.operand}:"):
            yield

    @contextmanager
    def else_(self) -> Iterator[None]:
        with self._block("else:"):
            yield

    @contextmanager
    def loop(self) -> Iterator[Loop]:
        with self._block("while True:"):
            yield PythonLoop(self)

    def switch(self, value: Value, cases: Mapping[int, Callable[[], None]]) -> None:
        word = "if"
        for case, run in cases.items():
            with self._block(f"{word} {value.operand} == {case}:"):
                run()
            word = "elif"

    def call(self, function: str, *arguments: Value | int) -> Value:
        passed = ", ".join(["s", *(self.text(a) for a in arguments)])
        return Value(self, self.define(f"{function}({passed})"))

    def ret(self, value: Value | int = 0) -> None:
        self.emit(f"return {self.text(value)}")


def value_function(layout: Layout, name: str, parameters: list[str], describe: Callable[..., None]) -> str:
    """Source of a value function, as `core.llvm.value_function`."""
    builder = PythonBuilder(layout)
    describe(builder, *(Value(builder, p) for p in parameters))
    builder.ret(0)
    return builder.source(name, parameters)
