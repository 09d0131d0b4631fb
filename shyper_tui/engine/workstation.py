"""What the worker serves: the machine with firmware, hypervisor and guests, their consoles, and what panes ask for.

Everything here runs in the machine's thread between turns, but `post`, `stop`, and reading `consoles`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shyper_tui.engine.board.virtio.console import Console
from shyper_tui.engine.boot_plan import BootPlan, boot_plan, text_of
from shyper_tui.engine.capture import CaptureFile
from shyper_tui.engine.clock import Clock, VirtualClock, WallClock
from shyper_tui.engine.console_stream import ConsoleStream
from shyper_tui.engine.consoles import Consoles
from shyper_tui.engine.daemon_disks import DaemonDisks
from shyper_tui.engine.definitions import configuration, definition
from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hart.program import Program, program
from shyper_tui.engine.hypervisor.definition import VmError
from shyper_tui.engine.hypervisor.manager import Manager
from shyper_tui.engine.hypervisor.mvm import MVM_ID, mvm_definition
from shyper_tui.engine.hypervisor.vm import RUNNING
from shyper_tui.engine.log_folder import log_folder
from shyper_tui.engine.log_pipe import log_line
from shyper_tui.engine.machine import Machine
from shyper_tui.engine.outer_network import network_choice
from shyper_tui.engine.scenario import Scenario
from shyper_tui.engine.shyper_machine import HARTS, MEMORY, Hooks, ShyperMachine
from shyper_tui.engine.speed import Speedometer
from shyper_tui.engine.system_control import SystemControl
from shyper_tui.engine.vm_control import VmControl
from shyper_tui.ipc.messages import (
    MVM_OFF,
    TICKS_PER_SECOND,
    EngineError,
    EngineOptions,
    EngineState,
    HartStatus,
    MachineStatus,
    PlicSnapshot,
    VcpusSnapshot,
)
from shyper_tui.ipc.vm_messages import EngineReport, OfferedDisk, VmAnswer
from shyper_tui.version import VERSION

StateListener = Callable[[EngineState, str], None]


class Workstation:
    """Built empty, filled by `start`; `complete` when that is done.

    `set_state` reports a new state of the whole machine, `notify` that something else has changed.
    """

    def __init__(self, options: EngineOptions, set_state: StateListener, notify: Callable[[], None]) -> None:
        self._options, self._set_state, self._notify = options, set_state, notify
        self._built: ShyperMachine | None = None
        self._vms: VmControl | None = None
        self._system: SystemControl | None = None
        self._disks: DaemonDisks | None = None
        self._streams: Consoles | None = None
        self._speed = Speedometer(HARTS)
        self._active = False
        self.complete = False
        self.embedded = options.embedded
        self.scenario = Scenario(options.script, self._type_anyway, self._later, self._script_ended)

    @property
    def consoles(self) -> dict[int, ConsoleStream]:
        """The console streams by VM id. Any thread may read them."""
        return self._streams.streams if self._streams is not None else {}

    @property
    def machine(self) -> Machine:
        assert self._built is not None
        return self._built.machine

    # Life cycle (`machine_thread.Runnable`)

    def start(self) -> None:
        """Builds the machine, boots the managing VM, then configures and boots the guests. EngineError when the
        managing VM cannot be booted; a guest that cannot is reported and left out."""
        if self._options.mvm_off not in MVM_OFF:
            raise EngineError("options", f"mvm_off is one of {', '.join(MVM_OFF)}, not {self._options.mvm_off!r}")
        self._set_state("booting", "reading the images")
        plan = boot_plan(self._options)
        if plan.warning:
            log_line(f"warning: {plan.warning}")
        self.embedded = plan.embedded
        self._streams = Consoles(self._log_folder(), self.scenario.attach)
        core = program(lambda text, done: self._set_state("booting", f"{text} ({done:.0%})"))
        self._set_state("booting", "building the machine")
        hooks = Hooks(self._console_output, self._changed, log_line)
        clock = VirtualClock() if self._options.clock == "virtual" else WallClock()
        self._built = self._machine_of(plan, clock, core, hooks)
        self._vms = VmControl(self._manager, self.machine.now, lambda vm: vm in self.consoles)
        self._built.platform.describe = self._describe
        self._system = SystemControl(self._vms, self.machine.post)
        self._disks = DaemonDisks(self._built.platform.disks)
        if self._options.daemon is not None:
            self._serve_disks(Path(self._options.daemon))
        self._boot_mvm(plan)
        trouble = [sentence for file in plan.guests if (sentence := self._boot_guest(file))]
        self._built.power_on()
        self.complete = True
        self._active = True
        self._set_state("booting", "; ".join([*([plan.warning] if plan.warning else []), *trouble]))
        if trouble:
            self.scenario.fail(trouble[0])
        self.scenario.begin()

    def _machine_of(self, plan: BootPlan, clock: Clock, core: Program, hooks: Hooks) -> ShyperMachine:
        """The machine with its disks and its network. Raises EngineError."""
        options = self._options
        try:
            return ShyperMachine(
                clock,
                core,
                hooks,
                plan.mvm.disk,
                plan.guest_disk,
                mvm_off=options.mvm_off,
                keep_mvm_disk=plan.mvm.keep_disk,
                network=network_choice(options.network, options.forwards, quiet=bool(options.script)),
                pcap=CaptureFile(Path(options.pcap), options.pcap_replace) if options.pcap is not None else None,
            )
        except EngineError as error:
            if error.code != "disk" or options.mvm_disk is not None or not plan.mvm.keep_disk:
                raise
            raise EngineError("disk", f"{error.message}, or --snapshot, which begins with the installed disk") from None

    def _log_folder(self) -> Path | None:
        """Where the consoles are logged. Nowhere when nobody named a folder and the user's own cannot be used (a home
        that is read-only, or none): the machine needs no logs."""
        try:
            return log_folder(self._options.log_dir)
        except OSError as error:
            reason = f"{error.strerror or error} ({error.filename})"
            if self._options.log_dir is not None:
                raise EngineError("log-dir", f"the folder of the console logs cannot be used: {reason}") from None
            log_line(f"warning: the consoles are not logged: {reason}; --log-dir names another folder")
            return None

    def run(self) -> None:
        """Runs the machine until it is stopped, or has powered off."""
        assert self._built is not None
        self._built.run()
        if self.off:
            self._set_active(False)

    def post(self, call: Callable[[], None]) -> None:
        """Performs `call` in the machine's thread between turns. Any thread may post."""
        self.machine.post(call)

    def stop(self) -> None:
        """Makes `run` return. Any thread may call it."""
        if self._built is not None:
            self._built.stop()

    def close(self) -> None:
        """Completes the console logs and closes the disks."""
        if self._streams is not None:
            self._streams.close()
        if self._built is not None:
            self._built.close()

    def _boot_mvm(self, plan: BootPlan) -> None:
        mvm = plan.mvm
        wanted = mvm_definition() if mvm.config is None else definition(MVM_ID, mvm.config)
        wanted.ramdisk_load_ipa = mvm.ramdisk_address
        config = mvm.config or configuration(wanted, mvm.kernel_name, mvm.ramdisk_name)
        try:
            self.vms.add(wanted, mvm.kernel, mvm.ramdisk, config)
            self._manager.boot(MVM_ID)
        except VmError as error:
            raise EngineError("mvm", f"the managing VM cannot be booted: {error}") from None

    def _describe(self, vm: int) -> str:
        """A VM's configuration for the managing VM, which asks for it by hypercall."""
        try:
            return self.vms.default_config(vm)
        except EngineError as error:
            raise VmError(str(error)) from None

    def _serve_disks(self, file: Path) -> None:
        """The disks of the options' daemon file. One that cannot be served is reported; the VM that needs it will be
        refused."""
        text = text_of(file)
        for disk in self.daemon(text, str(file.parent), str(file)):
            if disk.problem:
                log_line(f"warning: {disk.problem}")
            elif disk.read_only:
                log_line(f"warning: disk {disk.index}, {disk.path}, is read-only: guests cannot write to it")

    def _boot_guest(self, file: Path) -> str:
        """Configures and boots one guest; returns what is wrong with it, if anything."""
        try:
            made = self.vms.config(text_of(file), str(file.parent), str(file))
            self.vms.boot(made.id)
        except EngineError as error:
            for found in error.diagnostics:
                log_line(f"{found.file}:{found.line}: {found.message} {found.remedy}")
            log_line(f"{file.name} is not booted: {error.message}")
            return f"{file.name} is not booted: {error.message}"
        return ""

    # VMs and the whole machine

    @property
    def _manager(self) -> Manager:
        assert self._built is not None
        return self._built.hypervisor.manager

    @property
    def vms(self) -> VmControl:
        """What clients do with VMs."""
        assert self._vms is not None
        return self._vms

    def shutdown(self, force: bool) -> VmAnswer:
        """Powers off the managing VM and all guests."""
        assert self._system is not None
        self.resume()  # a paused machine would keep its VMs
        return self._system.end(ResetType.SHUTDOWN, force)

    def reboot(self, force: bool) -> VmAnswer:
        """Starts the managing VM and all guests that run again."""
        assert self._system is not None
        self.resume()
        return self._system.end(ResetType.COLD_REBOOT, force)

    @property
    def off(self) -> bool:
        """The machine has powered off for good: with `mvm_off` "stay" it never does."""
        return self._built is not None and self.machine.power is not None

    def test(self) -> EngineReport:
        """That the engine answers, and what it runs."""
        found = self._manager.vms()
        active = sum(vm.state in RUNNING for vm in found)
        return EngineReport(VERSION, len(self.machine.harts), MEMORY, len(self._manager.table), active)

    def daemon(self, text: str, directory: str, file: str) -> list[OfferedDisk]:
        """Serves the disks of a daemon's file from now on."""
        assert self._disks is not None
        return self._disks.offer(text, directory, file)

    # Consoles

    def type(self, vm: int, data: bytes) -> None:
        """Types on a VM's console."""
        if vm == MVM_ID:  # its console is the board's serial port
            taken = self.machine.board.uart.receive(data)
        else:
            try:
                taken = self._manager.vm(vm).console.type(data)
            except VmError as error:
                raise EngineError("vm", str(error)) from None
        if taken < len(data):
            left = len(data) - taken
            raise EngineError("console-full", f"vm{vm} does not read its console; {left} bytes were not typed")

    def resize(self, vm: int, columns: int, rows: int) -> None:
        """Tells a guest the size of the terminal behind its console, in character cells."""
        if not (0 < columns < 1 << 16 and 0 < rows < 1 << 16):
            raise EngineError("bad-arguments", "a console has 1 to 65535 columns and rows")
        consoles = [backend for backend in self.vms.backends(vm) if isinstance(backend, Console)]
        if vm == MVM_ID or not consoles:
            raise EngineError("no-size", f"the console of vm{vm} is a serial line, which has no size")
        consoles[0].resize(columns, rows)

    def _type_anyway(self, vm: int, data: bytes) -> None:
        """Types for the script; a VM that is not there cannot answer, which the script's next text will show."""
        try:
            self.type(vm, data)
        except EngineError as error:
            log_line(f"the script typed nothing: {error.message}")

    def _console_output(self, vm: int, data: bytes) -> None:
        stream = self.consoles.get(vm)
        if stream is None:
            assert self._streams is not None
            stream = self._streams.of(vm, self._manager.table[vm])
        stream.write(data)

    def _changed(self) -> None:
        """A VM has been made, removed, started or stopped."""
        assert self._streams is not None
        table = self._manager.table
        self._streams.keep({vm: entry for vm, entry in table.items() if entry.vm is not None})
        if self.complete:
            if self._runs:
                self._set_active(True)
            else:
                self.machine.post(lambda: self._set_active(self._runs))  # it may be a reset, which starts again at once
        if self._system is not None:
            self._system.changed()
        self._notify()

    @property
    def _runs(self) -> bool:
        """Some VM runs, or will soon because it has reset itself."""
        return any(vm.state in RUNNING or vm.restart is not None for vm in self._manager.vms())

    def _set_active(self, active: bool) -> None:
        if active is self._active:
            return
        self._active = active
        if not active:
            self._set_state("stopped", "the machine is off" if self.off else "every VM is off")
            self.scenario.machine_stopped()
        elif not self.machine.paused:
            self._set_state("running", "")

    # The whole machine

    def pause(self) -> None:
        """Stops all harts between two turns."""
        self.machine.pause()
        self._set_state("paused", "")

    def resume(self) -> None:
        """Lets a paused machine go on."""
        if self.machine.paused:
            self.machine.resume()
            self._set_state("running" if self._active else "stopped", "")

    def status(self, state: str, message: str) -> MachineStatus:
        """The machine's numbers now."""
        machine = self.machine
        idle = all(hart.waiting for hart in machine.harts)
        rate = machine.clock.divider * TICKS_PER_SECOND if idle else 0
        self._speed.look([(hart.instructions, hart.cycle) for hart in machine.harts], rate)
        return MachineStatus(
            state=state,
            clock=machine.clock.name,
            time_ticks=machine.now(),
            instructions=machine.instructions,
            mips=self._speed.mips if state == "running" else 0.0,
            harts=[self._hart_status(number, busy) for number, busy in enumerate(self._speed.busy)],
            embedded=self.embedded,
            message=message,
        )

    def _hart_status(self, number: int, busy: float) -> HartStatus:
        assert self._built is not None
        current = self._built.hypervisor.cores[number].current
        vm = None if current is None else current.vm.id
        return HartStatus(number, self.machine.harts[number].mode.name, vm, busy)

    def _later(self, ticks: int, call: Callable[[], None]) -> object:
        return self.machine.call_at(self.machine.now() + ticks, call)

    def _script_ended(self) -> None:
        """The machine stands still from here on, so that what a script shows does not depend on how fast somebody
        asks."""
        if self._built is not None:
            self.pause()
        self._notify()

    # Views

    def vcpus(self) -> VcpusSnapshot:
        """Every vCPU of every VM."""
        from shyper_tui.engine import snapshots  # brings the disassembler: not needed to boot

        now = self.machine.now()
        found = [
            snapshots.vcpu_snapshot(vcpu, vm.memory, now, self.vms.symbols(vm.id))
            for vm in self._manager.vms()
            for vcpu in vm.vcpus
        ]
        return VcpusSnapshot(now, found)

    def plic(self) -> PlicSnapshot:
        """The physical PLIC and every VM's vPLIC."""
        from shyper_tui.engine import snapshots

        board = self.machine.board
        controllers = [snapshots.plic_controller("plic", None, board.plic, board.source_names)]
        for vm in self._manager.vms():
            if vm.vplic is not None:
                names = {device.irq_id: device.name for device in vm.definition.devices if device.irq_id}
                for irq in vm.definition.passthrough_irqs:
                    names.setdefault(irq, board.source_names.get(irq, ""))
                controllers.append(snapshots.plic_controller(f"vplic{vm.id}", vm.id, vm.vplic.plic, names))
        return PlicSnapshot(self.machine.now(), controllers)
