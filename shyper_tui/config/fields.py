"""Typed access to the members of a JSON object, with a report for everything that is wrong.

The kinds of numbers are Rust-Shyper's: HEX and BIN are strings, NUM is a JSON integer. Where the real program drops the
first two characters of HEX and BIN unchecked, the prefix is required here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import TypeVar

from .diagnostics import Report, Span, shortened
from .jsonc import Array, Invalid, Member, Node, Object, Scalar

U32 = (1 << 32) - 1
U64 = (1 << 64) - 1

E = TypeVar("E")


def describe_type(node: Node) -> str:
    match node:
        case Object():
            return "an object"
        case Array():
            return "an array"
        case Scalar(value=bool()):
            return "true or false"
        case Scalar(value=None):
            return "null"
        case Scalar(value=str()):
            return "a string"
        case Scalar(value=float()):
            return "a number with fraction or exponent"
        case _:
            return "a number"


def suggestion(word: str, known: Iterable[str]) -> str:
    """`Did you mean "x"?` or the list of what is known."""
    known = list(known)
    word = word[:64]  # comparing takes the product of both lengths
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        folded = {item.lower(): item for item in known}
        close = [folded[word.lower()]] if word.lower() in folded else []
    return f'Did you mean "{close[0]}"?' if close else f"Known are: {', '.join(known)}."


class Fields:
    """One JSON object. Getters report and return a default when a member is missing or wrong."""

    def __init__(self, node: Node, path: str, report: Report, positions: dict[str, Span]) -> None:
        self.path = path
        self._node = node
        self._report = report
        self._positions = positions
        self._members: dict[str, Member] = node.members if isinstance(node, Object) else {}
        self._asked: list[str] = []
        positions[path] = node.span
        self.usable = isinstance(node, Object)
        if not self.usable and not isinstance(node, Invalid):
            what = f'"{path}"' if path else "The file"
            report.error(node.span, "wrong-type", f"{what} must be an object, not {describe_type(node)}.", "Use { … }.")

    def string(self, key: str, required: bool = True) -> str:
        value = self._scalar(key, required)
        if value is None:
            return ""
        if not isinstance(value.value, str):
            self._wrong(key, value, "a string", 'Put it in double quotes: "…".')
            return ""
        return value.value

    def hex(self, key: str, unused: bool = False) -> int:
        """HEX: `"0"`, or `"0x…"` up to 64 bits; blanks around it are allowed. `unused`: Rust-Shyper reads the value
        and does nothing with it, so one that is wrong is a warning, and stands for 0."""
        value = self._scalar(key, True)
        if value is None:
            return 0
        if not isinstance(value.value, str):
            example = f'"{value.value:#x}"' if type(value.value) is int and value.value >= 0 else '"0x80000000"'
            self._wrong(key, value, "a hexadecimal string", f"Write {example}.")
            return 0
        text = value.value.strip()
        if text == "0":
            return 0
        if unused:
            return self._unused_hex(key, value, text)
        if not re.fullmatch(r"0[xX][0-9a-fA-F]+", text):
            if re.fullmatch(r"[0-9a-fA-F]+", text):
                remedy = f'Write "0x{shortened(text)}": Rust-Shyper drops the first two characters unseen.'
            else:
                remedy = 'Write "0x" and hexadecimal digits, or "0".'
            message = f'"{shortened(value.value)}" is no hexadecimal value with the prefix 0x.'
            self._report.error(value.span, "bad-hex", message, remedy)
            return 0
        number = int(text, 16)
        if number > U64:
            message = f"{shortened(text)} does not fit into 64 bits."
            self._report.error(value.span, "bad-hex", message, "Use at most 16 digits.")
            return 0
        return number

    def _unused_hex(self, key: str, value: Scalar, text: str) -> int:
        if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", text):
            return int(text, 16)
        message = f'"{shortened(text)}" is no hexadecimal value with the prefix 0x and is ignored.'
        self._report.warning(value.span, "unused-value", message, f'Write "0x…" or "0" for "{key}".')
        return 0

    def binary(self, key: str) -> int:
        """BIN: `"0b…"` up to 32 bits."""
        value = self._scalar(key, True)
        if value is None:
            return 0
        if not isinstance(value.value, str):
            self._wrong(key, value, "a binary string", 'Write for example "0b1110".')
            return 0
        text = value.value.strip()
        if text != value.value:
            message = f'"{shortened(value.value)}" has blanks, which Rust-Shyper does not skip here.'
            self._report.portable(value.span, "blanks-in-binary", message, f'Write "{text}".')
        if not re.fullmatch(r"0[bB][01]{1,32}", text):
            message = f'"{shortened(value.value)}" is no binary value with the prefix 0b and at most 32 digits.'
            self._report.error(value.span, "bad-binary", message, 'Write "0b1110" for the cores 1, 2 and 3.')
            return 0
        return int(text, 2)

    def number(self, key: str, low: int = 0, high: int = U64, required: bool = True) -> int:
        """NUM: a JSON integer within low … high."""
        value = self._scalar(key, required)
        return 0 if value is None else self._integer(key, value, low, high)

    def enum(self, key: str, names: dict[str, E]) -> E | None:
        value = self._scalar(key, True)
        if value is None:
            return None
        if not isinstance(value.value, str):
            self._wrong(key, value, "a string", f"Known are: {', '.join(names)}.")
            return None
        if value.value not in names:
            remedy = suggestion(value.value, names)
            self._report.error(value.span, "bad-enum", f'"{shortened(value.value)}" is no value of "{key}".', remedy)
            return None
        return names[value.value]

    def object(self, key: str) -> Fields:
        path = self._child(key)
        member = self._member(key, True)
        return Fields(Invalid(self._node.span) if member is None else member.value, path, self._report, self._positions)

    def objects(self, key: str) -> Iterator[Fields]:
        """The items of an array of objects."""
        for index, item in enumerate(self._items(key, True)):
            fields = Fields(item, f"{self._child(key)}[{index}]", self._report, self._positions)
            if fields.usable:
                yield fields

    def numbers(self, key: str, strings: bool = False, required: bool = True) -> tuple[int, ...]:
        """An array of NUM; with `strings` also of `"0x…"`, `"0b…"` and `"12"`."""
        found: list[int] = []
        for index, item in enumerate(self._items(key, required)):
            path = f"{key}[{index}]"
            self._positions[self._child(path)] = item.span
            if isinstance(item, Scalar) and strings and isinstance(item.value, str):
                found.append(self._number_string(item))
            elif not isinstance(item, Invalid):
                found.append(self._integer(path, item, 0, U64))
        return tuple(found)

    def strings(self, key: str) -> tuple[str, ...]:
        """An array of strings."""
        found: list[str] = []
        for index, item in enumerate(self._items(key, True)):
            path = f"{key}[{index}]"
            self._positions[self._child(path)] = item.span
            if isinstance(item, Scalar) and isinstance(item.value, str):
                found.append(item.value)
            elif not isinstance(item, Invalid):
                self._wrong(path, item, "a string", 'Put it in double quotes: "…".')
        return tuple(found)

    def has(self, key: str) -> bool:
        return key in self._members

    def needs(self, key: str) -> None:
        """Report a key that is not there."""
        if key in self._members or not self.usable or self._report.has("syntax"):
            return  # behind bad syntax it may well be there
        place = f'"{self.path}"' if self.path else "The file"
        remedy = f'Add "{key}".'
        others = [other for other in self._members if other not in self._asked and len(other) <= 64][:100]
        close = difflib.get_close_matches(key, others, n=1, cutoff=0.75)
        if close:
            remedy = f'Rename "{close[0]}" to "{key}".'
        self._report.error(self._node.span, "missing-key", f'{place} has no key "{key}".', remedy)

    def required_there(self, *keys: str) -> None:
        """Tell of keys that are optional here, but not for Rust-Shyper."""
        for key in keys:
            if self.usable and not self.has(key):
                message = f'"{self.path}" has no key "{key}", which Rust-Shyper requires.'
                self._report.portable(self._node.span, "key-required-there", message, f'Add "{key}" for it.')

    def agrees(self, key: str, count: int, of: str) -> None:
        """Warn when the number at `key`, if it is there, is not the length of the list `of`."""
        member = self._members.get(key)
        value = member.value.value if member is not None and isinstance(member.value, Scalar) else None
        if type(value) is int and value != count and member is not None and self.usable:
            message = f'"{key}" is {value}, but "{of}" has {count} entr{"y" if count == 1 else "ies"}.'
            self._report.warning(member.value.span, "count-mismatch", message, f"Write {count}, or leave it out.")

    def dash_is_none(self, key: str, name: str) -> str:
        """A file name of which `-` means that there is none, as in configurations for other machines."""
        if name != "-":
            return name
        message = f'"{key}" is "-", which Rust-Shyper takes for the name of a file.'
        self._report.portable(self._positions[self._child(key)], "dash-filename", message, 'Write "" for no file.')
        return ""

    def done(self, ignored: Iterable[str] = ()) -> None:
        """Warn about members that nobody asked for; `ignored` ones may be there without effect."""
        for key, member in self._members.items():
            if key not in self._asked and key not in ignored:
                place = f' in "{self.path}"' if self.path else ""
                if self._report.full:
                    return
                remedy = f"{suggestion(key, self._asked)} It has no effect."
                message = f'The key "{shortened(key)}" is not known{place}.'
                self._report.warning(member.key_span, "unknown-key", message, remedy)

    # Helpers

    def _child(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _member(self, key: str, required: bool) -> Member | None:
        self._asked.append(key)
        member = self._members.get(key)
        if member is not None:
            self._positions[self._child(key)] = member.value.span
        elif required:
            self.needs(key)
        return member

    def _scalar(self, key: str, required: bool) -> Scalar | None:
        member = self._member(key, required)
        if member is None or isinstance(member.value, Invalid):
            return None
        if isinstance(member.value, Scalar):
            return member.value
        self._wrong(key, member.value, "a single value", "Replace it.")
        return None

    def _items(self, key: str, required: bool) -> list[Node]:
        member = self._member(key, required)
        if member is None or isinstance(member.value, Invalid):
            return []
        if not isinstance(member.value, Array):
            self._wrong(key, member.value, "an array", "Use [ … ].")
            return []
        return member.value.items

    def _integer(self, key: str, node: Node, low: int, high: int) -> int:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong(key, node, "an integer", "Write digits without quotes, for example 1.")
            return 0
        if not low <= value <= high:
            shown = str(value) if abs(value) <= U64 else "It"
            message = f'{shown} is out of range for "{key}".'
            self._report.error(node.span, "bad-number", message, f"Use {low} to {high}.")
            return 0
        return value

    def _number_string(self, node: Scalar) -> int:
        text = str(node.value).strip()
        if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}|0[bB][01]{1,64}", text):
            return int(text, 0)
        if re.fullmatch(r"[0-9]{1,20}", text) and int(text) <= U64:
            return int(text)
        message = f'"{shortened(str(node.value))}" is no number of at most 64 bits.'
        self._report.error(node.span, "bad-number", message, 'Write "0x…", "0b…" or decimal digits.')
        return 0

    def _wrong(self, key: str, node: Node, expected: str, remedy: str) -> None:
        self._report.error(node.span, "wrong-type", f'"{key}" must be {expected}, not {describe_type(node)}.', remedy)
