"""Configures, boots, stops and removes VMs: for hypercalls of the managing VM and for the workstation alike.

Stopping takes effect when every core has let go of the VM's vCPUs, which for other cores is after their next
interrupt; what has to follow (freeing memory, booting again) waits for that.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from shyper_tui.engine.board.device import TICKS_PER_SECOND
from shyper_tui.engine.firmware.sbi import HsmState, ResetType
from shyper_tui.engine.hypervisor import builder
from shyper_tui.engine.hypervisor.audit import new_audit
from shyper_tui.engine.hypervisor.definition import VmDefinition, VmError, VmType
from shyper_tui.engine.hypervisor.definition_check import shared_macs
from shyper_tui.engine.hypervisor.halting import Cause, Halting
from shyper_tui.engine.hypervisor.images import FileKind, Images
from shyper_tui.engine.hypervisor.large_copy import Piece
from shyper_tui.engine.hypervisor.layout import HYPERVISOR_MEMORY, MAX_VMS, POOL_BASE
from shyper_tui.engine.hypervisor.loader import Loader, check_upload
from shyper_tui.engine.hypervisor.mvm import MVM_ID
from shyper_tui.engine.hypervisor.pool import PageAllocator, Pool
from shyper_tui.engine.hypervisor.progress import Progress
from shyper_tui.engine.hypervisor.vcpu import VcpuState
from shyper_tui.engine.hypervisor.vm import RUNNING, Vm, VmState
from shyper_tui.engine.hypervisor.watch import Watch

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor

SHORTEST_RUN = TICKS_PER_SECOND // 2
"""A guest that resets itself earlier than this after its start waits until then."""
MANAGE, SHUTDOWN_REQUEST, REBOOT_REQUEST = 1, 3, 4
"""Message {1, 3, id}: please power off; {1, 4, id}: please reboot."""
CONFIGURE, UPLOAD_REQUEST = 0x11, 9
"""Message {0x11, 9, id} to the managing VM: please upload the kernel of VM id again and boot it."""


@dataclass(slots=True)
class Entry:
    """One row of the configuration table. `vm` is None until the VM has been created; `used`: its RAM is not clean;
    `files`: names of the files that it was made from, where somebody told them."""

    definition: VmDefinition
    images: Images = field(default_factory=Images)
    vm: Vm | None = None
    used: bool = False
    progress: Progress = field(default_factory=Progress)
    files: dict[FileKind, str] = field(default_factory=dict)


class Manager:
    """The configuration table, in the order of creation, and what can be done with its VMs. Mistakes raise VmError."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self._platform = hypervisor.platform
        self.table: dict[int, Entry] = {}
        self.pool = Pool(POOL_BASE, max(0, self._platform.ram_end - POOL_BASE))
        self.pages = PageAllocator(*HYPERVISOR_MEMORY)
        self.audit = new_audit()
        self.loader = Loader(self._platform)
        self._halting = Halting(hypervisor.on_core, self._halted)
        self._watch = Watch(self._platform, self.table.values)
        self._machine_reset: ResetType | None = None
        self._running_before: list[int] = []

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

    def message(self, entry: Entry) -> str:
        """What a user should know of a VM: why it is off, what it waits for, or that it gets nowhere; "" else."""
        vm = entry.vm
        if vm is None:
            return ""
        if vm.stopping:
            return "is being stopped"
        return vm.message or self._watch.stuck(entry, vm) or self._watch.upload_problem(entry, vm)

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
        if not 0 <= definition.id < MAX_VMS:
            raise VmError(f"{definition.id} is no id of a VM: they are 0 to {MAX_VMS - 1}")
        if definition.id in self.table:
            raise VmError(f"VM {definition.id} exists already")
        entry = self.table[definition.id] = Entry(definition)
        return entry

    def add(self, definition: VmDefinition, kernel: bytes, ramdisk: bytes = b"") -> Vm:
        """Define and create a VM at once, as the workstation does. Nothing is left behind when it fails."""
        entry = self.define(definition)
        try:
            entry.images = Images(kernel, ramdisk)
            self._take_disks(definition)
            vm = self.create(definition.id)
            self.loader.plan(entry, vm)
            return vm
        except BaseException:
            self._forget(entry)
            raise

    def create(self, vm_id: int) -> Vm:
        """Make the VM of a definition: memory, stage 2, vCPUs, devices."""
        entry = self.entry(vm_id)
        if entry.vm is None:
            entry.vm = builder.build(copy.deepcopy(entry.definition), self._hypervisor, self.pool, self.pages)
            self._log(f"VM {vm_id} ({entry.definition.name}) created on cores {entry.definition.cpu.cores()}")
            for sentence in shared_macs(entry.definition, self._hypervisor):
                self._log(sentence)
            self._platform.on_change()
        return entry.vm

    def upload(self, vm_id: int, offset: int, data: Piece, size: int) -> None:
        """A piece of a kernel file of `size` bytes; the first piece creates the VM. The pieces come in order."""
        entry = self._uploading(vm_id, "kernel")
        check_upload(entry.definition, offset, size)
        new = entry.vm is None
        vm = self.create(vm_id)
        try:
            if new:
                self.loader.check_tree(entry, vm)
            self.loader.upload(entry, vm, offset, data, size)
            self._watch.uploaded(entry, vm)
        except VmError:
            if new:
                self._dismantle(entry)
            raise

    def upload_ramdisk(self, vm_id: int, offset: int, data: Piece, size: int) -> None:
        """A piece of a ramdisk of `size` bytes, before or after the kernel. The pieces come in order."""
        self.loader.upload_ramdisk(self._uploading(vm_id, "ramdisk"), offset, data, size)

    def _uploading(self, vm_id: int, what: str) -> Entry:
        """The row of a VM whose kernel or ramdisk may come by hypercall now."""
        entry = self.entry(vm_id)
        if entry.images.kernel and not entry.images.uploaded:
            raise VmError(f"VM {vm_id} has its {what} from the workstation, a piece of another would spoil it")
        if entry.vm is not None and (entry.vm.state in RUNNING or entry.vm.stopping):
            raise VmError(f"VM {vm_id} runs, so its {what} cannot be replaced")
        return entry

    def delete(self, vm_id: int) -> None:
        """Take a definition back; a VM made from it goes, too."""
        self.remove(vm_id)

    # Running

    def boot(self, vm_id: int) -> None:
        """Load the images into the VM's RAM and start vCPU 0. A kernel that was not kept is asked for."""
        entry, vm = self.entry(vm_id), self.vm(vm_id)
        if self._machine_reset is not None:
            raise VmError("the machine is going down")
        if vm.stopping:
            raise VmError(f"VM {vm_id} is still stopping")
        if vm.state in RUNNING:
            raise VmError(f"VM {vm_id} runs already")
        if self.loader.missing(entry) and self._ask_for_kernel(vm):
            return
        self._start(entry, vm)

    def _start(self, entry: Entry, vm: Vm) -> None:
        vm.cancel_restart()
        entry_point = self.loader.load(entry, vm)
        vm.reset_devices()
        for vcpu in vm.vcpus:
            vcpu.fresh()
            vcpu.state, vcpu.hsm, vcpu.resume_at = VcpuState.INVALID, HsmState.STOPPED, None
        first = vm.vcpus[0]
        definition = vm.definition
        if definition.type in (VmType.BARE_METAL, VmType.FREERTOS):
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
        self._watch.booted(entry, vm)

    def stop(self, vm_id: int) -> None:
        """Stop a VM at once, whatever it is doing; it may be booted again. One that is off stays off."""
        vm = self.vm(vm_id)
        vm.cancel_restart()
        if vm.state in RUNNING:
            self._halting.halt(vm, Cause.REQUEST, partial(self._off, vm))

    def shutdown(self, vm_id: int, force: bool = False) -> None:
        """Ask a VM to power off; one that does not listen for messages, or by `force`, is stopped."""
        vm = self.vm(vm_id)
        if vm.state not in RUNNING and vm.restart is None:
            raise VmError(f"VM {vm_id} does not run, so it cannot be shut down")
        if not force and vm.state is VmState.PAUSED and vm.listens:
            raise VmError(f"VM {vm_id} is paused and cannot power off by itself: resume it, or shut it down by force")
        if force or vm.stopping or not self._tell(vm, MANAGE, SHUTDOWN_REQUEST, vm_id):
            self.stop(vm_id)
        else:
            self._watch.asked(self.entry(vm_id), "power off")

    def reboot(self, vm_id: int, force: bool = True) -> None:
        """Start a VM again from its images; not by `force`: ask it to reboot by itself if it listens."""
        vm = self.vm(vm_id)
        asks = not force and vm.state is VmState.ACTIVE and not vm.stopping
        if asks and self._tell(vm, MANAGE, REBOOT_REQUEST, vm_id):
            self._watch.asked(self.entry(vm_id), "reboot")
            return
        if vm.state in RUNNING:
            vm.cancel_restart()
            self._halting.halt(vm, Cause.REQUEST, partial(self._restart, vm))
        else:
            self.boot(vm_id)

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
        """Take a VM out of the table at once: its id, disks, irqs and switch ports are free for others. Its memory
        returns to the pool, zeroed, when all cores have let go of it."""
        if vm_id == MVM_ID:
            raise VmError("VM 0 is the managing VM and cannot be removed")
        entry = self.entry(vm_id)
        del self.table[vm_id]
        vm = entry.vm
        if vm is None or not (vm.state in RUNNING or vm.stopping):
            self._forget(entry)
        else:
            vm.cancel_restart()
            vm.unplug()
            self._platform.disks.release(entry)
            self._halting.halt(vm, Cause.REMOVAL, partial(self._dismantle, entry))
        self._log(f"VM {vm_id} ({entry.definition.name}) removed")
        self._platform.on_change()

    def guest_reset(self, vm: Vm, kind: ResetType) -> None:
        """A guest asked through SBI to be powered off or started again; it concerns that VM alone."""
        then = self._powered_off if kind is ResetType.SHUTDOWN else self._reset
        self._halting.halt(vm, Cause.GUEST, partial(then, vm))

    def fail(self, vm: Vm, message: str) -> None:
        """Stop a VM that cannot go on; `message` says why."""
        self._halting.halt(vm, Cause.GUEST, partial(self._failed, vm, message))

    def reset_machine(self, kind: ResetType) -> None:
        """Stop every VM; then the machine goes off, or (every other kind) begins again: VMs whose kernels were
        uploaded are gone as after any reset, the managing VM and the workstation's VMs that ran are booted."""
        if self._machine_reset is None:
            self._running_before = [vm.id for vm in self.vms() if vm.state in RUNNING or vm.restart is not None]
        self._machine_reset = kind
        self._log(f"the machine {'goes off' if kind is ResetType.SHUTDOWN else 'is reset'}: all VMs are stopped")
        for vm in self.vms():
            vm.cancel_restart()
            if vm.state in RUNNING:
                self._halting.halt(vm, Cause.MACHINE, partial(self._off, vm))
        self._halted()

    # Inside

    def _halted(self) -> None:
        """Some VM has come to rest. When the machine goes down and it was the last: the end, or the new beginning."""
        kind = self._machine_reset
        if kind is None or self._halting.busy or any(vm.state in RUNNING for vm in self.vms()):
            return
        self._machine_reset = None
        before, self._running_before = self._running_before, []
        if kind is not ResetType.SHUTDOWN:
            for vm_id, entry in list(self.table.items()):
                if vm_id != MVM_ID and (entry.vm is None or entry.images.uploaded):
                    self.remove(vm_id)
        self._platform.on_machine_reset(kind)
        if kind is not ResetType.SHUTDOWN:
            for vm_id in sorted({MVM_ID, *before} & self.table.keys()):
                self._boot_in_time(self.vm(vm_id))

    def _off(self, vm: Vm, message: str = "") -> None:
        """No vCPU runs any more: devices are quiet, physical irqs are given back."""
        vm.reset_devices()
        vm.message = message
        self._set_state(vm, VmState.PENDING)

    def _failed(self, vm: Vm, message: str) -> None:
        vm.reset_devices()
        vm.message = message
        self._set_state(vm, VmState.FAILED)

    def _powered_off(self, vm: Vm) -> None:
        self._off(vm, "powered off by the guest")
        if vm.id == MVM_ID:
            self._platform.on_mvm_reset(ResetType.SHUTDOWN)

    def _reset(self, vm: Vm) -> None:
        """Start a VM again that asked for it."""
        self._off(vm)
        self._boot_in_time(vm)

    def _boot_in_time(self, vm: Vm) -> None:
        """Boot a VM again: at once, or later when it was booted just before.

        Loading a VM costs the host far more than the guest's call, and its neighbours shall not pay for that.
        """
        timebase = self._platform.timebase
        if timebase is None or timebase.now() >= vm.booted_at + SHORTEST_RUN:
            self._boot_again(vm)
            return
        vm.restart = timebase.call_at(vm.booted_at + SHORTEST_RUN, lambda: self._boot_again(vm))

    def _restart(self, vm: Vm) -> None:
        self._off(vm)
        self._boot_again(vm)

    def _boot_again(self, vm: Vm) -> None:
        vm.restart = None
        if self.table.get(vm.id) is not None and self.table[vm.id].vm is vm:
            try:
                self.boot(vm.id)
            except VmError as error:
                vm.message = str(error)
                self._set_state(vm, VmState.FAILED)

    def _ask_for_kernel(self, vm: Vm) -> bool:
        """Ask the managing VM to upload the kernel of `vm` again, which boots it then; False when it does not
        listen."""
        mvm = self.table[MVM_ID].vm if MVM_ID in self.table else None
        if mvm is None or mvm.state not in RUNNING or not self._tell(mvm, CONFIGURE, UPLOAD_REQUEST, vm.id):
            return False
        vm.message = "waits for the managing VM to upload its kernel again"
        self._platform.on_change()
        return True

    def _tell(self, vm: Vm, *words: int) -> bool:
        """Send a message to a VM; False when it has no ring, or does not read it."""
        sent = vm.notify(*words)
        if not sent:
            self._log(f"VM {vm.id} ({vm.name}) does not listen for messages: {words} is dropped")
        return sent

    def _forget(self, entry: Entry) -> None:
        """Give back everything a VM had."""
        if self.table.get(entry.definition.id) is entry:
            del self.table[entry.definition.id]
        self._platform.disks.release(entry)
        self._dismantle(entry)

    def _dismantle(self, entry: Entry) -> None:
        """Take the created VM of a definition apart; it is on no core."""
        vm, entry.vm = entry.vm, None
        if vm is None:
            return
        vm.cancel_restart()
        vm.unplug()
        for vcpu in vm.vcpus:
            vcpu.fresh()  # its registers are nobody's on its core
        for region in vm.memory.regions:
            self._platform.clear(region.physical, region.length)
            self.pool.release(region.physical, region.length)
        vm.stage2.free()

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
