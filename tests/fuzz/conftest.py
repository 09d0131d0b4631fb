"""Counts the cases of the fuzzers and shows them at the end of `make fuzz`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.fuzz import cases

PROPERTY = "fuzz cases"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    before = Counter(cases.RAN)
    try:
        return (yield)
    finally:
        item.user_properties.append((PROPERTY, dict(cases.RAN - before)))


def _counted(reporter: Any) -> Iterator[tuple[str, int]]:
    for outcome in ("passed", "failed"):
        for report in reporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == PROPERTY:
                    yield from value.items()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not cases.WANTED:
        return
    total: Counter[str] = Counter()
    for area, count in _counted(terminalreporter):
        total[area] += count
    terminalreporter.section("fuzzing")
    for area, count in sorted(total.items()):
        terminalreporter.write_line(f"{count:>9,}  {area}")
    terminalreporter.write_line(f"{total.total():>9,}  cases in all")
