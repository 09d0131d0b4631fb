"""A machine with firmware and hypervisor for tests: guests run on the real core with the virtual clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from shyper_tui.engine.board.virt_tree import virt_tree
from shyper_tui.engine.clock import Clock, WallClock
from shyper_tui.engine.firmware.console import UartConsole
from shyper_tui.engine.firmware.firmware import Firmware
from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hypervisor.definition import CpuSpec, DeviceType, EmulatedDevice, MemoryRegion, VmDefinition
from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
from shyper_tui.engine.hypervisor.platform import Platform
from shyper_tui.engine.machine import Machine

RAM_BASE = 0x8000_0000
GUEST_BASE = 0x8020_0000


class Station:
    """The machine, its hypervisor, and what the consoles have shown."""

    def __init__(self, harts: int = 4, ram: int = 1 << 30, clock: Clock | None = None) -> None:
        self.consoles: dict[int, bytearray] = defaultdict(bytearray)
        self.resets: list[ResetType] = []
        self.log: list[str] = []
        self.machine = Machine(harts, ram, clock=clock, on_console=lambda data: self.on_console(0, data))
        tree = virt_tree(harts=harts, ram_size=ram, isa="rv64imafdch_zicntr_zicsr_zifencei")
        self.platform = Platform(
            memory=self.machine.memory,
            ram_end=RAM_BASE + ram,
            board_tree=tree,
            on_console=self.on_console,
            on_mvm_reset=self.resets.append,
            on_machine_reset=self.resets.append,
            log=self.log.append,
            timebase=self.machine,
            post=self.machine.post if isinstance(clock, WallClock) else None,
            dma=self.machine.board.dma,
            zero=self.machine.zero,
        )
        self.firmware = Firmware(
            self.machine.harts, self.machine.memory, UartConsole(self.machine.board.bus), self._machine_reset
        )
        self.hypervisor = Hypervisor(self.machine.harts, self.firmware, self.platform)
        self.firmware.supervisor = self.hypervisor
        self.manager = self.hypervisor.manager
        self.machine.use_software(self.firmware, self.hypervisor)
        self.firmware.reset(0, 0)

    def on_console(self, vm: int, data: bytes) -> None:
        self.consoles[vm] += data

    def _machine_reset(self, kind: ResetType, reason: int) -> None:
        raise AssertionError("the hypervisor has reset the machine")

    def type(self, vm: int, data: bytes) -> None:
        """What a user types into a VM's console."""
        if vm == 0:
            self.machine.board.uart.receive(data)
        else:
            self.manager.vm(vm).console.type(data)

    def command(self, vm: int, line: str, prompt: bytes, cycles: int = 50_000_000) -> str:
        """Type a line into an embedded guest's shell; returns what it prints before its next prompt."""
        start = len(self.consoles[vm])
        self.type(vm, line.encode() + b"\r")
        self.until(lambda: self.consoles[vm].find(prompt, start + len(line)) >= 0, cycles)
        shown = self.consoles[vm][start:].decode().replace("\r\n", "\n")
        return shown.removeprefix(line + "\n").removesuffix(prompt.decode())

    def run(self, cycles: int) -> None:
        """Run for a number of virtual cycles."""
        end = self.machine.cycle + cycles
        while self.machine.cycle < end:
            self.machine.run_round(end)

    def until(self, condition: Callable[[], bool], cycles: int = 50_000_000) -> None:
        """Run until `condition` holds; fails after `cycles`."""
        end = self.machine.cycle + cycles
        while not condition():
            assert self.machine.cycle < end, "\n".join(
                [
                    "the condition was not reached",
                    *self.log[-20:],
                    *(repr(bytes(c[-400:])) for c in self.consoles.values()),
                ]
            )
            self.machine.run_round(end)


def guest(
    vm_id: int = 1,
    cores: int = 0b0010,
    memory: int = 16 << 20,
    devices: list[EmulatedDevice] | None = None,
    **changes: object,
) -> VmDefinition:
    """A small guest VM: RAM at 0x8000_0000, kernel 2 MiB above, interrupt controller and one console."""
    standard = [
        EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC),
        EmulatedDevice("virtio_console@40001000", 0x4000_1000, 0x1000, 21, (0, 0x4000_1000), DeviceType.VIRTIO_CONSOLE),
    ]
    definition = VmDefinition(
        id=vm_id,
        name=f"guest-{vm_id}",
        cmdline="console=hvc0",
        kernel_load_ipa=GUEST_BASE,
        kernel_entry_point=GUEST_BASE,
        device_tree_load_ipa=RAM_BASE + (8 << 20),
        memory=[MemoryRegion(RAM_BASE, memory)],
        cpu=CpuSpec(cores.bit_count(), cores, None),
        devices=standard if devices is None else devices,
    )
    for name, value in changes.items():
        setattr(definition, name, value)
    return definition
