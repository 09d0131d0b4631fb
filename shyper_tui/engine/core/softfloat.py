"""Exact IEEE 754 arithmetic on bit patterns, with RISC-V's rules (Unprivileged ISA, chapters "F" and "D").

Operands and results are unsigned integers that hold binary32 or binary64 patterns; every function is pure and returns
`(result, flags)` with `flags` as `fflags` encodes them. Python's unlimited integers make each operation three steps:
take the operands apart, compute the exact result (or its leading digits and whether more follow), and round once in
`round_pack`.

Rules of RISC-V where IEEE 754 leaves a choice: every NaN result is the canonical one; tininess is detected after
rounding; infinity times zero is invalid in a fused multiply-add even when the addend is a quiet NaN; conversions to
integers saturate, and NaN becomes the largest integer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isqrt
from typing import NamedTuple

from shyper_tui.engine.isa.float_format import FORMATS, INTEGERS, Flag, Format, Rounding

__all__ = [
    "add",
    "classify",
    "convert",
    "divide",
    "equal",
    "from_integer",
    "fused_multiply_add",
    "less",
    "less_equal",
    "maximum",
    "minimum",
    "multiply",
    "perform",
    "round_pack",
    "square_root",
    "subtract",
    "to_integer",
]

Result = tuple[int, int]

NX, UF, OF, DZ, NV = (int(flag) for flag in (Flag.NX, Flag.UF, Flag.OF, Flag.DZ, Flag.NV))


class Unpacked(NamedTuple):
    """A number taken apart. Finite: (-1)**sign * significand * 2**exponent, exactly."""

    sign: int
    exponent: int
    significand: int
    infinite: bool = False
    nan: bool = False
    signaling: bool = False

    @property
    def zero(self) -> bool:
        return self.significand == 0 and not self.infinite and not self.nan


def unpack(bits: int, fmt: Format) -> Unpacked:
    """Takes a bit pattern apart; subnormal numbers need no normalising because significands are integers."""
    sign = bits >> (fmt.width - 1)
    biased = bits >> fmt.fraction_bits & fmt.exponent_mask
    fraction = bits & fmt.fraction_mask
    if biased == fmt.exponent_mask:
        signaling = fraction != 0 and not fraction & fmt.quiet_bit
        return Unpacked(sign, 0, 0, infinite=fraction == 0, nan=fraction != 0, signaling=signaling)
    if biased == 0:
        return Unpacked(sign, fmt.min_exponent - fmt.fraction_bits, fraction)
    return Unpacked(sign, biased - fmt.bias - fmt.fraction_bits, fraction | 1 << fmt.fraction_bits)


def _signed(sign: int, magnitude: int, fmt: Format) -> int:
    return magnitude | sign << (fmt.width - 1)


def _round_to_integer(sign: int, numerator: int, shift: int, rounding: int) -> tuple[int, bool]:
    """Rounds numerator / 2**shift (shift > 0), the magnitude of a number with that sign.

    Returns the rounded magnitude and whether it is inexact.
    """
    integer = numerator >> shift
    remainder = numerator & ((1 << shift) - 1)
    half = 1 << (shift - 1)
    if rounding == Rounding.RNE:
        up = remainder > half or (remainder == half and integer & 1 == 1)
    elif rounding == Rounding.RTZ:
        up = False
    elif rounding == Rounding.RDN:
        up = sign == 1 and remainder != 0
    elif rounding == Rounding.RUP:
        up = sign == 0 and remainder != 0
    else:
        up = remainder >= half
    return integer + up, remainder != 0


def round_pack(sign: int, exponent: int, significand: int, sticky: bool, fmt: Format, rounding: int) -> Result:
    """Rounds (-1)**sign * (significand + e) * 2**exponent to the format; 0 < e < 1 when `sticky`, else e = 0.

    The significand is not zero, and has more bits than the format's precision when it is sticky.
    """
    # Extra zero bits below keep every shift positive and the sticky bit below the rounding position.
    extra = fmt.precision + 2
    significand = significand << extra | sticky
    exponent -= extra

    # Rounded as if the exponent had no lower bound: the result of normal numbers, and what decides tininess.
    shift = significand.bit_length() - fmt.precision
    rounded, inexact = _round_to_integer(sign, significand, shift, rounding)
    tiny = rounded.bit_length() + exponent + shift <= fmt.min_exponent  # below 2**min_exponent
    least = fmt.min_exponent - fmt.fraction_bits - exponent
    if shift < least:  # subnormal numbers have fewer digits
        shift = least
        rounded, inexact = _round_to_integer(sign, significand, shift, rounding)
    quantum = exponent + shift
    if tiny:
        return _signed(sign, rounded, fmt), UF | NX if inexact else 0
    if rounded.bit_length() > fmt.precision:  # carried into a new digit, so the low bit is zero
        rounded >>= 1
        quantum += 1
    if quantum + fmt.fraction_bits > fmt.bias:
        away = rounding in (Rounding.RNE, Rounding.RMM) or rounding == (Rounding.RDN if sign else Rounding.RUP)
        return _signed(sign, fmt.infinity if away else fmt.largest, fmt), OF | NX
    biased = quantum + fmt.fraction_bits + fmt.bias
    fraction = rounded - (1 << fmt.fraction_bits)
    return _signed(sign, (biased << fmt.fraction_bits) + fraction, fmt), NX if inexact else 0


def _nan(fmt: Format, *operands: Unpacked) -> Result:
    """The result of an operation with at least one NaN operand."""
    return fmt.canonical_nan, NV if any(operand.signaling for operand in operands) else 0


def _sum(a: Unpacked, b: Unpacked, fmt: Format, rounding: int) -> Result:
    """Adds two finite numbers of any size and rounds once."""
    exponent = min(a.exponent, b.exponent)
    left = a.significand << (a.exponent - exponent)
    right = b.significand << (b.exponent - exponent)
    total = (-left if a.sign else left) + (-right if b.sign else right)
    if total == 0:
        # Equal signs keep the sign; opposite numbers give +0, and -0 only when rounding down (IEEE 754, 6.3).
        sign = a.sign if a.sign == b.sign else int(rounding == Rounding.RDN)
        return _signed(sign, 0, fmt), 0
    return round_pack(int(total < 0), exponent, abs(total), False, fmt, rounding)


def add(a: int, b: int, fmt: Format, rounding: int) -> Result:
    """a + b."""
    x, y = unpack(a, fmt), unpack(b, fmt)
    if x.nan or y.nan:
        return _nan(fmt, x, y)
    if x.infinite and y.infinite and x.sign != y.sign:
        return fmt.canonical_nan, NV
    if x.infinite or y.infinite:
        return a if x.infinite else b, 0
    return _sum(x, y, fmt, rounding)


def subtract(a: int, b: int, fmt: Format, rounding: int) -> Result:
    """a - b."""
    return add(a, b ^ fmt.sign_bit, fmt, rounding)


def multiply(a: int, b: int, fmt: Format, rounding: int) -> Result:
    """a * b."""
    x, y = unpack(a, fmt), unpack(b, fmt)
    sign = x.sign ^ y.sign
    if x.nan or y.nan:
        return _nan(fmt, x, y)
    if x.infinite or y.infinite:
        return (fmt.canonical_nan, NV) if x.zero or y.zero else (_signed(sign, fmt.infinity, fmt), 0)
    if x.zero or y.zero:
        return _signed(sign, 0, fmt), 0
    return round_pack(sign, x.exponent + y.exponent, x.significand * y.significand, False, fmt, rounding)


def fused_multiply_add(a: int, b: int, c: int, fmt: Format, rounding: int) -> Result:
    """a * b + c, rounded once."""
    x, y, z = unpack(a, fmt), unpack(b, fmt), unpack(c, fmt)
    sign = x.sign ^ y.sign
    if (x.infinite and y.zero) or (x.zero and y.infinite):
        return fmt.canonical_nan, NV
    if x.nan or y.nan or z.nan:
        return _nan(fmt, x, y, z)
    if x.infinite or y.infinite:
        if z.infinite and z.sign != sign:
            return fmt.canonical_nan, NV
        return _signed(sign, fmt.infinity, fmt), 0
    if z.infinite:
        return c, 0
    return _sum(Unpacked(sign, x.exponent + y.exponent, x.significand * y.significand), z, fmt, rounding)


def divide(a: int, b: int, fmt: Format, rounding: int) -> Result:
    """a / b."""
    x, y = unpack(a, fmt), unpack(b, fmt)
    sign = x.sign ^ y.sign
    if x.nan or y.nan:
        return _nan(fmt, x, y)
    if (x.infinite and y.infinite) or (x.zero and y.zero):
        return fmt.canonical_nan, NV
    if x.infinite:
        return _signed(sign, fmt.infinity, fmt), 0
    if y.zero:
        return _signed(sign, fmt.infinity, fmt), DZ
    if x.zero or y.infinite:
        return _signed(sign, 0, fmt), 0
    # A quotient has at least bit_length(dividend) - bit_length(divisor) bits.
    scale = max(0, fmt.precision + 2 + y.significand.bit_length() - x.significand.bit_length())
    quotient, remainder = divmod(x.significand << scale, y.significand)
    return round_pack(sign, x.exponent - y.exponent - scale, quotient, remainder != 0, fmt, rounding)


def square_root(a: int, fmt: Format, rounding: int) -> Result:
    """The square root; of -0 it is -0, of any other negative number invalid."""
    x = unpack(a, fmt)
    if x.nan:
        return _nan(fmt, x)
    if x.zero:
        return a, 0
    if x.sign:
        return fmt.canonical_nan, NV
    if x.infinite:
        return a, 0
    scale = 2 * fmt.precision + 4
    scale += (x.exponent - scale) & 1  # the scaled number's exponent must be even
    radicand = x.significand << scale
    root = isqrt(radicand)
    return round_pack(0, (x.exponent - scale) // 2, root, root * root != radicand, fmt, rounding)


def _select(a: int, b: int, fmt: Format, take_a: bool) -> Result:
    """minimumNumber and maximumNumber (IEEE 754-2019, 9.6) once it is known which of two numbers wins."""
    x, y = unpack(a, fmt), unpack(b, fmt)
    flags = NV if x.signaling or y.signaling else 0
    if x.nan and y.nan:
        return fmt.canonical_nan, flags
    if x.nan or y.nan:
        return (b if x.nan else a), flags
    return (a if take_a else b), flags


def _ordinal(a: int, fmt: Format) -> int:
    """An integer that orders numbers as their values do, with -0 just below +0."""
    return ~(a ^ fmt.sign_bit) if a & fmt.sign_bit else a


def minimum(a: int, b: int, fmt: Format) -> Result:
    """The smaller number; the other operand when one is NaN."""
    return _select(a, b, fmt, _ordinal(a, fmt) <= _ordinal(b, fmt))


def maximum(a: int, b: int, fmt: Format) -> Result:
    """The larger number; the other operand when one is NaN."""
    return _select(a, b, fmt, _ordinal(a, fmt) >= _ordinal(b, fmt))


def _both_zero(a: int, b: int, fmt: Format) -> bool:
    return (a | b) & ~fmt.sign_bit == 0


def equal(a: int, b: int, fmt: Format) -> Result:
    """a == b, a quiet comparison: only signaling NaNs are invalid."""
    x, y = unpack(a, fmt), unpack(b, fmt)
    if x.nan or y.nan:
        return 0, NV if x.signaling or y.signaling else 0
    return int(a == b or _both_zero(a, b, fmt)), 0


def less(a: int, b: int, fmt: Format) -> Result:
    """a < b, a signaling comparison: any NaN is invalid."""
    if unpack(a, fmt).nan or unpack(b, fmt).nan:
        return 0, NV
    return int(_ordinal(a, fmt) < _ordinal(b, fmt) and not _both_zero(a, b, fmt)), 0


def less_equal(a: int, b: int, fmt: Format) -> Result:
    """a <= b, a signaling comparison: any NaN is invalid."""
    if unpack(a, fmt).nan or unpack(b, fmt).nan:
        return 0, NV
    return int(_ordinal(a, fmt) <= _ordinal(b, fmt) or _both_zero(a, b, fmt)), 0


def classify(a: int, fmt: Format) -> Result:
    """FCLASS: one bit of ten set, for the operand's class."""
    x = unpack(a, fmt)
    if x.nan:
        return 1 << (8 if x.signaling else 9), 0
    if x.infinite:
        distance = 0
    elif x.zero:
        distance = 3
    elif x.significand >> fmt.fraction_bits:
        distance = 1
    else:
        distance = 2
    # Negative classes from -infinity (0) to -0 (3), positive ones mirrored: +0 (4) to +infinity (7).
    return 1 << (distance if x.sign else 7 - distance), 0


def convert(a: int, source: Format, target: Format, rounding: int) -> Result:
    """Converts between formats."""
    x = unpack(a, source)
    if x.nan:
        return _nan(target, x)
    if x.infinite:
        return _signed(x.sign, target.infinity, target), 0
    if x.zero:
        return _signed(x.sign, 0, target), 0
    return round_pack(x.sign, x.exponent, x.significand, False, target, rounding)


def to_integer(a: int, fmt: Format, rounding: int, width: int, signed: bool) -> Result:
    """Converts to an integer; the result is its pattern of `width` bits (two's complement when signed).

    What does not fit after rounding gives the nearest integer that does, and NaN the largest one; both are invalid and
    never inexact.
    """
    x = unpack(a, fmt)
    largest = (1 << (width - 1)) - 1 if signed else (1 << width) - 1
    smallest = -(1 << (width - 1)) if signed else 0
    mask = (1 << width) - 1
    if x.nan or x.infinite:
        return (smallest if x.infinite and x.sign else largest) & mask, NV
    if x.exponent >= 0:
        magnitude, inexact = x.significand << x.exponent, False
    else:
        magnitude, inexact = _round_to_integer(x.sign, x.significand, -x.exponent, rounding)
    value = -magnitude if x.sign else magnitude
    if value > largest or value < smallest:
        return (largest if value > 0 else smallest) & mask, NV
    return value & mask, NX if inexact else 0


def from_integer(value: int, fmt: Format, rounding: int, width: int, signed: bool) -> Result:
    """Converts a `width`-bit pattern, two's complement when signed."""
    value &= (1 << width) - 1
    if signed and value >> (width - 1):
        value -= 1 << width
    if value == 0:
        return 0, 0
    return round_pack(int(value < 0), 0, abs(value), False, fmt, rounding)


def _operations() -> dict[str, Callable[..., Result]]:
    """The operations by the names of the instructions that are rounded; arguments are the mode and the operands."""
    table: dict[str, Callable[..., Result]] = {}
    for letter, fmt in FORMATS.items():
        table[f"fadd.{letter}"] = lambda rm, a, b, fmt=fmt: add(a, b, fmt, rm)
        table[f"fsub.{letter}"] = lambda rm, a, b, fmt=fmt: subtract(a, b, fmt, rm)
        table[f"fmul.{letter}"] = lambda rm, a, b, fmt=fmt: multiply(a, b, fmt, rm)
        table[f"fdiv.{letter}"] = lambda rm, a, b, fmt=fmt: divide(a, b, fmt, rm)
        table[f"fsqrt.{letter}"] = lambda rm, a, fmt=fmt: square_root(a, fmt, rm)
        table[f"fmadd.{letter}"] = lambda rm, a, b, c, fmt=fmt: fused_multiply_add(a, b, c, fmt, rm)
        for name, (width, signed) in INTEGERS.items():
            to = partial(to_integer, fmt=fmt, width=width, signed=signed)
            of = partial(from_integer, fmt=fmt, width=width, signed=signed)
            table[f"fcvt.{name}.{letter}"] = lambda rm, a, to=to: to(a, rounding=rm)
            table[f"fcvt.{letter}.{name}"] = lambda rm, a, of=of: of(a, rounding=rm)
    table["fcvt.s.d"] = lambda rm, a: convert(a, FORMATS["d"], FORMATS["s"], rm)
    table["fcvt.d.s"] = lambda rm, a: convert(a, FORMATS["s"], FORMATS["d"], rm)
    return table


_OPERATIONS = _operations()


def perform(operation: str, rounding: int, *operands: int) -> Result:
    """Computes the operation of a rounded instruction, for example `perform("fcvt.w.d", Rounding.RTZ, bits)`.

    FMADD stands for its whole family: negate operands first. Operands and results have the operation's own width.
    """
    return _OPERATIONS[operation](rounding, *operands)
