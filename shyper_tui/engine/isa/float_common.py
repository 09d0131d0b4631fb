"""What the instructions of F and D have in common: when they may execute, how they round, what they leave behind.

Unprivileged ISA, chapters "F" and "D"; for FS, Privileged ISA, "Extension Context Status in mstatus Register", and with
V=1 "Virtual Supervisor Status (vsstatus) Register". Formats are named by the letter that mnemonics end in: s or d.
"""

from __future__ import annotations

from collections.abc import Callable

from . import float_bits
from .float_format import DYNAMIC, FORMATS, Format
from .semantics import Semantics
from .value import Value

FS = 3 << 13
"""mstatus.FS and vsstatus.FS: 0 off, 3 dirty."""


def enabled(s: Semantics) -> None:
    """Refuses while FS is off: in mstatus (HS-level sstatus) or, with V=1, in vsstatus."""
    off = (s.get("mstatus") & FS) == 0
    guest_off = (s.get("virt") != 0) & ((s.get("vsstatus") & FS) == 0)
    with s.if_(off | guest_off, False):
        s.illegal()


def rounding_mode(s: Semantics) -> Value:
    """The mode in effect: the rm field's, or frm's when it is DYN. Reserved modes are illegal."""
    field = s.imm & 7
    mode = (field == DYNAMIC).select(s.get("frm"), field)
    with s.if_(mode.uge(5), False):
        s.illegal()
    return mode


def write_f(s: Semantics, result: Value, flags: Value) -> None:
    """fd := result, NaN-boxed; flags are ORed into fflags, and FS becomes Dirty with the register."""
    s.set("fflags", s.get("fflags") | flags)
    s.write_f(float_bits.box(result))


def write_x(s: Semantics, result: Value, flags: Value) -> None:
    """rd := result; flags are ORed into fflags, and FS becomes Dirty when there are any."""
    with s.if_(flags != 0):
        s.set("fflags", s.get("fflags") | flags)
        s.call("dirty_fs")
    s.rd = result


def operand(s: Semantics, number: int, fmt: Format) -> Value:
    """fs1, fs2 or fs3 (`number` 1, 2, 3) in a format."""
    return float_bits.unbox(s.read_f(number), fmt)


def _rounded(s: Semantics, operation: str, *operands: Value) -> tuple[Value, Value]:
    """Result and flags of an operation named as for `core.softfloat.perform`, in the mode in effect."""
    return s.fp(operation, rounding_mode(s), *operands)


def arithmetic(s: Semantics, operation: str) -> None:
    """fd := fs1 operation fs2, rounded; operations are named as for `core.softfloat.perform`."""
    enabled(s)
    fmt = FORMATS[operation[-1]]
    write_f(s, *_rounded(s, operation, operand(s, 1, fmt), operand(s, 2, fmt)))


def square_root(s: Semantics, letter: str) -> None:
    """fd := square root of fs1, rounded."""
    enabled(s)
    write_f(s, *_rounded(s, f"fsqrt.{letter}", operand(s, 1, FORMATS[letter])))


def multiply_add(s: Semantics, letter: str, *, negate_product: bool = False, negate_addend: bool = False) -> None:
    """fd := (fs1 * fs2) + fs3, rounded once; either part negated before."""
    enabled(s)
    fmt = FORMATS[letter]
    a, b, c = (operand(s, number, fmt) for number in (1, 2, 3))
    a = float_bits.negate(a, fmt) if negate_product else a
    c = float_bits.negate(c, fmt) if negate_addend else c
    write_f(s, *_rounded(s, f"fmadd.{letter}", a, b, c))


def convert(s: Semantics, target: str, source: str) -> None:
    """fd := fs1 in another format, rounded."""
    enabled(s)
    write_f(s, *_rounded(s, f"fcvt.{target}.{source}", operand(s, 1, FORMATS[source])))


def to_integer(s: Semantics, integer: str, letter: str) -> None:
    """rd := fs1 as an integer w, wu, l or lu; 32-bit results are sign-extended, unsigned ones too."""
    enabled(s)
    result, flags = _rounded(s, f"fcvt.{integer}.{letter}", operand(s, 1, FORMATS[letter]))
    write_x(s, result.sext(), flags)


def from_integer(s: Semantics, letter: str, integer: str) -> None:
    """fd := rs1, an integer w, wu, l or lu, rounded."""
    enabled(s)
    value = s.rs1.trunc(32) if integer.startswith("w") else s.rs1
    write_f(s, *_rounded(s, f"fcvt.{letter}.{integer}", value))


Comparison = Callable[[Value, Value, Format], tuple[Value, Value]]


def select(s: Semantics, choice: Comparison, letter: str) -> None:
    """fd := the smaller or larger of fs1 and fs2 (`float_bits.minimum`, `maximum`)."""
    enabled(s)
    fmt = FORMATS[letter]
    write_f(s, *choice(operand(s, 1, fmt), operand(s, 2, fmt), fmt))


def compare(s: Semantics, comparison: Comparison, letter: str) -> None:
    """rd := 1 when fs1 compares so with fs2, else 0 (`float_bits.equal`, `less`, `less_equal`)."""
    enabled(s)
    fmt = FORMATS[letter]
    result, flags = comparison(operand(s, 1, fmt), operand(s, 2, fmt), fmt)
    write_x(s, result.zext(), flags)


def inject_sign(s: Semantics, letter: str, sign: Callable[[Value, Value], Value]) -> None:
    """fd := fs1 with a sign bit computed from both operands."""
    enabled(s)
    fmt = FORMATS[letter]
    a, b = operand(s, 1, fmt), operand(s, 2, fmt)
    s.write_f(float_bits.box(float_bits.with_sign(a, sign(a, b), fmt)))


def classify(s: Semantics, letter: str) -> None:
    """rd := the class of fs1, one bit of ten."""
    enabled(s)
    s.rd = float_bits.classify(operand(s, 1, FORMATS[letter]), FORMATS[letter])


def load(s: Semantics, width: int) -> None:
    """fd := memory at rs1 + imm, NaN-boxed."""
    enabled(s)
    s.write_f(float_bits.box(s.load(s.rs1 + s.imm, width, to_f=True)))


def store(s: Semantics, width: int) -> None:
    """Memory at rs1 + imm := the low bits of fs2, boxed or not."""
    enabled(s)
    s.store(s.rs1 + s.imm, s.read_f(2).trunc(width))
