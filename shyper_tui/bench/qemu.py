"""QEMU as the peer of a measurement: the same board with the same harts, memory and images."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from shyper_tui.bench.launch import Launch

PROGRAM = "qemu-system-riscv64"


class Qemu:
    """An installed qemu-system-riscv64, with the processor and the translator it has by default."""

    def __init__(self, path: str, version: str) -> None:
        self.path, self.version = path, version

    def program(self, elf: Path, memory: str) -> Launch:
        """A bare-metal program in M-mode, to its end."""
        return Launch((*self._board(1, memory), "-bios", "none", "-kernel", str(elf)))

    def kernel(self, elf: Path, memory: str, until: bytes) -> Launch:
        """A program in S-mode under the firmware that comes with QEMU, to a text on the console."""
        return Launch((*self._board(1, memory), "-kernel", str(elf)), until)

    def linux(
        self, kernel: Path, initrd: Path, append: str, harts: int, memory: str, until: bytes, drive: Path | None = None,
        keep: bool = False,
    ) -> Launch:  # fmt: skip
        """A Linux boot with the firmware that comes with QEMU, to a text on the console. The drive stays unchanged,
        unless what is written is to be kept."""
        command = [*self._board(harts, memory), "-kernel", str(kernel), "-initrd", str(initrd), "-append", append]
        if drive is not None:
            command += ["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-blk-device,drive=disk"]
            command += ["-drive", f"file={drive},format=raw,if=none,id=disk{'' if keep else ',snapshot=on'}"]
        return Launch(tuple(command), until)

    def with_user_network(
        self, kernel: str, initrd: str, append: str, memory: str, port: int, guest_port: int, drive: Path | None = None
    ) -> tuple[str, ...]:
        """The command of a Linux with a network card on QEMU's user network, and `port` of the host's loopback leading
        to it. Its console is standard input and output; the drive stays unchanged."""
        network = f"user,id=outer,hostfwd=tcp:127.0.0.1:{port}-:{guest_port}"
        card = ("-netdev", network, "-device", "virtio-net-device,netdev=outer,mac=52:54:00:12:34:56")
        modern = ("-global", "virtio-mmio.force-legacy=false")
        system = ("-kernel", kernel, "-initrd", initrd, "-append", append)
        disk: tuple[str, ...] = ()
        if drive is not None:
            disk = ("-drive", f"file={drive},format=raw,if=none,id=disk,snapshot=on")
            disk += ("-device", "virtio-blk-device,drive=disk")
        return (*self._board(1, memory, ()), *modern, *disk, *card, *system)

    def _board(self, harts: int, memory: str, network: tuple[str, ...] = ("-nic", "none")) -> tuple[str, ...]:
        return (self.path, "-M", "virt", "-smp", str(harts), "-m", memory, "-nographic", "-no-reboot", *network)


def find_qemu() -> Qemu | None:
    """The QEMU on the search path, if there is one that answers."""
    path = shutil.which(PROGRAM)
    if path is None:
        return None
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return Qemu(path, answer.partition("\n")[0].strip())
