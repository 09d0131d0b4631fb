"""Exact floating point against the host's FPU, an independent rational-number model and the specification's cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings

from shyper_tui.engine.core import softfloat
from shyper_tui.engine.isa.float_format import BINARY32, BINARY64, Flag, Format, Rounding
from tests.core import host_fpu
from tests.core.float_operands import edges, mixed, operands

NX, UF, OF, DZ, NV = (int(flag) for flag in (Flag.NX, Flag.UF, Flag.OF, Flag.DZ, Flag.NV))
FORMATS = pytest.mark.parametrize("fmt", [BINARY32, BINARY64], ids=lambda fmt: fmt.name)
needs_host_fpu = pytest.mark.skipif(
    not host_fpu.AVAILABLE, reason="the host's FPU is the oracle on x86-64 with FMA only"
)

BINARY: dict[str, Callable[[int, int, Format, int], tuple[int, int]]] = {
    "fadd": softfloat.add,
    "fsub": softfloat.subtract,
    "fmul": softfloat.multiply,
    "fdiv": softfloat.divide,
}


def differences(
    name: str,
    fmt: Format,
    exact: Callable[..., tuple[int, int]],
    columns: Sequence[Sequence[int]],
    keep: Callable[..., bool] = lambda *_: True,
) -> list[str]:
    """Where the host and the exact function disagree, over all rounding modes the host has."""
    found = []
    for rounding in host_fpu.ROUNDINGS:
        host = host_fpu.run(name, fmt, rounding, *columns)
        for row, expected in zip(zip(*columns, strict=True), host, strict=True):
            actual = exact(*row, rounding)
            if actual != expected and keep(*row):
                found.append(
                    f"{name} {fmt.name} {rounding.name} {[hex(x) for x in row]}: {actual} but the host has {expected}"
                )
    return found


def columns(rows: Sequence[tuple[int, ...]]) -> list[list[int]]:
    return [list(column) for column in zip(*rows, strict=True)]


@needs_host_fpu
@FORMATS
@pytest.mark.parametrize("name", list(BINARY))
def test_arithmetic_agrees_with_the_host_on_every_pair_of_edges(name: str, fmt: Format) -> None:
    rows = list(product(edges(fmt), edges(fmt)))
    assert differences(name, fmt, lambda a, b, rm: BINARY[name](a, b, fmt, rm), columns(rows)) == []


@needs_host_fpu
@FORMATS
@pytest.mark.parametrize("name", list(BINARY))
def test_arithmetic_agrees_with_the_host_on_crowded_exponents(name: str, fmt: Format) -> None:
    rows = list(zip(mixed(fmt, 1500, 1), mixed(fmt, 1500, 2), strict=True))
    assert differences(name, fmt, lambda a, b, rm: BINARY[name](a, b, fmt, rm), columns(rows)) == []


def _zero_times_infinity(fmt: Format, a: int, b: int) -> bool:
    return {a & ~fmt.sign_bit, b & ~fmt.sign_bit} == {0, fmt.infinity}


def _not_the_hosts_choice(fmt: Format) -> Callable[[int, int, int], bool]:
    """RISC-V raises NV for infinity * 0 + quiet NaN, the host does not: IEEE 754 allows both."""
    return lambda a, b, c: not (_zero_times_infinity(fmt, a, b) and c & ~fmt.sign_bit >= fmt.canonical_nan)


@needs_host_fpu
@FORMATS
def test_fused_multiply_add_agrees_with_the_host(fmt: Format) -> None:
    few = edges(fmt)[::4]
    rows = list(product(few, few, few)) + list(
        zip(mixed(fmt, 2000, 3), mixed(fmt, 2000, 4), mixed(fmt, 2000, 5), strict=True)
    )
    # A product and its own negative: what remains is the rounding error of the product.
    for a, b in zip(mixed(fmt, 500, 6), mixed(fmt, 500, 7), strict=True):
        rows.append((a, b, softfloat.multiply(a, b, fmt, Rounding.RNE)[0] ^ fmt.sign_bit))
    exact = lambda a, b, c, rm: softfloat.fused_multiply_add(a, b, c, fmt, rm)  # noqa: E731
    assert differences("fma", fmt, exact, columns(rows), _not_the_hosts_choice(fmt)) == []


@FORMATS
def test_infinity_times_zero_is_invalid_even_with_a_quiet_nan_addend(fmt: Format) -> None:
    assert softfloat.fused_multiply_add(fmt.infinity, 0, fmt.canonical_nan, fmt, Rounding.RNE) == (
        fmt.canonical_nan,
        NV,
    )
    assert softfloat.fused_multiply_add(0, fmt.infinity, fmt.canonical_nan, fmt, Rounding.RNE) == (
        fmt.canonical_nan,
        NV,
    )


@needs_host_fpu
@FORMATS
def test_square_root_agrees_with_the_host(fmt: Format) -> None:
    values = edges(fmt) + mixed(fmt, 2000, 8)
    # Squares and their neighbours: exact roots, and roots just off.
    squares = [softfloat.multiply(x, x, fmt, Rounding.RTZ)[0] for x in mixed(fmt, 500, 9)]
    values += [x for square in squares for x in (square, square + 1, abs(square - 1))]
    assert differences("sqrt", fmt, lambda a, rm: softfloat.square_root(a, fmt, rm), [values]) == []


@needs_host_fpu
def test_conversions_between_formats_agree_with_the_host() -> None:
    singles = edges(BINARY32) + mixed(BINARY32, 1000, 10)
    widened = [softfloat.convert(x, BINARY32, BINARY64, Rounding.RNE)[0] for x in singles]
    near = [
        x + step for x in widened for step in (-1, 1, 1 << 28, (1 << 28) - 1, (1 << 28) + 1) if 0 <= x + step < 1 << 64
    ]
    doubles = edges(BINARY64) + mixed(BINARY64, 2000, 11) + widened + near
    assert differences("fpext", BINARY32, lambda a, rm: softfloat.convert(a, BINARY32, BINARY64, rm), [singles]) == []
    assert differences("fptrunc", BINARY64, lambda a, rm: softfloat.convert(a, BINARY64, BINARY32, rm), [doubles]) == []


@needs_host_fpu
@FORMATS
@pytest.mark.parametrize(("width", "signed"), [(32, True), (32, False), (64, True), (64, False)])
def test_integers_become_numbers_as_on_the_host(fmt: Format, width: int, signed: bool) -> None:
    top = 1 << (width - 1)
    values = {0, 1, top - 1, top, top + 1, 2 * top - 1, 2 * top - 2, top | 1 << (width - 2)}
    for bit in range(width):
        values |= {
            1 << bit,
            (1 << bit) - 1,
            (3 << bit) - 1 & 2 * top - 1,
            (-1 << bit) & 2 * top - 1,
            (1 << bit) + 1 & 2 * top - 1,
        }
        for half in (1 << max(bit - fmt.precision, 0), 3 << max(bit - fmt.precision, 0)):
            values |= {
                (1 << bit) + half & 2 * top - 1,
                (1 << bit) + half - 1 & 2 * top - 1,
                -(1 << bit) - half & 2 * top - 1,
            }
    name = f"{'sitofp' if signed else 'uitofp'}.i{width}"
    if width == 64 and not signed:
        # The host has no such instruction and emulates it with flags of its own; the rational model covers it.
        for value, rounding in product(values, Rounding):
            assert softfloat.from_integer(value, fmt, rounding, 64, False) == rounded(Fraction(value), fmt, rounding)
        return
    assert (
        differences(name, fmt, lambda a, rm: softfloat.from_integer(a, fmt, rm, width, signed), [sorted(values)]) == []
    )


# An independent model on rational numbers, for what the host does not have: RMM and saturating conversions.


def value_of(bits: int, fmt: Format) -> Fraction:
    """The exact value of a finite pattern, through Python's own float."""
    if fmt is BINARY32:
        bits = softfloat.convert(bits, BINARY32, BINARY64, Rounding.RNE)[0]
    sign, biased, fraction = bits >> 63, bits >> 52 & 0x7FF, bits & (1 << 52) - 1
    magnitude = Fraction(fraction + (bool(biased) << 52)) * Fraction(2) ** (max(biased, 1) - 1075)
    return -magnitude if sign else magnitude


def nearest_integer(value: Fraction, rounding: Rounding) -> int:
    """A rational number rounded to an integer."""
    low = math.floor(value)
    if value == low:
        return low
    if rounding == Rounding.RDN:
        return low
    if rounding == Rounding.RUP:
        return low + 1
    if rounding == Rounding.RTZ:
        return low if value > 0 else low + 1
    middle = value - low - Fraction(1, 2)
    if middle == 0:
        if rounding == Rounding.RNE:
            return low if low % 2 == 0 else low + 1
        return low + 1 if value > 0 else low
    return low + 1 if middle > 0 else low


def rounded(value: Fraction, fmt: Format, rounding: Rounding, zero_sign: int = 0) -> tuple[int, int]:
    """A rational number rounded to the format, with flags, by searching its binade."""
    if value == 0:
        return zero_sign * fmt.sign_bit, 0
    sign = fmt.sign_bit if value < 0 else 0
    exponent = abs(value.numerator).bit_length() - value.denominator.bit_length()
    if Fraction(2) ** exponent > abs(value):
        exponent -= 1
    unbounded = Fraction(2) ** (exponent - fmt.fraction_bits)
    tiny = abs(nearest_integer(value / unbounded, rounding) * unbounded) < Fraction(2) ** fmt.min_exponent
    unit = Fraction(2) ** (max(exponent, fmt.min_exponent) - fmt.fraction_bits)
    result = abs(nearest_integer(value / unit, rounding)) * unit
    inexact = result != abs(value)
    if result >= Fraction(2) ** (fmt.bias + 1):
        to_infinity = rounding in (Rounding.RNE, Rounding.RMM) or rounding == (Rounding.RDN if sign else Rounding.RUP)
        return sign | (fmt.infinity if to_infinity else fmt.largest), OF | NX
    flags = (NX if inexact else 0) | (UF if tiny and inexact else 0)
    if result < Fraction(2) ** fmt.min_exponent:
        return sign | int(result / unit), flags
    if result == unit * (1 << fmt.precision):
        return sign | (exponent + 1 + fmt.bias) << fmt.fraction_bits, flags
    biased = max(exponent, fmt.min_exponent) + fmt.bias
    return sign | (biased << fmt.fraction_bits) + (int(result / unit) - (1 << fmt.fraction_bits)), flags


def finite(bits: int, fmt: Format) -> bool:
    return bits & ~fmt.sign_bit < fmt.infinity


@FORMATS
def test_ties_away_from_zero_agree_with_rational_numbers(fmt: Format) -> None:
    tie = fmt.bias - fmt.precision << fmt.fraction_bits  # half a unit in the last place of 1
    pairs = [pair for pair in product(edges(fmt)[::2], edges(fmt)) if finite(pair[0], fmt) and finite(pair[1], fmt)]
    pairs += [(x, x & fmt.sign_bit | tie) for x in mixed(fmt, 300, 12) if finite(x, fmt)]
    pairs += [
        p for p in zip(mixed(fmt, 600, 13), mixed(fmt, 600, 14), strict=True) if finite(p[0], fmt) and finite(p[1], fmt)
    ]
    for a, b in pairs:
        x, y = value_of(a, fmt), value_of(b, fmt)
        sign = (a ^ b) >> (fmt.width - 1)
        assert softfloat.multiply(a, b, fmt, Rounding.RMM) == rounded(x * y, fmt, Rounding.RMM, sign), (hex(a), hex(b))
        sum_sign = a >> (fmt.width - 1) if a >> (fmt.width - 1) == b >> (fmt.width - 1) else 0
        assert softfloat.add(a, b, fmt, Rounding.RMM) == rounded(x + y, fmt, Rounding.RMM, sum_sign), (hex(a), hex(b))
        if y:
            assert softfloat.divide(a, b, fmt, Rounding.RMM) == rounded(x / y, fmt, Rounding.RMM, sign), (
                hex(a),
                hex(b),
            )
        if x * y != 0:
            assert softfloat.fused_multiply_add(a, b, tie, fmt, Rounding.RMM) == rounded(
                x * y + value_of(tie, fmt), fmt, Rounding.RMM
            )


@FORMATS
def test_no_square_root_is_a_tie_so_both_nearest_modes_agree(fmt: Format) -> None:
    for a in edges(fmt) + mixed(fmt, 1000, 15):
        assert softfloat.square_root(a, fmt, Rounding.RMM) == softfloat.square_root(a, fmt, Rounding.RNE)


@FORMATS
@pytest.mark.parametrize(("width", "signed"), [(32, True), (32, False), (64, True), (64, False)])
def test_numbers_become_integers_with_saturation(fmt: Format, width: int, signed: bool) -> None:
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    limits = [softfloat.from_integer(limit, fmt, Rounding.RTZ, 64, signed)[0] for limit in (low, high)]
    halves = [
        softfloat.from_integer(n, fmt, Rounding.RNE, 64, True)[0] - (1 << fmt.fraction_bits) for n in range(-9, 10, 2)
    ]
    values = (
        edges(fmt) + mixed(fmt, 500, 16) + halves + [x + step for x in limits for step in range(-2, 3) if x + step >= 0]
    )
    for bits, rounding in product(values, Rounding):
        actual = softfloat.to_integer(bits, fmt, rounding, width, signed)
        if not finite(bits, fmt):
            expected = (low if bits == fmt.sign_bit | fmt.infinity else high), NV
        else:
            value = value_of(bits, fmt)
            integer = nearest_integer(value, rounding)
            expected = (
                (min(max(integer, low), high), NV)
                if not low <= integer <= high
                else (integer, NX if integer != value else 0)
            )
        assert actual == (expected[0] & (1 << width) - 1, expected[1]), (hex(bits), rounding.name)


def host_value(bits: int, fmt: Format) -> float:
    """The pattern as a Python float, NaN included."""
    if bits & ~fmt.sign_bit > fmt.infinity:
        return math.nan
    if not finite(bits, fmt):
        return -math.inf if bits & fmt.sign_bit else math.inf
    return math.copysign(float(value_of(bits, fmt)), -1 if bits & fmt.sign_bit else 1)


def signaling(bits: int, fmt: Format) -> bool:
    return fmt.infinity < bits & ~fmt.sign_bit < fmt.canonical_nan


@FORMATS
def test_comparisons_follow_the_host_and_the_flag_rules(fmt: Format) -> None:
    for a, b in product(edges(fmt), edges(fmt)):
        x, y = host_value(a, fmt), host_value(b, fmt)
        unordered = NV if math.isnan(x) or math.isnan(y) else 0
        assert softfloat.less(a, b, fmt) == (int(x < y), unordered)
        assert softfloat.less_equal(a, b, fmt) == (int(x <= y), unordered)
        assert softfloat.equal(a, b, fmt) == (int(x == y), NV if signaling(a, fmt) or signaling(b, fmt) else 0)


@FORMATS
def test_minimum_and_maximum_prefer_numbers_and_order_zeros(fmt: Format) -> None:
    for a, b in product(edges(fmt), edges(fmt)):
        x, y = host_value(a, fmt), host_value(b, fmt)
        flags = NV if signaling(a, fmt) or signaling(b, fmt) else 0
        if math.isnan(x) or math.isnan(y):
            number = fmt.canonical_nan if math.isnan(x) and math.isnan(y) else b if math.isnan(x) else a
            low = high = number
        else:
            keys = sorted((a, b), key=lambda bits: (host_value(bits, fmt), math.copysign(1, host_value(bits, fmt))))
            low, high = keys
        assert softfloat.minimum(a, b, fmt) == (low, flags)
        assert softfloat.maximum(a, b, fmt) == (high, flags)


@FORMATS
def test_classify_gives_the_specifications_bits(fmt: Format) -> None:
    one = fmt.bias << fmt.fraction_bits
    classes = [fmt.infinity, one, 1, 0]
    assert [softfloat.classify(x | fmt.sign_bit, fmt)[0] for x in classes] == [1 << n for n in range(4)]
    assert [softfloat.classify(x, fmt)[0] for x in reversed(classes)] == [1 << n for n in range(4, 8)]
    assert softfloat.classify(fmt.infinity | 1, fmt) == (1 << 8, 0)
    assert softfloat.classify(fmt.canonical_nan | fmt.sign_bit, fmt) == (1 << 9, 0)
    assert softfloat.classify(fmt.largest, fmt)[0] == 1 << 6
    assert softfloat.classify(fmt.fraction_mask, fmt)[0] == 1 << 5


@needs_host_fpu
@FORMATS
def test_arithmetic_agrees_with_the_host_on_searched_operands(fmt: Format) -> None:
    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(operands(fmt), operands(fmt), operands(fmt))
    def check(a: int, b: int, c: int) -> None:
        for name, operation in BINARY.items():
            exact = lambda a, b, rm, f=operation: f(a, b, fmt, rm)  # noqa: E731
            rows = columns([(a, b), (b, c), (c, a)])
            assert differences(name, fmt, exact, rows) == []
        fused = lambda a, b, c, rm: softfloat.fused_multiply_add(a, b, c, fmt, rm)  # noqa: E731
        assert differences("fma", fmt, fused, columns([(a, b, c), (b, c, a)]), _not_the_hosts_choice(fmt)) == []
        assert differences("sqrt", fmt, lambda a, rm: softfloat.square_root(a, fmt, rm), [[a, b, c]]) == []

    check()
