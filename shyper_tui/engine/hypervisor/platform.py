"""What the hypervisor is given of the machine it runs on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shyper_tui.engine.board.device import Timebase
from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.board.dma import DmaPort
from shyper_tui.engine.board.memory import BadAddress, Memory
from shyper_tui.engine.board.memory_map import PLIC_BASE
from shyper_tui.engine.board.virtio.switch import Switch
from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hypervisor.devices.consoles import ConsoleHub
from shyper_tui.engine.hypervisor.devices.disks import MediatedDisks
from shyper_tui.engine.hypervisor.devices.flush import Post
from shyper_tui.engine.hypervisor.guest_tree import Cpu

CHUNK = 1 << 20


def no_seed(size: int) -> bytes:
    """No entropy for guests' trees: their `rng-seed` is left out."""
    return b""


@dataclass(slots=True)
class Platform:
    """The machine around the hypervisor.

    * `memory`: physical RAM; `ram_end`: first address after it
    * `board_tree`: the board's device tree, which the MVM's is made from
    * `on_console(vm, data)`: output of a VM's console
    * `on_mvm_reset(kind)`: the MVM has powered off or asked for a reset; VM 0 is stopped when this is called
    * `on_machine_reset(kind)`: a hypercall has shut down or reset the whole machine; every VM is stopped when this is
      called, and after a reset the VMs are booted next
    * `on_change()`: a VM's state has changed
    * `timebase`: the machine's time; with it, a guest that resets itself again and again is slowed down
    * `post(call)`: has a call performed in the machine's thread; any thread may use it. Without it (a virtual clock)
      the machine waits for what other threads do, at a time that does not depend on them
    * `rng_seed(size)`: entropy for the guests' trees (repeatable with a virtual clock)
    * `dma`: ports through which devices reach memory, by the physical address of the device's registers
    * `host_time(hart)`: what the host has spent on a hart so far, in ticks: vCPUs of a core share that. Without it (a
      virtual clock) they share the core's own time
    * `describe(vm)`: the configuration of a VM as the text of a file; raises VmError
    * `zero(address, length)`: clears RAM; by default every page that is not zero is written
    """

    memory: Memory
    ram_end: int
    board_tree: Node
    on_console: Callable[[int, bytes], None]
    on_mvm_reset: Callable[[ResetType], None]
    on_machine_reset: Callable[[ResetType], None] = lambda kind: None
    on_change: Callable[[], None] = lambda: None
    log: Callable[[str], None] = lambda line: None
    cpu: Cpu = field(default_factory=Cpu)
    rng_seed: Callable[[int], bytes] = no_seed
    timebase: Timebase | None = None
    post: Post | None = None
    host_time: Callable[[int], int] | None = None
    zero: Callable[[int, int], None] | None = None
    describe: Callable[[int], str] | None = None
    dma: Mapping[int, DmaPort] = field(default_factory=dict)
    plic_base: int = PLIC_BASE
    switch: Switch = field(default_factory=Switch)
    consoles: ConsoleHub = field(default_factory=ConsoleHub)
    disks: MediatedDisks = field(default_factory=MediatedDisks)

    def __post_init__(self) -> None:
        if self.timebase is not None and self.switch.now is None:
            self.switch.now = self.timebase.now

    def clear(self, address: int, length: int) -> None:
        """Make RAM zero."""
        if self.zero is not None:
            self.zero(address, length)
            return
        nothing = bytes(CHUNK)
        try:
            for at in range(address, address + length, CHUNK):
                size = min(CHUNK, address + length - at)
                if self.memory.read(at, size) != nothing[:size]:
                    self.memory.write(at, nothing[:size])
        except BadAddress as error:
            self.log(f"RAM could not be cleared: {error}")
