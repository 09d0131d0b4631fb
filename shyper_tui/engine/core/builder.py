"""What every back end offers besides arithmetic: state fields, variables, control flow, functions.

Code that is written against `Builder` runs natively (`core.llvm`) and in plain Python (`core.pysource`) with the same
meaning; the lockstep tests compare the two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from shyper_tui.engine.isa.value import Operand, Value

Likely = bool | None
"""Branch hint: True mostly taken, False rarely, None unknown."""


class Variable(ABC):
    """A mutable local of a generated function."""

    @property
    @abstractmethod
    def value(self) -> Value: ...

    @value.setter
    @abstractmethod
    def value(self, new: Value | int) -> None: ...


class Loop(ABC):
    """An endless loop; `leave()` ends it, `again()` starts the next round."""

    @abstractmethod
    def leave(self) -> None: ...

    @abstractmethod
    def again(self) -> None: ...


class State:
    """Attribute access to the fields of the hart's state: `s.mepc` reads, `s.mepc = value` writes."""

    def __init__(self, builder: Builder) -> None:
        object.__setattr__(self, "_builder", builder)

    def __getattr__(self, name: str) -> Value:
        builder: Builder = object.__getattribute__(self, "_builder")
        return builder.get(name)

    def __setattr__(self, name: str, value: Value | int) -> None:
        builder: Builder = object.__getattribute__(self, "_builder")
        builder.set(name, value)


class Builder(ABC):
    """A function under construction. Satisfies `Emitter`."""

    def __init__(self) -> None:
        self.s = State(self)

    # arithmetic (Emitter)
    @abstractmethod
    def binary(self, op: str, a: Operand, b: Operand, width: int) -> Operand: ...

    @abstractmethod
    def compare(self, predicate: str, a: Operand, b: Operand, width: int) -> Operand: ...

    @abstractmethod
    def cast(self, kind: str, a: Operand, width: int, to: int) -> Operand: ...

    @abstractmethod
    def select(self, condition: Operand, a: Operand, b: Operand, width: int) -> Operand: ...

    def const(self, value: int, width: int = 64) -> Value:
        return Value(self, value, width)

    # state
    @abstractmethod
    def get(self, field: str, index: Value | int = 0) -> Value:
        """Element `index` of a state field, 64 bits."""

    @abstractmethod
    def set(self, field: str, value: Value | int, index: Value | int = 0) -> None: ...

    # guest physical memory that is RAM (the caller has checked the address)
    @abstractmethod
    def ram_load(self, pa: Value, width: int) -> Value:
        """`width` bits of RAM at physical address `pa`."""

    @abstractmethod
    def ram_compare_exchange(self, pa: Value, expected: Value, new: Value) -> Value:
        """Atomic 64-bit compare and swap in RAM; the old value."""

    # control flow
    @abstractmethod
    def variable(self, initial: Value | int, width: int = 64) -> Variable: ...

    @abstractmethod
    def if_(self, condition: Value, likely: Likely = None) -> AbstractContextManager[None]: ...

    @abstractmethod
    def else_(self) -> AbstractContextManager[None]:
        """The other branch of the `if_` that has just ended."""

    @abstractmethod
    def loop(self) -> AbstractContextManager[Loop]: ...

    @abstractmethod
    def call(self, function: str, *arguments: Value | int) -> Value:
        """Calls another generated function on the same state; 64-bit arguments and result."""

    @abstractmethod
    def ret(self, value: Value | int = 0) -> None: ...

    @contextmanager
    def unless(self, condition: Value, likely: Likely = None) -> Iterator[None]:
        with self.if_(~condition, None if likely is None else not likely):
            yield

    @abstractmethod
    def switch(self, value: Value, cases: Mapping[int, Any]) -> None:
        """Runs `cases[value]()` (a callable that emits code); nothing when no case matches."""
