"""Whatever bytes a guest sends: no exception, a picture that does not depend on how the bytes were torn, no text
lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pyte.screens import wcwidth

from shyper_tui.term.screen import Terminal

FRAGMENTS = st.sampled_from(
    [
        *(
            f"\x1b{rest}".encode()
            for rest in [
                "[",
                "]0;",
                "P",
                "\\",
                "[?4m",
                "[?6n",
                "[?2r",
                "[4:3m",
                "[!p",
                "[<u",
                "[>4;2m",
                "[?6h",
                "[5d",
                "[99999b",
                "[?1049h",
            ]
        ),
        *(
            f"\x1b{rest}".encode()
            for rest in [
                "[?1049l",
                "[2;3r",
                "[?5h",
                "[4h",
                "[1;;;;;5H",
                "[K",
                "[L",
                "[M",
                "[P",
                "[@",
                "[S",
                "[T",
                "[Z",
                "[2J",
                "7",
                "8",
                "#8",
                "c",
                "(0",
            ]
        ),
        *(
            text.encode()
            for text in ("", "\x1b", "²", "\u0301", "漢字", "\u200b", "\x9b", "\x9d", "hello", "\x1b[48;5;9m")
        ),
        *(b"\x07", b"\r\n", b"\n", b"\t", b"\x08", b"\x0e", b"\xff", b"\x18"),
    ]
)
OUTPUT = st.lists(st.one_of(FRAGMENTS, st.binary(max_size=12)), max_size=40).map(b"".join)


def picture(terminal: Terminal) -> tuple[object, ...]:
    rows = [terminal.row(y).runs for y in range(terminal.lines)]
    kept = [(line.runs, line.wrapped) for line in terminal.history.slice(0, 10_000)]
    return rows, kept, terminal.cursor, terminal.modes, terminal.title, terminal.bells


@settings(max_examples=300, deadline=None)
@given(OUTPUT, st.lists(st.integers(1, 9), min_size=1))
def test_the_picture_does_not_depend_on_chunks(data: bytes, sizes: list[int]) -> None:
    whole, torn = Terminal(17, 5), Terminal(17, 5)
    whole.feed(data)
    position, turn = 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        torn.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    assert picture(whole) == picture(torn)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(OUTPUT, st.integers(0, 40), st.integers(0, 12)), max_size=6))
def test_output_and_resizes_in_any_order_keep_the_screen_sound(steps: list[tuple[bytes, int, int]]) -> None:
    terminal = Terminal(20, 6, history=50)
    for data, columns, lines in steps:
        terminal.feed(data)
        terminal.resize(columns, lines)
        assert 0 <= terminal.cursor.x < terminal.columns
        assert 0 <= terminal.cursor.y < terminal.lines
        assert all(terminal.row(y).width <= terminal.columns for y in range(terminal.lines))
        assert all(line.width <= terminal.columns for line in terminal.history.slice(0, 50))
        assert len(terminal.history) <= 50


LINES = st.lists(st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), max_size=60), max_size=30)


@settings(max_examples=150, deadline=None)
@given(LINES, st.lists(st.tuples(st.integers(5, 70), st.integers(2, 15)), max_size=5))
def test_resizing_loses_no_line_of_a_log(lines: list[str], sizes: list[tuple[int, int]]) -> None:
    terminal = Terminal(30, 8)
    terminal.feed("\r\n".join(lines).encode())
    for columns, height in sizes:
        terminal.resize(columns, height)
    terminal.resize(100, 8)
    assert terminal.text(scrollback=True) == "\n".join(lines).rstrip("\n")
    terminal.feed(b"\r\n$ ")
    assert terminal.text(scrollback=True) == "\n".join([*(lines or [""]), "$"])


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=("C", "M", "Zl", "Zp")), max_size=60))
def test_every_character_that_has_a_width_is_shown(text: str) -> None:
    terminal = Terminal(200, 4)
    wanted = "".join(char for char in text if wcwidth(char) > 0)
    terminal.feed(wanted.encode())
    assert terminal.text() == wanted.rstrip(" ")
