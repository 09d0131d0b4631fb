"""What clients do with the machine's VMs: configure, boot, stop, remove them, and look at their counters.

To be called in the machine's thread between turns. Whatever cannot be done raises EngineError with one sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from shyper_tui.config import DEFAULT_BOARD, VmConfig
from shyper_tui.config.writer import write_vm
from shyper_tui.engine import vm_counters
from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.boot_plan import device_tree_overlay, located, read_configuration, vm_files
from shyper_tui.engine.definitions import configuration, definition
from shyper_tui.engine.hypervisor.definition import VmDefinition, VmError, printable
from shyper_tui.engine.hypervisor.images import FileKind
from shyper_tui.engine.hypervisor.manager import Entry, Manager
from shyper_tui.engine.hypervisor.mvm import MVM_ID
from shyper_tui.engine.hypervisor.vm import RUNNING, Vm, VmState
from shyper_tui.engine.symbols import Symbols
from shyper_tui.ipc.messages import EngineError, VmInfo
from shyper_tui.ipc.vm_messages import RefusedCall, VmAnswer, VmFaults, VmStatistics

T = TypeVar("T")


class VmControl:
    """The VMs of `manager`. `now()` is the machine's time in ticks, `has_console(vm)` whether a VM's console is
    shown."""

    def __init__(self, manager: Manager, now: Callable[[], int], has_console: Callable[[int], bool]) -> None:
        self.manager = manager
        self._now = now
        self._has_console = has_console
        self._configs: dict[int, tuple[Entry, VmConfig]] = {}
        self._symbols: dict[int, tuple[Entry, Symbols]] = {}

    # Looking

    def infos(self) -> list[VmInfo]:
        """All VMs by id."""
        return [self.info(vm_id) for vm_id in sorted(self.manager.table)]

    def info(self, vm: int) -> VmInfo:
        """One VM."""
        entry = self._entry(vm)
        wanted, made = entry.definition, entry.vm
        state = VmState.PENDING if made is None else made.state
        return VmInfo(
            id=vm,
            name=wanted.name,
            type=int(wanted.type),
            state=state.value,
            vcpus=wanted.cpu.num,
            cores=wanted.cpu.cores(),
            memory=wanted.memory_size,
            console=self._has_console(vm),
            message=self.manager.message(entry),
            position=list(self.manager.table).index(vm),
            state_number=state.number,
            file=entry.files.get(FileKind.CONFIGURATION) or entry.files.get(FileKind.KERNEL, ""),
        )

    def symbols(self, vm: int) -> Symbols | None:
        """Names of addresses in the VM's kernel, where its file has them."""
        named = self._known(self._symbols).get(vm)
        return named[1] if named is not None else None

    def backends(self, vm: int) -> list[Backend]:
        """The VM's virtio devices in the order of its configuration."""
        return list(self._vm(vm).backends.values())

    def statistics(self, vm: int) -> VmStatistics:
        """Counters of a VM."""
        return vm_counters.statistics(self._vm(vm), self._now())

    def all_statistics(self) -> list[VmStatistics]:
        """Counters of every VM that has been created, by id."""
        return [vm_counters.statistics(vm, self._now()) for vm in self.manager.vms()]

    def faults(self, vm: int) -> VmFaults:
        """What the hypervisor recorded of a VM's faults."""
        return vm_counters.faults(self._vm(vm), self.manager.message(self._entry(vm)))

    def audit(self) -> list[RefusedCall]:
        """Hypercalls that were refused, oldest first."""
        return [vm_counters.refused_call(entry) for entry in self.manager.audit]

    def default_config(self, vm: int) -> str:
        """A VM's configuration as JSON, file names made absolute."""
        entry = self._entry(vm)
        known = self._known(self._configs).get(vm)
        kernel, ramdisk = (entry.files.get(kind, "") for kind in (FileKind.KERNEL, FileKind.RAMDISK))
        try:
            return write_vm(known[1] if known is not None else configuration(entry.definition, kernel, ramdisk))
        except ValueError as error:  # a type that a hypercall may name and a configuration may not
            raise EngineError("vm", f"VM {vm} cannot be written as a configuration: {error}") from None

    # Doing

    def config(self, text: str, directory: str, file: str) -> VmInfo:
        """Adds a guest VM from a configuration's text."""
        folder = Path(directory)
        known = {vm: config for vm, (_, config) in self._known(self._configs).items()}
        managing = known.pop(MVM_ID, None)
        board = DEFAULT_BOARD.beside(managing) if managing is not None else DEFAULT_BOARD
        wanted = read_configuration(text, file, list(known.values()), folder=folder, board=board)
        kernel, ramdisk = vm_files(wanted, folder)
        overlay = device_tree_overlay(wanted, folder)
        try:
            vm_id = self.manager.free_id()
            self.add(definition(vm_id, wanted, overlay), kernel, ramdisk, located(wanted, folder), file)
        except VmError as error:
            raise EngineError("vm", str(error)) from None
        return self.info(vm_id)

    def add(self, wanted: VmDefinition, kernel: bytes, ramdisk: bytes, config: VmConfig, file: str = "") -> None:
        """Adds a VM that is defined already; `file`: the configuration's name. Raises VmError."""
        self.manager.add(wanted, kernel, ramdisk)
        entry = self.manager.table[wanted.id]
        if file:
            entry.files[FileKind.CONFIGURATION] = printable(file)
        self._symbols[wanted.id] = (entry, Symbols(kernel, wanted.kernel_load_ipa))
        self._configs[wanted.id] = (entry, config)

    def boot(self, vm: int) -> VmInfo:
        """Starts a pending VM."""
        return self._manage(vm, lambda: self.manager.boot(vm))

    def stop(self, vm: int) -> VmInfo:
        """Stops a VM at once."""
        return self._manage(vm, lambda: self.manager.stop(vm))

    def shutdown(self, vm: int, force: bool) -> VmAnswer:
        """Asks a VM to power off, or stops it: by `force`, or when it does not listen."""
        made = self._vm(vm)
        info = self._manage(vm, lambda: self.manager.shutdown(vm, force))
        return VmAnswer(info, asked=made.state in RUNNING and not made.stopping)

    def reboot(self, vm: int, force: bool) -> VmAnswer:
        """Asks a VM to reboot, or starts it again from its images: by `force`, or when it does not listen."""
        made = self._vm(vm)
        boots = made.boots
        info = self._manage(vm, lambda: self.manager.reboot(vm, force))
        return VmAnswer(info, asked=made.state in RUNNING and made.boots == boots and not made.stopping)

    def pause(self, vm: int) -> VmInfo:
        """Takes an active VM's vCPUs off their cores."""
        return self._manage(vm, lambda: self.manager.pause(vm))

    def resume(self, vm: int) -> VmInfo:
        """Lets a paused VM go on."""
        return self._manage(vm, lambda: self.manager.resume(vm))

    def remove(self, vm: int) -> None:
        """Stops and removes a guest VM."""
        try:
            self.manager.remove(vm)
        except VmError as error:
            raise EngineError("vm", str(error)) from None

    def delete(self, vm: int, force: bool) -> None:
        """Takes back the configuration of a VM that does not run; by `force` also of one that does."""
        made = self._entry(vm).vm
        if vm != MVM_ID and made is not None and (made.state in RUNNING or made.stopping) and not force:
            raise EngineError("vm", f"VM {vm} runs; shut it down first, or delete it by force")
        try:
            self.manager.delete(vm)
        except VmError as error:
            raise EngineError("vm", str(error)) from None

    def halting(self, vm: int | None) -> Callable[[], bool]:
        """A function that says whether some core still runs this VM (None: any VM) although it is to stop."""
        found = [made for made in self.manager.vms() if vm in (None, made.id)]
        return lambda: any(made.stopping for made in found)

    def settled(self, answer: object) -> object:
        """An answer with the VM's state as it is now."""
        if isinstance(answer, VmAnswer):
            return VmAnswer(self.info(answer.info.id), answer.asked)
        return self.info(answer.id) if isinstance(answer, VmInfo) else answer

    # Inside

    def _manage(self, vm: int, action: Callable[[], object]) -> VmInfo:
        try:
            action()
        except VmError as error:
            raise EngineError("vm", str(error)) from None
        return self.info(vm)

    def _entry(self, vm: int) -> Entry:
        try:
            return self.manager.entry(vm)
        except VmError as error:
            raise EngineError("vm", str(error)) from None

    def _vm(self, vm: int) -> Vm:
        try:
            return self.manager.vm(vm)
        except VmError as error:
            raise EngineError("vm", str(error)) from None

    def _known(self, table: dict[int, tuple[Entry, T]]) -> dict[int, tuple[Entry, T]]:
        """The rows of a table that belong to VMs that still exist."""
        return {vm: row for vm, row in table.items() if self.manager.table.get(vm) is row[0]}
