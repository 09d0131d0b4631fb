"""The measurement `hypervisor`: what its services cost the managing VM, and what its guests lose against machine mode.

Every scenario is a process that prints `result NAME OPERATIONS NANOSECONDS` lines; the best of several runs counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shyper_tui.bench.configurations import GUEST, SERIAL, command_line, configuration
from shyper_tui.bench.launch import Launch, LaunchError, timed
from shyper_tui.bench.measurements import (
    FOLDER,
    LINUX_MEMORY,
    MVM_MEMORY,
    UnavailableError,
    linux_files,
    module,
)
from shyper_tui.bench.operations import OPERATIONS, Cost
from shyper_tui.bench.qemu import Qemu

DONE = b"BENCH-DONE"
PROGRAM = "linux-bench"
"""What Linux' first process starts when it is ready."""
PINGS = (
    ("", "-A -w 6"),  # six seconds: the managing VM's kernel tests its cryptography after its start, for some of them
    ("ping", "-A -c 1000"),
    ("ping_apart", "-i 0.1 -c 30"),
)
"""What is pinged, one after the other, and the operation that its mean is; none: it does not count."""
_RESULT = re.compile(r"result (\w+) (\d+) (\d+)")
_PING = re.compile(r"round-trip min/avg/max = [\d.]+/([\d.]+)/[\d.]+ ms")

Times = dict[str, float]
"""Microseconds by operation."""


@dataclass(frozen=True)
class Scenario:
    """A process and what is told while it runs. `side`: managing_vm, machine or qemu."""

    name: str
    side: str
    launch: Launch


def scenarios(qemu: Qemu | None, folder: Path, complain: Callable[[str], None]) -> list[Scenario]:
    """Everything to run; `complain` hears of what is left out. Files that are needed are written to `folder`."""
    program = FOLDER / "hypervisor_bench.elf"
    machine = module("shyper_tui.cli", "machine", "--headless", "--until", DONE.decode())
    bare = ("--kernel", str(program), "--memory", LINUX_MEMORY)
    found = [
        Scenario("calls", "managing_vm", Launch(module("shyper_tui.bench.run_hypervisor", str(program)))),
        Scenario("calls", "machine", Launch((*machine, *bare))),
    ]
    if qemu is not None:
        found.append(Scenario("calls", "qemu", qemu.kernel(program, LINUX_MEMORY, DONE)))
    try:
        kernel, initrd, _ = linux_files()
    except UnavailableError as error:
        complain(f"Linux and ping are skipped: {error}")
        return found
    ramdisk = folder / "linux-bench.cpio"
    ramdisk.write_bytes(initrd.read_bytes() + _archive())
    file = folder / "linux-bench.json"
    line = command_line(SERIAL, PROGRAM)
    file.write_text(configuration("mvm", str(ramdisk), line))
    options = ("--kernel", str(kernel), "--initrd", str(ramdisk), "--append", line, "--smp", "1")
    found += [
        Scenario("linux", "managing_vm", Launch(module("shyper_tui.bench.boot_mvm", str(file), DONE.decode()), DONE)),
        Scenario("linux", "machine", Launch((*machine, *options, "--memory", MVM_MEMORY))),
    ]
    if qemu is not None:
        found.append(Scenario("linux", "qemu", qemu.linux(kernel, ramdisk, line, 1, MVM_MEMORY, DONE)))
    found.append(Scenario("ping", "managing_vm", Launch(_ping(folder))))
    return found


def measure(
    qemu: Qemu | None,
    folder: Path,
    repeats: int,
    timeout: float,
    progress: Callable[[str, int, int], None],
    complain: Callable[[str], None],
) -> tuple[list[Cost], list[str]]:
    """All costs, and what failed, one sentence each."""
    times: dict[str, Times] = {"managing_vm": {}, "machine": {}, "qemu": {}}
    failed: list[str] = []
    wanted = scenarios(qemu, folder, complain)
    for turn in range(repeats):
        for number, scenario in enumerate(wanted):
            what = f"hypervisor: {scenario.name} ({scenario.side}), run {turn + 1} of {repeats}"
            progress(what, turn * len(wanted) + number, repeats * len(wanted))
            try:
                output = timed(scenario.launch, timeout).output.decode("utf-8", "replace")
            except LaunchError as error:
                sentence = f"hypervisor: {scenario.name} ({scenario.side}) failed: {error}"
                if sentence not in failed:
                    failed.append(sentence)
                    complain(f"{sentence}.")
                continue
            _keep(times[scenario.side], results(output))
    costs = [Cost(operation, *(times[side].get(operation.name) for side in times)) for operation in OPERATIONS]
    return costs, failed


def results(output: str) -> Times:
    """What a scenario printed: microseconds by operation."""
    found = {name: int(nanoseconds) / int(count) / 1000 for name, count, nanoseconds in _RESULT.findall(output)}
    for (name, _), milliseconds in zip(PINGS, _PING.findall(output), strict=False):
        if name:
            found[name] = float(milliseconds) * 1000
    return found


def _keep(times: Times, new: Times) -> None:
    for name, value in new.items():
        times[name] = min(times.get(name, value), value)


def _ping(folder: Path) -> tuple[str, ...]:
    """The managing VM's Linux pings the Linux of the first guest: again as soon as it is answered, then now and then.

    The mean counts: a guest's clock follows the host's in small jumps, so that single times say little.
    """
    vms = []
    for option, sample, consoles in (("--mvm", "mvm", SERIAL), ("--vm", "linux-guest", GUEST)):
        file = folder / f"ping-{sample}.json"
        file.write_text(configuration(sample, "images:linux/initramfs.cpio", command_line(consoles)))
        vms += [option, str(file)]
    steps = ["--until", "vm0:GUEST-READY", "--until", "vm1:GUEST-READY"]
    for _, options in PINGS:
        steps += ["--send", f"vm0:ping -q {options} 10.0.0.2", "--until", "vm0:round-trip", "--until", "vm0: ms"]
    return module("shyper_tui.cli", "run", "--headless", "--clock", "wall", "--timeout", "120", *vms, *steps)


def _archive() -> bytes:
    """The program as /bin/linux-bench, to be appended to an initramfs."""
    from shyper_tui.images.cpio import CpioArchive

    archive = CpioArchive()
    archive.file("bin/linux-bench", (FOLDER / "linux_bench.elf").read_bytes(), 0o755)
    return archive.to_bytes()
