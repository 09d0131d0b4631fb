"""Snippets for each function of ECMA-48 and of DEC's terminals that a console meets, and where we differ from tmux.

The screen has 20 columns and 6 rows. In the tables one word is one snippet: `\\e` is ESC, `\\s` a space, `\\.` nothing.
"""

from __future__ import annotations

LETTERS = "".join(f"\x1b[{y};1H" + chr(96 + y) * 20 for y in range(1, 7))
FILL = LETTERS + "\x1b[3;8H"
FULL = "0123456789abcdefghij"
PROBE = "X\x1b7\x1b[0m" + "".join(f"\x1b[{y};20H." for y in range(1, 7)) + "\x1b8"
"""Writes into the last column of each row, which makes tmux tell what is on the left of it."""


def words(table: str) -> list[str]:
    """The snippets of a table."""
    table = table.replace("\\e", "\\x1b").replace("\\s", "\\x20")
    plain = [word.replace("\\.", "") for word in table.split()]
    return [word.encode("latin-1", "backslashreplace").decode("unicode_escape") for word in plain]


MOVES = words(r"""
        \e[A \e[0A \e[1A \e[2A \e[5A \e[99A \e[9999A \e[65535A \e[B \e[0B \e[1B \e[2B \e[5B \e[99B \e[9999B
        \e[65535B \e[C \e[0C \e[1C \e[2C \e[5C \e[99C \e[9999C \e[65535C \e[D \e[0D \e[1D \e[2D \e[5D \e[99D
        \e[9999D \e[65535D \e[E \e[0E \e[1E \e[2E \e[5E \e[99E \e[9999E \e[65535E \e[F \e[0F \e[1F \e[2F \e[5F
        \e[99F \e[9999F \e[65535F \e[G \e[0G \e[1G \e[2G \e[5G \e[99G \e[9999G \e[65535G \e[` \e[0` \e[1` \e[2`
        \e[5` \e[99` \e[9999` \e[65535` \e[d \e[0d \e[1d \e[2d \e[5d \e[99d \e[9999d \e[65535d
""")
PLACES = words(r"""
        \e[H \e[;H \e[0;0H \e[3H \e[3;H \e[;5H \e[3;5H \e[99;99H \e[3;5f \e[9999;2H \e[6;20H \e[3;5;7H
""")
EDITS = words(r"""
        \e[@ \e[0@ \e[1@ \e[2@ \e[5@ \e[99@ \e[9999@ \e[65535@ \e[P \e[0P \e[1P \e[2P \e[5P \e[99P \e[9999P
        \e[65535P \e[X \e[0X \e[1X \e[2X \e[5X \e[99X \e[9999X \e[65535X \e[S \e[0S \e[1S \e[2S \e[5S \e[99S
        \e[9999S \e[65535S \e[T \e[0T \e[1T \e[2T \e[5T \e[99T \e[9999T \e[65535T \e[L\r \e[0L\r \e[1L\r \e[2L\r
        \e[5L\r \e[99L\r \e[9999L\r \e[65535L\r \e[M\r \e[0M\r \e[1M\r \e[2M\r \e[5M\r \e[99M\r \e[9999M\r
        \e[65535M\r
""")
ERASES = words(r"""
        \e[J \e[0J \e[1J \e[2J \e[4J \e[99J \e[K \e[0K \e[1K \e[2K \e[4K \e[99K
""")
WAITING = words(r"""
        \. \r \n \r\n \x08 \t \x0b \x0c \x0e \x0f \x07 \x00 \x7f \e[A \e[B \e[C \e[D \e[2D \e[G \e[20G \e[d
        \e[2d \e[1;20H \e[2;20H \e[m \e[31m \e[6n \e[K \e[1K \e[2K \e[J \e[1J \e[X \e[P \e[@ \e[L \e[M \e[S \e[T
        \e[b \e[3b \eD \eE \eM \eH \e7 \e7\e8 \e7\e[H\e8 \e[s\e[H\e[u \e[?7l \e[?7l\e[?7h \e[4h \e[?6h \e[?6l
        \e[2;4r \e[r \e[?25l \e[?25h \e[Z \e[I \e(0 \e(B \e[?1049h \e[?1049l \e[?47h \e#8 \e[!p \e[g 漢 e\u0301
        \u0301
""")
"""What may come between the last character of a full row and the next one."""
TABS = words(r"""
        \t \t\t \t\t\t\t \e[3I \e[99I \e[0I \e[20G\e[Z \e[20G\e[2Z \e[20G\e[99Z \e[5G\eH\r\t \e[5G\eH\r\e[2I
        \e[9G\e[g\r\t \e[3g\r\t \e[3g\e[4G\eH\e[20G\e[Z \e[2g\r\t \e[20G\t 漢\t \e[17G\t \e[3g\e[5G\eH\ec\t
""")
RENDITION = words(r"""
        \e[m \e[0m \e[1m \e[2m \e[3m \e[4m \e[5m \e[6m \e[7m \e[8m \e[9m \e[21m \e[53m \e[1;2m \e[1;22m \e[2;22m
        \e[3;23m \e[4;24m \e[5;25m \e[7;27m \e[8;28m \e[9;29m \e[53;55m \e[31m \e[41m \e[31;39m \e[41;49m \e[91m
        \e[101m \e[97;107m \e[38;5;200m \e[48;5;200m \e[38;5;17;1m \e[38;2;1;2;3m \e[48;2;1;2;3m
        \e[38;2;1;2;3;4m \e[38:5:200m \e[48:5:200m \e[38:2:1:2:3m \e[38:2::1:2:3m \e[48:2::1:2:3m
        \e[38:2:0:1:2:3:0m \e[4:0m \e[4:1m \e[4:2m \e[4:3m \e[4:4m \e[4:5m \e[4;4:0m \e[58;5;1m \e[58:5:1m
        \e[58;2;1;2;3m \e[58:2::1:2:3;31m \e[58;5;1;59;32m \e[1;;3m \e[;1m \e[1;m \e[99m \e[10m \e[11m \e[26m
        \e[38m \e[38;5m \e[38;2;1m \e[38;9;1m \e[38;5;256m \e[38;5;300;1m \e[38;2;300;1;1m \e[38;;5m \e[1:2m
        \e[31:1m \e[0:1m \e[100;1m \e[1;31;42;4;7m \e[38;5;1;48;5;2m \e[38:5:1;48:5:2m \e[38;5;1;1m
        \e[38;2;1;2;3;1m \e[>4;2m \e[?4m \e[1\sm \e[4$m
""")
REPEAT = words(r"""
        a\e[3b a\e[b a\e[0b a\e[99b a\e[9999999b \e[3b a\r\e[3b a\e[m\e[3b 漢\e[3b e\u0301\e[3b a\e[31m\e[2b
        é\e[3b a\n\e[2b a\e[2b\e[2b \e[1;19Ha\e[5b
""")
HALVES = words(r"""
        \e[2;1Hx \e[2;1Hxy \e[2;1H文 \e[2;1H\e[X \e[2;1H\e[2X \e[2;1H\e[3X \e[2;1H\e[K \e[2;1H\e[1K \e[2;1H\e[P
        \e[2;1H\e[2P \e[2;1H\e[@ \e[2;1H\e[2@ \e[2;1H\e[J \e[2;1H\e[1J \e[2;1H\t \e[2;2Hx \e[2;2Hxy \e[2;2H文
        \e[2;2H\e[X \e[2;2H\e[2X \e[2;2H\e[3X \e[2;2H\e[K \e[2;2H\e[1K \e[2;2H\e[P \e[2;2H\e[2P \e[2;2H\e[@
        \e[2;2H\e[2@ \e[2;2H\e[J \e[2;2H\e[1J \e[2;2H\t \e[2;3Hx \e[2;3Hxy \e[2;3H文 \e[2;3H\e[X \e[2;3H\e[2X
        \e[2;3H\e[3X \e[2;3H\e[K \e[2;3H\e[1K \e[2;3H\e[P \e[2;3H\e[2P \e[2;3H\e[@ \e[2;3H\e[2@ \e[2;3H\e[J
        \e[2;3H\e[1J \e[2;3H\t \e[2;4Hx \e[2;4Hxy \e[2;4H文 \e[2;4H\e[X \e[2;4H\e[2X \e[2;4H\e[3X \e[2;4H\e[K
        \e[2;4H\e[1K \e[2;4H\e[P \e[2;4H\e[2P \e[2;4H\e[@ \e[2;4H\e[2@ \e[2;4H\e[J \e[2;4H\e[1J \e[2;4H\t
        \e[2;19Hx \e[2;19Hxy \e[2;19H文 \e[2;19H\e[X \e[2;19H\e[2X \e[2;19H\e[3X \e[2;19H\e[K \e[2;19H\e[1K
        \e[2;19H\e[P \e[2;19H\e[2P \e[2;19H\e[@ \e[2;19H\e[2@ \e[2;19H\e[J \e[2;19H\e[1J \e[2;19H\t \e[2;20Hx
        \e[2;20Hxy \e[2;20H文 \e[2;20H\e[X \e[2;20H\e[2X \e[2;20H\e[3X \e[2;20H\e[K \e[2;20H\e[1K \e[2;20H\e[P
        \e[2;20H\e[2P \e[2;20H\e[@ \e[2;20H\e[2@ \e[2;20H\e[J \e[2;20H\e[1J \e[2;20H\t
""")
WIDTH = words(r"""
        \e[1;19H漢 \e[1;20H漢 \e[1;19H漢字 \e[1;20H漢字 \e[6;20H漢 \e[1;19He\u0301\u0301x \e[1;20He\u0301x \u0301a
        漢\u0301a a\r\n\u0301b ab\e[D\u0301 a\u200bb a\u200db ❤\ufe0fa ก\u0e35a 가a a\u00adb \e[44m\e[1;20H漢
        Å\u0323a \U0001f1e9\U0001f1eaa \U0001f44d\U0001f3fda ﬁa ａa \u0600a €a \U0001f600a
""")
PARSER = words(r"""
        \e[3\x184m \e[3\x1a4m \e[3\r1Cx \e[3\n1Cx \e[\x082C \e[3\e[2Cx \e\e[2Cx \e\x182C \e(\e(0q \e(\r0q
        \e]0;a\x18b \e]0;a\e[2Cb \ePa\x18b \e_a\x18b \e^a\x18b \eXa\x18b \e]0;a\x07b \e]0;a\e\\b \ePa\e\\b
        \e_a\e\\b \e^a\e\\b \eXa\e\\b \eka\e\\b \e]8;;http://x/\e\\b\e]8;;\e\\c \e]52;c;YQ==\x07b \e]a\nb\x07c
        \ePa\r\nb\e\\c \e_a\nb\e\\c \e]\e\\b \e\\b \e[;;;;;;;C
        \e[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;31m \e[:C \e[<C \e[=C \e[>C \e[?C \e[1?C \e[?1?C
        \e[\sC \e[!C \e[1\s2C \e[$$C \e[\x7f2C \e[2\x00C \e[2\x07C \e#3 \e#4 \e#5 \e#6 \e#9 \e\sG \e\sF \e%G
        \e%@ \e%/I \e!a \e"a \e&a \e'a \e,a \e*B \e+B \e= \e> \e< \e1 \e2 \ei \el \em \e~ \e} \e| \e` \ea \eb
        \ed \e\r \e\n \e[99999999999999999999C \e[-1C \e[1.5C \x00 \x01 \x02 \x05 \x06 \x10 \x11 \x13 \x1c \x1f
        \x7f \x0b \x0c
""")
MODES = words(r"""
        \e[?1h \e[?1l \e[?3h \e[?4h \e[?8h \e[?9h \e[?12h \e[?25h \e[?40h \e[?45h \e[?66h \e[?69h \e[?1000h
        \e[?1002h \e[?1003h \e[?1004h \e[?1005h \e[?1006h \e[?1007h \e[?1015h \e[?1016h \e[?1034h \e[?2004h
        \e[?2026h \e[?2026l \e[?9999h \e[2h \e[12h \e[20l \e[99h \e[c \e[0c \e[1c \e[>c \e[=c \e[5n \e[6n \e[?6n
        \e[?15n \e[?996n \e[x \e[1x \e[t \e[14t \e[18t \e[22;0t \e[23;0t \e[8;10;10t \e[0q \e[1\sq \e[4\sq
        \e[6\sq \e[>q \e[>0q \e[2\sp \e[61"p \e[1$} \e[?1$p \e[4$p \e[?2004$p \e[i \e[4i \e[5i \e[?5i \e[0y
        \e[2;1y \e[&w \e[1;1'z \e[>4;1m \e[>4m \e[<u \e[>1u \e[=1;1u \e[?u \e[4;500t \e[0p \e[1q \e[o \e[v \e[w
        \e[N \e[O \e[Q \e[R \e[U \e[V \e[Y \e[\\ \e[] \e[^ \e[_
""")
STRINGS = words(r"""
        \eP$qm\e\\ \eP$q\sq\e\\ \eP+q544e\e\\ \ePzz\e\\ \e]1337;x\x07 \e]4;1;red\x07 \e]104\x07
        \e]7;file:///\x07 \e]133;A\x07 \e]9;x\x07 \e]777;notify;a;b\x07
""")
INSERT = words(r"""
        \e[4h\e[1;5H \e[4h\e[1;20H \e[4h\e[1;19H \e[4h\e[1;1H漢 \e[4h\e[4l\e[1;5H
""")
NO_WRAP = words(r"""
        \. XYZ \e[D \x08 \e[1;20H \e[?7h \e[?7hXY 漢 \r\n \e[1;18H漢字
""")
MARGINS = words(r"\e[r \e[0r \e[0;0r \e[2r \e[2;r \e[;4r \e[2;4r \e[4;2r \e[3;3r \e[1;6r \e[1;99r \e[9;12r \e[5;6r")
SCREENS = words(r"""
    \e[?MhX\e[H12\e[?MlY  \e[31m\e[?MhX  \e[2;4r\e[?Mh\e[6;1HX\nY\e[?MlZ  \e[?MhX\e[?Ml\e[?MlY  \e[?Mh\e[?MhX\e[?MlY
""")

GROUPS: dict[str, tuple[str, list[str], str]] = {
    "moves": (FILL, MOVES + PLACES, "X"),
    "edits": (FILL, EDITS + ERASES, "X"),
    "colours": ("\x1b[44;31;1;4m" + FILL + "\x1b[42;7m", EDITS + ERASES, PROBE),
    "inside margins": (FILL + "\x1b[2;4r\x1b[3;8H", MOVES + EDITS, "X"),
    "below margins": (FILL + "\x1b[2;4r\x1b[5;8H", MOVES + EDITS, "X"),
    "above margins": (FILL + "\x1b[2;4r\x1b[1;8H", MOVES + EDITS, "X"),
    "origin mode": (FILL + "\x1b[2;4r\x1b[?6h", MOVES + PLACES, "X"),
    "waiting in the first row": (FULL, WAITING, "XY"),
    "waiting in the second row": (FULL + "\r\n" + FULL, WAITING, "XY"),
    "waiting in the last row": ("\x1b[6;1H" + FULL, WAITING, "XY"),
    "waiting with colours": ("\x1b[44m" + FULL, WAITING, "XY" + PROBE),
    "waiting at the bottom margin": (LETTERS + "\x1b[2;4r\x1b[4;1H" + FULL, WAITING, "XY"),
    "margins": (FILL, MARGINS, "X\n\n\n\n\n\nY\x1bM\x1bM\x1bM\x1bM\x1bM\x1bM\x1bMZ"),
    "insert mode": (FULL, INSERT, "XYZ"),
    "no wrap": ("\x1b[?7l" + FULL, NO_WRAP, "Q"),
    "tabs": ("", TABS, "X"),
    "rendition": ("", RENDITION, "X"),
    "repeat": ("", REPEAT, "X"),
    "halves": ("\x1b[2;1H" + "漢字" * 5, HALVES, ""),
    "width": ("", WIDTH, "X"),
    "parser": ("ab", PARSER, "X"),
    "strings": ("ab", STRINGS, "X"),
    "modes": ("ab", MODES, "X"),
    **{
        f"alternate screen {mode}": (FILL, [word.replace("M", mode) for word in SCREENS], "")
        for mode in ("47", "1047", "1049")
    },
}
"""Name → what comes before, the snippets, what comes after."""

SINGLE = {
    "origin mode off": FILL + "\x1b[2;4r\x1b[?6h\x1b[HX\x1b[?6l\x1b[HY",
    "origin mode is saved": FILL + "\x1b[2;4r\x1b[?6h\x1b[2;2H\x1b7\x1b[?6l\x1b[HX\x1b8Y\x1b[HZ",
    "line feeds below the region": FILL + "\x1b[2;4r\x1b[5;1HX\n\n\n\nY",
    "reverse index above the region": FILL + "\x1b[3;5r\x1b[2;1HX\x1bM\x1bM\x1bMY",
    "index at the bottom margin": FILL + "\x1b[2;4r\x1b[4;3H\x1bDX\x1bEY",
    "wrapping at the bottom margin": FILL + "\x1b[2;4r\x1b[4;18HWXYZ12",
    "wrapping below the region": FILL + "\x1b[2;4r\x1b[6;18HWXYZ12",
    "scrolling in colours": "\x1b[41m"
    + FILL
    + "\x1b[42m\x1b[6;1H\n\n\x1b[43m\x1b[H\x1bM\x1b[44m\x1b[2S\x1b[45m\x1b[T"
    + PROBE,
    "attributes are saved": "\x1b[31;1m\x1b7\x1b[0ma\x1b8b",
    "character sets are saved": "\x1b(0\x1b7\x1b(Bq\x1b8q",
    "the place is saved": "ab\x1b7cd\r\n\x1b8X",
    "the place is saved by CSI s": "ab\x1b[scd\r\n\x1b[uX",
    "saving twice": "ab\x1b7cd\x1b7ef\x1b8\x1b8X",
    "saved in a full row": FULL + "\x1b7\r\nab\x1b8X",
    "RIS": FILL + "\x1b[31;44m\x1b[2;4r\x1b[?6h\x1b[4h\x1b[?7l\x1b(0\x1bcq" + FULL + "XY",
    "DECALN": "\x1b[31;44m\x1b[2;4r\x1b[4;4H\x1b#8X",
    "DECALN, then erasing": "\x1b#8\x1b[3;3H\x1b[44m\x1b[1J\x1b[K" + PROBE,
    "line drawing": "\x1b(0`abcdefghijklmno\r\npqrstuvwxyz{|}~\x1b(B",
    "line drawing leaves capitals": "\x1b(0ABC123[]\x1b(Bx",
    "shift out and in": "\x1b)0q\x0eq\x0fq",
    "shift out without a set": "q\x0eq\x0fq",
    "wide characters in line drawing": "\x1b(0漢q\x1b(B",
    "repeated line drawing": "\x1b(0q\x1b[3b\x1b(B",
    "sets that nobody knows": "\x1b(Kq\x1b(%5q\x1b-Aq\x1b.Bq\x1b$(Cq",
    "attributes in the alternate screen": "\x1b[?1049h\x1b[31m\x1b[?1049lX",
    "attributes over lines": "\x1b[31;44;1mab\r\ncd\x1b[0mef",
}

SNIPPETS: dict[str, str] = SINGLE | {
    f"{group}: {snippet!r}": before + snippet + after
    for group, (before, snippets, after) in GROUPS.items()
    for snippet in snippets
}

WHERE = ("in the first row", "in the second row", "in the last row", "with colours", "at the bottom margin")
DIFFERENT: dict[str, list[str]] = {
    "VT510, xterm: IL and DL do nothing outside the margins": [
        f"{where} margins: '\\x1b[{count}{final}\\r'"
        for where in ("above", "below") for final in "LM" for count in ("", "0", "1", "2", "5", "99", "9999", "65535")
    ],
    "ECMA-48, xterm: IL and DL put the cursor into the first column": [
        f"waiting {where}: '\\x1b[{final}'" for final in "LM"
        for where in ("in the first row", "in the second row", "with colours", "at the bottom margin")
    ],
    "tmux leaves the row as it was when ICH takes all of it": [
        f"{group}: '\\x1b[{count}@'" for count in ("99", "9999", "65535")
        for group in ("edits", "colours", "inside margins", "below margins", "above margins")
    ],
    "VT510, xterm: after the last column the cursor stands on it, and movements count from there": [
        f"waiting {where}: '{move}'" for move in (r"\x08", r"\x1b[D", r"\x1b[2D", r"\x1b[d", r"\x1b[2d")
        for where in WHERE
    ],
    "VT510, xterm: without autowrap characters overwrite the last column": [
        f"waiting {where}: '\\x1b[?7l'"
        for where in WHERE
    ],
    "xterm: REP repeats the last character whatever came since, of any kind, over the row's end": [
        *(
            f"waiting {where}: '\\x1b[{count}b'" for count in ("", "3")
            for where in WHERE
        ),
        *(f"repeat: {snippet!r}" for snippet in REPEAT),
    ],
    "tmux has no DECSTR": ["waiting with colours: '\\x1b[!p'", "waiting at the bottom margin: '\\x1b[!p'"],
    "tmux has no CHT": [f"tabs: {snippet!r}" for snippet in TABS if snippet.endswith("I")],
    "xterm: a bottom margin of 0 is the last row": ["margins: '\\x1b[0;0r'"],
    "the pane decides the width, and DECCOLM does nothing, as in xterm unless allowed": ["modes: '\\x1b[?3h'"],
    "VT500's parser: CAN ends every sequence": ["parser: '\\x1bPa\\x18b'"],
    "xterm: a parameter that is too large is the largest": ["parser: '\\x1b[99999999999999999999C'"],
    "xterm: a colour that is not complete takes its parameters with it": [
        "rendition: '\\x1b[38;2;1m'", "rendition: '\\x1b[38;2;300;1;1m'",
    ],
    "we drop format characters, which could reorder or hide what the outer terminal shows": ["width: 'a\\u200bb'"],
    "we keep joiners for whoever copies the text; jamos are composed": [
        "width: 'a\\u200db'", "width: '\u1100\u1161a'",
    ],
    "tmux leaves halves of wide characters when it erases, inserts or deletes": [f"halves: {s!r}" for s in HALVES],
}  # fmt: skip
"""Reason → names of snippets where we may differ from tmux on purpose; each reason has one that does."""
