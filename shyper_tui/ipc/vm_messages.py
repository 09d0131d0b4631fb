"""What engine and clients tell each other about one VM besides its state: answers to requests, counters, faults.

Like all messages (`ipc.messages`) these are frozen dataclasses that travel as maps of their fields. Times in ticks are
of the machine's 10 MHz clock, times in nanoseconds are the host's.
"""

from __future__ import annotations

from dataclasses import dataclass

from shyper_tui.ipc.messages import VmInfo


@dataclass(frozen=True, slots=True)
class VmAnswer:
    """Answer to a request to shut down or reboot. `asked`: the VM listens for messages of the hypervisor and was asked
    to do it by itself, which takes its time; else it has been done, and `info` shows it."""

    info: VmInfo
    asked: bool


@dataclass(frozen=True, slots=True)
class ExitCount:
    """VM exits of one cause since the VM was created: `cause` as in scause, `name` in the specification's words,
    `count` how many, `time_ns` the host's time that the hypervisor spent on them."""

    cause: int
    name: str
    count: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class IrqCounts:
    """One source of a VM's vPLIC: how often it was raised, claimed and completed. `name` is its device's, or ""."""

    source: int
    name: str
    raised: int
    claimed: int
    completed: int


@dataclass(frozen=True, slots=True)
class DeviceCounts:
    """Counters of one virtio device by their names. `kind` is net, block or console; net counts frames and bytes in
    both directions, block counts requests by type and errors, console counts bytes."""

    name: str
    kind: str
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class VcpuUsage:
    """One vCPU: the core it is bound to, its state (invalid, ready, running, sleep), and for how many ticks it was on
    its core since the VM was created (waiting in WFI there included when nobody else wanted the core)."""

    vcpu: int
    core: int
    state: str
    ran_ticks: int


@dataclass(frozen=True, slots=True)
class VmStatistics:
    """Counters of one VM, all at one moment. `memory` in bytes; `boots`: how often it was started; `running_ticks`
    since the last start, 0 when it does not run."""

    time_ticks: int
    vm: int
    name: str
    state: str
    memory: int
    boots: int
    running_ticks: int
    vcpus: list[VcpuUsage]
    exits: list[ExitCount]
    irqs: list[IrqCounts]
    devices: list[DeviceCounts]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault that the hypervisor recorded for a VM.

    * `cause` as in scause, `name` in the specification's words; `pc` and `guest_virtual` (stval) as the guest sees them
    * `guest_physical` (htval) and `instruction` are 0 when the trap has none
    * `stage`: "VS-stage" or "G-stage" for a failed translation, else ""; `level` of the entry that failed, -1 unknown
    * `expected`: which mapping should have been there; `reason`: one sentence
    * `count`: how often the same fault came, the last time at `time_ticks`
    """

    time_ticks: int
    vm: int
    vcpu: int
    cause: int
    name: str
    pc: int
    guest_virtual: int
    guest_physical: int
    instruction: int
    stage: str
    level: int
    expected: str
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class VmFaults:
    """The newest faults of a VM, oldest first; `unrecorded` more came too fast to be written down. `message`: that of
    its `VmInfo`."""

    vm: int
    name: str
    faults: list[Fault]
    unrecorded: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A hypercall of a guest that was refused. `number` is the call's function id with type and event, as in a7."""

    time_ticks: int
    vm: int
    vcpu: int
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class OfferedDisk:
    """One disk of a daemon's list. `index`: its place among the mediated disks, or -1 when there is no place left.
    `problem`: why it cannot be served; a VM whose turn it is to get it is refused. `sectors` of 512 bytes."""

    path: str
    index: int
    sectors: int = 0
    problem: str = ""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class EngineReport:
    """Answer to `system test`: the engine is there, and what it runs. `memory` in bytes; `vms` configured, `active` of
    them running."""

    version: str
    harts: int
    memory: int
    vms: int
    active: int
