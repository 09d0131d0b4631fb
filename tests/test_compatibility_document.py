"""docs/compatibility.md: every row is there, every row names a test, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "compatibility.md").read_text()
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
ANY_NAME = re.compile(r"`(tests/[^`]*)`")

LIMITS = "What the original does not do"
FINDINGS = "What running the original showed besides"
NEEDS = "What unmodified software of the managing VM needs"
DIFFERENCES = "Deliberate differences"

Row = list[str]


def section(title: str) -> str:
    """The text below a heading, up to the next of the same level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def rows(title: str) -> list[Row]:
    """The cells of every row of the section's tables, without their headings."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [index for index, row in enumerate(cells) if set("".join(row)) == {"-"}]
    return [row for index, row in enumerate(cells) if index not in rules and index + 1 not in rules]


@cache
def defined_in(file: str) -> frozenset[str]:
    """Names of the test functions at the top level of a file; those of classes are not counted."""
    tree = ast.parse((ROOT / file).read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


NAMED = sorted(set(TEST.findall(TEXT)))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    assert (ROOT / file).is_file()
    assert name in defined_in(file)


@pytest.mark.parametrize(("title", "numbers"), [(LIMITS, 27), (FINDINGS, 13)])
def test_every_row_is_there(title: str, numbers: int) -> None:
    assert [row[0] for row in rows(title)] == [str(number) for number in range(1, numbers + 1)]


def test_every_need_and_both_traces_are_there() -> None:
    assert [row[0] for row in rows(NEEDS)] == [*(str(number) for number in range(1, 13)), "trace", "trace"]


@pytest.mark.parametrize(("title", "columns"), [(LIMITS, 5), (FINDINGS, 5), (NEEDS, 4), (DIFFERENCES, 3)])
def test_every_row_is_whole_and_names_a_test(title: str, columns: int) -> None:
    table = rows(title)
    assert table
    for row in table:
        assert len(row) == columns, row
        assert all(row), row
        assert TEST.search(row[-1]), row
        assert not TEST.search(" ".join(row[:-1])), row


def test_names_of_tests_are_written_in_full() -> None:
    """A name that the other tests here would overlook is no name of a test."""
    assert [name for name in ANY_NAME.findall(TEXT) if "::" in name and not TEST.fullmatch(f"`{name}`")] == []


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).is_file(), target
