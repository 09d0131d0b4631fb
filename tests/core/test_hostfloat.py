"""Native floating point: where it claims to be exact, result and flags equal exact arithmetic's; it claims so often."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from itertools import product
from random import Random

import llvmlite.binding as llvm
import pytest
from hypothesis import given, settings

from shyper_tui.engine.core import hostfloat, softfloat
from shyper_tui.engine.core.layout import Layout
from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.isa.float_format import BINARY32, BINARY64, FORMATS, INTEGERS, Format, Rounding, widths
from shyper_tui.engine.isa.value import Value
from tests.core.float_operands import edges, mixed, operands, typical

FORMAT = pytest.mark.parametrize("letter", ["s", "d"])
TWO_OPERANDS = pytest.mark.parametrize("name", ["fadd", "fsub", "fmul", "fdiv"])
HOST_FMA = hostfloat.host_has_fma()


class Native:
    """Fast paths compiled with a loop around each, so that a test's operands go through in one call."""

    def __init__(self, fma: bool) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.counts = {name: 3 if name[:5] == "fmadd" else 2 if name[:4] in ("fadd", "fsub", "fmul", "fdiv") else 1
                       for name in OPERATIONS}  # fmt: skip
        text = hostfloat.DECLARATIONS + "".join(self._function(name, fma) for name in OPERATIONS)
        features = llvm.get_host_cpu_features().flatten()
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=features, opt=2
        )
        module = llvm.parse_assembly(text)
        tuning = llvm.create_pipeline_tuning_options(speed_level=2)
        passes = llvm.create_pass_builder(machine, tuning)
        passes.getModulePassManager().run(module, passes)
        self._engine = llvm.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()

    def _function(self, operation: str, fma: bool) -> str:
        builder = LlvmBuilder(Layout([]))
        (width, _), count = widths(operation), self.counts[operation]
        row = builder.gep("%in", Value(builder, "%i") * 8 * (count + 1))
        rounding = builder.peek(row)
        values = tuple(builder.peek(builder.gep(row, 8 * n + 8)).trunc(width) for n in range(count))
        fast = hostfloat.perform(builder, operation, rounding, values, fma=fma)
        out = builder.gep("%out", Value(builder, "%i") * 24)
        for n, value in enumerate(fast):
            builder.poke(builder.gep(out, 8 * n), value.zext(64))
        return f"""
define void @"{operation}"(ptr %in, ptr %out, i64 %n) {{
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%j, %loop]
{builder.body()}
  %j = add i64 %i, 1
  %more = icmp ult i64 %j, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""

    def run(self, operation: str, rows: Sequence[tuple[int, ...]]) -> list[tuple[int, int, bool]]:
        """Rows of rounding mode and operands; returns (result, flags, ok) for each."""
        flat = [word for row in rows for word in row]
        source, target = (ctypes.c_uint64 * len(flat))(*flat), (ctypes.c_uint64 * (3 * len(rows)))()
        function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(
            self._engine.get_function_address(operation)
        )
        function(source, target, len(rows))
        return [(target[i], target[i + 1], bool(target[i + 2])) for i in range(0, len(target), 3)]


OPERATIONS = [f"{name}.{letter}" for name in ("fadd", "fsub", "fmul", "fdiv", "fsqrt", "fmadd") for letter in "sd"]
OPERATIONS += [f"fcvt.{a}.{b}" for x, letter in product(INTEGERS, "sd") for a, b in ((x, letter), (letter, x))]
OPERATIONS += ["fcvt.s.d", "fcvt.d.s"]


@cache
def native(fma: bool = HOST_FMA) -> Native:
    return Native(fma)


def share(operation: str, rows: Sequence[tuple[int, ...]], *, fma: bool = HOST_FMA) -> float:
    """Checks every row that the fast path takes; returns the share of rows that it takes."""
    taken = 0
    for row, (result, flags, ok) in zip(rows, native(fma).run(operation, rows), strict=True):
        if ok:
            taken += 1
            exact = softfloat.perform(operation, *row)
            assert (result, flags) == exact, (operation, [hex(word) for word in row], hex(exact[0]))
    return taken / len(rows)


def with_rounding(rows: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Mostly the default mode, and the others on some rows."""
    return [(Rounding.RNE, *row) for row in rows] + [(1 + n % 4, *row) for n, row in enumerate(rows[::3])]


@FORMAT
@TWO_OPERANDS
def test_two_operands(name: str, letter: str) -> None:
    fmt = FORMATS[letter]
    rows = list(product(edges(fmt), edges(fmt)))
    rows += list(zip(mixed(fmt, 8000, 1), mixed(fmt, 8000, 2), strict=True))
    share(f"{name}.{letter}", with_rounding(rows))


@FORMAT
def test_exact_quotients_and_products(letter: str) -> None:
    """Factors of few digits, the product of which may or may not fit; quotients of such products come out exact."""
    fmt, random = FORMATS[letter], Random(3)
    rows = []
    for a, b in zip(mixed(fmt, 4000, 4), mixed(fmt, 4000, 5), strict=True):
        short = fmt.width - 1 - fmt.precision // 2 + random.randrange(-2, 3)
        cut = ~((1 << (fmt.width - 1 - short)) - 1) & fmt.sign_bit * 2 - 1
        rows.append((a & cut, b & cut))
    share(f"fmul.{letter}", with_rounding(rows))
    quotients = [(softfloat.multiply(a, b, fmt, Rounding.RNE)[0], b) for a, b in rows]
    share(f"fdiv.{letter}", with_rounding(quotients))
    squares = [(softfloat.multiply(a, a, fmt, Rounding.RNE)[0],) for a, _ in rows]
    share(f"fsqrt.{letter}", with_rounding(squares + [(a,) for a in edges(fmt)]))


@FORMAT
def test_fused_multiply_add(letter: str) -> None:
    fmt = FORMATS[letter]
    few = edges(fmt)[::3]
    rows = list(product(few, few, few))
    rows += list(zip(mixed(fmt, 8000, 6), mixed(fmt, 8000, 7), mixed(fmt, 8000, 8), strict=True))
    rows += list(zip(typical(fmt, 4000, 9), typical(fmt, 4000, 10), mixed(fmt, 4000, 11), strict=True))
    for a, b in zip(mixed(fmt, 3000, 12), mixed(fmt, 3000, 13), strict=True):
        product_ = softfloat.multiply(a, b, fmt, Rounding.RNE)[0]
        rows += [(a, b, product_ ^ fmt.sign_bit), (a, b, (product_ ^ fmt.sign_bit) + 1 & 2 * fmt.sign_bit - 1)]
    share(f"fmadd.{letter}", with_rounding(rows))


@FORMAT
@pytest.mark.parametrize("integer", list(INTEGERS))
def test_conversions_with_integers(integer: str, letter: str) -> None:
    fmt = FORMATS[letter]
    width, signed = INTEGERS[integer]
    random = Random(14)
    values = [random.getrandbits(width) >> random.randrange(width) for _ in range(2000)]
    values += [(1 << bit) + step & (1 << width) - 1 for bit in range(width + 1) for step in (-2, -1, 0, 1, 2)]
    values += [-value & (1 << width) - 1 for value in values]
    share(f"fcvt.{letter}.{integer}", [(rounding, value) for value, rounding in product(values, Rounding)])

    numbers = edges(fmt) + mixed(fmt, 2000, 15) + typical(fmt, 2000, 16)
    numbers += [softfloat.from_integer(value, fmt, Rounding.RNE, width, signed)[0] for value in values[::3]]
    half = 1 << fmt.fraction_bits  # one less in the exponent: halves of integers, half of which are ties
    numbers += [softfloat.from_integer(n, fmt, Rounding.RNE, 64, True)[0] - half for n in range(-99, 100, 2)]
    rows = [(rounding, number) for number, rounding in product(numbers, Rounding)]
    share(f"fcvt.{integer}.{letter}", rows)


def test_conversions_between_formats() -> None:
    singles = edges(BINARY32) + mixed(BINARY32, 3000, 17)
    widened = [softfloat.convert(x, BINARY32, BINARY64, Rounding.RNE)[0] for x in singles]
    near = [x + step for x in widened for step in (-1, 1, 1 << 28, 3 << 28) if 0 <= x + step < 1 << 64]
    assert share("fcvt.d.s", [(rounding, x) for x, rounding in product(singles, Rounding)]) == 1
    share("fcvt.s.d", with_rounding([(x,) for x in widened + near + edges(BINARY64) + mixed(BINARY64, 3000, 18)]))


@FORMAT
def test_searched_operands(letter: str) -> None:
    fmt = FORMATS[letter]

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(operands(fmt), operands(fmt), operands(fmt))
    def check(a: int, b: int, c: int) -> None:
        for name in ("fadd", "fsub", "fmul", "fdiv"):
            share(f"{name}.{letter}", [(0, a, b), (0, b, c), (0, c, a)])
        share(f"fmadd.{letter}", [(0, a, b, c), (0, b, c, a), (0, c, a, b)])
        share(f"fsqrt.{letter}", [(0, a), (0, b), (0, c)])

    check()


@FORMAT
def test_typical_operands_take_the_fast_path(letter: str) -> None:
    fmt = FORMATS[letter]
    columns = [typical(fmt, 2000, seed) for seed in (19, 20, 21)]
    needs_fma = ("fmadd.s",) if fmt is BINARY32 else ("fmul.d", "fdiv.d", "fsqrt.d", "fmadd.d")
    for name, count in (("fadd", 2), ("fsub", 2), ("fmul", 2), ("fdiv", 2), ("fmadd", 3)):
        rows = [(Rounding.RNE, *row) for row in zip(*columns[:count], strict=True)]
        operation = f"{name}.{letter}"
        assert share(operation, rows) == (1 if HOST_FMA or operation not in needs_fma else 0), operation
        assert share(operation, rows, fma=False) == (0 if operation in needs_fma else 1), operation
    positive = [(Rounding.RNE, a & fmt.sign_bit - 1) for a in columns[0]]
    assert share(f"fsqrt.{letter}", positive) == (1 if HOST_FMA or fmt is BINARY32 else 0)
    for integer in ("w", "l"):
        assert share(f"fcvt.{integer}.{letter}", [(n % 5, a) for n, a in enumerate(columns[0])]) == 1
        assert share(f"fcvt.{letter}.{integer}", [(0, n * 77777) for n in range(2000)]) == 1
    assert share("fcvt.s.d", [(0, a) for a in typical(BINARY64, 2000, 22)]) == 1


@FORMAT
def test_zeros_take_the_fast_path(letter: str) -> None:
    """Accumulators start at zero, and matrices are full of it."""
    fmt: Format = FORMATS[letter]
    if not HOST_FMA:
        pytest.skip("the host has no fused multiply-add")
    one, zeros = fmt.bias << fmt.fraction_bits, (0, fmt.sign_bit)
    pairs = [(x, y) for zero in zeros for x, y in ((zero, one), (one, zero), (zero, zero))]
    for name in ("fadd", "fsub", "fmul"):
        assert share(f"{name}.{letter}", [(0, *pair) for pair in pairs]) == 1
    assert share(f"fdiv.{letter}", [(0, zero, one) for zero in zeros]) == 1
    assert share(f"fsqrt.{letter}", [(0, zero) for zero in zeros]) == 1
    assert share(f"fmadd.{letter}", [(0, *pair, z) for pair in pairs for z in (*zeros, one)]) == 1
