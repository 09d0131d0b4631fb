"""Machine mode: one board that runs any firmware, kernel or hypervisor, with a script and a console."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeGuard

from shyper_tui.engine.bare_loader import KERNEL_OFFSET, fw_dynamic_info, load_program, places
from shyper_tui.engine.board.memory_map import RAM_BASE, VIRTIO_SLOTS
from shyper_tui.engine.board.virt_tree import virt_tree
from shyper_tui.engine.board.virtio.block import SECTOR
from shyper_tui.engine.board.virtio.disk import Disk, DiskError, Overlay, RawFile
from shyper_tui.engine.capture import CaptureFile
from shyper_tui.engine.clock import VirtualClock, WallClock
from shyper_tui.engine.console_stream import ConsoleStream
from shyper_tui.engine.firmware.console import UartConsole
from shyper_tui.engine.firmware.firmware import Firmware
from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hart.program import program
from shyper_tui.engine.hypervisor.guest_tree import Cpu
from shyper_tui.engine.machine import Machine
from shyper_tui.engine.outer_network import NO_NETWORK, NetworkChoice, connect_network
from shyper_tui.engine.scenario import Scenario
from shyper_tui.images.kernel_file import RAMDISK_START, KernelFile, open_ramdisk, ramdisk_problem, read_kernel
from shyper_tui.images.kernel_header import KernelKind
from shyper_tui.input_file import read_input
from shyper_tui.ipc.messages import TICKS_PER_SECOND, EngineError, ScenarioStep

CONSOLE = 0
WARNING = "warning: "
SEED_SIZE = 32
CPU = Cpu()
ISA_EXTENSIONS = (*CPU.isa_extensions[:6], "h", *CPU.isa_extensions[6:])
"""What the harts have: that of a guest, and H."""
A0, A1, A2 = 10, 11, 12


class BareMachine:
    """The machine of `shyper-tui machine`: files in RAM, built-in SBI when there is no `bios`. EngineError when
    something cannot be loaded. `run` may be called once; `type` and `stop` from any thread."""

    def __init__(
        self,
        kernel: str | None,
        initrd: str | None = None,
        append: str = "",
        bios: str | None = None,
        smp: int = 1,
        memory: int = 1 << 30,
        drives: Sequence[str] = (),
        snapshot: bool = False,
        clock: str = "virtual",
        script: Sequence[ScenarioStep] = (),
        on_console: Callable[[bytes], None] = lambda data: None,
        on_progress: Callable[[str], None] = lambda text: None,
        on_trouble: Callable[[str], None] = lambda sentence: None,
        network: NetworkChoice = NO_NETWORK,
        pcap: CaptureFile | None = None,
    ) -> None:
        self._kernel = (_kernel(kernel, memory), kernel) if kernel else None
        self._bios = (_kernel(bios, memory), bios) if bios else None
        self._initrd = _ramdisk(initrd, memory) if initrd else b""
        self._notes = _ramdisk_notes(initrd, self._initrd) if initrd else []
        self._append, self._on_trouble = append, on_trouble
        self._disks = [_open(Path(file), snapshot) for file in drives]
        self.console = ConsoleStream()
        """What the serial port has sent."""
        self.console.tap(on_console)
        core = program(lambda text, done: on_progress(f"{text} ({done:.0%})"))  # before the clock: it may take seconds
        self.machine = Machine(
            smp,
            memory,
            clock=VirtualClock() if clock == "virtual" else WallClock(),
            on_console=self.console.write,
            on_power=lambda event, code: self.machine.stop(),  # also when no hart has anything to do any more
            drives=self._disks,
            report=on_trouble,
            core=core,
        )
        self._capture = pcap.begin(self.machine, self._log) if pcap is not None else None
        if network.kind != "none" and len(self._disks) == VIRTIO_SLOTS:
            if network.forwards:
                raise EngineError("network", f"{VIRTIO_SLOTS} drives leave no slot for a network card")
            on_trouble(f"{VIRTIO_SLOTS} drives leave no slot for a network card, so there is none")
            network = NO_NETWORK
        self._uplink = connect_network(
            self.machine, VIRTIO_SLOTS - 1, network, self._log, self._capture, guest="the guest"
        )
        self._firmware: Firmware | None = None
        if self._bios is None:
            console = UartConsole(self.machine.board.bus)
            self._firmware = Firmware(self.machine.harts, self.machine.memory, console, self._reset)
            self.machine.use_software(self._firmware)
        self._scenario = Scenario(list(script), self._typed, self._later, self._script_ended)
        self._scenario.attach(CONSOLE, self.console)
        self._load()

    def run(self) -> None:
        """Runs until the machine is powered off, the script is finished, or `stop`; a reset starts the software
        again."""
        self._scenario.begin()
        while True:
            self.machine.run()
            if self.machine.power is None or self.machine.power[0] != "reset":
                break
            self.machine.power = None
            self.machine.board.reset()
            if self._uplink is not None:
                self._uplink.reset()
            self._load()
        if self.machine.power is not None:
            self._scenario.machine_stopped()
        self._close_network()
        for slot, disk in enumerate(self._disks):
            try:
                disk.flush()
            except OSError as error:
                self._on_trouble(f"drive{slot}: what the guest has written may be lost: {error.strerror or error}")
            disk.close()

    def _close_network(self) -> None:
        if self._uplink is not None:
            self._uplink.close()
        if self._capture is not None:
            self._capture.close()

    def _log(self, line: str) -> None:
        if line.startswith(WARNING):
            self._on_trouble(line.removeprefix(WARNING))

    def type(self, data: bytes) -> None:
        """Types on the serial console. Any thread may call it."""
        self.machine.post(lambda: self._typed(CONSOLE, data))

    def stop(self) -> None:
        """Makes `run` return. Any thread may call it."""
        self.machine.post(self.machine.stop)  # in case `run` is only just beginning
        self.machine.stop()

    @property
    def note(self) -> str:
        """What the user should know: a kernel that is perhaps none, disks that cannot be written; else ""."""
        notes = [f"The disk {disk.path} is read-only." for disk in self._disks if _stays(disk)]
        notes += self._notes
        notes += [f"{file.described(name)}." for file, name in filter(None, (self._bios, self._kernel)) if file.note]
        if self._kernel is not None and self._kernel[0].header.kind is KernelKind.RAW and self._kernel[0].load is None:
            place = f"as a raw binary at {RAM_BASE + KERNEL_OFFSET:#x}"
            notes.append(f"{self._kernel[1]} is neither a RISC-V Linux Image nor an ELF file; it is run {place}.")
        return " ".join(notes)

    @property
    def exit_code(self) -> int:
        """0 after a power-off or a finished script; after a failure reported through the test finisher its code, at
        least 1."""
        if self.machine.power is not None and self.machine.power[0] == "fail":
            return max(1, self.machine.power[1] & 0xFF)
        return 0

    @property
    def missing(self) -> str:
        """What of the script has not happened, as a part of a sentence; "" when nothing is missing."""
        status = self._scenario.status()
        if not status.steps or status.finished:
            return ""
        return "not seen: " + ", ".join(repr(step.text) for step in status.steps if not step.done)

    @property
    def summary(self) -> str:
        """One line about a finished script."""
        if not self._scenario.status().finished:
            return ""
        seconds = self.machine.now() / TICKS_PER_SECOND
        return f"Every text was seen: {self.machine.instructions} instructions, {seconds:.3f} s of machine time."

    def _load(self) -> None:
        """Power-on: all files into RAM, all harts at their first instruction."""
        machine, memory = self.machine, self.machine.memory
        firmware = kernel = None
        if self._bios is not None:
            firmware = load_program(memory, *_at(self._bios, RAM_BASE))
        if self._kernel is not None:
            kernel = load_program(memory, *_at(self._kernel, RAM_BASE + KERNEL_OFFSET))
        used = max(loaded.end for loaded in (firmware, kernel) if loaded is not None)
        where = places(memory.size, len(self._initrd), used)
        if where.initrd is not None:
            memory.write(where.initrd[0], self._initrd)
        tree = virt_tree(
            harts=len(machine.harts),
            ram_size=memory.size,
            isa=Cpu(ISA_EXTENSIONS).isa,
            mmu_type=CPU.mmu_type,
            isa_extensions=ISA_EXTENSIONS,
            bootargs=self._append,
            initrd=where.initrd,
            rng_seed=self._seed(),
        )
        memory.write(where.tree, tree.to_bytes())
        entry = kernel.entry if kernel is not None else RAM_BASE + KERNEL_OFFSET
        for hart in machine.harts:
            hart.reset(RAM_BASE if firmware is None else firmware.entry)
        if self._firmware is not None:
            self._firmware.reset(entry, where.tree)
            return
        memory.write(where.fw_dynamic, fw_dynamic_info(entry))
        for hart in machine.harts:
            hart.x[A0], hart.x[A1], hart.x[A2] = hart.hart_id, where.tree, where.fw_dynamic

    def _seed(self) -> bytes:
        if self.machine.clock.name == "virtual":  # every run repeats exactly
            return hashlib.shake_256(b"shyper-tui machine").digest(SEED_SIZE)
        return os.urandom(SEED_SIZE)

    def _reset(self, kind: ResetType, reason: int) -> None:
        self.machine.power_off("poweroff" if kind is ResetType.SHUTDOWN else "reset", reason)

    def _typed(self, console: int, data: bytes) -> None:
        self.machine.board.uart.receive(data)

    def _later(self, ticks: int, call: Callable[[], None]) -> object:
        return self.machine.call_at(self.machine.now() + ticks, call)

    def _script_ended(self) -> None:
        self.machine.stop()


def _at(program_file: tuple[KernelFile, str], address: int) -> tuple[KernelFile, int, str]:
    program, name = program_file
    return program, address, name


def _kernel(file: str, memory: int) -> KernelFile:
    """A kernel or firmware, unpacked; nothing is read that could not be in `memory` bytes of RAM."""
    try:
        return read_kernel(file, memory)
    except OSError as error:
        raise _unreadable(file, error) from None


def _ramdisk(file: str, memory: int) -> bytes:
    try:
        return open_ramdisk(read_input(file, memory))
    except OSError as error:
        raise _unreadable(file, error) from None


def _ramdisk_notes(file: str, data: bytes) -> list[str]:
    problem = ramdisk_problem(data[:RAMDISK_START])
    return [f"Linux cannot use the initrd {file}: {problem}."] if problem else []


def _unreadable(file: str, error: OSError) -> EngineError:
    if error.errno == errno.EFBIG:
        return EngineError("memory", f"{file} does not fit into the machine's memory: {error.strerror}")
    return EngineError("file", f"{file} cannot be read: {error.strerror or error}")


def _stays(disk: Disk) -> TypeGuard[RawFile]:
    """Whether it is an image that the guest cannot write."""
    return isinstance(disk, RawFile) and disk.read_only


def _open(file: Path, snapshot: bool) -> Disk:
    try:
        disk = RawFile(file, read_only=snapshot)
    except DiskError as error:
        raise EngineError("disk", str(error)) from None
    if disk.size < SECTOR:
        disk.close()
        raise EngineError("disk", f"{file}: the disk image has {disk.size} bytes, not even one sector of {SECTOR}")
    return Overlay(disk) if snapshot else disk
