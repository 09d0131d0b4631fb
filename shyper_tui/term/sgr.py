"""Select Graphic Rendition (ECMA-48 8.3.117): attributes of the characters that follow.

Beyond the standard: bright colours 90-107 (aixterm), 256 colours and direct colours after 38 and 48, with `;` or
`:` between the parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from pyte import graphics

from shyper_tui.term.cells import Cell

Parameter = tuple[int, ...]
"""One parameter with its colon-separated sub-parameters; a missing number is 0."""

_FLAGS: dict[int, dict[str, bool]] = {
    1: {"bold": True}, 2: {"dim": True}, 3: {"italics": True}, 4: {"underscore": True}, 5: {"blink": True},
    6: {"blink": True}, 7: {"reverse": True}, 8: {"conceal": True}, 9: {"strikethrough": True},
    21: {"underscore": True}, 22: {"bold": False, "dim": False}, 23: {"italics": False}, 24: {"underscore": False},
    25: {"blink": False}, 27: {"reverse": False}, 28: {"conceal": False}, 29: {"strikethrough": False},
    53: {"overline": True}, 55: {"overline": False},
}  # fmt: skip
"""Attributes that a parameter sets or takes away; 21 is a double underline."""
_FOREGROUND = {**graphics.FG_ANSI, **graphics.FG_AIXTERM}
_BACKGROUND = {**graphics.BG_ANSI, **{code + 10: name for code, name in graphics.FG_AIXTERM.items()}}


def rendition(attributes: Cell, parameters: tuple[Parameter, ...], default: Cell) -> Cell:
    """The attributes after one SGR sequence. Unknown parameters are ignored."""
    changes: dict[str, Any] = {}
    rest = iter(parameters or ((0,),))
    for parameter in rest:
        code = parameter[0]
        if code == 0:
            changes = dict(default._asdict())
        elif len(parameter) > 1 and code not in (4, 38, 48, 58):
            continue  # no others have sub-parameters
        elif code == 4 and len(parameter) > 1:  # 4:0 none, 4:1 … 4:5 kinds of underline
            changes["underscore"] = parameter[1] != 0
        elif code in _FLAGS:
            changes.update(_FLAGS[code])
        elif code in _FOREGROUND:
            changes["fg"] = _FOREGROUND[code]
        elif code in _BACKGROUND:
            changes["bg"] = _BACKGROUND[code]
        elif code in (38, 48, 58):
            colour = _direct_colour(parameter, rest)
            if colour is not None and code != 58:
                changes["fg" if code == 38 else "bg"] = colour
    changes.pop("data", None)
    return attributes._replace(**changes) if changes else attributes


def _direct_colour(parameter: Parameter, rest: Iterator[Parameter]) -> str | None:
    """The colour after 38 or 48: `5;n`, `2;r;g;b`, or the same as sub-parameters."""
    if len(parameter) > 1:
        kind, values = parameter[1], list(parameter[2:])
        if kind == 2 and len(values) > 3:  # 38:2:<colour space>:r:g:b
            values = values[1:]
    else:
        kind = next(rest, (0,))[0]
        values = [value[0] for value in islice(rest, {5: 1, 2: 3}.get(kind, 0))]
    if kind == 5 and values and values[0] < 256:
        return graphics.FG_BG_256[values[0]]
    if kind == 2 and len(values) >= 3 and all(value < 256 for value in values[:3]):
        return "{:02x}{:02x}{:02x}".format(*values[:3])
    return None
