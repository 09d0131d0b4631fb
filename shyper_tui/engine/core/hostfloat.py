"""Floating point on the host's own unit where result and flags are certain to be exactly RISC-V's.

The host computes in its default mode (round to nearest, exceptions masked, subnormals kept) and is never asked for its
status. Instead an *exact* test says whether a result is inexact, by the classical error-free transformations: the error
of a sum is TwoSum's second part, the error of a product or quotient a fused multiply-add (Muller et al., Handbook of
Floating-Point Arithmetic, chapters 4 and 5; Boldo and Muller 2011 for the error of a fused multiply-add). Binary32
errors are computed in binary64, where products of two binary32 numbers are exact.

What is left over (other rounding modes, NaNs, overflow, results that might be subnormal) is reported as not `ok`, and
`core.softfloat` does it.
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Callable
from typing import NamedTuple

import llvmlite.binding as llvm

from shyper_tui.engine.isa.float_bits import invalid_if, is_nan, is_signaling, magnitude
from shyper_tui.engine.isa.float_format import BINARY32, FORMATS, INTEGERS, Format, Rounding
from shyper_tui.engine.isa.value import Value

from .llvm import LlvmBuilder

DECLARATIONS = """
declare float @llvm.sqrt.f32(float)
declare double @llvm.sqrt.f64(double)
declare float @llvm.fma.f32(float, float, float)
declare double @llvm.fma.f64(double, double, double)
declare float @llvm.fabs.f32(float)
declare double @llvm.fabs.f64(double)
"""
"""What a module that uses this must declare."""

_TYPE = {32: "float", 64: "double"}


def host_has_fma() -> bool:
    """The host multiplies and adds with one rounding in hardware."""
    machine = platform.machine().lower()
    return machine in ("aarch64", "arm64") or bool(llvm.get_host_cpu_features().get("fma"))


class Fast(NamedTuple):
    """A native result. `result` has the operation's width, `flags` (to be ORed into fflags) 64 bits, `ok` one bit.

    Without `ok`, `result` and `flags` mean nothing.
    """

    result: Value
    flags: Value
    ok: Value


class HostFloat:
    """Emits the fast paths of one format's operations.

    `fma` tells whether the host has fused multiply-add instructions; without them LLVM would call a library, and the
    operations that need one are left to softfloat.
    """

    def __init__(self, builder: LlvmBuilder, fmt: Format, *, fma: bool) -> None:
        self.b, self.fmt, self.fma = builder, fmt, fma
        self.type = _TYPE[fmt.width]

    # Emission of single instructions; host numbers are named by the strings of their LLVM registers.
    def _number(self, bits: Value) -> str:
        return self.b.name(f"bitcast i{bits.width} {bits.operand} to {_TYPE[bits.width]}")

    def _bits(self, number: str) -> Value:
        return self.b.define(f"bitcast {self.type} {number} to i{self.fmt.width}", self.fmt.width)

    def _op(self, operation: str, x: str, y: str, kind: str = "") -> str:
        return self.b.name(f"{operation} {kind or self.type} {x}, {y}")

    def _call(self, intrinsic: str, *arguments: str) -> str:
        passed = ", ".join(f"{self.type} {argument}" for argument in arguments)
        return self.b.name(f"call {self.type} @llvm.{intrinsic}.f{self.fmt.width}({passed})")

    def _negated(self, x: str) -> str:
        return self.b.name(f"fneg {self.type} {x}")

    def _wide(self, x: str) -> str:
        return self.b.name(f"fpext float {x} to double")

    def _test(self, predicate: str, x: str, y: str, kind: str = "") -> Value:
        return self.b.define(f"fcmp {predicate} {kind or self.type} {x}, {y}", 1)

    def _constant(self, number: float) -> str:
        """A constant that is exact in the format (LLVM writes binary32 constants as binary64 patterns too)."""
        return f"0x{struct.unpack('>Q', struct.pack('>d', number))[0]:016X}"

    # Conditions
    def _comfortable(self, result: Value, spare: int = 1) -> Value:
        """Finite and at least 2**spare times the smallest normal number, hence neither overflow nor underflow."""
        low = (1 + spare) << self.fmt.fraction_bits
        return (magnitude(result, self.fmt) - low).ult(self.fmt.infinity - low)

    def _moderate(self, operand: Value) -> Value:
        """Finite and small enough that sums of a few such numbers cannot overflow."""
        return magnitude(operand, self.fmt).ult(self.fmt.infinity - (4 << self.fmt.fraction_bits))

    def _zero_by_zero(self, product: str, a: Value, b: Value) -> Value:
        """The product is zero because an operand is (so it is exact), not because it was too small."""
        zero_operand = (magnitude(a, self.fmt) == 0) | (magnitude(b, self.fmt) == 0)
        return self._test("oeq", product, self._constant(0)) & zero_operand

    def _finish(self, result: Value, inexact: Value, ok: Value, rounding: Value) -> Fast:
        return Fast(result, inexact.zext(64), ok & (rounding == int(Rounding.RNE)))

    def _two_sum_error(self, a: str, b: str, total: str, kind: str = "") -> str:
        """a + b - total, exactly, for total = a + b rounded to nearest without overflow (Knuth's TwoSum)."""
        b_part = self._op("fsub", total, a, kind)
        a_part = self._op("fsub", total, b_part, kind)
        return self._op("fadd", self._op("fsub", a, a_part, kind), self._op("fsub", b, b_part, kind), kind)

    # Operations
    def add(self, rounding: Value, a: Value, b: Value) -> Fast:
        x, y = self._number(a), self._number(b)
        total = self._op("fadd", x, y)
        result = self._bits(total)
        # Sums that are subnormal are exact, so there is no lower bound. A moderate sum of a moderate and another number
        # means that the other one is finite.
        ok = self._moderate(a) & self._moderate(result)
        return self._finish(
            result, self._test("une", self._two_sum_error(x, y, total), self._constant(0)), ok, rounding
        )

    def subtract(self, rounding: Value, a: Value, b: Value) -> Fast:
        return self.add(rounding, a, b ^ self.fmt.sign_bit)

    def multiply(self, rounding: Value, a: Value, b: Value) -> Fast:
        x, y = self._number(a), self._number(b)
        product = self._op("fmul", x, y)
        result = self._bits(product)
        if self.fmt is BINARY32:
            true_product = self._op("fmul", self._wide(x), self._wide(y), "double")
            exact = self._test("oeq", true_product, self._wide(product), "double")
            return self._finish(result, ~exact, exact | self._comfortable(result), rounding)
        if not self.fma:
            return self._never(result)
        zero = self._zero_by_zero(product, a, b)
        error = self._call("fma", x, y, self._negated(product))
        # The error is a multiple of 2**(exponent(product) - 2 * precision): keep that above the least subnormal.
        ok = self._comfortable(result, self.fmt.precision + 2) | zero
        return self._finish(result, self._test("une", error, self._constant(0)), ok, rounding)

    def divide(self, rounding: Value, a: Value, b: Value) -> Fast:
        x, y = self._number(a), self._number(b)
        quotient = self._op("fdiv", x, y)
        result = self._bits(quotient)
        if self.fmt is BINARY32:
            back = self._op("fmul", self._wide(quotient), self._wide(y), "double")
            exact = self._test("oeq", back, self._wide(x), "double")
            # Infinity divided by a finite number is rightly exact here; a number divided by zero is not.
            return self._finish(result, ~exact, exact | self._comfortable(result), rounding)
        if not self.fma:
            return self._never(result)
        zero = (magnitude(a, self.fmt) == 0) & self._test("oeq", quotient, self._constant(0))
        remainder = self._call("fma", self._negated(quotient), y, x)
        ok = (self._comfortable(result) & self._comfortable(a, self.fmt.precision + 2)) | zero
        # ordered: zero divided by infinity is exact, and its remainder not a number
        return self._finish(result, self._test("one", remainder, self._constant(0)), ok, rounding)

    def square_root(self, rounding: Value, a: Value) -> Fast:
        x = self._number(a)
        root = self._call("sqrt", x)
        result = self._bits(root)
        if self.fmt is BINARY32:
            square = self._op("fmul", self._wide(root), self._wide(root), "double")
            exact = self._test("oeq", square, self._wide(x), "double")
            return self._finish(result, ~exact, exact | a.ult(self.fmt.infinity), rounding)
        if not self.fma:
            return self._never(result)
        remainder = self._call("fma", self._negated(root), root, x)
        ok = (self._comfortable(a, self.fmt.precision + 2) & a.ult(self.fmt.infinity)) | (magnitude(a, self.fmt) == 0)
        return self._finish(result, self._test("une", remainder, self._constant(0)), ok, rounding)

    def fused_multiply_add(self, rounding: Value, a: Value, b: Value, c: Value) -> Fast:
        if not self.fma:
            return self._never(a)
        x, y, z = self._number(a), self._number(b), self._number(c)
        total = self._call("fma", x, y, z)
        result = self._bits(total)
        if self.fmt is BINARY32:
            product = self._op("fmul", self._wide(x), self._wide(y), "double")
            addend = self._wide(z)
            wide = self._op("fadd", product, addend, "double")
            error = self._two_sum_error(product, addend, wide, "double")
            same = self._test("oeq", wide, self._wide(total), "double")
            exact = same & self._test("oeq", error, self._constant(0), "double")
            return self._finish(result, ~exact, exact | self._comfortable(result), rounding)
        # Boldo and Muller's ErrFma: a * b + c = total + (gamma + small) exactly; a rounded sum is zero only if it is.
        product = self._op("fmul", x, y)
        product_bits = self._bits(product)
        low = self._call("fma", x, y, self._negated(product))
        middle = self._op("fadd", z, low)
        small = self._two_sum_error(z, low, middle)
        high = self._op("fadd", product, middle)
        carry = self._two_sum_error(product, middle, high)
        gamma = self._op("fadd", self._op("fsub", high, total), carry)
        inexact = self._test("une", self._op("fadd", gamma, small), self._constant(0))
        # Every part is a multiple of the product's last digit or the addend's, so a subnormal total is exact.
        zero = self._zero_by_zero(product, a, b)
        usual = self._comfortable(product_bits, self.fmt.precision + 2) & self._moderate(product_bits)
        return self._finish(result, inexact, (usual | zero) & self._moderate(c), rounding)

    # Conversions
    def narrow(self, rounding: Value, a: Value) -> Fast:
        """Binary64 to binary32 (this object's format)."""
        number = self._number(a)
        single = self.b.name(f"fptrunc double {number} to float")
        exact = self._test("oeq", self._wide(single), number, "double")
        result = self._bits(single)
        return self._finish(result, ~exact, exact | self._comfortable(result), rounding)

    def widen(self, rounding: Value, a: Value) -> Fast:
        """Binary32 to binary64 (this object's format): exact, in every rounding mode."""
        result = self._bits(self._wide(self._number(a)))
        result = is_nan(a, BINARY32).select(self.fmt.canonical_nan, result)
        return Fast(result, invalid_if(is_signaling(a, BINARY32)), self.b.const(1, 1))

    def from_integer(self, rounding: Value, value: Value, signed: bool) -> Fast:
        number = self.b.name(f"{'sitofp' if signed else 'uitofp'} i{value.width} {value.operand} to {self.type}")
        result = self._bits(number)
        if value.width < self.fmt.precision:
            return Fast(result, self.b.const(0), self.b.const(1, 1))
        # Inexact when it does not convert back; the few that round up to 2**width do not fit there.
        limit = self._constant(2.0 ** (value.width - signed))
        back = self._frozen_integer(number, value.width, signed)
        return self._finish(result, back != value, self._test("olt", number, limit), rounding)

    def _frozen_integer(self, number: str, width: int, signed: bool) -> Value:
        """Truncated to an integer; some integer when it does not fit (LLVM's poison, pinned)."""
        integer = self.b.name(f"{'fptosi' if signed else 'fptoui'} {self.type} {number} to i{width}")
        return self.b.define(f"freeze i{width} {integer}", width)

    def to_integer(self, rounding: Value, a: Value, width: int, signed: bool) -> Fast:
        """In every rounding mode: truncates, and steps away from zero as the exact fraction that was cut off asks."""
        number = self._number(a)
        unsigned_long = width == 64 and not signed
        if unsigned_long:
            # fits whatever the rounding: non-negative and below 2**64; -0 counts as zero
            in_range = self._test("oge", number, self._constant(0)) & self._test("olt", number, self._constant(2.0**64))
        else:
            in_range = self._test("olt", self._call("fabs", number), self._constant(2.0**63))
        integer = self._frozen_integer(number, 64, not unsigned_long)
        whole = self.b.name(f"{'uitofp' if unsigned_long else 'sitofp'} i64 {integer.operand} to {self.type}")
        fraction = self._op("fsub", number, whole)
        inexact = self._test("une", fraction, self._constant(0))
        below = a.uge(self.fmt.sign_bit)  # a fraction has its number's sign
        half = self._constant(0.5)
        cut = self._call("fabs", fraction)
        over, tie = self._test("ogt", cut, half), self._test("oeq", cut, half)
        # Reserved rounding modes never get here.
        away = (
            ((rounding == int(Rounding.RNE)) & (over | (tie & ((integer & 1) != 0))))
            | ((rounding == int(Rounding.RDN)) & inexact & below)
            | ((rounding == int(Rounding.RUP)) & inexact & ~below)
            | ((rounding == int(Rounding.RMM)) & (over | tie))
        )
        rounded = away.select(integer + below.select(self.b.const(-1), self.b.const(1)), integer)
        if width == 32:
            low = rounded.trunc(32)
            fits = (low.sext(64) if signed else low.zext(64)) == rounded
            return Fast(low, inexact.zext(64), in_range & fits)
        return Fast(rounded, inexact.zext(64), in_range)

    def _never(self, result: Value) -> Fast:
        return Fast(result, self.b.const(0), self.b.const(0, 1))


def perform(
    builder: LlvmBuilder, operation: str, rounding: Value, operands: tuple[Value, ...], *, fma: bool = True
) -> Fast:
    """The fast path of an operation named as for `softfloat.perform`; `rounding` is a valid mode, 64 bits."""
    name, *letters = operation.split(".")
    if name == "fcvt":
        target, source = letters
        if target in INTEGERS:
            host = HostFloat(builder, FORMATS[source], fma=fma)
            return host.to_integer(rounding, operands[0], *INTEGERS[target])
        host = HostFloat(builder, FORMATS[target], fma=fma)
        if source in INTEGERS:
            return host.from_integer(rounding, operands[0], INTEGERS[source][1])
        return (host.narrow if host.fmt is BINARY32 else host.widen)(rounding, operands[0])
    host = HostFloat(builder, FORMATS[letters[0]], fma=fma)
    methods: dict[str, Callable[..., Fast]] = {
        "fadd": host.add,
        "fsub": host.subtract,
        "fmul": host.multiply,
        "fdiv": host.divide,
        "fsqrt": host.square_root,
        "fmadd": host.fused_multiply_add,
    }
    return methods[name](rounding, *operands)
