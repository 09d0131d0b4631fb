"""tmux as the judge of what a terminal shows: one server with one pane, whose terminal line we write to ourselves.

Nothing waits for time to pass: each input ends in a query (DSR), whose answer means that tmux has taken all of it;
the pane is then read through a control client.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
import termios
import tty
import unicodedata
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from shyper_tui.term.screen import Terminal

COLUMNS, LINES = 20, 6
RESET = b"\x18\x1b\\\x1b[?1049l\x1bc\x1b[?1049h\x1b[H\x1b[2J\x1b[?1049l\x1bc"
"""A terminal as new, whatever state the input before left it in, and the alternate screen, too."""
END = b"\x18\x1b\\\x1b[5n"
DONE = b"\x1b[0n"
PATIENCE = 30
"""Seconds after which tmux is taken for dead; it answers within milliseconds."""


class Cell(NamedTuple):
    """What one column looks like. `text` is empty for the second half of a wide character."""

    text: str = " "
    fg: str = "default"
    bg: str = "default"
    flags: frozenset[str] = frozenset()

    @property
    def seen(self) -> Cell:
        """Without what nobody sees in a blank: its foreground and boldness."""
        if self.text == " ":
            visible = self.flags & {"underline", "strike", "reverse", "overline"}
            return Cell(" ", self.fg if visible else "default", self.bg, visible)
        return self


UNWRITTEN = Cell(" ", bg="unknown")
"""A cell to the right of all that were written: tmux does not tell its background; `corpus.PROBE` finds it."""


class Picture(NamedTuple):
    rows: tuple[tuple[Cell, ...], ...]
    cursor: tuple[int, int]

    @property
    def text(self) -> list[str]:
        return ["".join(cell.text for cell in row).rstrip() for row in self.rows]


def difference(wanted: Picture, seen: Picture) -> str:
    """Empty when the two look the same."""
    found = [
        f"row {y} column {x}: {b} instead of {a}"
        for y, (one, other) in enumerate(zip(wanted.rows, seen.rows, strict=True))
        for x, (a, b) in enumerate(zip_longest(one, other, fillvalue=Cell("")))
        if a.seen != b.seen and not (a is UNWRITTEN and b.text == " ")
    ]
    if wanted.cursor != seen.cursor:
        found.append(f"cursor {seen.cursor} instead of {wanted.cursor}")
    if not found:
        return ""
    return "\n".join([*found[:6], f"wanted {wanted.text} {wanted.cursor}", f"seen   {seen.text} {seen.cursor}"])


# --- ours ------------------------------------------------------------------------------------------


def ours(data: bytes, columns: int = COLUMNS, lines: int = LINES) -> tuple[Picture, bytes]:
    """The picture of our terminal, and what it answered."""
    replies: list[bytes] = []
    terminal = Terminal(columns, lines, on_reply=replies.append)
    terminal.feed(RESET + data + END)
    rows = []
    for y in range(lines):
        cells: list[Cell] = []
        for text, style in terminal.row(y).runs:
            flags = frozenset(name for name, value in style._asdict().items() if value is True)
            for cluster, width in clusters(text):
                cells.append(Cell(cluster, style.fg, style.bg, flags))
                cells.extend([Cell("", style.fg, style.bg, flags)] * (width - 1))
        rows.append((*cells, *[Cell()] * (columns - len(cells))))
    cursor = terminal.cursor
    return Picture(tuple(rows), (cursor.x, cursor.y)), b"".join(replies).removesuffix(DONE)


def clusters(text: str) -> Iterator[tuple[str, int]]:
    """Characters with the marks that belong to them, and their width."""
    cluster = ""
    for char in text:
        if cluster and columns_of(char) == 0:
            cluster += char
            continue
        if cluster:
            yield unicodedata.normalize("NFC", cluster), columns_of(cluster[0])
        cluster = char
    if cluster:
        yield unicodedata.normalize("NFC", cluster), columns_of(cluster[0])


def columns_of(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


# --- tmux ------------------------------------------------------------------------------------------

_NAMES = ["black", "red", "green", "brown", "blue", "magenta", "cyan", "white"]
_FLAGS = {
    1: "bold", 2: "dim", 3: "italic", 4: "underline", 5: "blink", 7: "reverse", 8: "conceal", 9: "strike",
    53: "overline",
}  # fmt: skip
_LINES = dict(zip("`abcdefghijklmnopqrstuvwxyz{|}~", "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·", strict=True))
_TOKEN = re.compile(r"\x1b\[([\d;:]*)m|([\x0e\x0f])|(.)", re.DOTALL)


class Pane:
    """The pane of a private tmux server."""

    def __init__(self, folder: Path, columns: int = COLUMNS, lines: int = LINES) -> None:
        self.columns, self.lines = columns, lines
        self._socket = str(folder / "tmux")
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        configuration = folder / "tmux.conf"
        configuration.write_text(
            "set -g status off\nset -s escape-time 0\nset -g allow-rename off\n"
            "set -g automatic-rename off\nset -g remain-on-exit on\nset -g visual-bell off\nset -g bell-action none\n"
            f"set -g default-size {columns}x{lines}\n"
        )
        base = ["tmux", "-u", "-S", self._socket, "-f", str(configuration)]
        start = ["new-session", "-d", "-x", str(columns), "-y", str(lines), "exec tail -f /dev/null"]
        subprocess.run([*base, *start], env=environment, check=True)
        self._client = subprocess.Popen(
            [*base, "-C", "attach"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._answer()  # to the attach itself
        self._command("set -g window-size manual", "refresh-client -f no-output")
        name = self._command("display-message -p '#{pane_tty}'")[0][0]
        self._line = os.open(name, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._line, termios.TCSANOW)

    def close(self) -> None:
        os.close(self._line)
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], check=False)
        self._client.communicate()

    def _command(self, *commands: str) -> list[list[str]]:
        """Run commands; the lines of each one's answer."""
        assert self._client.stdin is not None
        self._client.stdin.write(("\n".join(commands) + "\n").encode())
        self._client.stdin.flush()
        return [self._answer() for _ in commands]

    def _answer(self) -> list[str]:
        assert self._client.stdout is not None
        lines: list[str] = []
        while line := self._client.stdout.readline().decode():
            if line.startswith("%begin"):
                lines = []
            elif line.startswith("%end"):
                return lines
            elif line.startswith("%error"):
                raise RuntimeError(f"tmux: {lines}")
            else:
                lines.append(line.rstrip("\n"))
        raise RuntimeError("tmux has ended")

    def show(self, data: bytes) -> tuple[Picture, bytes]:
        """The picture after the data, and what tmux answered meanwhile."""
        answer, rest = b"", RESET + data + END
        while rest:
            rest = rest[os.write(self._line, rest[:512]) :]
        while not answer.endswith(DONE):
            if not select.select([self._line], [], [], PATIENCE)[0]:
                raise TimeoutError(f"tmux does not answer after {data!r}: {answer!r}")
            answer += os.read(self._line, 4096)
        lines, where = self._command("capture-pane -p -e -N", "display-message -p '#{cursor_x} #{cursor_y}'")
        x, y = where[0].split()
        return Picture(self._rows(lines), (min(int(x), self.columns - 1), int(y))), answer.removesuffix(DONE)

    def _rows(self, lines: list[str]) -> tuple[tuple[Cell, ...], ...]:
        rows: list[tuple[Cell, ...]] = []
        look, graphics = Cell(), False  # both go on from row to row
        for line in [*lines, *[""] * (self.lines - len(lines))]:
            cells: list[Cell] = []
            for match in _TOKEN.finditer(line):
                sgr, shift, char = match.groups()
                if sgr is not None:
                    look = _look(look, sgr)
                elif shift:
                    graphics = shift == "\x0e"
                elif columns_of(char) == 0 and cells:
                    at = -1 if cells[-1].text else -2
                    cells[at] = cells[at]._replace(text=unicodedata.normalize("NFC", cells[at].text + char))
                else:
                    cells.append(look._replace(text=_LINES.get(char, char) if graphics else char))
                    cells.extend([look._replace(text="")] * (columns_of(char) - 1))
            rows.append((*cells, *[UNWRITTEN] * (self.columns - len(cells))))
        return tuple(rows)


def _look(look: Cell, sgr: str) -> Cell:
    """The attributes after one of the SGR sequences that tmux writes."""
    fg, bg, flags = look.fg, look.bg, set(look.flags)
    parts = sgr.split(";")
    while parts:
        part = parts.pop(0)
        code = 4 if part.startswith("4:") else int(part.replace(":", "") or 0)  # 5:3 is 53, overline
        if code == 0:
            fg, bg, flags = "default", "default", set()
        elif code in _FLAGS:
            flags.add(_FLAGS[code])
        elif code in (38, 48, 58):
            kind = parts.pop(0)
            if kind == "5":
                colour = _palette(int(parts.pop(0)))
            else:
                colour = "".join(f"{int(parts.pop(0)):02x}" for _ in range(3))
            if code == 38:
                fg = colour
            elif code == 48:
                bg = colour
        elif code in (39, 49):
            fg, bg = ("default", bg) if code == 39 else (fg, "default")
        elif code // 10 in (3, 4, 9, 10):
            name = ("bright" if code >= 90 else "") + _NAMES[code % 10]
            fg, bg = (name, bg) if code // 10 in (3, 9) else (fg, name)
        else:
            raise ValueError(f"SGR {sgr} from tmux")
    return Cell(" ", fg, bg, frozenset(flags))


def _palette(number: int) -> str:
    """xterm's 256 colours: sixteen, a cube, greys."""
    if number < 16:
        return "{:02x}{:02x}{:02x}".format(*_SIXTEEN[number])
    if number >= 232:
        return f"{8 + 10 * (number - 232):02x}" * 3
    levels = [0, 95, 135, 175, 215, 255]
    number -= 16
    return "".join(f"{levels[part]:02x}" for part in (number // 36, number // 6 % 6, number % 6))


_SIXTEEN = [
    (0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229),
    (127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255),
    (255, 255, 255),
]  # fmt: skip


@contextlib.contextmanager
def open_pane(folder: Path) -> Iterator[Pane]:
    pane = Pane(folder)
    try:
        yield pane
    finally:
        pane.close()


def missing() -> bool:
    return shutil.which("tmux") is None
