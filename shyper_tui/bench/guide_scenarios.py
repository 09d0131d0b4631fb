"""What the measurement `guide` runs: an engine with VMs for each scenario, and QEMU with the same kernel."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from shyper_tui.bench import ssh_copy, uplink
from shyper_tui.bench.configurations import GUEST, SERIAL, command_line, configuration
from shyper_tui.bench.launch import timed
from shyper_tui.bench.measurements import FOLDER, LINUX_MEMORY
from shyper_tui.bench.qemu import Qemu
from shyper_tui.images import LinuxImages
from shyper_tui.ipc.client import Client
from shyper_tui.ipc.messages import EngineOptions

DISK, TCP = 64 << 20, 32 << 20
"""Bytes that a measurement moves."""
PORT = 5001
ROUND_TRIP = "_round_trip"
"""So end the names of what is counted in microseconds."""
LIMIT = 180.0
"""Seconds that a scenario may take from one text to the next."""
_DONE = "IO-BENCH-DONE"
_RESULT = re.compile(r"result (\w+) (\d+) (\d+)")
_LOGIN = (("mvm login: ", "root"), ("Password: ", "root"))
_PROMPT = "root@mvm:~# "

Figures = dict[str, float]
"""MB/s, or microseconds of a round trip, by name."""


def figures(output: str) -> Figures:
    """What the program in the guest printed."""
    found = {}
    for name, count, nanoseconds in _RESULT.findall(output):
        amount, taken = max(1, int(count)), max(1, int(nanoseconds))
        found[name] = taken / amount / 1000 if name.endswith(ROUND_TRIP) else amount * 1000 / taken
    return found


def scenarios(folder: Path, linux: LinuxImages, qemu: Qemu | None) -> dict[str, Callable[[], Figures]]:
    """Everything to run, by name; files that are needed are written to `folder`."""
    files = _Files(folder, linux)
    found: dict[str, Callable[[], Figures]] = {
        "engine's disk": lambda: _run(_engine_disk(files)),
        "mediated disk": lambda: _run(_mediated_disk(files)),
        "TCP between VMs": lambda: _run(_between_vms(files)),
    }
    if ssh_copy.available():
        found["copies by ssh"] = partial(ssh_copy.ours, folder, linux)
    found["uplink"] = lambda: _uplink(uplink.mvm_command, "")
    if qemu is not None:
        found["QEMU's disk"] = partial(_qemu_disk, files, qemu)
        found["QEMU's user network"] = lambda: _uplink(partial(uplink.qemu_command, qemu), "qemu_")
    if qemu is not None and ssh_copy.available():
        found["copies by ssh on QEMU"] = partial(ssh_copy.on_qemu, folder, linux, qemu)
    return found


def _run(scenario: Coroutine[Any, Any, str]) -> Figures:
    return figures(asyncio.run(scenario))


class _Files:
    """Images and configurations in `folder`."""

    def __init__(self, folder: Path, linux: LinuxImages) -> None:
        self.folder, self.linux = folder, linux
        self.minimal = self._with_program(linux.initramfs_min)
        self.full = self._with_program(linux.initramfs)

    def _with_program(self, initramfs: Path) -> Path:
        """The initramfs with /bin/io_bench."""
        from shyper_tui.images.cpio import CpioArchive

        archive = CpioArchive()
        archive.file("bin/io_bench", (FOLDER / "linux_io_bench.elf").read_bytes(), 0o755)
        made = self.folder / f"io-{initramfs.name}"
        made.write_bytes(initramfs.read_bytes() + archive.to_bytes())
        return made

    def disk(self) -> Path:
        """An empty disk image."""
        made = self.folder / "io.img"
        with made.open("wb") as file:
            file.truncate(2 * DISK)
        return made

    def guest(self, initramfs: Path, command: str) -> str:
        """A guest with the sample's devices that starts `command` when it is ready."""
        return configuration("linux-guest", str(initramfs), command_line(GUEST, command))

    def managing_vm(self, initramfs: Path) -> Path:
        """The managing VM, with a shell in its initramfs."""
        made = self.folder / "mvm.json"
        made.write_text(configuration("mvm", str(initramfs), command_line(SERIAL)))
        return made


def _disk_command(prefix: str) -> str:
    return f"io_bench disk /dev/vda {DISK} {prefix}"


def _options(files: _Files, **more: Any) -> EngineOptions:
    return EngineOptions(clock="wall", log_dir=str(files.folder / "logs"), **more)


async def _engine_disk(files: _Files) -> str:
    """A guest whose disk is a file of the host."""
    daemon = files.folder / "disks.json"
    daemon.write_text(json.dumps({"mediated": [str(files.disk())]}))
    guest = files.folder / "engine-guest.json"
    guest.write_text(files.guest(files.minimal, _disk_command("engine")))
    options = _options(files, embedded=True, vms=[str(guest)], daemon=str(daemon))
    async with await Client.start(options) as client:
        return await client.console.expect(1, _DONE, LIMIT)


async def _mediated_disk(files: _Files) -> str:
    """A guest whose disk is a file in the managing VM, which its daemon serves."""
    async with await Client.start(_options(files, vms=[], snapshot=True)) as client:
        for prompt, answer in _LOGIN:
            await client.console.expect(0, prompt, LIMIT)
            await client.console.write(0, f"{answer}\r".encode())
        for command in (
            "insmod shyper_riscv64.ko",
            f"truncate -s {2 * DISK} io.img",
            "printf '{\"mediated\": [\"/root/io.img\"]}' > io.json",
            "chmod +x shyper",
            "./shyper system daemon io.json 2> daemon.log &",
            "until grep -q MEDBLK0 daemon.log; do sleep 0.1; done",
        ):
            await client.console.expect(0, _PROMPT, LIMIT)
            await client.console.write(0, f"{command}\r".encode())
        await client.console.expect(0, _PROMPT, LIMIT)
        made = await client.vm.config(files.guest(files.minimal, _disk_command("mediated")), str(files.folder))
        await client.vm.boot(made.id)
        return await client.console.expect(made.id, _DONE, LIMIT)


async def _between_vms(files: _Files) -> str:
    """TCP between the managing VM and a guest, over the hypervisor's switch."""
    guest = files.folder / "serving-guest.json"
    guest.write_text(files.guest(files.full, f"io_bench serve {PORT}"))
    options = _options(files, mvm=str(files.managing_vm(files.full)), vms=[str(guest)], snapshot=True)
    async with await Client.start(options) as client:
        await client.console.expect(0, "GUEST-READY", LIMIT)
        await client.console.expect(1, "io_bench serves", LIMIT)
        await client.console.write(0, f"io_bench tcp 10.0.0.2 {PORT} {TCP} mvm_gvm\r".encode())
        return await client.console.expect(0, _DONE, LIMIT)


def _uplink(command: Callable[[int], tuple[str, ...]], prefix: str) -> Figures:
    """TCP between the host and a Linux, without encryption."""
    port = uplink.free_port()
    found = uplink.measure_uplink(command(port), port)
    return {
        f"{prefix}uplink_in": found.in_rate,
        f"{prefix}uplink_out": found.out_rate,
        f"{prefix}uplink{ROUND_TRIP}": found.round_trip * 1000,
    }


def _qemu_disk(files: _Files, qemu: Qemu) -> Figures:
    """The same kernel and program on QEMU's virtio-blk."""
    line = command_line(SERIAL, f"{_disk_command('qemu')}; poweroff")
    launch = qemu.linux(
        files.linux.kernel, files.minimal, line, 1, LINUX_MEMORY, _DONE.encode(), files.disk(), keep=True
    )
    return figures(timed(launch, LIMIT).output.decode("utf-8", "replace"))
