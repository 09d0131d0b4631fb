"""The managing VM's Linux in a machine on the virtual clock, with the kernel module and programs of a test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from shyper_tui import images
from shyper_tui.engine.clock import TICKS_PER_SECOND, VirtualClock
from shyper_tui.engine.hart.program import program
from shyper_tui.engine.hypervisor.definition import CpuSpec
from shyper_tui.engine.hypervisor.mvm import MVM_ID, mvm_definition
from shyper_tui.engine.shyper_machine import Hooks, ShyperMachine
from shyper_tui.images import store
from shyper_tui.images.cpio import CpioArchive

CYCLES_PER_TICK = 2
RAMDISK = 0xA000_0000
PROMPT = b"# "


def driver_packages() -> list[Path]:
    """The downloaded packages of the kernel that the images have; empty without them."""
    manifest = store.read_manifest(store.linux_folder())
    if manifest is None:
        return []
    return sorted((store.cache_folder() / "debian" / manifest.suite / "packages").glob("*.deb"))


class LinuxStation:
    """A booted managing VM with a shell on its console. `files`: path in its root file system → content."""

    def __init__(self, files: Mapping[str, bytes], vcpus: int = 1) -> None:
        linux = images.linux_images()
        assert linux is not None
        self.log: list[str] = []
        self.consoles: dict[int, bytearray] = defaultdict(bytearray)
        hooks = Hooks(self._output, lambda: None, self.log.append)
        self.built = ShyperMachine(VirtualClock(CYCLES_PER_TICK), program(), hooks, None, None)
        self.machine, self.platform = self.built.machine, self.built.platform
        self.manager = self.built.hypervisor.manager
        archive = CpioArchive()
        for path, content in files.items():
            archive.file(path, content, 0o755)
        mvm = mvm_definition()
        mvm.cmdline = "console=ttyS0 audit=0 quiet"
        mvm.ramdisk_load_ipa = RAMDISK
        mvm.cpu = CpuSpec(num=vcpus, allocate_bitmap=(1 << vcpus) - 1, master=0)
        self.manager.add(mvm, linux.kernel.read_bytes(), linux.initramfs_min.read_bytes() + archive.to_bytes())
        self.manager.boot(MVM_ID)
        self.built.power_on()
        self.until(b"GUEST-READY", limit=200)
        self.until(PROMPT, self.shown.find(b"GUEST-READY"))

    def _output(self, vm: int, data: bytes) -> None:
        self.consoles[vm] += data

    @property
    def shown(self) -> bytearray:
        """What the managing VM's console has shown."""
        return self.consoles[MVM_ID]

    def close(self) -> None:
        self.built.close()

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        end = self.machine.cycle + int(seconds * TICKS_PER_SECOND * CYCLES_PER_TICK)
        while self.machine.cycle < end and self.machine.power is None:
            self.machine.run_round(end)

    def until(self, text: bytes, start: int = 0, limit: float = 60) -> None:
        """Run until the console shows `text` behind `start`; at most `limit` virtual seconds."""
        end = self.machine.cycle + int(limit * TICKS_PER_SECOND * CYCLES_PER_TICK)
        while self.shown.find(text, start) < 0:
            tail = bytes(self.shown[-1500:]).decode("utf-8", "backslashreplace").replace("\x1b", "^[")
            running = self.machine.cycle < end and self.machine.power is None
            assert running, f"no {text!r} within {limit} s; the console ended with:\n{tail}\n{self.log[-20:]}"
            self.run(0.01)

    def command(self, line: str, limit: float = 60) -> str:
        """Type a line; what it prints up to the next prompt."""
        start = len(self.shown)
        separator = "" if line.endswith("&") else ";"
        data = f"{line}{separator} echo do''ne\r".encode()
        assert self.machine.board.uart.receive(data) == len(data)
        self.until(b"\ndone\r\n", start, limit)
        self.run(0.05)  # the prompt; a shell that learns of a child's end just then does not print it
        text = bytes(self.shown[start:]).decode("utf-8", "replace").replace("\r\n", "\n")
        return text.partition("\n")[2].rpartition("\ndone\n")[0]
