"""VMs whose next instruction a fuzzer chooses: real traps of real harts, without a guest program to run first."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence

from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, MemoryRegion, VmDefinition, VmError
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vm import Vm, VmState
from tests.hypervisor.station import Station, guest

HANDLER = 0x800
"""Offset of the trap handler in the page of `execute`."""
FS_INITIAL = 1 << 13
JUMP_TO_SELF = struct.pack("<I", 0x0000_006F)
ECALL = 0x0000_0073
PLIC, BLOCK, NET, CONSOLE = 0x0C00_0000, 0x1000_1000, 0x5000_0000, 0x4000_1000
"""Guest-physical addresses of VM 1's devices."""
MVM_BASE, MVM_SIZE = 0x9000_0000, 64 << 20
TROUBLE = re.compile(r"Traceback|failed to serve|a message failed|Error: ")
"""What the hypervisor logs when its own code went wrong."""


def spinning_mvm() -> VmDefinition:
    """The managing VM with less memory; its kernel is one jump to itself."""
    definition = mvm_definition()
    definition.memory = [MemoryRegion(MVM_BASE, MVM_SIZE)]
    definition.device_tree_load_ipa = MVM_BASE + (16 << 20)
    return definition


def guest_with_devices() -> VmDefinition:
    """VM 1 with an interrupt controller and one virtio device of each kind, on core 1."""
    mac = (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD1)
    devices = [
        EmulatedDevice("plic", PLIC, 0x60_0000, 0, (), DeviceType.PLIC),
        EmulatedDevice("blk", BLOCK, 0x1000, 19, (0, 8192), DeviceType.VIRTIO_BLK, True),
        EmulatedDevice("net", NET, 0x1000, 20, mac, DeviceType.VIRTIO_NET),
        EmulatedDevice("console", CONSOLE, 0x1000, 21, (0, CONSOLE), DeviceType.VIRTIO_CONSOLE),
    ]
    return guest(1, 0b0010, devices=devices)


class Puppets:
    """A station with VM 0 on core 0 and VM 1 on core 1, both in an endless loop. `settle` ends a case: it brings the
    station back to this state and fails if anything has been lost or the hypervisor reported trouble."""

    def __init__(self, definition: Callable[[], VmDefinition] = guest) -> None:
        """`definition` makes VM 1's."""
        self._definition = definition
        self.dirty = True

    def begin(self) -> Station:
        """The station in its first state; a new one after a case that failed."""
        if self.dirty:
            self._build()
        self.dirty = True
        return self.station

    def _build(self) -> None:
        self.station = station = Station()
        station.platform.zero = station.machine.zero
        self.manager = station.manager
        self.manager.add(spinning_mvm(), JUMP_TO_SELF)
        self.manager.boot(0)
        self._wait_for(0)
        self.baseline = self._possessions()
        self._guest()

    def _guest(self) -> None:
        self.manager.add(self._definition(), JUMP_TO_SELF)
        self.manager.boot(1)
        self._wait_for(1)

    def _wait_for(self, vm_id: int) -> None:
        vcpu = self.manager.vm(vm_id).vcpus[0]
        self.station.until(lambda: vcpu.loaded, 20_000_000)

    def _possessions(self) -> tuple[int, int, int, list[object], list[int]]:
        """What VMs take from the machine."""
        platform = self.station.platform
        owners = [disk.owner for disk in platform.disks.disks if disk.owner is not None]
        ports = len(platform.switch.ports)
        return self.manager.pool.free_bytes, self.manager.pages.in_use, ports, owners, list(self.manager.table)

    def vm(self, vm_id: int) -> Vm | None:
        """The VM if its vCPU 0 is on its hart now."""
        entry = self.manager.table.get(vm_id)
        return entry.vm if entry is not None and entry.vm is not None and entry.vm.vcpus[0].loaded else None

    def ecall(self, vm: Vm, a7: int, a6: int = 0, args: Sequence[int] = ()) -> int | None:
        """An environment call of vCPU 0; returns a0, None when the vCPU has left its hart."""
        vcpu = vm.vcpus[0]
        values = [*args, *[0] * (6 - len(args)), a6, a7]
        self.execute(vm, [ECALL], dict(enumerate(values, start=10)), 1000)
        return self.station.machine.harts[vcpu.core.hart_id].x[10] if vcpu.loaded else None

    def execute(self, vm: Vm, words: Sequence[int], registers: Mapping[int, int], cycles: int = 2000) -> None:
        """vCPU 0 runs these instruction words, with x registers as given, and loops behind them. A trap it takes ends
        in a loop, too; when translation was on, it is off afterwards."""
        vcpu = vm.vcpus[0]
        hart = self.station.machine.harts[vcpu.core.hart_id]
        vm.memory.write(self.code(vm), struct.pack(f"<{len(words)}I", *words) + JUMP_TO_SELF)
        vm.memory.write(self.code(vm) + HANDLER, JUMP_TO_SELF)
        for register, value in registers.items():
            hart.x[register] = value
        hart.csr.vstvec = self.code(vm) + HANDLER
        hart.csr.vsatp = 0
        hart.csr.vsie = 0
        hart.csr.vsstatus = FS_INITIAL
        hart.pc = self.code(vm)
        machine = self.station.machine
        self.station.run(max(0, hart.cycle - machine.cycle) + cycles)  # the hart may be ahead after its last trap

    @staticmethod
    def code(vm: Vm) -> int:
        """Guest-physical address of the page that `execute` uses."""
        return vm.definition.kernel_load_ipa + 0x1000

    def check_guest(self, vm_id: int) -> Vm:
        """VM `vm_id` with its vCPU 0 on its hart; booted again if what it did has stopped it, or sent it to sleep."""
        vm = self.manager.vm(vm_id)
        self.station.until(lambda: not vm.stopping, 2_000_000)
        if vm.state is not VmState.ACTIVE or not vm.vcpus[0].loaded:
            self.manager.stop(vm_id)
            self.station.until(lambda: vm.state is not VmState.ACTIVE and not vm.stopping, 2_000_000)
            self.manager.boot(vm_id)
            self._wait_for(vm_id)
        return vm

    @staticmethod
    def sentence(error: VmError) -> None:
        """A refusal must say why, in one line."""
        assert str(error)
        assert "\n" not in str(error)

    def settle(self) -> None:
        """Back to the first state, with everything accounted for."""
        manager, station = self.manager, self.station
        made = list(manager.vms())
        for vm_id in [vm_id for vm_id in manager.table if vm_id != 0]:
            manager.remove(vm_id)
        stopping = [vm for vm in made if vm.stopping]
        station.run(20_000)
        station.until(lambda: not any(vm.stopping for vm in stopping), 2_000_000)
        mvm = manager.vm(0)
        if mvm.state is VmState.PAUSED:
            manager.resume(0)
        elif mvm.state is not VmState.ACTIVE:
            try:
                manager.boot(0)
            except VmError as error:
                raise AssertionError(f"the managing VM cannot be booted again: {error}") from error
        self._wait_for(0)
        self._check()
        self._guest()
        self.dirty = False

    def check_log(self) -> None:
        """Fails if the hypervisor has reported that its own code went wrong; the log is empty afterwards."""
        lines = self.station.log
        trouble = [line for line in lines if TROUBLE.search(line)]
        assert not trouble, "\n".join(trouble)
        lines.clear()
        self.station.resets.clear()
        self.station.consoles.clear()

    def _check(self) -> None:
        self.check_log()
        assert self._possessions() == self.baseline
