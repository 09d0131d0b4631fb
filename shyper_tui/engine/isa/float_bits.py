"""Floating point that needs no rounding: comparisons, minimum and maximum, classes, signs, NaN boxing.

Written with integer operations on the bit patterns, so that every back end runs it, and exact with its flags. Operands
have the format's width; flags are 64-bit values as `fflags` encodes them.
"""

from __future__ import annotations

from .float_format import Flag, Format
from .value import Value, mask


def box(value: Value) -> Value:
    """A value as an f register holds it: narrower ones NaN-boxed, all upper bits set."""
    if value.width == 64:
        return value
    return value.zext(64) | (mask(64) ^ mask(value.width))


def unbox(register: Value, fmt: Format) -> Value:
    """An f register as an operand: what is not properly NaN-boxed counts as the canonical NaN."""
    if fmt.width == 64:
        return register
    boxed = register.uge(mask(64) ^ mask(fmt.width))
    return boxed.select(register.trunc(fmt.width), fmt.canonical_nan)


def magnitude(a: Value, fmt: Format) -> Value:
    return a & (fmt.sign_bit - 1)


def negative(a: Value, fmt: Format) -> Value:
    """The sign bit is set (also of NaNs and zeros)."""
    return a.uge(fmt.sign_bit)


def is_nan(a: Value, fmt: Format) -> Value:
    return magnitude(a, fmt).uge(fmt.infinity + 1)


def is_signaling(a: Value, fmt: Format) -> Value:
    """A signaling NaN: its fraction is not zero and lacks the top bit."""
    return (magnitude(a, fmt) - (fmt.infinity + 1)).ult(fmt.quiet_bit - 1)


def invalid_if(condition: Value) -> Value:
    """NV where the one-bit condition holds."""
    return condition.zext(64) * int(Flag.NV)


def _either_nan(a: Value, b: Value, fmt: Format) -> Value:
    return is_nan(a, fmt) | is_nan(b, fmt)


def _either_signaling(a: Value, b: Value, fmt: Format) -> Value:
    return is_signaling(a, fmt) | is_signaling(b, fmt)


def _both_zero(a: Value, b: Value, fmt: Format) -> Value:
    return magnitude(a | b, fmt) == 0


def _below(a: Value, b: Value, fmt: Format) -> Value:
    """a orders before b, with -0 before +0; neither is NaN. Negative patterns order backwards."""
    both_negative = negative(a & b, fmt)
    return both_negative.select(b.slt(a), a.slt(b))


def equal(a: Value, b: Value, fmt: Format) -> tuple[Value, Value]:
    """FEQ: (one bit, flags). Quiet: only signaling NaNs are invalid."""
    same = (a == b) | _both_zero(a, b, fmt)
    return same & ~_either_nan(a, b, fmt), invalid_if(_either_signaling(a, b, fmt))


def less(a: Value, b: Value, fmt: Format) -> tuple[Value, Value]:
    """FLT: (one bit, flags). Signaling: any NaN is invalid."""
    unordered = _either_nan(a, b, fmt)
    return _below(a, b, fmt) & ~_both_zero(a, b, fmt) & ~unordered, invalid_if(unordered)


def less_equal(a: Value, b: Value, fmt: Format) -> tuple[Value, Value]:
    """FLE: (one bit, flags). Signaling: any NaN is invalid."""
    unordered = _either_nan(a, b, fmt)
    return (~_below(b, a, fmt) | _both_zero(a, b, fmt)) & ~unordered, invalid_if(unordered)


def _prefer(a: Value, b: Value, first: Value, fmt: Format) -> tuple[Value, Value]:
    """`a` where `first`, else `b`; the other one when one is NaN, and the canonical NaN when both are."""
    number = is_nan(a, fmt).select(b, is_nan(b, fmt).select(a, first.select(a, b)))
    result = is_nan(number, fmt).select(fmt.canonical_nan, number)
    return result, invalid_if(_either_signaling(a, b, fmt))


def minimum(a: Value, b: Value, fmt: Format) -> tuple[Value, Value]:
    """FMIN, IEEE 754-2019's minimumNumber with -0 below +0: (pattern, flags)."""
    return _prefer(a, b, _below(a, b, fmt), fmt)


def maximum(a: Value, b: Value, fmt: Format) -> tuple[Value, Value]:
    """FMAX, IEEE 754-2019's maximumNumber with -0 below +0: (pattern, flags)."""
    return _prefer(a, b, _below(b, a, fmt), fmt)


def classify(a: Value, fmt: Format) -> Value:
    """FCLASS: 64 bits, one of the low ten set."""
    size = magnitude(a, fmt)
    # Classes by magnitude for negative numbers, 0 infinite, 1 normal, 2 subnormal, 3 zero; mirrored to 7..4 for positive.
    nearness = (size == fmt.infinity).select(
        a.like(0), size.uge(1 << fmt.fraction_bits).select(a.like(1), (size != 0).select(a.like(2), a.like(3)))
    )
    number = negative(a, fmt).select(nearness, a.like(7) - nearness)
    nan = is_signaling(a, fmt).select(a.like(8), a.like(9))
    return a.like(1).zext(64) << is_nan(a, fmt).select(nan, number).zext(64)


def with_sign(a: Value, sign: Value, fmt: Format) -> Value:
    """`a` with the sign bit of `sign` (FSGNJ)."""
    return magnitude(a, fmt) | (sign & fmt.sign_bit)


def negate(a: Value, fmt: Format) -> Value:
    """`a` with its sign bit inverted, whatever it is."""
    return a ^ fmt.sign_bit
