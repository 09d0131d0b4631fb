"""VMs whose next instruction a fuzzer chooses: real traps of real harts, without a guest program to run first."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from shyper_tui.engine.hypervisor.definition import MemoryRegion, VmDefinition, VmError
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vm import Vm, VmState
from tests.hypervisor.station import Station, guest

JUMP_TO_SELF = struct.pack("<I", 0x0000_006F)
ECALL_FROM_VS = 10
MVM_BASE, MVM_SIZE = 0x9000_0000, 64 << 20
TROUBLE = re.compile(r"Traceback|failed to serve|a message failed|Error: ")
"""What the hypervisor logs when its own code went wrong."""


def spinning_mvm() -> VmDefinition:
    """The managing VM with less memory; its kernel is one jump to itself."""
    definition = mvm_definition()
    definition.memory = [MemoryRegion(MVM_BASE, MVM_SIZE)]
    definition.device_tree_load_ipa = MVM_BASE + (16 << 20)
    return definition


class Puppets:
    """A station with VM 0 on core 0 and VM 1 on core 1, both in an endless loop. `settle` ends a case: it brings the
    station back to this state and fails if anything has been lost or the hypervisor reported trouble."""

    def __init__(self) -> None:
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
        self.manager.add(self.guest_definition(), JUMP_TO_SELF)
        self.manager.boot(1)
        self._wait_for(1)

    def guest_definition(self) -> VmDefinition:
        """What VM 1 is made from."""
        return guest(1, 0b0010)

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
        hart = self.station.machine.harts[vcpu.core.hart_id]
        for register, value in enumerate([*args, *[0] * (6 - len(args)), a6, a7], start=10):
            hart.x[register] = value
        self._trap(hart.hart_id, ECALL_FROM_VS, 0)
        return hart.x[10] if vcpu.loaded else None

    def _trap(self, hart_id: int, cause: int, value: int) -> None:
        machine = self.station.machine
        machine._current = machine.harts[hart_id]
        try:
            if machine.harts[hart_id].raise_exception(cause, value):
                machine._software_trap(machine.harts[hart_id])
        finally:
            machine._current = None

    def settle(self) -> None:
        """Back to the first state, with everything accounted for."""
        manager, station = self.manager, self.station
        for vm_id in [vm_id for vm_id in manager.table if vm_id != 0]:
            manager.remove(vm_id)
        stopping = [vm for vm in manager.vms() if vm.stopping]
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

    def _check(self) -> None:
        lines = self.station.log
        trouble = [line for line in lines if TROUBLE.search(line)]
        assert not trouble, "\n".join(trouble)
        lines.clear()
        self.station.resets.clear()
        self.station.consoles.clear()
        assert self._possessions() == self.baseline
