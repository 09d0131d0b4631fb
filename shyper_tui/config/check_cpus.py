"""Checks of a VM's CPUs: number, cores, master."""

from __future__ import annotations

from .diagnostics import Report
from .model import VmConfig
from .surroundings import Surroundings


def check_cpus(config: VmConfig, around: Surroundings, report: Report) -> None:
    """Report on `cpu`: the bitmap, `num` and `master` must agree, and the cores must be there for this VM."""
    cpu, board = config.cpu, around.board
    named = [core for core in range(32) if cpu.allocate_bitmap >> core & 1]
    if cpu.num == 0:
        report.error("cpu.num", "no-cpu", "The VM has no virtual CPU.", "Use 1 or more.")
    if not named:
        example = "0b0001" if around.mvm else "0b0010"
        report.error("cpu.allocate_bitmap", "no-cpu", "The bitmap names no core.", f'Use for example "{example}".')
        return
    missing = [core for core in named if core >= board.cores]
    if missing:
        message = f"The machine has the cores 0 to {board.cores - 1}; the bitmap names core {_join(missing)}."
        report.error("cpu.allocate_bitmap", "no-such-core", message, f"Use at most {board.cores} digits behind 0b.")
    taken = [core for core in named if core in board.mvm_cores]
    if taken and not around.mvm:
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
