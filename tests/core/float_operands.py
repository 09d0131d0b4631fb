"""Operands on which floating-point code goes wrong, as bit patterns: for tests of exact and native arithmetic."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from shyper_tui.engine.isa.float_format import Format


def edges(fmt: Format) -> list[int]:
    """Both signs of zeros, subnormals, powers of two and their neighbours, the largest numbers, infinities and NaNs."""
    one = fmt.bias << fmt.fraction_bits
    magnitudes = {
        0, 1, 2, 3, fmt.fraction_mask, fmt.fraction_mask - 1, fmt.quiet_bit, fmt.quiet_bit + 1,
        fmt.fraction_mask + 1, fmt.fraction_mask + 2, 3 << (fmt.fraction_bits - 1),
        one - 1, one, one + 1, one + 2, one | fmt.quiet_bit,
        one + (1 << fmt.fraction_bits), one - (1 << fmt.fraction_bits),
        one + (fmt.fraction_bits << fmt.fraction_bits), one + (fmt.precision << fmt.fraction_bits) + 1,
        one - (fmt.precision << fmt.fraction_bits), one - (fmt.precision << fmt.fraction_bits) + 1,
        fmt.largest, fmt.largest - 1, fmt.largest - fmt.fraction_mask, fmt.infinity,
        fmt.infinity | 1, fmt.canonical_nan, fmt.canonical_nan | 5, fmt.infinity | fmt.quiet_bit >> 1,
    }  # fmt: skip
    return [magnitude | sign for magnitude in sorted(magnitudes) for sign in (0, fmt.sign_bit)]


def operands(fmt: Format) -> st.SearchStrategy[int]:
    """Any pattern, with fractions of few or nearly all ones and exponents near the limits drawn often."""
    top = fmt.exponent_mask
    exponents = st.one_of(
        st.integers(fmt.bias - 3, fmt.bias + 3),
        st.integers(0, 3),
        st.integers(top - 3, top),
        st.integers(fmt.bias // 2 - 2, fmt.bias // 2 + 2),
        st.integers(fmt.bias - fmt.precision - 2, fmt.bias + fmt.precision + 2),
        st.integers(0, top),
    )
    fractions = st.one_of(
        st.integers(0, 4),
        st.integers(fmt.fraction_mask - 4, fmt.fraction_mask),
        st.integers(0, fmt.fraction_bits - 1).map(lambda bit: 1 << bit),
        st.integers(0, fmt.fraction_mask),
    )
    return st.builds(
        lambda sign, exponent, fraction: sign * fmt.sign_bit | exponent << fmt.fraction_bits | fraction,
        st.integers(0, 1), exponents, fractions,
    )  # fmt: skip


def typical(fmt: Format, count: int, seed: int) -> list[int]:
    """What programs compute with: numbers of either sign between 2**-20 and 2**20."""
    random = Random(seed)
    return [
        random.getrandbits(1) * fmt.sign_bit
        | random.randrange(fmt.bias - 20, fmt.bias + 20) << fmt.fraction_bits
        | random.getrandbits(fmt.fraction_bits)
        for _ in range(count)
    ]


def mixed(fmt: Format, count: int, seed: int) -> list[int]:
    """Random patterns with crowded exponents: sums cancel, products underflow, quotients come near ties."""
    random = Random(seed)
    near = [
        fmt.bias,
        1,
        fmt.exponent_mask - 1,
        fmt.bias // 2,
        fmt.bias - fmt.precision,
        fmt.bias + fmt.precision,
        3 * fmt.bias // 2,
    ]
    patterns = []
    for _ in range(count):
        exponent = min(max(random.choice(near) + random.randrange(-4, 5), 0), fmt.exponent_mask)
        fraction = random.choice((
            random.getrandbits(fmt.fraction_bits),
            1 << random.randrange(fmt.fraction_bits),
            fmt.fraction_mask ^ 1 << random.randrange(fmt.fraction_bits),
            random.getrandbits(fmt.fraction_bits // 2) << (fmt.fraction_bits // 2),
        ))  # fmt: skip
        patterns.append(random.getrandbits(1) * fmt.sign_bit | exponent << fmt.fraction_bits | fraction)
    return patterns
