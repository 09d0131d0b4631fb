"""From text with escape sequences to calls on the grid (ECMA-48, "XTerm Control Sequences", VT100.net's parser of
DEC terminals).

Complete tokens are found by one regular expression; what it does not match (sequences torn between two chunks,
controls inside sequences, garbage) goes character by character through a small state machine. Both end in the same
handlers. Nothing raises on any input, and no unfinished string swallows more than `MAX_STRING` characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

from shyper_tui.term.cells import wcwidth
from shyper_tui.term.grid import KEYPAD, Grid
from shyper_tui.term.queries import Queries
from shyper_tui.term.sgr import Parameter
from shyper_tui.term.strings import MAX_STRING, ControlString

MAX_PARAMETERS = 128
"""Longest parameter part of a CSI sequence, in characters."""

TOKEN = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<newline>\r\n)"
    r"|\x1b\[(?P<csi>[0-?]{0,128})(?P<middle>[ -/]{0,2})(?P<final>[@-~])"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f])"
)
_PARAMETERS = re.compile("[0-9:;]*")


class State(Enum):
    GROUND = auto()
    ESCAPE = auto()
    CSI = auto()
    STRING = auto()
    """Inside OSC, DCS, APC, PM, SOS or a screen title."""
    STRING_ESCAPE = auto()
    """After an ESC inside a string: the first half of its terminator, or the beginning of another sequence."""
    INTERMEDIATE = auto()
    """Inside an escape sequence with intermediate characters: a charset, `ESC # 8`, `ESC % G`."""


class Parser:
    """Feeds one grid. `title` is the last title that was set."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.title = ""
        self.queries = Queries(grid)
        self._state = State.GROUND
        self._collected = ""
        self._string = ControlString("X")
        self._last = ""
        """The last character with a width, for REP."""
        self._controls: dict[str, Callable[[], None]] = {
            "\x07": grid.bell,
            "\x08": grid.backspace,
            "\t": grid.tab,
            "\n": grid.linefeed,
            "\x0b": grid.linefeed,
            "\x0c": grid.linefeed,
            "\r": grid.carriage_return,
            "\x0e": lambda: grid.invoke(1),
            "\x0f": lambda: grid.invoke(0),
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
            "N": lambda: grid.shift_once(2),
            "O": lambda: grid.shift_once(3),
            "n": lambda: grid.invoke(2),
            "o": lambda: grid.invoke(3),
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
            "I": grid.forward_tab,
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
            "j": grid.cursor_back,
            "k": grid.cursor_up,
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
                last = text[-1]
                self._last = last if last < "\u0300" else self._repeatable(text)
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
            if self._state is State.STRING:
                position = self._in_string(data, position)
            else:
                self._step(data[position])
                position += 1
            if self._state is State.GROUND:
                break
        return position

    def _step(self, char: str) -> None:
        """One character anywhere but inside a string."""
        state = self._state
        if char in "\x18\x1a":  # CAN, SUB
            self._state = State.GROUND
        elif state is State.STRING_ESCAPE:
            self._after_string(char)
        elif char == "\x1b":
            self._state = State.ESCAPE
        elif char < " " or char == "\x7f":
            handler = self._controls.get(char)
            if handler is not None:
                handler()
        elif "\x80" <= char <= "\x9f":  # C1: the same as ESC and a letter
            self._in_escape(chr(ord(char) - 0x40))
        elif state is State.CSI:
            self._in_csi(char)
        elif state is State.ESCAPE:
            self._in_escape(char)
        elif state is State.INTERMEDIATE:
            self._in_intermediate(char)
        else:
            self._last = self._repeatable(char)
            self.grid.draw(char)

    def _in_escape(self, char: str) -> None:
        self._state, self._collected = State.GROUND, ""
        if char == "[":
            self._state = State.CSI
        elif char in "]PX^_k":
            self._state, self._string = State.STRING, ControlString(char)
        elif char < "0":
            self._state, self._collected = State.INTERMEDIATE, char
        else:
            handler = self._escapes.get(char)
            if handler is not None:
                handler()

    def _in_intermediate(self, char: str) -> None:
        if char < "0":
            self._collected = (self._collected + char)[:3]  # none that means something has as many
            return
        self._state = State.GROUND
        if self._collected in ("(", ")", "*", "+"):
            self.grid.designate(self._collected, char)
        elif self._collected == "#" and char == "8":
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

    # --- control strings --------------------------------------------------------------------------

    def _in_string(self, data: str, position: int) -> int:
        """Go on inside a string; returns the place of the next character to look at."""
        string = self._string
        position = string.take(data, position)
        if string.finished:
            self._state = State.GROUND
        elif string.overlong:
            self._state = State.GROUND
            self._tell_overlong()
        elif position < len(data):
            char = data[position]
            position += 1
            if char == "\x1b":
                self._state = State.STRING_ESCAPE
            else:
                self._state = State.GROUND
                if char not in "\x18\x1a":
                    self._end_string()
        return position

    def _after_string(self, char: str) -> None:
        """The character after an ESC inside a string."""
        self._state = State.ESCAPE
        if char == "\\":
            self._state = State.GROUND
            self._end_string()
        else:
            self._step(char)

    def _end_string(self) -> None:
        title = self._string.title
        if title is not None:
            self.title = title

    def _tell_overlong(self) -> None:
        self.feed(f"\x1b[0m\r\n[a control string had no end within {MAX_STRING} characters; they are not shown]\r\n")

    # --- control sequences ------------------------------------------------------------------------

    def _csi(self, parameters: str, middle: str, final: str) -> None:
        prefix = ""
        if parameters and parameters[0] in "<=>?":
            prefix, parameters = parameters[0], parameters[1:]
        values = parse_parameters(parameters)
        if values is None or (":" in parameters and final != "m"):
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
            for value in values:
                grid.set_mode(value[0])
        elif final == "l":
            for value in values:
                grid.reset_mode(value[0])
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
                for value in values:
                    grid.set_mode(value[0], private=True)
            case "?", "", "l":
                for value in values:
                    grid.reset_mode(value[0], private=True)
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
            case "", " ", "@":
                grid.shift_left(values[0][0])
            case "", " ", "A":
                grid.shift_right(values[0][0])

    def _repeatable(self, text: str) -> str:
        """The last character of the text that is more than a mark on the one before it."""
        return next((char for char in reversed(text) if wcwidth(char) > 0), self._last)

    def _repeat_last(self, count: int) -> None:
        """REP: the last character again, at most a screen full."""
        self.grid.draw(self._last * min(count or 1, self.grid.columns * self.grid.lines))


def parse_parameters(text: str) -> tuple[Parameter, ...] | None:
    """`1;38:5:3` as numbers, each at most 9999; missing numbers are 0. None: not the form of parameters."""
    if not _PARAMETERS.fullmatch(text):
        return None
    return tuple(tuple(min(int(part or "0"), 9999) for part in group.split(":")) for group in text.split(";"))
