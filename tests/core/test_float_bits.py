"""Comparisons, minimum, maximum, classes, NaN boxing in the value algebra: both back ends against exact arithmetic."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from itertools import product

import llvmlite.binding as llvm
import pytest

from shyper_tui.engine.core import llvm as native
from shyper_tui.engine.core import pysource, softfloat
from shyper_tui.engine.core.builder import Builder
from shyper_tui.engine.core.layout import Layout
from shyper_tui.engine.isa import float_bits
from shyper_tui.engine.isa.float_format import BINARY32, BINARY64, Format
from shyper_tui.engine.isa.value import Value
from tests.core.float_operands import edges, mixed

Function = Callable[[int, int], int]
Pair = Callable[[Value, Value, Format], tuple[Value, Value]]

PAIRS: dict[str, tuple[Pair, Callable[[int, int, Format], tuple[int, int]]]] = {
    "equal": (float_bits.equal, softfloat.equal),
    "less": (float_bits.less, softfloat.less),
    "less_equal": (float_bits.less_equal, softfloat.less_equal),
    "minimum": (float_bits.minimum, softfloat.minimum),
    "maximum": (float_bits.maximum, softfloat.maximum),
}
FORMATS = pytest.mark.parametrize("fmt", [BINARY32, BINARY64], ids=lambda fmt: fmt.name)
EMPTY = Layout([])


def in_python(describe: Callable[[Builder, Value, Value], Value]) -> Function:
    environment = dict(pysource.ENVIRONMENT)
    source = pysource.value_function(EMPTY, "f", ["a", "b"], lambda b, x, y: b.ret(describe(b, x, y)))
    exec(source, environment)
    function = environment["f"]
    return lambda a, b: int(function([], a, b))


class Compiled:
    """A value function in native code."""

    def __init__(self, describe: Callable[[Builder, Value, Value], Value]) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        text = native.value_function(EMPTY, "f", ["a", "b"], lambda b, x, y: b.ret(describe(b, x, y)))
        module = llvm.parse_assembly(text.replace("define internal", "define"))
        machine = llvm.Target.from_default_triple().create_target_machine(opt=1)
        self._engine = llvm.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()
        address = self._engine.get_function_address("f")
        self._call = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64)(address)

    def __call__(self, a: int, b: int) -> int:
        return int(self._call(None, a, b))


def both(describe: Callable[[Builder, Value, Value], Value]) -> tuple[Function, Function]:
    return in_python(describe), Compiled(describe)


def pairs(fmt: Format) -> Iterable[tuple[int, int]]:
    yield from product(edges(fmt), edges(fmt))
    for a, b in zip(mixed(fmt, 500, 1), mixed(fmt, 500, 2), strict=True):
        yield a, b
        yield a, a
        yield a, a ^ fmt.sign_bit


@FORMATS
@pytest.mark.parametrize("name", list(PAIRS))
def test_two_operands(name: str, fmt: Format) -> None:
    function, exact = PAIRS[name]

    def result(b: Builder, x: Value, y: Value) -> Value:
        return function(x.trunc(fmt.width), y.trunc(fmt.width), fmt)[0].zext(64)

    def flags(b: Builder, x: Value, y: Value) -> Value:
        return function(x.trunc(fmt.width), y.trunc(fmt.width), fmt)[1]

    results, all_flags = both(result), both(flags)
    for a, b in pairs(fmt):
        expected = exact(a, b, fmt)
        for evaluate, evaluate_flags in zip(results, all_flags, strict=True):
            assert (evaluate(a, b), evaluate_flags(a, b)) == expected, (name, hex(a), hex(b))


@FORMATS
def test_classify(fmt: Format) -> None:
    for evaluate in both(lambda b, x, y: float_bits.classify(x.trunc(fmt.width), fmt)):
        for a in edges(fmt) + mixed(fmt, 500, 3):
            assert evaluate(a, 0) == softfloat.classify(a, fmt)[0], hex(a)


def test_only_boxed_values_are_single_precision_operands() -> None:
    for evaluate in both(lambda b, x, y: float_bits.unbox(x, BINARY32).zext(64)):
        assert evaluate(0xFFFF_FFFF_3F80_0000, 0) == 0x3F80_0000
        assert evaluate(0xFFFF_FFFE_3F80_0000, 0) == BINARY32.canonical_nan
        assert evaluate(0x3F80_0000, 0) == BINARY32.canonical_nan
    for evaluate in both(lambda b, x, y: float_bits.box(x.trunc(32))):
        assert evaluate(0x3F80_0000, 0) == 0xFFFF_FFFF_3F80_0000


@FORMATS
def test_sign_injection_touches_the_sign_alone(fmt: Format) -> None:
    for evaluate in both(lambda b, x, y: float_bits.with_sign(x.trunc(fmt.width), y.trunc(fmt.width), fmt).zext(64)):
        for a, b in product(edges(fmt)[::3], (0, fmt.sign_bit, fmt.sign_bit | 7)):
            assert evaluate(a, b) == a & ~fmt.sign_bit | b & fmt.sign_bit
