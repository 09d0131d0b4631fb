"""Reads the configuration file of `shyper system daemon`: the list of mediated disks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from shyper_tui.images.containers import container_of
from shyper_tui.images.errors import ImageError
from shyper_tui.images.store import PREFIX, resolve
from shyper_tui.input_file import open_input

from .diagnostics import Reading, Report, Span
from .fields import Fields
from .jsonc import parse

MAX_DISKS = 16
MAX_PATH_BYTES = 31
SECTOR = 512


@dataclass(frozen=True)
class DaemonConfig:
    """Paths of block devices or image files, in the order of their disk numbers. With Rust-Shyper they lie inside the
    MVM, here on the host."""

    mediated: tuple[str, ...]
    file: str = field(default="", compare=False)


def read_daemon(text: str, file: str, portable: bool = False, folder: Path | None = None) -> Reading[DaemonConfig]:
    """The daemon's configuration in a text; `file` is the name for the diagnostics. With a `folder`, at which relative
    names start, the images themselves are checked, too."""
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
    if folder is not None and not report.failed:
        _check_images(paths, folder, positions, report)
    return Reading(None if report.failed else DaemonConfig(paths, file), report.diagnostics)


def disks(fields: Fields) -> tuple[str, ...]:
    """Reads every member of the daemon's object. The JSON Schema is made from this function, too."""
    paths = fields.strings("mediated")
    fields.done(["$schema"])
    return paths


HOST_FILES = (
    "Name a file of this host; relative names start at the folder of this file. "
    "(With Rust-Shyper these are files inside of the managing VM.)"
)
"""Remedy for an image that is not there: the original's sample names paths inside of its managing VM."""


def _check_images(paths: tuple[str, ...], folder: Path, positions: dict[str, Span], report: Report) -> None:
    """Report on disks that the engine would not serve, and on those that guests cannot write."""
    seen: dict[tuple[int, int], str] = {}
    for index, name in enumerate(paths):
        where = positions.get(f"mediated[{index}]", positions["mediated"])
        try:
            path = resolve(name, folder)
            identity = _check_image(name, path, where, report)
        except ImageError as error:
            report.error(where, "file-missing", error.message, error.remedy)
            continue
        except OSError as error:
            message = f'The disk image "{name}" cannot be used: {(error.strerror or str(error)).lower()}.'
            remedy = HOST_FILES
            report.error(where, "file-missing", message, remedy)
            continue
        if name.startswith(PREFIX):
            continue
        if identity in seen:
            message = f'"{name}" and "{seen[identity]}" are the same image; two guests would destroy it.'
            report.error(where, "disk-twice", message, "Give each guest an image of its own.")
        seen.setdefault(identity, name)


def _check_image(name: str, path: Path, where: Span, report: Report) -> tuple[int, int]:
    """What tells the image from others: device and inode. Raises OSError."""
    with os.fdopen(open_input(path, block_devices=True), "rb") as file:
        status = os.fstat(file.fileno())
        wrapped = container_of(file)
        size = file.seek(0, os.SEEK_END)
    if wrapped is not None:
        message = f'"{name}" is {wrapped}, not a raw disk image.'
        report.error(where, "not-a-disk", message, wrapped.remedy(name))
    elif size < SECTOR:
        message = f'"{name}" has {size} bytes, not even one sector of {SECTOR}.'
        report.error(where, "not-a-disk", message, f"Make one, for example with `truncate -s 64M {name}`.")
    elif not name.startswith(PREFIX) and (not status.st_mode & 0o222 or not os.access(path, os.W_OK)):
        message = f'"{name}" cannot be written, so guests get a read-only disk.'
        report.warning(where, "disk-read-only", message, "Change its permissions if they shall write to it.")
    return status.st_dev, status.st_ino
