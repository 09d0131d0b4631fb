"""A text area for JSON with comments: colours for keys, strings, numbers and comments, and marks under what is wrong.

Textual colours by tree-sitter, which would be one more compiled dependency; JSON's few kinds of token need only one
regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.style import Style
from rich.text import Text
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from shyper_tui.keymap import Scope, bindings
from shyper_tui.plain_text import same_width

TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\\n]|\\.)*"(?=\s*:))|(?P<string>"(?:[^"\\\n]|\\.)*"?)|(?P<comment>//.*)|(?P<block>/\*|\*/)'
    r"|(?P<number>-?\b\d[\w.+-]*)|(?P<word>\b(?:true|false|null)\b)"
)
MAX_LINES = 20_000
"""Longer texts are shown without colours."""


def tokens(lines: Iterable[str]) -> Iterable[tuple[int, int, int, str]]:
    """Row, start, end and kind of every token that has a colour; columns in characters."""
    inside = False  # a block comment
    for row, line in enumerate(lines):
        position = 0
        while position <= len(line):
            if inside:
                end = line.find("*/", position)
                stop = len(line) if end < 0 else end + 2
                yield row, position, stop, "comment"
                inside = end < 0
                position = stop + (1 if end < 0 else 0)
                continue
            token = TOKEN.search(line, position)
            if token is None:
                break
            kind = token.lastgroup or ""
            if kind == "block":
                inside = token[0] == "/*"
                position = token.start() if inside else token.end()
                if inside:
                    yield row, position, position + 2, "comment"
                    position += 2
                continue
            yield row, token.start(), token.end(), kind
            position = token.end()


class Editor(TextArea):
    """The text; letters are text here, so the pane's own keys are control keys."""

    BINDINGS = bindings(Scope.EDITOR)

    class Command(Message):
        """A key of the editor pane was pressed."""

        def __init__(self, verb: str) -> None:
            super().__init__()
            self.verb = verb

    def __init__(self) -> None:
        super().__init__(show_line_numbers=True, tab_behavior="indent", compact=True)
        self.marks: list[tuple[int, int, int, str]] = []
        """Row, start, end and severity of what is wrong."""

    def on_mount(self) -> None:
        self._colour()
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._colour())

    def _colour(self) -> None:
        """Take the token colours from the application's theme."""
        variables = self.app.get_css_variables()

        def colour(name: str, underline: bool | None = None) -> Style:
            value = variables.get(name, "")
            return Style(color=value if value.startswith("#") else None, underline=underline)

        self.register_theme(
            TextAreaTheme(
                "shyper-json",
                syntax_styles={
                    "key": colour("text-primary"),
                    "string": colour("text-success"),
                    "number": colour("text-accent"),
                    "word": colour("text-accent"),
                    "comment": Style(dim=True, italic=True),
                    "error": colour("text-error", underline=True),
                    "warning": colour("text-warning", underline=True),
                    "portable": Style(underline=True),
                },
            )
        )
        self.theme = "shyper-json"

    def get_line(self, line_index: int) -> Text:
        """A line as it is shown: the terminal obeys nothing that is in the file."""
        return Text(same_width(self.document.get_line(line_index)), end="", no_wrap=True)

    def mark(self, marks: list[tuple[int, int, int, str]]) -> None:
        """Underline these places."""
        if marks != self.marks:
            self.marks = marks
            self._build_highlight_map()
            self.refresh()

    def _build_highlight_map(self) -> None:
        self._line_cache.clear()
        highlights = self._highlights
        highlights.clear()
        document = self.document
        if document.line_count > MAX_LINES:
            return
        for row, start, end, kind in [*tokens(document.lines), *getattr(self, "marks", [])]:
            if row < document.line_count:
                line = document.get_line(row)
                if line.isascii():
                    highlights[row].append((start, end, kind))
                else:  # Textual counts highlights in bytes
                    highlights[row].append((len(line[:start].encode()), len(line[:end].encode()), kind))

    def action_save(self) -> None:
        self.post_message(self.Command("save"))

    def action_apply(self) -> None:
        self.post_message(self.Command("apply"))

    def action_next_problem(self) -> None:
        self.post_message(self.Command("next_problem"))

    def action_open_file(self) -> None:
        self.post_message(self.Command("open_file"))

    def action_leave(self) -> None:
        self.post_message(self.Command("leave"))
