"""How many values a msgpack body holds, without making any of them (msgpack specification, "Formats").

A value takes one byte on the wire and some sixty in memory, and the decoder does not stop between: 16 MiB of empty
lists keep the process busy for seconds. So a large body is counted before it is decoded, up to the limit.
"""

from __future__ import annotations

from collections.abc import Callable

MOST_OPEN = 64
"""Lists and maps inside each other."""

_Step = Callable[[bytes, int], tuple[int, int]]
"""(body, offset behind the first byte) → (offset behind the value itself, values that it holds)."""


def _fixed(size: int) -> _Step:
    return lambda body, at: (at + size, 0)


def _sized(width: int, extra: int = 0) -> _Step:
    return lambda body, at: (at + width + extra + int.from_bytes(body[at : at + width], "big"), 0)


def _holding(width: int, each: int) -> _Step:
    return lambda body, at: (at + width, each * int.from_bytes(body[at : at + width], "big"))


def _holding_few(count: int) -> _Step:
    return lambda body, at: (at, count)


def _steps() -> list[_Step]:
    steps = [_fixed(0)] * 256  # fixint, nil, false, true; 0xc1 is unused, which the decoder refuses
    for few in range(16):
        steps[0x80 + few] = _holding_few(2 * few)
        steps[0x90 + few] = _holding_few(few)
    for length in range(32):
        steps[0xA0 + length] = _fixed(length)
    for power, (binary, extension, text) in enumerate(
        zip((0xC4, 0xC5, 0xC6), (0xC7, 0xC8, 0xC9), (0xD9, 0xDA, 0xDB), strict=True)
    ):
        width = 1 << power
        steps[binary], steps[text], steps[extension] = _sized(width), _sized(width), _sized(width, extra=1)
    for first, sizes in ((0xCA, (4, 8)), (0xCC, (1, 2, 4, 8)), (0xD0, (1, 2, 4, 8)), (0xD4, (2, 3, 5, 9, 17))):
        for number, size in enumerate(sizes):
            steps[first + number] = _fixed(size)
    steps[0xDC], steps[0xDD], steps[0xDE], steps[0xDF] = (
        _holding(2, 1), _holding(4, 1), _holding(2, 2), _holding(4, 2),
    )  # fmt: skip
    return steps


_STEPS = _steps()


def within(body: bytes, most: int) -> bool:
    """Whether the body holds at most `most` values, none of them more than MOST_OPEN deep. Says nothing about a body
    that ends early, which the decoder refuses, and nothing about the depth of one that is not counted."""
    if len(body) <= most:  # a value takes one byte at least
        return True
    at, values = 0, 0
    left = [1]
    while left and at < len(body):
        if not left[-1]:
            left.pop()
            continue
        left[-1] -= 1
        at, inside = _STEPS[body[at]](body, at + 1)
        values += 1
        if values + inside > most:
            return False
        if inside:
            left.append(inside)
            if len(left) > MOST_OPEN + 1:
                return False
    return True
