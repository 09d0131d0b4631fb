"""Wide characters: at the right edge, cut in half, and folded anew. No reader of wrapped rows sees a blank that nobody
wrote."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyte.screens import wcwidth

from shyper_tui.term.screen import Terminal
from shyper_tui.term.search import Span, joined, newest_match, spans

HAN = "漢字仮名交文東西南北"


def terminal_with(text: str, columns: int, lines: int = 6) -> Terminal:
    terminal = Terminal(columns, lines)
    terminal.feed(text.encode())
    return terminal


def copied(terminal: Terminal) -> str:
    rows = terminal.history.slice(0, len(terminal.history)) + [terminal.row(y) for y in range(terminal.lines)]
    return joined(rows).rstrip("\n")


@pytest.mark.parametrize("columns", range(2, 14))
def test_a_wide_character_that_does_not_fit_leaves_no_blank_in_the_text(columns: int) -> None:
    for shift in ("", "a"):
        terminal = terminal_with(shift + HAN, columns, 3)
        assert copied(terminal) == shift + HAN


@pytest.mark.parametrize("lines", [2, 4, 30])
def test_resizing_there_and_back_changes_nothing(lines: int) -> None:
    text = HAN + "abc" + HAN + "\r\nx" + HAN * 3
    terminal = terminal_with(text, 10, lines)
    before = terminal.text(scrollback=True)
    for columns in (9, 7, 3, 2, 5, 31, 11, 10):
        terminal.resize(columns, lines)
        assert copied(terminal) == text.replace("\r\n", "\n")
    assert terminal.text(scrollback=True) == before


def test_the_cursor_stays_at_the_end_of_the_text_whatever_the_width() -> None:
    terminal = terminal_with("$ " + HAN, 11)
    for columns in (9, 7, 30, 2, 8, 5):
        terminal.resize(columns, 6)
        terminal.feed(b"!")
        assert copied(terminal) == "$ " + HAN + "!"
        terminal.feed(b"\x08\x1b[P")


WORDS = st.lists(st.text(st.sampled_from("abc漢字é가\u0301 "), max_size=40), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(WORDS, st.integers(2, 20), st.lists(st.tuples(st.integers(2, 25), st.integers(1, 8)), max_size=5))
def test_folding_loses_and_adds_nothing(words: list[str], columns: int, sizes: list[tuple[int, int]]) -> None:
    words = [word.strip(" ").lstrip("\u0301") for word in words]
    terminal = terminal_with("\r\n".join(words), columns, 5)
    wanted = copied(terminal)
    assert wanted == copied(terminal_with("\r\n".join(words), 200, 9))
    for width, height in sizes:
        terminal.resize(width, height)
        assert copied(terminal) == wanted
        for y in range(terminal.lines):
            assert terminal.row(y).width <= width


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        ("\x1b[1Gx", "x 字仮"),  # the first half overwritten
        ("\x1b[2Gx", " x字仮"),  # the second half
        ("\x1b[2G文", " 文 仮"),  # two halves
        ("\x1b[2G\x1b[X", "  字仮"),
        ("\x1b[2G\x1b[2X", "    仮"[:2] + "  仮"),
        ("\x1b[2G\x1b[P", " 字仮"),
        ("\x1b[2G\x1b[@", "   字仮"),
        ("\x1b[2G\x1b[1K", "  字仮"),
        ("\x1b[4G\x1b[K", "漢"),
        ("\x1b[4h\x1b[2Gx\x1b[4l", " x 字仮"),
        ("\x1b[1G\x1b[2P", "字仮"),
    ],
)
def test_half_a_wide_character_becomes_a_blank(edit: str, text: str) -> None:
    terminal = terminal_with("漢字仮" + edit, 20)
    assert terminal.row(0).text == text
    terminal.feed(b"\x1b[H")
    terminal.resize(40, 6)
    assert terminal.row(0).text == text


@pytest.mark.parametrize("edit", ["\x1b[@", "\x1b[3@", "\x1b[4h!\x1b[4l"])
def test_an_insertion_pushes_whole_characters_over_the_edge(edit: str) -> None:
    terminal = terminal_with("漢字仮名\x1b[1G" + edit, 8)
    assert terminal.row(0).width <= 8
    assert all(char in " !漢字仮" for char in terminal.row(0).text)


def test_a_gap_that_is_written_to_is_text() -> None:
    terminal = terminal_with("abc漢\x1b[1;4Hd", 4)
    assert copied(terminal) == "abcd漢"


def test_a_gap_keeps_its_background() -> None:
    terminal = terminal_with("\x1b[44m\x1b[2J\x1b[Habc漢", 4)
    gap = terminal.row(0).gap
    assert gap is not None
    assert gap.bg == "blue"


def test_without_automatic_wrapping_a_wide_character_does_not_fit_into_one_column() -> None:
    assert terminal_with("\x1b[?7l\x1b[1;5H漢", 5).row(0).text == ""
    assert terminal_with("\x1b[?7labc漢字", 5).row(0).width <= 5


def test_a_wide_character_is_repeated_whole() -> None:
    assert copied(terminal_with("漢\x1b[4b", 5)) == "漢" * 5


@pytest.mark.parametrize("mark", ["\u0301", "\u200d", "\ufe0f", "\u0e35", "\u20dd"])
def test_marks_at_the_edge_stay_with_their_character(mark: str) -> None:
    for base in ("abcd", "abc漢", "ab漢"):
        columns = sum(wcwidth(char) for char in base)
        terminal = terminal_with(base + mark + "x", columns)
        plain = terminal_with(base + mark, 40).row(0).text
        assert copied(terminal) == plain + "x"
        terminal.resize(columns + 1, 6)
        terminal.resize(40, 6)
        assert copied(terminal) == plain + "x"


def test_a_mark_at_the_beginning_of_a_row_does_not_reach_the_row_above() -> None:
    terminal = terminal_with("ab\r\n\u0301c", 10)
    assert copied(terminal) == "ab\nc"


def test_characters_beside_a_joiner_keep_their_columns_and_are_copied_as_they_came() -> None:
    terminal = terminal_with("👩\u200d👨|", 10)
    assert terminal.cursor.x == 5
    assert copied(terminal) == "👩\u200d👨|"


# --- rows that no longer belong together ---------------------------------------------------------


@pytest.mark.parametrize("clear", ["\x1b[2J\x1b[H", "\x1b[H\x1b[J", "\x1bc"])
def test_a_cleared_screen_does_not_continue_the_scrollback(clear: str) -> None:
    terminal = terminal_with("a" * 25 + clear + "new", 10, 2)
    terminal.resize(30, 4)
    assert copied(terminal).split("\n")[-1] == "new"
    assert "anew" not in copied(terminal)


def test_lines_that_are_inserted_or_scrolled_between_wrapped_rows_end_the_line() -> None:
    terminal = terminal_with("a" * 12 + "\x1b[2;1H\x1b[Lb", 10)
    terminal.resize(30, 6)
    assert copied(terminal) == "a" * 10 + "\nb\naa"


def test_a_line_wrapped_at_the_bottom_of_a_region_is_one_line() -> None:
    terminal = terminal_with("\x1b[1;3r\x1b[3;1H" + "abcdefghijkl", 10)
    terminal.feed(b"\x1b[r")
    terminal.resize(30, 6)
    assert "abcdefghijkl" in copied(terminal)


# --- search --------------------------------------------------------------------------------------


def test_a_word_across_wrapped_rows_is_found_and_marked_in_both() -> None:
    terminal = terminal_with("one\r\nabc漢字x\r\ntwo", 6)
    lines = [terminal.row(y) for y in range(6)]
    pattern = re.compile("c漢字x")
    assert newest_match(lines, pattern, 6) == 1
    assert newest_match(lines, pattern, 1) is None
    assert list(spans(lines, pattern)) == [Span(1, 2, 5), Span(2, 0, 3)]


def test_marks_count_columns_and_not_characters() -> None:
    terminal = terminal_with("漢e\u0301字end", 20)
    assert list(spans([terminal.row(0)], re.compile("end"))) == [Span(0, 5, 8)]


def test_matches_are_found_from_the_newest_up() -> None:
    terminal = terminal_with("x\r\ny\r\nxx\r\nz", 20)
    lines = [terminal.row(y) for y in range(6)]
    pattern = re.compile("x")
    assert [newest_match(lines, pattern, before) for before in (6, 3, 2, 1, 0)] == [2, 2, 0, 0, None]
