"""How many cases each fuzzer runs: a few, always the same, in the test suite; SHYPER_FUZZ_CASES in all for `make fuzz`.

One case is one example of hypothesis.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WANTED = int(os.environ.get("SHYPER_FUZZ_CASES", "0"))
"""Cases over all areas; 0: the short run of the test suite."""

RAN: Counter[str] = Counter()
"""Cases that ran in this process, by area."""

NATIVE_WANTED = int(os.environ.get("SHYPER_FUZZ_OPERATIONS", "1000000"))
"""Operations of native code in `make fuzz`, beside the cases: a jump to another page, a fence, a notification."""
NATIVE: Counter[str] = Counter()
"""Those that ran for this process."""

Value = TypeVar("Value")
Test = Callable[..., None]

U64 = (1 << 64) - 1
_EDGES = [0, 1, 2, 3, 4, 7, 8, 63, 64, 255, 256, 511, 512, 4095, 4096, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32,
          (1 << 56) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, U64 - 4095, U64 - 7, U64]  # fmt: skip


def fuzz(area: str, share: float, quick: int, **strategies: st.SearchStrategy[Any]) -> Callable[[Test], Test]:
    """The decorated function is a fuzzer of `area`, given values of `strategies`: `quick` cases in the test suite,
    `share` of all cases in `make fuzz`."""

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def counted(*args: Any, **values: Any) -> None:
            RAN[area] += 1
            test(*args, **values)

        count = max(1, round(WANTED * share)) if WANTED else quick
        chosen = settings(
            max_examples=count,
            deadline=None,
            derandomize=not WANTED,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        )
        fuzzer: Test = chosen(given(**strategies)(counted))
        return fuzzer

    return decorate


@st.composite
def mostly(draw: st.DrawFn, usual: st.SearchStrategy[Value], rare: st.SearchStrategy[Value]) -> Value:
    """`usual`, and one time in six `rare`: with too much wrong at once only the first check is ever reached."""
    return draw(rare if draw(st.integers(0, 5)) == 5 else usual)


def numbers(*interesting: int) -> st.SearchStrategy[int]:
    """64-bit values: often one of `interesting`, or near one, or at an edge of a type; sometimes anything."""
    known = st.sampled_from([*interesting, *_EDGES])
    near = st.builds(lambda value, distance: value + distance & U64, known, st.integers(-9, 9))
    return st.one_of(known, near, st.integers(0, U64))
