"""Configures, boots, stops and removes VMs: for hypercalls of the managing VM and for the workstation alike.

Stopping takes effect when every core has let go of the VM's vCPUs, which for other cores is after their next
interrupt; what
has to follow (freeing memory, booting again) waits for that.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.firmware.sbi import HsmState, ResetType
from shyper_tui.engine.hypervisor import builder
from shyper_tui.engine.hypervisor.audit import new_audit
from shyper_tui.engine.hypervisor.definition import VmDefinition, VmError, VmType
from shyper_tui.engine.hypervisor.guest_tree import gvm_tree, mvm_tree
from shyper_tui.engine.hypervisor.images import Images, LoadPlan, Segment, plan_kernel
from shyper_tui.engine.hypervisor.layout import HYPERVISOR_MEMORY, MAX_VMS, POOL_BASE, TICKS_PER_SECOND
from shyper_tui.engine.hypervisor.mvm import MVM_ID
from shyper_tui.engine.hypervisor.pool import PageAllocator, Pool
from shyper_tui.engine.hypervisor.vcpu import VcpuState
from shyper_tui.engine.hypervisor.vm import Vm, VmState

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor

SEED_SIZE = 32
SHORTEST_RUN = TICKS_PER_SECOND // 2
"""A guest that resets itself earlier than this after its start waits until then."""
MANAGE, SHUTDOWN_REQUEST, REBOOT_REQUEST = 1, 3, 4
"""Message {1, 3, id}: please power off; {1, 4, id}: please reboot."""


@dataclass(slots=True)
class Entry:
    """One row of the configuration table. `vm` is None until the VM has been created; `used`: its RAM is not clean."""

    definition: VmDefinition
    images: Images = field(default_factory=Images)
    vm: Vm | None = None
    used: bool = False


class Manager:
    """The configuration table, in the order of creation, and what can be done with its VMs. Mistakes raise VmError."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self._platform = hypervisor.platform
        self.table: dict[int, Entry] = {}
        self.pool = Pool(POOL_BASE, max(0, self._platform.ram_end - POOL_BASE))
        self.pages = PageAllocator(*HYPERVISOR_MEMORY)
        self.audit = new_audit()

    # Looking

    def vms(self) -> Iterable[Vm]:
        """All created VMs by id."""
        return [entry.vm for _, entry in sorted(self.table.items()) if entry.vm is not None]

    def vm(self, vm_id: int) -> Vm:
        """The created VM `vm_id`."""
        entry = self.entry(vm_id)
        if entry.vm is None:
            raise VmError(f"VM {vm_id} is configured, but has no kernel yet")
        return entry.vm

    def entry(self, vm_id: int) -> Entry:
        entry = self.table.get(vm_id)
        if entry is None:
            raise VmError(f"there is no VM {vm_id}")
        return entry

    def state(self, vm_id: int) -> VmState:
        vm = self.entry(vm_id).vm
        return VmState.PENDING if vm is None else vm.state

    def owner_of_irq(self, irq: int) -> Vm | None:
        """The VM a passthrough irq belongs to."""
        return next((vm for vm in self.vms() if irq in vm.definition.passthrough_irqs), None)

    # Configuring

    def free_id(self) -> int:
        """The lowest id that no VM has; VM 0 is the managing VM's."""
        for vm_id in range(MVM_ID + 1, MAX_VMS):
            if vm_id not in self.table:
                return vm_id
        raise VmError(f"{MAX_VMS} VMs exist already")

    def define(self, definition: VmDefinition) -> Entry:
        """Add a row to the table; its VM is created later."""
        if definition.id in self.table:
            raise VmError(f"VM {definition.id} exists already")
        entry = self.table[definition.id] = Entry(definition)
        return entry

    def add(self, definition: VmDefinition, kernel: bytes, ramdisk: bytes = b"") -> Vm:
        """Define and create a VM at once, as the workstation does. Nothing is left behind when it fails."""
        entry = self.define(definition)
        try:
            entry.images = Images(bytearray(kernel), ramdisk)
            self._take_disks(definition)
            vm = self.create(definition.id)
            self._plan(entry, vm)
            return vm
        except VmError:
            self._forget(entry)
            raise

    def create(self, vm_id: int) -> Vm:
        """Make the VM of a definition: memory, stage 2, vCPUs, devices."""
        entry = self.entry(vm_id)
        if entry.vm is None:
            entry.vm = builder.build(copy.deepcopy(entry.definition), self._hypervisor, self.pool, self.pages)
            self._log(f"VM {vm_id} ({entry.definition.name}) created on cores {entry.definition.cpu.cores()}")
            self._platform.on_change()
        return entry.vm

    def delete(self, vm_id: int) -> None:
        """Take a definition back; a VM made from it goes, too."""
        self.remove(vm_id)

    # Running

    def boot(self, vm_id: int) -> None:
        """Load the images into the VM's RAM and start vCPU 0."""
        entry = self.entry(vm_id)
        vm = self.create(vm_id)
        if vm.stopping:
            raise VmError(f"VM {vm_id} is still stopping")
        if vm.state in (VmState.ACTIVE, VmState.PAUSED):
            raise VmError(f"VM {vm_id} runs already")
        vm.cancel_restart()
        entry_point = self._load(entry, vm)
        vm.reset_devices()
        for vcpu in vm.vcpus:
            vcpu.fresh()
            vcpu.state, vcpu.hsm, vcpu.resume_at = VcpuState.INVALID, HsmState.STOPPED, None
        first = vm.vcpus[0]
        definition = vm.definition
        if definition.type == VmType.BARE_METAL:
            region = definition.memory[0]
            first.fresh(entry_point, region.ipa_start + region.length, 0)
        else:
            first.fresh(entry_point, 0, definition.device_tree_load_ipa)
        first.hsm = HsmState.STARTED
        vm.message = ""
        vm.boots += 1
        vm.booted_at = self._platform.timebase.now() if self._platform.timebase is not None else 0
        self._set_state(vm, VmState.ACTIVE)
        self._hypervisor.on_core(first.core, lambda: first.core.start(first))

    def stop(self, vm_id: int) -> None:
        """Stop a VM at once, whatever it is doing; it may be booted again."""
        vm = self.vm(vm_id)
        vm.cancel_restart()
        if vm.state in (VmState.ACTIVE, VmState.PAUSED):
            self._halt(vm, lambda: self._off(vm))

    def shutdown(self, vm_id: int, force: bool = False) -> None:
        """Ask a VM to power off; one that does not listen for messages, or by `force`, is stopped."""
        vm = self.vm(vm_id)
        if force or vm.state is not VmState.ACTIVE or not vm.notify(MANAGE, SHUTDOWN_REQUEST, vm_id):
            self.stop(vm_id)

    def reboot(self, vm_id: int, force: bool = True) -> None:
        """Start a VM again from its images; not by `force`: ask it to reboot by itself if it listens."""
        vm = self.vm(vm_id)
        if not force and vm.state is VmState.ACTIVE and vm.notify(MANAGE, REBOOT_REQUEST, vm_id):
            return
        if vm.state in (VmState.PENDING, VmState.FAILED):
            self.boot(vm_id)
        else:
            self._halt(vm, lambda: self._restart(vm))

    def pause(self, vm_id: int) -> None:
        """Take all vCPUs of an active VM off their cores; `resume` goes on."""
        vm = self.vm(vm_id)
        if vm.state is not VmState.ACTIVE or vm.stopping:
            raise VmError(f"VM {vm_id} does not run, so it cannot be paused")
        self._set_state(vm, VmState.PAUSED)
        for vcpu in vm.vcpus:
            self._hypervisor.on_core(vcpu.core, vcpu.pause)

    def resume(self, vm_id: int) -> None:
        vm = self.vm(vm_id)
        if vm.state is not VmState.PAUSED or vm.stopping:
            raise VmError(f"VM {vm_id} is not paused")
        self._set_state(vm, VmState.ACTIVE)
        for vcpu in vm.vcpus:
            self._hypervisor.on_core(vcpu.core, vcpu.unpause)

    def remove(self, vm_id: int) -> None:
        """Take a VM out of the table at once; its memory returns to the pool, zeroed, when all cores have let go of
        it."""
        if vm_id == MVM_ID:
            raise VmError("VM 0 is the managing VM and cannot be removed")
        entry = self.entry(vm_id)
        del self.table[vm_id]
        if entry.vm is None:
            self._forget(entry)
        else:
            self._halt(entry.vm, lambda: self._forget(entry))
        self._log(f"VM {vm_id} ({entry.definition.name}) removed")
        self._platform.on_change()

    def guest_reset(self, vm: Vm, kind: ResetType) -> None:
        """A guest asked through SBI to be powered off or started again; it concerns that VM alone."""
        if kind is not ResetType.SHUTDOWN:
            self._halt(vm, lambda: self._reset(vm))
        else:
            self._halt(vm, lambda: self._powered_off(vm))

    def fail(self, vm: Vm, message: str) -> None:
        """Stop a VM that cannot go on; `message` says why."""

        def failed() -> None:
            vm.message = message
            self._set_state(vm, VmState.FAILED)

        self._halt(vm, failed)

    # Inside

    def _off(self, vm: Vm) -> None:
        """No vCPU runs any more: devices are quiet, physical irqs are given back."""
        vm.reset_devices()
        self._set_state(vm, VmState.PENDING)

    def _powered_off(self, vm: Vm) -> None:
        vm.message = "powered off by the guest"
        self._off(vm)
        if vm.id == MVM_ID:
            self._platform.on_mvm_reset(ResetType.SHUTDOWN)

    def _reset(self, vm: Vm) -> None:
        """Start a VM again that asked for it: at once, or later when it has done so just before.

        Loading a VM costs the host far more than the guest's call, and its neighbours shall not pay for that.
        """
        self._off(vm)
        timebase = self._platform.timebase
        if timebase is None or timebase.now() >= vm.booted_at + SHORTEST_RUN:
            self._boot_again(vm)
            return
        vm.restart = timebase.call_at(vm.booted_at + SHORTEST_RUN, lambda: self._boot_again(vm))

    def _restart(self, vm: Vm) -> None:
        self._off(vm)
        self._boot_again(vm)

    def _boot_again(self, vm: Vm) -> None:
        if self.table.get(vm.id) is not None and self.table[vm.id].vm is vm:
            try:
                self.boot(vm.id)
            except VmError as error:
                vm.message = str(error)
                self._set_state(vm, VmState.FAILED)

    def _halt(self, vm: Vm, then: Callable[[], None]) -> None:
        """Take all vCPUs off their cores, then do `then`. A second request while the first is under way is dropped,
        unless the VM is being removed, which wins."""
        if vm.stopping:
            if vm.id not in self.table or self.table[vm.id].vm is not vm:
                vm.after_halt = then
            return
        vm.stopping = True
        vm.after_halt = then
        left = set(range(len(vm.vcpus)))

        def let_go(index: int) -> None:
            vcpu = vm.vcpus[index]
            vcpu.hsm = HsmState.STOPPED
            vcpu.core.remove(vcpu)
            vcpu.paused = False
            left.discard(index)
            if not left:
                vm.stopping = False
                vm.after_halt()

        for vcpu in vm.vcpus:
            self._hypervisor.on_core(vcpu.core, lambda index=vcpu.index: let_go(index))  # type: ignore[misc]

    def _forget(self, entry: Entry) -> None:
        """Give back everything a VM had."""
        if self.table.get(entry.definition.id) is entry:
            del self.table[entry.definition.id]
        self._platform.disks.release(entry)
        vm, entry.vm = entry.vm, None
        if vm is None:
            return
        vm.cancel_restart()
        vm.reset_devices()
        for release in vm.releases:
            release()
        for region in vm.memory.regions:
            self._platform.clear(region.physical, region.length)
            self.pool.release(region.physical, region.length)
        vm.stage2.free()

    def _load(self, entry: Entry, vm: Vm) -> int:
        """Clean RAM with kernel, ramdisk and device tree in it; returns where vCPU 0 begins."""
        plan = self._plan(entry, vm)
        if entry.used:
            for region in vm.memory.regions:
                self._platform.clear(region.physical, region.length)
        entry.used = True
        for segment in plan.segments:
            vm.memory.write(segment.ipa, segment.data)
        return plan.entry

    def _plan(self, entry: Entry, vm: Vm) -> LoadPlan:
        """Everything to be loaded, after checking that it lies in the VM's RAM, and where vCPU 0 begins."""
        definition, images = vm.definition, entry.images
        if not images.kernel:
            raise VmError(f"VM {definition.id} ({definition.name}) has no kernel")
        if images.uploaded:
            plan = LoadPlan([Segment(definition.kernel_load_ipa, bytes(images.kernel))], definition.kernel_load_ipa)
        else:
            plan = plan_kernel(images.kernel, definition.kernel_load_ipa, definition.kernel_entry_point)
        extra = self._extra_segments(entry, vm)
        what = [("kernel", segment) for segment in plan.segments]
        what += [("ramdisk or device tree", segment) for segment in extra]
        for name, segment in what:
            size = len(segment.data) + segment.zeros
            if size and not vm.memory.contains(segment.ipa, size):
                raise VmError(
                    f"the {name} of VM {definition.id} ({definition.name}) needs {size:#x} bytes at {segment.ipa:#x}, "
                    "which are not all in its memory"
                )
        return LoadPlan([*plan.segments, *extra], plan.entry)

    def _extra_segments(self, entry: Entry, vm: Vm) -> list[Segment]:
        definition, images = vm.definition, entry.images
        segments = []
        ramdisk = images.ramdisk if definition.ramdisk_load_ipa else b""
        if ramdisk:
            segments.append(Segment(definition.ramdisk_load_ipa, ramdisk))
        if definition.device_tree_load_ipa:
            seed = self._platform.rng_seed(SEED_SIZE)
            if definition.id == MVM_ID:
                tree = mvm_tree(self._platform.board_tree, definition, self._platform.cpu, len(ramdisk), seed)
            else:
                tree = gvm_tree(definition, self._platform.cpu, len(ramdisk), seed)
            segments.append(Segment(definition.device_tree_load_ipa, tree))
        return segments

    def upload(self, vm_id: int, offset: int, data: bytes) -> None:
        """A piece of the kernel; the first piece creates the VM."""
        entry = self.entry(vm_id)
        if entry.images.kernel and not entry.images.uploaded:
            raise VmError(f"VM {vm_id} has its kernel from the workstation, a piece of another would spoil it")
        vm = self.create(vm_id)
        address = entry.definition.kernel_load_ipa + offset
        try:
            vm.memory.write(address, data)
        except BadAddress:
            raise VmError(f"the kernel of VM {vm_id} does not fit its memory at {address:#x}") from None
        images = entry.images
        images.uploaded = True
        if len(images.kernel) < offset + len(data):
            images.kernel += bytes(offset + len(data) - len(images.kernel))
        images.kernel[offset : offset + len(data)] = data

    def _take_disks(self, definition: VmDefinition) -> None:
        """Give each mediated block device of a new definition a free disk, as long as there are any."""
        for index, device in enumerate(definition.devices):
            if device.mediated:
                disk = self._platform.disks.take(self.table[definition.id])
                definition.devices[index] = replace(device, disk=disk)

    def _set_state(self, vm: Vm, state: VmState) -> None:
        vm.state = state
        self._log(f"VM {vm.id} ({vm.name}) is {state.value}{': ' + vm.message if vm.message else ''}")
        self._platform.on_change()

    def _log(self, line: str) -> None:
        self._platform.log(line)
