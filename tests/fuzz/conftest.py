"""Counts the cases of the fuzzers and shows them at the end of `make fuzz`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.fuzz import cases

PROPERTY, OPERATIONS = "fuzz cases", "native operations"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    before, native = Counter(cases.RAN), Counter(cases.NATIVE)
    try:
        return (yield)
    finally:
        item.user_properties.append((PROPERTY, dict(cases.RAN - before)))
        item.user_properties.append((OPERATIONS, dict(cases.NATIVE - native)))


def _counted(reporter: Any, wanted: str) -> Iterator[tuple[str, int]]:
    for outcome in ("passed", "failed"):
        for report in reporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == wanted:
                    yield from value.items()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not cases.WANTED:
        return
    terminalreporter.section("fuzzing")
    for kind in (OPERATIONS, PROPERTY):
        total: Counter[str] = Counter()
        for area, count in _counted(terminalreporter, kind):
            total[area] += count
        for area, count in sorted(total.items()):
            terminalreporter.write_line(f"{count:>9,}  {area}")
        what = "native operations" if kind == OPERATIONS else "cases"
        terminalreporter.write_line(f"{total.total():>9,}  {what} in all")
