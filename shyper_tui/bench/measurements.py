"""What is measured: for every name our process and QEMU's."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from shyper_tui.bench import MMU
from shyper_tui.bench.configurations import SERIAL, command_line, configuration
from shyper_tui.bench.launch import Launch
from shyper_tui.bench.qemu import Qemu

READY = b"GUEST-READY"
"""What Linux's first process prints when its shell is there."""
COMMAND_LINE = command_line(SERIAL, "poweroff")
PROGRAM_MEMORY, LINUX_MEMORY, MVM_MEMORY = "128M", "1G", "4G"
FOLDER = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Measurement:
    """One row of the report. `peer` is None where there is no QEMU."""

    name: str
    ours: Launch
    peer: Launch | None


class UnavailableError(Exception):
    """Something that a measurement needs is not there; one sentence."""


def measurement(name: str, qemu: Qemu | None, folder: Path) -> Measurement:
    """The measurement with this name; files that it needs are written to `folder`. Raises UnavailableError."""
    if name == "mvm_boot":
        return _mvm_boot(name, qemu, folder)
    if name.startswith("linux_boot"):
        return _linux_boot(name, qemu, harts=4 if name.endswith("_4") else 1)
    stem = name.removesuffix(MMU)
    return program(name, FOLDER / f"{stem}{'-mmu' if stem != name else ''}.elf", qemu)


def program(name: str, elf: Path, qemu: Qemu | None) -> Measurement:
    """A bare-metal program that begins in M-mode and ends through the test finisher."""
    if not elf.is_file():
        raise UnavailableError(f"The program {elf.name} is not there; build it with guests/build.py.")
    ours = Launch(module("shyper_tui.bench.run_program", str(elf)))
    return Measurement(name, ours, qemu.program(elf, PROGRAM_MEMORY) if qemu else None)


def _linux_boot(name: str, qemu: Qemu | None, harts: int) -> Measurement:
    kernel, initrd, _ = linux_files()
    ours = module(
        "shyper_tui.cli", "machine", "--headless", "--until", READY.decode(), "--smp", str(harts),
        "--memory", LINUX_MEMORY, "--kernel", str(kernel), "--initrd", str(initrd), "--append", COMMAND_LINE,
    )  # fmt: skip
    peer = qemu.linux(kernel, initrd, COMMAND_LINE, harts, LINUX_MEMORY, READY) if qemu else None
    return Measurement(name, Launch(ours, READY), peer)


def _mvm_boot(name: str, qemu: Qemu | None, folder: Path) -> Measurement:
    kernel, initrd, disk = linux_files()
    file = folder / "mvm.json"
    file.write_text(configuration("mvm", "images:linux/initramfs-min.cpio", COMMAND_LINE))
    ours = Launch(module("shyper_tui.bench.boot_mvm", str(file)), READY)
    peer = qemu.linux(kernel, initrd, COMMAND_LINE, 1, MVM_MEMORY, READY, disk) if qemu else None
    return Measurement(name, ours, peer)


def linux_files() -> tuple[Path, Path, Path]:
    """Kernel, smallest initramfs, and the managing VM's disk."""
    from shyper_tui import images

    linux = images.linux_images()
    if linux is None:
        raise UnavailableError("The Linux images are not there; fetch them with `shyper-tui images fetch`.")
    return linux.kernel, linux.initramfs_min, linux.mvm_disk


def module(*arguments: str) -> tuple[str, ...]:
    """A module of this installation as a command; -P: the current folder is no place for modules."""
    return (sys.executable, "-P", "-m", *arguments)
