"""The console sessions in `docs/guide.md`: what is typed, what is to be seen.

In its `console` blocks a line that begins with a prompt has something to type behind it, with Enter unless it has a key
in it such as `‹ctrl+a›`. A line that begins with a key is typed when the line before it is there. `…` stands for
anything, within a line or for any number of lines; every other line must be seen in that order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = re.compile(r"^(root@\w+:\S*# |\w+ login: |Password: )(.*)$")
_KEY = re.compile(r"‹(ctrl\+)?(\w+)›")
_NAMED = {"enter": "\r", "space": " ", "escape": "\x1b"}
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()#][0-9A-Za-z]|[0-9A-Za-z=><])")


@dataclass
class Step:
    """`prompt` is waited for, then `keys` are typed; `shown` are the lines that must follow."""

    prompt: str
    keys: str
    shown: list[str] = field(default_factory=list)


def steps(text: str) -> list[Step]:
    """What the blocks of a document want to be typed, in order."""
    found: list[Step] = []
    for block in _BLOCK.findall(text):
        for line in block.splitlines():
            prompt = _PROMPT.match(line)
            if prompt:
                found.append(Step(prompt[1], _typed(prompt[2])))
            elif _KEY.match(line):
                before = [shown for shown in found[-1].shown if shown.strip("… ")]
                found.append(Step(max(before[-1].split("…"), key=len).strip() if before else "", _typed(line)))
            elif found:
                found[-1].shown.append(line)
            else:
                raise ValueError(f"nothing was typed before {line!r}")
    return found


def _typed(text: str) -> str:
    if not _KEY.search(text):
        return text + "\r"
    return _KEY.sub(lambda key: chr(ord(key[2].upper()) & 0x1F) if key[1] else _NAMED.get(key[2], key[2]), text)


def plain(output: bytes) -> str:
    """Console output without escape sequences, one line ending."""
    text = _ESCAPES.sub("", output.decode("utf-8", "replace")).replace("\r\n", "\n")
    return re.sub(r"\r+\n?", "\n", text)


def missing(shown: list[str], output: str) -> str:
    """The first of the lines that the output does not have in this order; "" when all are there."""
    rest = output.split("\n")
    for line in shown:
        if line.strip() in ("", "…"):
            continue
        pattern = re.compile(r"\s*" + ".*".join(re.escape(part) for part in line.strip().split("…")) + r"\s*$")
        at = next((number for number, seen in enumerate(rest) if pattern.match(seen)), None)
        if at is None:
            return line
        rest = rest[at + 1 :]
    return ""
