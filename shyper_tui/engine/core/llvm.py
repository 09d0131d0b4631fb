"""LLVM IR back end: a function under construction as text.

Functions come in two kinds. *Value functions* take the state pointer and 64-bit arguments and return i64. *Handlers*
(see `core.interpreter`) all have one signature, so that `musttail` calls between them compile to jumps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from shyper_tui.engine.isa.value import Operand, Value

from .builder import Builder, Likely, Loop, Variable
from .layout import Layout

# Alias classes: hart state, guest memory and decoded records never overlap.
METADATA = """
!0 = !{!"root"}
!1 = !{!"state", !0, i64 0}
!2 = !{!"guest", !0, i64 0}
!3 = !{!"record", !0, i64 0}
!11 = !{!1, !1, i64 0}
!12 = !{!2, !2, i64 0}
!13 = !{!3, !3, i64 0}
!20 = !{!"branch_weights", i32 2000, i32 1}
!21 = !{!"branch_weights", i32 1, i32 2000}
"""
STATE, GUEST, RECORD = ", !tbaa !11", ", !tbaa !12", ", !tbaa !13"
_HINT = {None: "", True: ", !prof !20", False: ", !prof !21"}


class LlvmVariable(Variable):
    def __init__(self, builder: LlvmBuilder, pointer: str, width: int) -> None:
        self._builder, self._pointer, self._width = builder, pointer, width

    @property
    def value(self) -> Value:
        return self._builder.define(f"load i{self._width}, ptr {self._pointer}", self._width)

    @value.setter
    def value(self, new: Value | int) -> None:
        self._builder.emit(f"store i{self._width} {self._builder.text(new, self._width)}, ptr {self._pointer}")


class LlvmLoop(Loop):
    def __init__(self, builder: LlvmBuilder, head: str, end: str) -> None:
        self._builder, self._head, self._end = builder, head, end

    def leave(self) -> None:
        self._builder.emit(f"br label %{self._end}")

    def again(self) -> None:
        self._builder.emit(f"br label %{self._head}")


class LlvmBuilder(Builder):
    """Text of one function's body. `%st` is the state pointer."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self._lines: list[str] = []
        self._allocas: list[str] = []
        self._counter = 0
        self._ended = False
        self._last_if: tuple[int | None, str] = (None, "")

    # text
    def body(self) -> str:
        return "\n".join(self._allocas + self._lines)

    @property
    def ended(self) -> bool:
        """The current block already has its terminator."""
        return self._ended

    def fresh(self) -> str:
        self._counter += 1
        return f"%t{self._counter}"

    def new_label(self) -> str:
        self._counter += 1
        return f"L{self._counter}"

    def emit(self, line: str) -> None:
        """Appends an instruction; code after a terminator is dropped."""
        if self._ended:
            return
        self._lines.append(line)
        if line.startswith(("br ", "ret ", "switch ", "unreachable")):
            self._ended = True

    def label(self, name: str) -> None:
        self._lines.append(f"{name}:")
        self._ended = False

    def define(self, instruction: str, width: int = 64) -> Value:
        """Appends `%t = instruction` and returns the result."""
        name = self.fresh()
        self.emit(f"{name} = {instruction}")
        return Value(self, name, width)

    def name(self, instruction: str) -> str:
        """Like `define`, for results that are not integers (pointers, doubles)."""
        name = self.fresh()
        self.emit(f"{name} = {instruction}")
        return name

    def text(self, value: Value | int, width: int = 64) -> str:
        if isinstance(value, int):
            return str(value & ((1 << width) - 1))
        return str(value.operand)

    # Emitter
    def binary(self, op: str, a: Operand, b: Operand, width: int) -> Operand:
        return self.name(f"{op} i{width} {a}, {b}")

    def compare(self, predicate: str, a: Operand, b: Operand, width: int) -> Operand:
        return self.name(f"icmp {predicate} i{width} {a}, {b}")

    def cast(self, kind: str, a: Operand, width: int, to: int) -> Operand:
        return self.name(f"{kind} i{width} {a} to i{to}")

    def select(self, condition: Operand, a: Operand, b: Operand, width: int) -> Operand:
        return self.name(f"select i1 {condition}, i{width} {a}, i{width} {b}")

    # pointers
    def gep(self, pointer: str, offset: Value | int | str) -> str:
        where = offset if isinstance(offset, str) else self.text(offset)
        return pointer if where == "0" else self.name(f"getelementptr i8, ptr {pointer}, i64 {where}")

    def pointer(self, address: Value) -> str:
        return self.name(f"inttoptr i64 {address.operand} to ptr")

    def address(self, pointer: str) -> Value:
        return self.define(f"ptrtoint ptr {pointer} to i64")

    def peek(self, pointer: str, width: int = 64, alias: str = "", align: int = 0) -> Value:
        """Loads `width` bits through a host pointer."""
        return self.define(f"load i{width}, ptr {pointer}, align {align or max(width // 8, 1)}{alias}", width)

    def poke(self, pointer: str, value: Value | int, width: int = 64, alias: str = "", align: int = 0) -> None:
        text = self.text(value, width)
        self.emit(f"store i{width} {text}, ptr {pointer}, align {align or max(width // 8, 1)}{alias}")

    def trailing_zeros(self, value: Value) -> Value:
        """The number of the lowest bit that is set; `value` is not 0."""
        return self.define(f"call i64 @llvm.cttz.i64(i64 {value.operand}, i1 true)")

    def host_load(self, address: Value, offset: int = 0, width: int = 64, alias: str = "", align: int = 0) -> Value:
        """Loads from a host address held in a Value."""
        return self.peek(self.gep(self.pointer(address), offset), width, alias, align)

    def host_store(
        self, address: Value, value: Value | int, offset: int = 0, width: int = 64, alias: str = "", align: int = 0
    ) -> None:
        self.poke(self.gep(self.pointer(address), offset), value, width, alias, align)

    # state
    def state_pointer(self, field: str, index: Value | int = 0) -> str:
        base = self.layout.offset(field)
        if isinstance(index, int):
            return self.gep("%st", base + 8 * index)
        return self.gep(self.gep("%st", base), index << 3)

    def get(self, field: str, index: Value | int = 0) -> Value:
        return self.peek(self.state_pointer(field, index), 64, STATE)

    def set(self, field: str, value: Value | int, index: Value | int = 0) -> None:
        self.poke(self.state_pointer(field, index), value, 64, STATE)

    # RAM by physical address
    def ram_pointer(self, pa: Value) -> str:
        return self.pointer(self.get("ram_addend") + pa)

    def ram_load(self, pa: Value, width: int) -> Value:
        return self.define(f"load atomic i{width}, ptr {self.ram_pointer(pa)} monotonic, align {width // 8}", width)

    def ram_compare_exchange(self, pa: Value, expected: Value, new: Value) -> Value:
        pair = self.name(
            f"cmpxchg ptr {self.ram_pointer(pa)}, i64 {expected.operand}, i64 {new.operand} seq_cst seq_cst, align 8"
        )
        self.call("ram_written", pa, 8)  # a store like any other: code decoded from these bytes goes
        return self.define(f"extractvalue {{ i64, i1 }} {pair}, 0")

    # control flow
    def variable(self, initial: Value | int, width: int = 64) -> LlvmVariable:
        pointer = self.fresh()
        self._allocas.append(f"{pointer} = alloca i{width}")
        variable = LlvmVariable(self, pointer, width)
        variable.value = initial
        return variable

    @contextmanager
    def if_(self, condition: Value, likely: Likely = None) -> Iterator[None]:
        then, end = self.new_label(), self.new_label()
        self.emit(f"br i1 {condition.operand}, label %{then}, label %{end}{_HINT[likely]}")
        self.label(then)
        yield
        jump = None if self._ended else len(self._lines)
        self.emit(f"br label %{end}")
        self.label(end)
        self._last_if = (jump, end)

    @contextmanager
    def else_(self) -> Iterator[None]:
        jump, _ = self._last_if
        end = self.new_label()
        if jump is not None:
            self._lines[jump] = f"br label %{end}"
        yield
        reached = jump is not None or not self._ended
        self.emit(f"br label %{end}")
        self.label(end)
        if not reached:
            self.emit("unreachable")
        self._last_if = (None, end)

    @contextmanager
    def loop(self) -> Iterator[Loop]:
        head, end = self.new_label(), self.new_label()
        self.emit(f"br label %{head}")
        self.label(head)
        yield LlvmLoop(self, head, end)
        self.emit(f"br label %{head}")
        self.label(end)

    def switch(self, value: Value, cases: Mapping[int, Callable[[], None]]) -> None:
        end = self.new_label()
        labels = {case: self.new_label() for case in cases}
        table = " ".join(f"i{value.width} {case}, label %{label}" for case, label in labels.items())
        self.emit(f"switch i{value.width} {value.operand}, label %{end} [{table}]")
        for case, run in cases.items():
            self.label(labels[case])
            run()
            self.emit(f"br label %{end}")
        self.label(end)

    # functions
    def call(self, function: str, *arguments: Value | int) -> Value:
        passed = "".join(f", i64 {self.text(a)}" for a in arguments)
        return self.define(f"call i64 @{function}(ptr %st{passed})")

    def ret(self, value: Value | int = 0) -> None:
        self.emit(f"ret i64 {self.text(value)}")


def value_function(
    layout: Layout, name: str, parameters: list[str], describe: Callable[..., None], *, inline: bool = False
) -> str:
    """IR of a value function; `describe(builder, *arguments)` emits its body. Falling through returns 0."""
    builder = LlvmBuilder(layout)
    describe(builder, *(Value(builder, f"%{p}") for p in parameters))
    builder.ret(0)
    arguments = "".join(f", i64 %{p}" for p in parameters)
    attribute = "alwaysinline" if inline else "noinline"
    return f"define internal i64 @{name}(ptr %st{arguments}) {attribute} {{\n{builder.body()}\n}}\n"
