"""From text with escape sequences to calls on the grid (ECMA-48, "XTerm Control Sequences", VT100.net's parser of
DEC terminals).

Complete tokens are found by one regular expression; what it does not match (sequences torn between two chunks,
controls inside sequences, garbage) goes character by character through a small state machine. Both end in the same
handlers. Nothing raises on any input, and no unfinished sequence swallows more than `MAX_STRING` characters or
reaches beyond the end of a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

from shyper_tui.term.grid import Grid
from shyper_tui.term.queries import Queries
from shyper_tui.term.sgr import Parameter

MAX_STRING = 4096
"""Longest OSC, DCS, APC, PM or title string, in characters; a longer one is given up."""
MAX_PARAMETERS = 128
"""Longest parameter part of a CSI sequence, in characters."""

TOKEN = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<newline>\r\n)"
    r"|\x1b\[(?P<csi>[0-?]{0,128})(?P<middle>[ -/]{0,2})(?P<final>[@-~])"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f])"
)


class State(Enum):
    GROUND = auto()
    ESCAPE = auto()
    CSI = auto()
    STRING = auto()
    """Inside OSC, DCS, APC, PM, SOS or a screen title."""
    ARGUMENT = auto()
    """One more character belongs to the escape sequence: a charset, `ESC # 8`, `ESC % G`."""


class Parser:
    """Feeds one grid. `title` is the last title that was set."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.title = ""
        self.queries = Queries(grid)
        self._state = State.GROUND
        self._collected = ""
        self._introducer = ""
        self._last = " "
        self._controls: dict[str, Callable[[], None]] = {
            "\x07": grid.bell,
            "\x08": grid.backspace,
            "\t": grid.tab,
            "\n": grid.linefeed,
            "\x0b": grid.linefeed,
            "\x0c": grid.linefeed,
            "\r": grid.carriage_return,
            "\x0e": grid.shift_out,
            "\x0f": grid.shift_in,
            "\x85": grid.next_line,
        }
        self._escapes: dict[str, Callable[[], None]] = {
            "c": grid.reset,
            "D": grid.index,
            "E": grid.next_line,
            "H": grid.set_tab_stop,
            "M": grid.reverse_index,
            "Z": lambda: self.queries.device_attributes(""),
            "7": grid.save_cursor,
            "8": grid.restore_cursor,
            "=": lambda: grid.mode.add(KEYPAD),
            ">": lambda: grid.mode.discard(KEYPAD),
        }
        self._one: dict[str, Callable[[int], None]] = {
            "@": grid.insert_characters,
            "A": grid.cursor_up,
            "B": grid.cursor_down,
            "C": grid.cursor_forward,
            "D": grid.cursor_back,
            "E": grid.cursor_down1,
            "F": grid.cursor_up1,
            "G": grid.cursor_to_column,
            "I": lambda n: self._repeat(grid.tab, n),
            "J": grid.erase_in_display,
            "K": grid.erase_in_line,
            "L": grid.insert_lines,
            "M": grid.delete_lines,
            "P": grid.delete_characters,
            "S": grid.scroll_up,
            "T": grid.scroll_down,
            "X": grid.erase_characters,
            "Z": grid.back_tab,
            "`": grid.cursor_to_column,
            "a": grid.cursor_forward,
            "b": self._repeat_last,
            "d": grid.cursor_to_line,
            "e": grid.cursor_down,
            "g": grid.clear_tab_stop,
        }

    def feed(self, data: str) -> None:
        """Take a chunk of text; it may begin and end anywhere."""
        grid = self.grid
        draw, index, cursor_text = grid.draw, grid.linefeed, TOKEN.match
        position, end = 0, len(data)
        if self._state is not State.GROUND:
            position = self._until_ground(data, 0)
        while position < end:
            token = cursor_text(data, position)
            if token is None:
                position = self._until_ground(data, position)
                continue
            position = token.end()
            kind = token.lastgroup
            if kind == "text":
                text = token[0]
                self._last = text[-1]
                draw(text)
            elif kind == "newline":
                grid.cursor.x = 0
                index()
            elif kind == "final":
                self._csi(token["csi"], token["middle"], token["final"])
            else:
                handler = self._controls.get(token[0])
                if handler is not None:
                    handler()

    # --- the slow way -----------------------------------------------------------------------------

    def _until_ground(self, data: str, position: int) -> int:
        """Character by character until a sequence is finished; returns the place after it."""
        end = len(data)
        while position < end:
            self._step(data[position])
            position += 1
            if self._state is State.GROUND:
                break
        return position

    def _step(self, char: str) -> None:
        if char in "\x18\x1a":  # CAN, SUB
            self._state = State.GROUND
        elif self._state is State.STRING:
            self._in_string(char)
        elif char == "\x1b":
            self._state, self._collected = State.ESCAPE, ""
        elif char < " " or char == "\x7f":
            handler = self._controls.get(char)
            if handler is not None:
                handler()
        elif self._state is State.CSI:
            self._in_csi(char)
        elif self._state is State.ESCAPE:
            self._in_escape(char)
        elif self._state is State.ARGUMENT:
            self._state = State.GROUND
            self._argument(char)
        elif char == "\x9b":
            self._state, self._collected = State.CSI, ""
        elif char in "\x9d\x90\x98\x9e\x9f":
            self._begin_string({"\x9d": "]", "\x90": "P"}.get(char, "X"))
        elif char == "\x85":
            self.grid.next_line()
        elif char >= "\xa0":
            self._last = char
            self.grid.draw(char)

    def _in_escape(self, char: str) -> None:
        self._state = State.GROUND
        if char == "[":
            self._state, self._collected = State.CSI, ""
        elif char in "]PX^_k":
            self._begin_string(char)
        elif char in "()*+-./#% ":
            self._state, self._introducer = State.ARGUMENT, char
        else:
            handler = self._escapes.get(char)
            if handler is not None:
                handler()

    def _argument(self, char: str) -> None:
        if self._introducer in "()":
            self.grid.define_charset(char, self._introducer)
        elif self._introducer == "#" and char == "8":
            self.grid.alignment_display()

    def _in_csi(self, char: str) -> None:
        if "@" <= char <= "~":
            self._state = State.GROUND
            collected = self._collected
            stripped = collected.rstrip(" !\"#$%&'()*+,-./")
            if len(collected) <= MAX_PARAMETERS:
                self._csi(stripped, collected[len(stripped) :], char)
        elif char > "~":
            self._state = State.GROUND
        elif len(self._collected) <= MAX_PARAMETERS:
            self._collected += char

    def _begin_string(self, introducer: str) -> None:
        self._state, self._introducer, self._collected = State.STRING, introducer, ""

    def _in_string(self, char: str) -> None:
        collected = self._collected
        if char == "\x07" or char == "\x9c" or (char == "\\" and collected.endswith("\x1b")):
            self._state = State.GROUND
            self._string(collected.removesuffix("\x1b"))
        elif collected.endswith("\x1b"):  # not a terminator: another sequence begins
            self._state = State.ESCAPE
            self._collected = ""
            self._step(char)
        elif char in "\n\r" or len(collected) >= MAX_STRING:
            self._state = State.GROUND
            self._step(char)
        elif self._introducer == "]" and not collected and char == "R":  # Linux console: reset palette, no terminator
            self._state = State.GROUND
        else:
            self._collected = collected + char
            if (
                self._introducer == "]" and collected[:1] == "P" and len(collected) == 7
            ):  # Linux console: a palette entry
                self._state = State.GROUND

    def _string(self, text: str) -> None:
        if self._introducer == "k":
            self.title = text[:256]
        elif self._introducer == "]":
            code, _, value = text.partition(";")
            if code in ("0", "2"):
                self.title = value[:256]

    # --- control sequences ------------------------------------------------------------------------

    def _csi(self, parameters: str, middle: str, final: str) -> None:
        prefix = ""
        if parameters and parameters[0] in "<=>?":
            prefix, parameters = parameters[0], parameters[1:]
        values = parse_parameters(parameters)
        if values is None:
            return
        grid = self.grid
        first = values[0][0]
        if middle or prefix:
            self._private(prefix, values, middle, final)
        elif final == "m":
            grid.select_rendition(values)
        elif final in ("H", "f"):
            grid.cursor_position(first, values[1][0] if len(values) > 1 else 0)
        elif final in self._one:
            self._one[final](first)
        elif final == "h":
            grid.set_mode(*(value[0] for value in values))
        elif final == "l":
            grid.reset_mode(*(value[0] for value in values))
        elif final == "r":
            grid.set_margins(first, values[1][0] if len(values) > 1 else 0)
        elif final == "s":
            grid.save_cursor()
        elif final == "u":
            grid.restore_cursor()
        elif final == "n":
            self.queries.device_status("", first)
        elif final == "c" and first == 0:
            self.queries.device_attributes("")
        elif final == "t":
            self.queries.window(first)

    def _private(self, prefix: str, values: tuple[Parameter, ...], middle: str, final: str) -> None:
        """Sequences with a private prefix or intermediate characters; unknown ones do nothing."""
        grid = self.grid
        match prefix, middle, final:
            case "?", "", "h":
                grid.set_mode(*(value[0] for value in values), private=True)
            case "?", "", "l":
                grid.reset_mode(*(value[0] for value in values), private=True)
            case "?", "", "J":
                grid.erase_in_display(values[0][0])
            case "?", "", "K":
                grid.erase_in_line(values[0][0])
            case "?", "", "n":
                self.queries.device_status("?", values[0][0])
            case ">", "", "c":
                self.queries.device_attributes(">")
            case (("" | "?"), "$", "p"):
                self.queries.mode(prefix, values[0][0])
            case "", "!", "p":
                grid.soft_reset()

    def _repeat(self, action: Callable[[], None], count: int) -> None:
        for _ in range(min(count or 1, self.grid.columns)):
            action()

    def _repeat_last(self, count: int) -> None:
        """REP: the last character again, at most a screen full."""
        self.grid.draw(self._last * min(count or 1, self.grid.columns * self.grid.lines))


KEYPAD = 66 << 5
"""Application keypad (DECNKM), kept among pyte's private modes."""


def parse_parameters(text: str) -> tuple[Parameter, ...] | None:
    """`1;38:5:3` as numbers, each at most 9999; missing numbers are 0. None: not the form of parameters."""
    if text.isascii() and text.isdigit():
        return ((min(int(text), 9999),),)
    try:
        return tuple(tuple(min(int(part or "0"), 9999) for part in group.split(":")) for group in text.split(";"))
    except ValueError:
        return None
