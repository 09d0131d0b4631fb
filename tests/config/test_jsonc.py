"""The JSON reader: accepts what it should, and reports every error at its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shyper_tui.config.diagnostics import Report
from shyper_tui.config.jsonc import MAX_ERRORS, Array, Node, Object, Scalar, parse
from shyper_tui.config.reader import read_vm


def plain(node: Node | None) -> object:
    """The Python value that `json.loads` would give."""
    match node:
        case Object():
            return {key: plain(member.value) for key, member in node.members.items()}
        case Array():
            return [plain(item) for item in node.items]
        case Scalar():
            return node.value
        case _:
            raise AssertionError(f"not a value: {node}")


def read(text: str) -> tuple[Node | None, list[tuple[int, int, str]]]:
    report = Report("f.json")
    node = parse(text, report)
    return node, [(found.line, found.column, found.code) for found in report.diagnostics]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.booleans(), st.sampled_from([None, 2]))
def test_reads_what_the_standard_library_writes(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    node, errors = read(text)
    assert errors == []
    assert plain(node) == value


@given(st.text(alphabet="{}[],:\"\\/* \n\r\tabtrue0x1-.e'", max_size=60) | st.text(max_size=30))
def test_any_text_gives_a_value_or_errors(text: str) -> None:
    node, errors = read(text)
    assert node is not None or errors
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line, column, _ in errors:
        assert 1 <= line <= len(lines)
        assert 1 <= column <= max(map(len, lines)) + 2


def test_comments_and_trailing_commas() -> None:
    node, errors = read('// first\n{"a": [1, /* two\nlines */ 2,], // end\n "b": {},}\n')
    assert errors == []
    assert plain(node) == {"a": [1, 2], "b": {}}


def test_a_string_with_comment_signs_is_a_string() -> None:
    assert plain(read('"//x /* y */"')[0]) == "//x /* y */"


def test_values_know_their_places() -> None:
    node, _ = read('{\n  "key": [true,\n    "text"]\n}')
    assert isinstance(node, Object)
    member = node.members["key"]
    assert isinstance(member.value, Array)
    assert (member.key_span.line, member.key_span.column, member.key_span.end_column) == (2, 3, 8)
    text = member.value.items[1].span
    assert (text.line, text.column, text.end_line, text.end_column) == (3, 5, 3, 11)
    assert (node.span.end_line, node.span.end_column) == (4, 2)


def test_columns_count_characters_and_every_kind_of_line_end() -> None:
    _, errors = read('{"ü€𝄞": 1 x}')
    assert errors == [(1, 10, "syntax"), (1, 11, "syntax")]
    assert read("[\r\n1\r2]")[1] == [(2, 2, "syntax")]


def test_a_byte_order_mark_is_skipped() -> None:
    assert plain(read("\ufeff[1]")[0]) == [1]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("", 1, 1),
        ("  \n", 2, 1),
        ("{} x", 1, 4),
        ('{"a" 1}', 1, 5),
        ('{"a": }', 1, 7),
        ("{a: 1}", 1, 2),
        ("{'a': 1}", 1, 2),
        ('{"a": 1 "b": 2}', 1, 8),
        ('{"a": 0x10}', 1, 7),
        ('{"a": 010}', 1, 7),
        ('{"a": .5}', 1, 7),
        ('{"a": 1.}', 1, 7),
        ('{"a": +1}', 1, 7),
        ('{"a": True}', 1, 7),
        ('{"a": NaN}', 1, 7),
        ("{\"a\": 'x'}", 1, 7),
        ('{"a": "x\n}', 1, 7),
        ('{"a": "\t"}', 1, 8),
        ('{"a": "\\x"}', 1, 8),
        ('{"a": "\\u12"}', 1, 8),
        ('{"a": "\\ud800"}', 1, 7),
        ('{"a": [1, 2}', 1, 12),
        ('{"a": [1, 2', 1, 7),
        ("[,1]", 1, 2),
        ("[1,,2]", 1, 4),
        ("[1] /* x", 1, 5),
        ("[1, @]", 1, 5),
        ("[" * 80 + "]" * 80, 1, 66),
        ("[" + "9" * 500 + "]", 1, 2),
    ],
)
def test_a_syntax_error_gives_one_report_at_its_place(text: str, line: int, column: int) -> None:
    assert read(text)[1] == [(line, column, "syntax")]


def test_all_syntax_errors_are_found() -> None:
    text = '{\n "a": 0x1,\n "b": [1 2, tru],\n c: 3,\n "d": "ok"\n "e": \'x\',\n "f": 1\n}'
    _, errors = read(text)
    assert [(line, column) for line, column, _ in errors] == [(2, 7), (3, 9), (3, 13), (4, 2), (5, 11), (6, 7)]


@pytest.mark.parametrize(
    "text", ["[" + "," * 100_000, "[" + "@,\n" * 100_000, "[@" + "\n" * 200_000, '{"a": "' + "x" * 10**6]
)
def test_long_nonsense_ends_soon(text: str) -> None:
    _, errors = read(text)
    assert 1 <= len(errors) <= MAX_ERRORS + 1


def test_a_duplicate_key_is_reported_and_the_first_value_kept() -> None:
    node, errors = read('{"a": 1,\n "a": 2}')
    assert errors == [(2, 2, "duplicate-key")]
    assert plain(node) == {"a": 1}


def test_a_key_without_quotes_still_counts() -> None:
    node, errors = read("{a: 1, 'b': 2}")
    assert errors == [(1, 2, "syntax"), (1, 8, "syntax")]
    assert plain(node) == {"a": 1, "b": 2}


def test_values_behind_an_error_are_read() -> None:
    node, _ = read('{"a": @, "b": [1, @@, 3], "c": 4}')
    assert isinstance(node, Object)
    assert list(node.members) == ["a", "b", "c"]
    items = node.members["b"].value
    assert isinstance(items, Array)
    assert len(items.items) == 3


def test_bad_syntax_is_not_followed_by_keys_that_could_not_be_read() -> None:
    reading = read_vm('{ "name": "x", "type" \n}', "vm.json")
    assert reading.value is None
    assert [(found.line, found.column, found.code) for found in reading.diagnostics] == [(1, 22, "syntax")]
