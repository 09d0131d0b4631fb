"""Reads the configuration file of `shyper system daemon`: the list of mediated disks."""

from __future__ import annotations

from dataclasses import dataclass, field

from shyper_tui.images.store import PREFIX

from .diagnostics import Reading, Report, Span
from .fields import Fields
from .jsonc import parse

MAX_DISKS = 16
MAX_PATH_BYTES = 31


@dataclass(frozen=True)
class DaemonConfig:
    """Paths inside the MVM of block devices or image files, in the order of their disk numbers."""

    mediated: tuple[str, ...]
    file: str = field(default="", compare=False)


def read_daemon(text: str, file: str, portable: bool = False) -> Reading[DaemonConfig]:
    """The daemon's configuration in a text; `file` is the name for the diagnostics."""
    report = Report(file, portable=portable)
    root = parse(text, report)
    if root is None:
        return Reading(None, report.diagnostics)
    positions: dict[str, Span] = {}
    paths = disks(Fields(root, "", report, positions))
    for index, path in enumerate(paths):
        if len(path.encode()) > MAX_PATH_BYTES:
            message = f"The path has {len(path.encode())} bytes; Rust-Shyper's daemon takes {MAX_PATH_BYTES}."
            report.portable(positions[f"mediated[{index}]"], "path-too-long", message, "Use a shorter path or a link.")
    if len(paths) > MAX_DISKS:
        message = f"{len(paths)} disks are given; there can be {MAX_DISKS}."
        report.error(positions["mediated"], "too-many", message, "Remove some.")
    for index, path in enumerate(paths):
        if path.startswith(PREFIX):
            message = f'"{path}" is an image of this workstation; Rust-Shyper wants a path inside its managing VM.'
            report.portable(positions[f"mediated[{index}]"], "workstation-path", message, "Give a path for it.")
    return Reading(None if report.failed else DaemonConfig(paths, file), report.diagnostics)


def disks(fields: Fields) -> tuple[str, ...]:
    """Reads every member of the daemon's object. The JSON Schema is made from this function, too."""
    paths = fields.strings("mediated")
    fields.done(["$schema"])
    return paths
