"""Text of others made safe to show: guests' output, names and messages that hold characters a terminal obeys.

Names of VMs and files, texts in configurations, symbols of kernels, and what a guest prints are written by somebody
else. On their way to a terminal, a log that we print, or a widget they pass one of these functions; what they do is
the same everywhere. Nothing here imports the rest of the package.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

_IGNORABLE = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""What has no picture of its own, or moves others' (Unicode: Default_Ignorable_Code_Point, bidirectional controls, line
and paragraph separators), without the variation selectors, which choose between two pictures of a character."""
_CONTROLS = "\\x00-\\x1f\\x7f-\\x9f"
_SURROGATES = "\ud800-\udfff"

_UNSAFE = re.compile(f"[{_CONTROLS}{_SURROGATES}{_IGNORABLE}]")
_UNSAFE_BUT_LINES = re.compile(f"(?![\\t\\n])[{_CONTROLS}{_SURROGATES}{_IGNORABLE}]")
_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}

LONGEST_SEQUENCE = 256
"""Characters of a control sequence that are waited for; a longer one is none."""
LONGEST_STRING = 64 * 1024
"""Characters of a control string that are discarded while its end is looked for."""


def visible(text: str) -> str:
    r"""Text for one line: each character that a terminal would obey or not show stands there as an escape (`\n`,
    `\x1b`, `\u202e`); so does a byte of a file name that is no UTF-8. Applying it twice changes nothing."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_escape, text)


def visible_lines(text: str) -> str:
    """Like `visible`, for text of several lines: tabs and line feeds stay."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE_BUT_LINES.sub(_escape, text)


def same_width(text: str) -> str:
    """Each unsafe character as U+FFFD, for widgets that count characters. Tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(lambda match: "\t" if match[0] == "\t" else "\ufffd", text)


def cells(text: str, width: Callable[[str], int]) -> str:
    """What a terminal's cells hold, without what would move or hide the cells around it: an unsafe character is as many
    blanks as it is wide. Joiners stay, for they make one picture of several characters."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(lambda match: match[0] if match[0] in "\u200c\u200d" else " " * max(0, width(match[0])), text)


def visible_json(text: str) -> str:
    r"""A JSON text whose strings have `\u` escapes for unsafe characters: another spelling of the same value."""
    return _UNSAFE_BUT_LINES.sub(_json_escape, text)


def clipped(text: str, width: int) -> str:
    """`visible`, cut to `width` characters with an ellipsis at the end."""
    shown = visible(text[: width + 1])
    return shown if len(shown) <= width and len(text) <= width else shown[: width - 1] + "…"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python spells a byte of a file name that it could not decode
        code -= 0xDC00
    if code <= 0xFF:
        return _NAMED.get(match[0], f"\\x{code:02x}")
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


_START = re.compile(r"[\x1b\x80-\x9f]")
_SEQUENCE = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-OQ-WYZ\\`-~]")
"""A control sequence, or an escape sequence that does not begin a string (ECMA-48, 5.3 to 5.5)."""
_UNFINISHED = re.compile(r"(?:\x1b(?:\[[0-?]*)?[ -/]*|\x9b[0-?]*[ -/]*)\Z")
_STRING = re.compile(r"\x1b[PX\]^_]|[\x90\x98\x9d\x9e\x9f]")
_STRING_END = re.compile(r"[\x07\x18\x1a\x9c]|\x1b\\|\x1b(?=[^\\])")
"""ST, and what terminals take for it: BEL, CAN, SUB, the beginning of another sequence."""
_DROPPED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class ConsoleText:
    """A console's bytes as plain text, piece by piece: no escape sequences (7- and 8-bit forms), no control characters
    but tab and line feed, and every other unsafe character visible. What it keeps of what came before is bounded."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        """The beginning of a sequence at the end of the last piece."""
        self._string_room = 0
        """Characters that the control string may still take; 0 outside of one."""

    def feed(self, data: bytes, final: bool = False) -> str:
        """The text of the next bytes; `final`: nothing comes after them."""
        text = self._held + self._decoder.decode(data, final)
        self._held = ""
        if not self._string_room and _START.search(text) is None:
            return visible_lines(_DROPPED.sub("", text))
        kept: list[str] = []
        at = 0
        while at < len(text):
            if self._string_room:
                at = self._skip_string(text, at)
                continue
            start = _START.search(text, at)
            end = start.start() if start is not None else len(text)
            kept.append(text[at:end])
            if start is None:
                break
            at = self._skip_sequence(text, end, final)
        return visible_lines(_DROPPED.sub("", "".join(kept)))

    def _skip_sequence(self, text: str, at: int, final: bool) -> int:
        """Where the text goes on behind the control character at `at`."""
        sequence = _SEQUENCE.match(text, at)
        if sequence is not None:
            return sequence.end()
        string = _STRING.match(text, at)
        if string is not None:
            self._string_room = LONGEST_STRING
            return string.end()
        if len(text) - at <= LONGEST_SEQUENCE and _UNFINISHED.match(text, at):
            self._held = "" if final else text[at:]
            return len(text)
        return at + 1

    def _skip_string(self, text: str, at: int) -> int:
        """Where the text goes on behind the control string that is under way."""
        limit = min(len(text), at + self._string_room)
        end = _STRING_END.search(text, at, limit)
        if end is not None:
            self._string_room = 0
            return end.start() if end[0] == "\x1b" else end.end()
        if text[limit - 1] == "\x1b" and limit == len(text):  # perhaps the first half of ST
            limit -= 1
            self._held = "\x1b"
            self._string_room -= limit - at
            return len(text)
        self._string_room -= limit - at
        return limit


def plain(data: bytes) -> str:
    """All of some console output as plain text (`ConsoleText`)."""
    return ConsoleText().feed(data, final=True)
