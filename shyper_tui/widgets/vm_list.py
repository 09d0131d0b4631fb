"""The list of VMs: id, name, state as glyph and word, vCPUs, cores, memory; what can be done with the
chosen one."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.message import Message

from shyper_tui.ipc.messages import VmInfo
from shyper_tui.keymap import Scope, bindings
from shyper_tui.plain_text import clipped
from shyper_tui.session import Session
from shyper_tui.widgets.lines_view import LinesView, Row
from shyper_tui.widgets.pane import Pane
from shyper_tui.widgets.states import VM_GLYPHS, VM_ROLES, size, span

TYPES = {0: "linux", 1: "bare-metal", 2: "rtos"}


def vm_row(vm: VmInfo) -> Row:
    """One line of the list; where there is nothing to say, it ends with the file that the VM was made from."""
    role = VM_ROLES.get(vm.state, "text")
    lead: Row = (
        (f" {VM_GLYPHS.get(vm.state, '?')} ", role),
        (f"{vm.id}  ", "strong"),
        (f"{clipped(vm.name, 16):<16} ", "text"),
        (f"{vm.state:<8} ", role),
    )
    if vm.state == "failed":  # why matters more than what it was made of
        return (*lead, (vm.message, "bad"))
    if vm.state == "active" and vm.message:  # it runs and gets nowhere, or is being stopped
        return (*lead, (vm.message, "warn"))
    return (
        *lead,
        (f"{vm.vcpus} vCPU{'s' if vm.vcpus != 1 else ' '} on {span(vm.cores):<5} ", "text"),
        (f"{size(vm.memory):>9}  ", "text"),
        (f"{TYPES.get(vm.type, vm.type):<10} ", "label"),
        (vm.message or clipped(vm.file.rpartition("/")[2], 32), "label"),
    )


class VmTable(LinesView):
    """The rows, with the keys that act on the chosen VM."""

    BINDINGS = bindings(Scope.VMS)

    class Command(Message):
        """The user wants something done with a VM: open, boot, pause, resume, shutdown, stop, reboot, remove,
        faults."""

        def __init__(self, verb: str, vm: VmInfo) -> None:
            super().__init__()
            self.verb = verb
            self.vm = vm

    def __init__(self) -> None:
        super().__init__(selectable=True)
        self.vms: list[VmInfo] = []

    def _command(self, verb: str) -> None:
        if self.cursor < len(self.vms):
            self.post_message(self.Command(verb, self.vms[self.cursor]))

    def action_open(self) -> None:
        self._command("open")

    def action_boot(self) -> None:
        self._command("boot")

    def action_pause_vm(self) -> None:
        paused = self.cursor < len(self.vms) and self.vms[self.cursor].state == "paused"
        self._command("resume" if paused else "pause")

    def action_shutdown(self) -> None:
        self._command("shutdown")

    def action_stop(self) -> None:
        self._command("stop")

    def action_reboot(self) -> None:
        self._command("reboot")

    def action_remove(self) -> None:
        self._command("remove")

    def action_faults(self) -> None:
        self._command("faults")


class VmListPane(Pane):
    """All configured VMs."""

    TITLE = "VMs"
    HELP: ClassVar[str] = """\
All VMs that are configured. vm0 is the managing VM (MVM). States: `● active` runs, `○ pending` is configured
but not started, `◐ paused`, `■ stopped`, `✖ failed` was stopped by the hypervisor; the line then says why.
**b** boots, **d** asks the chosen VM to shut down, **s** stops it at once, **R** reboots it, **p** takes it off its
cores and puts it back; the others go on. **X** removes it. **f** shows its faults, and how often and why the
hypervisor was called. **enter** goes to its console.
"""
    DEFAULT_CSS = "VmListPane { height: auto; max-height: 10; min-height: 3; } VmListPane > VmTable { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self.table = VmTable()

    def compose(self) -> ComposeResult:
        yield self.table

    @property
    def selected(self) -> VmInfo | None:
        return self.table.vms[self.table.cursor] if self.table.cursor < len(self.table.vms) else None

    def update_session(self, session: Session) -> None:
        self.table.vms = session.vms
        rows = [vm_row(vm) for vm in session.vms] or [((f" {session.progress}", "label"),)]
        if self.table.styles.height is None or self.table.styles.height.value != len(rows):
            self.table.styles.height = max(1, len(rows))
        self.table.show(rows)
        self.set_title(f"VMs {sum(vm.state == 'active' for vm in session.vms)}/{len(session.vms)} active")
