"""Semantic checks of a VM's configuration, before anything starts.

Rust-Shyper makes none of them: most of what is an error here panics a physical core of the real one. Every finding
is at the position of the value that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from .board import DEFAULT_BOARD, Board
from .check_consoles import check_consoles
from .check_cpus import check_cpus
from .check_devices import check_devices
from .check_images import check_images
from .check_irqs import check_irqs
from .check_layout import check_layout
from .check_passthrough import check_passthrough
from .check_tree_entries import check_tree_entries
from .diagnostics import Diagnostic, Report
from .model import VmConfig
from .portable import check_portable
from .surroundings import DTB, EMULATED, PASSTHROUGH, Surroundings

MAX_NAME = 31
MAX_CMDLINE = 1024
MAX_REGIONS = 64
"""Memory regions; Rust-Shyper has no limit of its own, and writes 4 into the managing VM's device tree."""
MAX_DEVICES = {EMULATED: 16, PASSTHROUGH: 128, DTB: 16}


def check_vm(
    config: VmConfig,
    board: Board = DEFAULT_BOARD,
    others: Iterable[VmConfig] = (),
    folder: Path | None = None,
    mvm: bool = False,
    *,
    portable: bool = False,
    vm_id: int | None = None,
    peers: Mapping[int, VmConfig] | None = None,
) -> list[Diagnostic]:
    """Everything about a configuration that could not work on `board` beside the guest VMs `others`.

    Relative file names are looked up in `folder` (default: the folder of `config.file`). `mvm`: the configuration is
    the managing VM's own. `portable`: tell also what works here, but not with Rust-Shyper itself. `vm_id` and `peers`
    (VMs by id, 0 = the managing VM's file) are for the pairs of consoles, as far as they are known.
    """
    report = Report(config.file, config.positions, portable)
    config = _bounded(config, report)
    folder = folder or Path(config.file).parent
    around = Surroundings(folder, board, tuple(others), mvm, 0 if mvm else vm_id, peers or {})
    _names(config, around, report)
    _limits(around, report)
    check_cpus(config, around, report)
    check_layout(config, around, report)
    check_images(config, around, report)
    check_devices(config, around, report)
    check_consoles(config, around, report)
    check_irqs(config, around, report)
    check_passthrough(config, around, report)
    check_tree_entries(config, report)
    check_portable(config, around, report)
    return report.diagnostics


def _names(config: VmConfig, around: Surroundings, report: Report) -> None:
    size = len(config.name.encode())
    if not config.name.strip():
        report.error("name", "bad-name", "The VM has no name.", "Give it one of 1 to 31 bytes.")
    elif not config.name.isprintable():
        report.error("name", "bad-name", "The name contains control characters.", "Use printable characters only.")
    if size > MAX_NAME:
        message = f"The name has {size} bytes; the hypervisor holds {MAX_NAME}."
        report.error("name", "name-too-long", message, "Shorten it.")
    if any(other.name == config.name for other in around.others):
        report.warning("name", "name-taken", f'Another VM is named "{config.name}" too.', "Give each VM its own name.")
    size = len(config.cmdline.encode())
    if size > MAX_CMDLINE:
        message = f"The command line has {size} bytes; the hypervisor holds {MAX_CMDLINE}."
        report.error("cmdline", "cmdline-too-long", message, "Shorten it.")
    if "\0" in config.cmdline:
        report.error("cmdline", "bad-cmdline", "The command line contains a NUL character.", "Remove it.")
    if config.memory_colors is not None and not _colors(config.memory_colors):
        message = f'"{config.memory_colors}" is no list of memory colours.'
        report.error("memory.colors", "bad-colors", message, 'Write numbers and ranges, for example "0-13,14,32-63".')


def _colors(text: str) -> bool:
    """Decimal numbers and inclusive ranges, separated by commas."""
    for part in text.split(","):
        found = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part)
        if found is None or int(found.group(2) or found.group(1)) < int(found.group(1)):
            return False
    return True


def _bounded(config: VmConfig, report: Report) -> VmConfig:
    """Report lists beyond their limits; the checks look at what is within, for many compare everything with
    everything."""
    lists = (config.memory, config.emulated_devices, config.passthrough_devices, config.dtb_devices)
    limits = {"memory.region": MAX_REGIONS, **MAX_DEVICES}
    for (path, limit), entries in zip(limits.items(), lists, strict=True):
        if len(entries) > limit:
            what = "regions" if path == "memory.region" else "devices"
            message = f"The list has {len(entries)} {what}; the limit is {limit}."
            report.error(path, "too-many", message, "Remove some.")
    return replace(
        config,
        memory=config.memory[:MAX_REGIONS],
        emulated_devices=config.emulated_devices[: MAX_DEVICES[EMULATED]],
        passthrough_devices=config.passthrough_devices[: MAX_DEVICES[PASSTHROUGH]],
        dtb_devices=config.dtb_devices[: MAX_DEVICES[DTB]],
    )


def _limits(around: Surroundings, report: Report) -> None:
    if not around.mvm and len(around.others) >= around.board.max_vms - 1:
        message = f"{len(around.others)} guest VMs are there already, which is the limit."
        report.error("", "too-many-vms", message, "Leave this file out, or another one.")
