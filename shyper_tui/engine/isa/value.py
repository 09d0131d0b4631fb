"""The algebra in which instruction semantics are written.

A `Value` is a fixed-width two's-complement integer that a back end represents in its own way: the name of an LLVM register,
the name of a Python variable, or a plain int when it is known at generation time. Operators build code; nothing is computed
here except on constants.
"""

from __future__ import annotations

from typing import Protocol

Operand = str | int


def mask(width: int) -> int:
    """All ones in `width` bits."""
    return (1 << width) - 1


def signed(value: int, width: int) -> int:
    """`value` (any int) read as a two's-complement number of `width` bits."""
    value &= mask(width)
    return value - (1 << width) if value >> (width - 1) else value


class Emitter(Protocol):
    """What a back end offers to `Value`."""

    def binary(self, op: str, a: Operand, b: Operand, width: int) -> Operand: ...
    def compare(self, predicate: str, a: Operand, b: Operand, width: int) -> Operand: ...
    def cast(self, kind: str, a: Operand, width: int, to: int) -> Operand: ...
    def select(self, condition: Operand, a: Operand, b: Operand, width: int) -> Operand: ...


_FOLD = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda a, b: a << b,
    "lshr": lambda a, b: a >> b,
}
_NEUTRAL_ZERO = frozenset(("add", "sub", "or", "xor", "shl", "lshr", "ashr"))


class Value:
    """A `width`-bit integer. Constants are held as unsigned ints."""

    __slots__ = ("emitter", "operand", "width")
    __hash__ = None  # type: ignore[assignment]  # == builds code

    def __init__(self, emitter: Emitter, operand: Operand, width: int = 64) -> None:
        self.emitter = emitter
        self.operand: Operand = operand & mask(width) if isinstance(operand, int) else operand
        self.width = width

    @property
    def constant(self) -> int | None:
        """The unsigned value when it is known at generation time."""
        return self.operand if isinstance(self.operand, int) else None

    def like(self, other: Value | int) -> Value:
        """`other` as a Value of this width."""
        return other if isinstance(other, Value) else Value(self.emitter, other, self.width)

    def _binary(self, op: str, other: Value | int) -> Value:
        right = self.like(other)
        if right.width != self.width:
            raise ValueError(f"{op} of i{self.width} and i{right.width}")
        a, b = self.operand, right.operand
        if isinstance(b, int):
            if b == 0 and op in _NEUTRAL_ZERO:
                return self
            if isinstance(a, int) and op in _FOLD:
                return Value(self.emitter, _FOLD[op](a, b), self.width)
        return Value(self.emitter, self.emitter.binary(op, a, b, self.width), self.width)

    def _compare(self, predicate: str, other: Value | int) -> Value:
        right = self.like(other)
        if right.width != self.width:
            raise ValueError(f"compare of i{self.width} and i{right.width}")
        return Value(self.emitter, self.emitter.compare(predicate, self.operand, right.operand, self.width), 1)

    def __add__(self, other: Value | int) -> Value:
        return self._binary("add", other)

    def __sub__(self, other: Value | int) -> Value:
        return self._binary("sub", other)

    def __mul__(self, other: Value | int) -> Value:
        return self._binary("mul", other)

    def __and__(self, other: Value | int) -> Value:
        return self._binary("and", other)

    def __or__(self, other: Value | int) -> Value:
        return self._binary("or", other)

    def __xor__(self, other: Value | int) -> Value:
        return self._binary("xor", other)

    def __lshift__(self, other: Value | int) -> Value:
        return self._binary("shl", other)

    def __rshift__(self, other: Value | int) -> Value:
        """Logical shift right."""
        return self._binary("lshr", other)

    def __invert__(self) -> Value:
        return self._binary("xor", mask(self.width))

    def __neg__(self) -> Value:
        return Value(self.emitter, 0, self.width)._binary("sub", self)

    def sra(self, other: Value | int) -> Value:
        """Arithmetic shift right."""
        return self._binary("ashr", other)

    def udiv(self, other: Value | int) -> Value:
        return self._binary("udiv", other)

    def sdiv(self, other: Value | int) -> Value:
        return self._binary("sdiv", other)

    def urem(self, other: Value | int) -> Value:
        return self._binary("urem", other)

    def srem(self, other: Value | int) -> Value:
        return self._binary("srem", other)

    def __eq__(self, other: Value | int) -> Value:  # type: ignore[override]
        return self._compare("eq", other)

    def __ne__(self, other: Value | int) -> Value:  # type: ignore[override]
        return self._compare("ne", other)

    def slt(self, other: Value | int) -> Value:
        return self._compare("slt", other)

    def sge(self, other: Value | int) -> Value:
        return self._compare("sge", other)

    def ult(self, other: Value | int) -> Value:
        return self._compare("ult", other)

    def uge(self, other: Value | int) -> Value:
        return self._compare("uge", other)

    def sext(self, width: int = 64) -> Value:
        """Sign-extended to `width` bits."""
        return self._cast("sext", width)

    def zext(self, width: int = 64) -> Value:
        """Zero-extended to `width` bits."""
        return self._cast("zext", width)

    def trunc(self, width: int) -> Value:
        """The low `width` bits."""
        return self._cast("trunc", width)

    def sext32(self) -> Value:
        """Bits 31..0 sign-extended to 64: what the W instructions leave in rd."""
        return self.trunc(32).sext(64)

    def _cast(self, kind: str, width: int) -> Value:
        if width == self.width:
            return self
        if isinstance(self.operand, int):
            return Value(self.emitter, signed(self.operand, self.width) if kind == "sext" else self.operand, width)
        return Value(self.emitter, self.emitter.cast(kind, self.operand, self.width, width), width)

    def select(self, a: Value | int, b: Value | int) -> Value:
        """`a` where this one-bit value is 1, else `b`. At least one of them is a Value, else 64-bit constants are taken."""
        if not isinstance(a, Value):
            a = b.like(a) if isinstance(b, Value) else Value(self.emitter, a)
        b = a.like(b)
        if a.width != b.width:
            raise ValueError(f"select of i{a.width} and i{b.width}")
        if isinstance(self.operand, int):
            return a if self.operand else b
        return Value(self.emitter, self.emitter.select(self.operand, a.operand, b.operand, a.width), a.width)

    def bits(self, high: int, low: int) -> Value:
        """The field high..low, right-aligned, in the same width."""
        return (self >> low) & mask(high - low + 1)

    def bit(self, index: int) -> Value:
        """Bit `index` as a one-bit value."""
        return (self & (1 << index)) != 0

    def put(self, high: int, low: int, field: Value | int) -> Value:
        """A copy with the field high..low replaced by the low bits of `field`."""
        ones = mask(high - low + 1)
        cleared = self & (mask(self.width) ^ (ones << low))
        if isinstance(field, int):
            return cleared | ((field & ones) << low)
        return cleared | ((field & ones) << low)
