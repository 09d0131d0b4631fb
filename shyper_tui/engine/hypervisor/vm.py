"""A virtual machine: memory, stage 2, vCPUs, emulated devices and interrupt controller."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from shyper_tui.engine.board.bus import Bus
from shyper_tui.engine.board.device import TICKS_PER_SECOND, Timer
from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.hart.direct.windows import DirectWindows
from shyper_tui.engine.hypervisor.definition import VmDefinition
from shyper_tui.engine.hypervisor.devices.vm_console import VmConsole
from shyper_tui.engine.hypervisor.exits.record import FaultLog
from shyper_tui.engine.hypervisor.exits.statistics import ExitStatistics
from shyper_tui.engine.hypervisor.guest_memory import GuestMemory
from shyper_tui.engine.hypervisor.mailbox import Mailbox
from shyper_tui.engine.hypervisor.stage2 import Stage2
from shyper_tui.engine.hypervisor.vcpu import Vcpu
from shyper_tui.engine.hypervisor.vplic import VPlic


class VmState(Enum):
    """State as the workstation shows it. PENDING: created and not running, also after a power-off; it may be booted."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    FAILED = "failed"

    @property
    def number(self) -> int:
        """As the list hypercall reports it: 1 pending, 2 active."""
        return 2 if self in (VmState.ACTIVE, VmState.PAUSED) else 1


RUNNING = (VmState.ACTIVE, VmState.PAUSED)
"""States in which a VM's vCPUs belong to their cores."""


class Vm:
    """VM `id` made from `definition`. Built by the manager; `vcpus`, `vplic` and the devices on `bus` are added
    there."""

    def __init__(self, definition: VmDefinition, stage2: Stage2, memory: GuestMemory, console: VmConsole) -> None:
        self.id = definition.id
        self.definition = definition
        self.stage2 = stage2
        self.memory = memory
        self.console = console
        self.bus = Bus()
        self.direct = DirectWindows()
        """Windows on `bus` whose registers harts may answer without a trap to the hypervisor."""
        self.vcpus: list[Vcpu] = []
        self.vplic: VPlic | None = None
        self.mailbox = Mailbox(memory, self._interrupt_mailbox)
        self.mailbox_irq: int | None = None
        self.state = VmState.PENDING
        self.message = ""
        self.boots = 0
        self.booted_at = 0  # ticks
        self.restart: Timer | None = None  # a reset that waits for its time
        self.stopping = False  # its vCPUs are being taken off their cores
        self.exits = ExitStatistics(self.direct)
        self.refused_calls = 0
        self.calls_served = 0  # SBI calls and hypercalls that succeeded
        self.faults = FaultLog(TICKS_PER_SECOND)
        self.backends: dict[str, Backend] = {}
        """Virtio devices by their names in the definition."""
        self.resets: list[Callable[[], None]] = []
        """What brings each device back to power-on."""
        self.releases: list[Callable[[], None]] = []
        """What gives back the devices' shared things: switch ports, console pairings."""

    @property
    def name(self) -> str:
        return self.definition.name

    def line(self, irq: int) -> Callable[[bool], None]:
        """Interrupt line of source `irq`; one that leads nowhere when the VM has no controller or no such source."""
        if self.vplic is None or not 1 <= irq <= self.vplic.plic.source_count:
            return lambda level: None
        return self.vplic.plic.line(irq)

    def notify(self, *words: int) -> bool:
        """Send a message of the hypervisor to this VM; False when it is not prepared to receive."""
        return self.mailbox_irq is not None and self.mailbox.send(*words)

    @property
    def listens(self) -> bool:
        """Whether the VM has a ring for messages."""
        return self.mailbox_irq is not None and self.mailbox.ready

    def claimed(self, source: int) -> None:
        """The VM claimed `source` at its vPLIC."""
        if source == self.mailbox_irq:
            self.mailbox.claimed()

    def cancel_restart(self) -> None:
        if self.restart is not None:
            self.restart.cancel()
            self.restart = None

    def reset_devices(self) -> None:
        """Power-on state of all devices, the interrupt controller last."""
        for reset in self.resets:
            reset()
        self.mailbox.reset()
        if self.vplic is not None:
            self.vplic.reset()

    def unplug(self) -> None:
        """Take all devices away, for good, and give back what they share with other VMs and the host. vCPUs that a
        core has not let go of find nothing at the devices' addresses."""
        self.reset_devices()
        self.resets.clear()
        self.bus = Bus()
        self.direct.clear()
        while self.releases:
            self.releases.pop()()

    def _interrupt_mailbox(self) -> None:
        if self.vplic is not None and self.mailbox_irq is not None:
            self.vplic.plic.pulse(self.mailbox_irq)
