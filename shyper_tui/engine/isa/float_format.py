"""Floating-point formats, rounding modes and exception flags (Unprivileged ISA, chapters "F" and "D").

Everything that computes with floating point shares these: the portable semantic functions (`isa/float_bits.py`), the
exact arithmetic (`core/softfloat.py`) and the native fast paths (`core/hostfloat.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import cached_property

__all__ = ["BINARY32", "BINARY64", "DYNAMIC", "FORMATS", "INTEGERS", "Flag", "Format", "Rounding"]


class Rounding(IntEnum):
    """Rounding modes as `rm` and `frm` encode them; 5 and 6 are reserved."""

    RNE = 0  # to nearest, ties to even
    RTZ = 1  # towards zero
    RDN = 2  # down, towards -infinity
    RUP = 3  # up, towards +infinity
    RMM = 4  # to nearest, ties to maximum magnitude


DYNAMIC = 7
"""The `rm` field's value that stands for the mode in `frm`."""


class Flag(IntFlag):
    """Accrued exceptions as `fflags` encodes them."""

    NX = 1  # inexact
    UF = 2  # underflow
    OF = 4  # overflow
    DZ = 8  # division by zero
    NV = 16  # invalid operation


@dataclass(frozen=True)
class Format:
    """An IEEE 754 binary interchange format. Sizes in bits; patterns are unsigned integers of `width` bits."""

    name: str
    width: int
    fraction_bits: int

    @cached_property
    def precision(self) -> int:
        """Bits of a normal number's significand, the hidden one included."""
        return self.fraction_bits + 1

    @cached_property
    def exponent_bits(self) -> int:
        return self.width - 1 - self.fraction_bits

    @cached_property
    def bias(self) -> int:
        return (1 << (self.exponent_bits - 1)) - 1

    @cached_property
    def exponent_mask(self) -> int:
        """The biased exponent with all bits set: infinities and NaNs."""
        return (1 << self.exponent_bits) - 1

    @cached_property
    def min_exponent(self) -> int:
        """Exponent of the smallest normal number, 2**min_exponent."""
        return 1 - self.bias

    @cached_property
    def sign_bit(self) -> int:
        return 1 << (self.width - 1)

    @cached_property
    def fraction_mask(self) -> int:
        return (1 << self.fraction_bits) - 1

    @cached_property
    def quiet_bit(self) -> int:
        """The fraction's top bit: set in quiet NaNs, clear in signaling ones."""
        return 1 << (self.fraction_bits - 1)

    @cached_property
    def infinity(self) -> int:
        return self.exponent_mask << self.fraction_bits

    @cached_property
    def largest(self) -> int:
        """The largest finite number."""
        return self.infinity - 1

    @cached_property
    def canonical_nan(self) -> int:
        """The NaN that every operation produces: positive, quiet, no payload."""
        return self.infinity | self.quiet_bit


BINARY32 = Format("binary32", 32, 23)
BINARY64 = Format("binary64", 64, 52)
FORMATS = {"s": BINARY32, "d": BINARY64}
"""The formats by the letter that instruction names end in."""

INTEGERS = {"w": (32, True), "wu": (32, False), "l": (64, True), "lu": (64, False)}
"""Integer types by the letters that FCVT names use: width in bits, and whether it is signed."""


def widths(operation: str) -> tuple[int, int]:
    """Widths of operands and result of a rounded instruction, for example (64, 32) for "fcvt.w.d"."""
    letters = operation.split(".")[1:]
    size = {letter: fmt.width for letter, fmt in FORMATS.items()} | {
        name: width for name, (width, _) in INTEGERS.items()
    }
    return size[letters[-1]], size[letters[0]]
