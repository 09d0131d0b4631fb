"""Layout files: which panes stand where in a view.

A layout is a JSON object with a `title` and a `root`. A node is either a split (`"split": "columns"` or `"rows"`
with `children`; `stack_below`: columns become rows on terminals narrower than that) or a pane (`"pane": "console" |
"vms" | "vcpus" | "plic" | "config"`, for consoles with `vms`: `mvm`, `guests` or `all`). Every node may have a
`size` (`"2fr"`, `"30%"`, `"auto"`, a number of cells), `hide_below` (columns) and `hide_below_lines`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shyper_tui.input_file import MAX_CONFIGURATION, read_input

VIEWS = ("consoles", "vcpus", "plic", "config", "debug", "overview")
"""The views in the order of their keys."""
PANES = ("console", "vms", "vcpus", "plic", "config")
CONSOLE_SETS = ("mvm", "guests", "all")
MAX_DEPTH = 8

_SIZE = re.compile(r"[1-9]\d{0,3}(fr|%|)|auto")
_COMMON = {"size", "hide_below", "hide_below_lines"}


class LayoutError(Exception):
    """One sentence: file, place, what is wrong, what would be right."""


@dataclass(frozen=True)
class PaneNode:
    """A pane and where its room comes from."""

    pane: str
    vms: str = "all"
    size: str = "1fr"
    hide_below: int = 0
    hide_below_lines: int = 0


@dataclass(frozen=True)
class SplitNode:
    """Nodes beside (`columns`) or below (`rows`) each other."""

    split: Literal["columns", "rows"]
    children: tuple[Node, ...] = field(default=())
    stack_below: int = 0
    size: str = "1fr"
    hide_below: int = 0
    hide_below_lines: int = 0


Node = PaneNode | SplitNode


@dataclass(frozen=True)
class Layout:
    """One view."""

    name: str
    title: str
    root: Node


def layouts_folder() -> Path:
    """`shyper_tui/layouts` in an installed package, the top-level folder in a source tree."""
    package = Path(__file__).resolve().parent
    installed = package / "layouts"
    return installed if installed.is_dir() else package.parent / "layouts"


def load_layout(name: str, folder: Path | None = None) -> Layout:
    """The layout of a view. Raises LayoutError."""
    path = (folder or layouts_folder()) / f"{name}.json"
    try:
        text = read_input(path, MAX_CONFIGURATION).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError(
            f"{path}: the layout cannot be read: {getattr(error, 'strerror', 'it is no text')}."
        ) from None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also integers of thousands of digits
        where = f"{error.lineno}:{error.colno}" if isinstance(error, json.JSONDecodeError) else "1:1"
        reason = getattr(error, "msg", "nested too deep, or a number too long")
        raise LayoutError(f"{path}:{where}: this is no JSON ({reason}).") from None
    return parse_layout(data, name, str(path))


def parse_layout(data: Any, name: str, file: str) -> Layout:
    """A layout from its JSON value. Raises LayoutError."""
    fields = _fields(data, {"title", "root"}, f"{file}: the layout")
    title = fields.get("title", name.capitalize())
    if not isinstance(title, str):
        raise LayoutError(f"{file}: title must be a text, not {title!r}.")
    if "root" not in fields:
        raise LayoutError(f"{file}: the layout has no root; give it a pane or a split.")
    return Layout(name, title, _node(fields["root"], f"{file}: root", 0))


def _node(data: Any, where: str, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise LayoutError(f"{where}: splits are nested more than {MAX_DEPTH} deep.")
    if not isinstance(data, dict) or ("pane" in data) == ("split" in data):
        raise LayoutError(f"{where}: a node must be an object with either pane or split.")
    if "pane" in data:
        fields = _fields(data, {"pane", "vms", *_COMMON}, where)
        pane = _one_of(fields["pane"], PANES, f"{where}.pane")
        vms = _one_of(fields.get("vms", "all"), CONSOLE_SETS, f"{where}.vms")
        return PaneNode(pane, vms, *_common(fields, where))
    fields = _fields(data, {"split", "children", "stack_below", *_COMMON}, where)
    split = _one_of(fields["split"], ("columns", "rows"), f"{where}.split")
    children = fields.get("children")
    if not isinstance(children, list) or not children:
        raise LayoutError(f"{where}.children: a split needs a list of at least one node.")
    nodes = tuple(_node(child, f"{where}.children[{n}]", depth + 1) for n, child in enumerate(children))
    stack = _number(fields.get("stack_below", 0), f"{where}.stack_below")
    return SplitNode("columns" if split == "columns" else "rows", nodes, stack, *_common(fields, where))


def _common(fields: dict[str, Any], where: str) -> tuple[str, int, int]:
    size = str(fields.get("size", "1fr"))
    if not _SIZE.fullmatch(size):
        raise LayoutError(f'{where}.size: {size!r} is no size; use "2fr", "30%", "auto" or a number of cells.')
    lines = _number(fields.get("hide_below_lines", 0), f"{where}.hide_below_lines")
    return size, _number(fields.get("hide_below", 0), f"{where}.hide_below"), lines


def _fields(data: Any, known: set[str], where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise LayoutError(f"{where}: must be an object.")
    unknown = sorted(set(data) - known)
    if unknown:
        raise LayoutError(f"{where}: there is no {unknown[0]!r}; known are {', '.join(sorted(known))}.")
    return data


def _one_of(value: Any, allowed: tuple[str, ...], where: str) -> str:
    if value not in allowed:
        raise LayoutError(f"{where}: {value!r} is not one of {', '.join(allowed)}.")
    return str(value)


def _number(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 9999:
        raise LayoutError(f"{where}: must be a number from 0 to 9999, not {value!r}.")
    return value
