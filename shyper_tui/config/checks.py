"""Semantic checks of a VM's configuration, before anything starts.

Rust-Shyper makes none of them: most of what is an error here panics a physical core of the real one. Every finding
is at the position of the value that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .board import DEFAULT_BOARD, Board
from .check_devices import check_devices
from .check_layout import check_layout
from .diagnostics import Diagnostic, Report
from .model import VmConfig, VmType

MAX_NAME = 31
MAX_CMDLINE = 1023
_LIMITS = {
    "emulated_device.emulated_device_list": 16,
    "passthrough_device.passthrough_device_list": 128,
    "dtb_device.dtb_device_list": 16,
}


def check_vm(
    config: VmConfig,
    board: Board = DEFAULT_BOARD,
    others: Iterable[VmConfig] = (),
    folder: Path | None = None,
    mvm: bool = False,
) -> list[Diagnostic]:
    """Everything about a configuration that could not work on `board` beside the guest VMs `others`.

    Relative file names are looked up in `folder` (default: the folder of `config.file`). `mvm`: the configuration is
    the managing VM's own.
    """
    report = Report(config.file, config.positions)
    others = list(others)
    _names(config, others, report)
    _limits(config, report)
    _cpus(config, board, report, mvm)
    check_layout(config, board, others, report, folder or Path(config.file).parent, mvm)
    check_devices(config, board, others, report, mvm)
    return report.diagnostics


def _names(config: VmConfig, others: list[VmConfig], report: Report) -> None:
    size = len(config.name.encode())
    if not config.name.strip():
        report.error("name", "bad-name", "The VM has no name.", "Give it one of 1 to 31 bytes.")
    elif not config.name.isprintable():
        report.error("name", "bad-name", "The name contains control characters.", "Use printable characters only.")
    if size > MAX_NAME:
        message = f"The name has {size} bytes; the hypervisor holds {MAX_NAME}."
        report.error("name", "name-too-long", message, "Shorten it.")
    if any(other.name == config.name for other in others):
        report.warning("name", "name-taken", f'Another VM is named "{config.name}" too.', "Give each VM its own name.")
    size = len(config.cmdline.encode())
    if size > MAX_CMDLINE:
        message = f"The command line has {size} bytes; the hypervisor holds {MAX_CMDLINE}."
        report.error("cmdline", "cmdline-too-long", message, "Shorten it.")
    if "\0" in config.cmdline:
        report.error("cmdline", "bad-cmdline", "The command line contains a NUL character.", "Remove it.")
    if config.type is VmType.FREERTOS:
        message = "VM_T_FREERTOS is known to the command line tool only; the hypervisor refuses it."
        report.error("type", "unsupported-type", message, "Use VM_T_BARE_MATEL_APP.")
    for path, value in (("memory.colors", config.memory_colors), ("memory.budget", config.memory_budget)):
        if value is not None:
            message = "Memory colours and budgets are not supported on RISC-V."
            report.error(path, "unsupported-memory", message, "Remove this key.")


def _limits(config: VmConfig, report: Report) -> None:
    lists = (config.emulated_devices, config.passthrough_devices, config.dtb_devices)
    for (path, limit), devices in zip(_LIMITS.items(), lists, strict=True):
        if len(devices) > limit:
            message = f"The list has {len(devices)} devices; the limit is {limit}."
            report.error(path, "too-many", message, "Remove some.")


def _cpus(config: VmConfig, board: Board, report: Report, mvm: bool) -> None:
    cpu = config.cpu
    named = [core for core in range(32) if cpu.allocate_bitmap >> core & 1]
    if cpu.num == 0:
        report.error("cpu.num", "no-cpu", "The VM has no virtual CPU.", "Use 1 or more.")
    if not named:
        example = "0b0001" if mvm else "0b0010"
        report.error("cpu.allocate_bitmap", "no-cpu", "The bitmap names no core.", f'Use for example "{example}".')
        return
    missing = [core for core in named if core >= board.cores]
    if missing:
        message = f"The machine has the cores 0 to {board.cores - 1}; the bitmap names core {_join(missing)}."
        report.error("cpu.allocate_bitmap", "no-such-core", message, f"Use at most {board.cores} digits behind 0b.")
    taken = [core for core in named if core in board.mvm_cores]
    if taken and not mvm:
        free = sum(1 << core for core in range(board.cores) if core not in board.mvm_cores)
        message = f"Core {_join(taken)} belongs to the managing VM."
        report.error("cpu.allocate_bitmap", "core-taken", message, f'Use cores out of "{free:#0{board.cores + 2}b}".')
    if cpu.num != len(named) and cpu.num:
        used = min(cpu.num, len(named))
        message = f"num is {cpu.num}, but the bitmap names {len(named)} core{'s' * (len(named) != 1)}."
        remedy = f"Make them agree; now the VM gets {used} CPU{'s' * (used != 1)} on core {_join(cpu.cores)}."
        report.warning("cpu.num", "cpu-count", message, remedy)
    if cpu.num and cpu.master is not None and cpu.master not in cpu.cores:
        message = f"The master, core {cpu.master}, is not one of the VM's cores ({_join(cpu.cores)})."
        report.warning("cpu.master", "cpu-master", message, "Name one of them, or -1 for the lowest.")


def _join(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
