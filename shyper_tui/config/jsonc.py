"""JSON (RFC 8259) with `//` and `/* */` comments and trailing commas; strict about everything else.

Every value knows its place in the text. Reading goes on after an error, at the next comma or closing bracket, so that
one pass finds all of them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NoReturn

from .diagnostics import Report, Span

MAX_DEPTH = 64
MAX_ERRORS = 100
"""Reading stops after this many syntax errors."""
_MAX_DIGITS = 400  # more is no number anyone means; Python would refuse integers of more than 4300 digits

_BARE_KEY = re.compile(r"(?:([A-Za-z_$][\w$]*)|'([^'\"\r\n]*)')(?=[ \t]*:)")
_NUMBER_LIKE = re.compile(r"[-+.\w]+")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
_BLANK = re.compile(r"[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\r\n]|\\.)*"?')
_LINES = re.compile(r"[\r\n]\s*")
_KEY = re.compile(r'"[^"\r\n]*"[ \t]*:')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Node:
    """A value and its place."""

    span: Span


@dataclass(frozen=True)
class Scalar(Node):
    """A string, number, true, false or null."""

    value: str | int | float | bool | None


@dataclass(frozen=True)
class Array(Node):
    items: list[Node]


@dataclass(frozen=True)
class Member:
    """A key, its place, and its value."""

    key: str
    key_span: Span
    value: Node


@dataclass(frozen=True)
class Object(Node):
    members: dict[str, Member] = field(default_factory=dict)


@dataclass(frozen=True)
class Invalid(Node):
    """Stands for a value that could not be read; it has been reported."""


class _RecoverError(Exception):
    """An error was reported; reading goes on behind the value it is in."""


class _AbortError(Exception):
    """The structure is lost: what follows would only give misleading reports."""


def parse(text: str, report: Report) -> Node | None:
    """The value of a text; None when its structure could not be followed to the end. Errors go to `report`."""
    return _Parser(text, report).document()


class _Parser:
    def __init__(self, text: str, report: Report) -> None:
        self.text = text
        self.report = report
        self.at = 1 if text.startswith("\ufeff") else 0
        self._errors = 0
        self._comments: dict[int, int] = {}
        """Start and end of each comment."""
        self._trailing_commas: list[int] = []
        self._lines = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]

    def document(self) -> Node | None:
        try:
            self._blank()
            if self.at == len(self.text):
                self._error(self.at, self.at + 1, "The file is empty.", "Write a JSON object: { … }.")
            node = self._value(0)
            self._blank()
            if self.at < len(self.text):
                self._error(self.at, self.at + 1, "There is text after the end of the value.", "Remove it.")
        except (_RecoverError, _AbortError):
            return None
        self._extensions()
        return node

    # Structures

    def _value(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._report(self.at, self.at + 1, f"Values are nested more than {MAX_DEPTH} deep.", "Flatten the file.")
            raise _AbortError
        character = self.text[self.at : self.at + 1]
        if character == "{":
            return self._object(depth)
        if character == "[":
            return self._array(depth)
        start = self.at
        value = self._string() if character == '"' else self._literal()
        return Scalar(self._span(start), value)

    def _value_or_invalid(self, depth: int) -> Node:
        """A value; an erroneous one is skipped up to the next comma or closing bracket."""
        start = self.at
        try:
            return self._value(depth)
        except _RecoverError:
            self._skip()
            return Invalid(self._span(start))

    def _object(self, depth: int) -> Node:
        start = self.at
        members: dict[str, Member] = {}
        self.at += 1
        comma: int | None = None
        while not self._closed("}", start, comma):
            try:
                key_start = self.at
                key = self._key()
                key_span = self._span(key_start)
                self._colon(key)
            except _RecoverError:
                self._skip()
            else:
                value = self._value_or_invalid(depth + 1)
                if key in members:
                    line = members[key].key_span.line
                    message = f'The key "{key}" is already given in line {line}.'
                    self.report.error(key_span, "duplicate-key", message, "Keep one of the two.")
                else:
                    members[key] = Member(key, key_span, value)
            comma = self._comma()
        return Object(self._span(start), members)

    def _array(self, depth: int) -> Node:
        start = self.at
        items: list[Node] = []
        self.at += 1
        comma: int | None = None
        while not self._closed("]", start, comma):
            items.append(self._value_or_invalid(depth + 1))
            comma = self._comma()
        return Array(self._span(start), items)

    def _closed(self, closer: str, start: int, comma: int | None) -> bool:
        """Steps over the closing bracket when it comes next; `comma` is where the comma before it is, if any."""
        self._blank()
        while self.text[self.at : self.at + 1] == ",":
            self._report(self.at, self.at + 1, "There is no value before this comma.", "Remove the comma.")
            self.at += 1
            self._blank()
        character = self.text[self.at : self.at + 1]
        what = "object" if closer == "}" else "array"
        if not character:
            message = f"The {what} is not closed before the end of the file."
            self._report(start, start + 1, message, f"Add the missing {closer}.")
            raise _AbortError
        if character == closer:
            self.at += 1
            if comma is not None:
                self._trailing_commas.append(comma)
            return True
        if character in "]}":
            line = self._span(start).line
            message = f"{character} does not close the {what} that starts in line {line}."
            self._report(self.at, self.at + 1, message, f"Close it with {closer} first.")
            raise _AbortError
        return False

    def _comma(self) -> int | None:
        """Steps over the comma behind a member or item and returns its place; the last one may do without."""
        end = self.at
        self._blank()
        character = self.text[self.at : self.at + 1]
        if character == ",":
            self.at += 1
            return self.at - 1
        if character and character not in "]}":
            self._report(end, end + 1, "A comma is missing after this value.", "Add a comma.")
        return None

    def _key(self) -> str:
        if self.text[self.at] == '"':
            return self._string()
        word = _BARE_KEY.match(self.text, self.at)
        if word:  # clear enough to go on with
            key = word.group(1) or word.group(2) or ""
            self._report(word.start(), word.end(), "A key is not in double quotes.", f'Write "{key}".')
            self.at = word.end()
            return key
        return self._error(self.at, self.at + 1, "A key in double quotes is expected here.", 'Write "key": value.')

    def _colon(self, key: str) -> None:
        end = self.at
        self._blank()
        if self.text[self.at : self.at + 1] != ":":
            self._error(end, end + 1, f'A colon is missing after the key "{key}".', 'Write "key": value.')
        self.at += 1
        self._blank()

    # Scalars

    def _literal(self) -> int | float | bool | None:
        token = _NUMBER_LIKE.match(self.text, self.at)
        if token is None:
            found = self.text[self.at : self.at + 1]
            if found == "'":
                self._error(self.at, self.at + 1, "A string is in single quotes.", "Use double quotes.")
            if found in ("", ",", "]", "}"):
                self._error(self.at, self.at + 1, "A value is missing here.", "Add it, or remove the key.")
            self._error(self.at, self.at + 1, f"{found!r} does not start a value.", "Write a JSON value.")
        text = token.group()
        if text in _WORDS:
            self.at = token.end()
            return _WORDS[text]
        number = _NUMBER.fullmatch(text)
        if number is None or len(text) > _MAX_DIGITS:
            if re.match(r"[-+]?\.?\d", text):
                shown = text if len(text) <= 40 else text[:37] + "…"
                remedy = "Write it as JSON does, for example 12 or -1."
                if text[:2] in ("0x", "0b"):
                    remedy = f'Write hexadecimal and binary values as strings: "{shown}".'
                self._error(self.at, token.end(), f"{shown} is no JSON number.", remedy)
            self._error(self.at, token.end(), f"{text[:40]} is no JSON value.", "Put strings in double quotes.")
        self.at = token.end()
        return float(text) if number.group(2) or number.group(3) else int(text)

    def _string(self) -> str:
        start = self.at
        self.at += 1
        parts: list[str] = []
        sound = True
        while True:
            character = self.text[self.at : self.at + 1]
            if character in ("", "\n", "\r"):
                self._error(start, self.at, "The string is not closed on its line.", 'Add the missing ".')
            self.at += 1
            if character == '"':
                break
            if character == "\\":
                escaped = self._escape()
                sound = sound and escaped is not None
                parts.append(escaped or "")
            else:
                parts.append(character)
                if character < " ":
                    sound = False
                    message = f"The string contains the control character U+{ord(character):04X}."
                    self._report(self.at - 1, self.at, message, f"Write \\u{ord(character):04x}.")
        try:  # \u escapes give UTF-16 code units
            value = "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._error(start, self.at, "The string contains half of a surrogate pair.", "Write both \\u escapes.")
        if not sound:
            raise _RecoverError
        return value

    def _escape(self) -> str | None:
        """The character of an escape; None after a report."""
        start = self.at - 1
        letter = self.text[self.at : self.at + 1]
        if letter in _ESCAPES:
            self.at += 1
            return _ESCAPES[letter]
        digits = re.compile(r"u([0-9a-fA-F]{4})").match(self.text, self.at)
        if digits:
            self.at = digits.end()
            return chr(int(digits.group(1), 16))
        end = self.at + (letter not in ("", "\n", "\r"))
        self._report(start, end, f"\\{letter.strip()} is no JSON escape.", "Write a backslash as \\\\.")
        self.at = end
        return None

    def _extensions(self) -> None:
        """Tell what is no plain JSON; several of a kind are one finding, at the first of them."""
        if self.text.startswith("\ufeff"):
            message = "The file starts with a byte order mark, which Rust-Shyper does not read."
            self.report.portable(self._span(0, 1), "byte-order-mark", message, "Save it as UTF-8 without the mark.")
        if self._comments:
            count = len(self._comments)
            message = f"The file has {count} comment{'s' * (count != 1)}; Rust-Shyper reads plain JSON only."
            start, end = min(self._comments.items())
            self.report.portable(self._span(start, end), "comments", message, "Remove the comments for it.")
        if self._trailing_commas:
            count, first = len(self._trailing_commas), min(self._trailing_commas)
            what = "a comma" if count == 1 else f"{count} commas"
            message = f"The file has {what} before a closing bracket; Rust-Shyper reads plain JSON only."
            self.report.portable(self._span(first, first + 1), "trailing-comma", message, "Remove it for it.")

    # Blanks, positions, errors

    def _blank(self) -> None:
        """Steps over white space and comments."""
        while True:
            match = _BLANK.match(self.text, self.at)
            if match is None:
                break
            if self.text[self.at] == "/":
                self._comments[self.at] = match.end()
            self.at = match.end()
        if self.text.startswith("/*", self.at):
            self._report(self.at, self.at + 2, "The comment is not closed before the end of the file.", "Add */.")
            raise _AbortError

    def _skip(self) -> None:
        """Behind an error: to the next comma or closing bracket of the innermost open bracket."""
        depth = 0
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == '"':
                string = _STRING.match(self.text, self.at)
                self.at = string.end() if string else self.at + 1
                continue
            if character == "/" and self.text[self.at + 1 : self.at + 2] in ("/", "*"):
                before = self.at
                self._blank()
                if self.at > before:
                    continue
            if character in "[{":
                depth += 1
            elif depth == 0 and character in ",]}":
                return
            elif depth == 0 and (lines := _LINES.match(self.text, self.at)):
                self.at = lines.end()
                if _KEY.match(self.text, self.at):
                    return  # the next line starts a member: only the comma is missing
                continue
            elif character in "]}":
                depth -= 1
            self.at += 1

    def _span(self, start: int, end: int | None = None) -> Span:
        (line, column), (end_line, end_column) = self._place(start), self._place(self.at if end is None else end)
        return Span(line, column, end_line, end_column)

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def _report(self, start: int, end: int, message: str, remedy: str) -> None:
        self.report.error(self._span(start, end), "syntax", message, remedy)
        self._errors += 1
        if self._errors == MAX_ERRORS:
            self.report.error(self._span(end, end + 1), "syntax", "There are too many errors.", "Is this JSON at all?")
            raise _AbortError

    def _error(self, start: int, end: int, message: str, remedy: str) -> NoReturn:
        self._report(start, end, message, remedy)
        raise _RecoverError
