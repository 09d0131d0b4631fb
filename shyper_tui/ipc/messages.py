"""What engine and clients tell each other: the frozen dataclasses behind the frames.

They travel as msgpack maps of their fields (`to_wire`, `from_wire`). A newer peer may send fields this one does not
know: they are ignored. Addresses, registers and CSRs are unsigned 64-bit integers; times are ticks of the machine's
10 MHz clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shyper_tui.ipc.codec import MessageError, from_wire, to_wire

__all__ = [
    "CONSOLE_WINDOW", "ENGINE_STATES", "MVM_OFF", "PROTOCOL", "TICKS_PER_SECOND",
    "ConsoleChunk", "Diagnostic", "DisassemblyLine", "EngineError", "EngineOptions", "HartStatus", "Hello",
    "MachineStatus", "MessageError", "PlicContext", "PlicController", "PlicSnapshot", "PlicSource", "ScenarioStatus",
    "ScenarioStep", "VcpuSnapshot", "VcpusSnapshot", "VmInfo", "Welcome", "WorkerExit", "from_wire", "to_wire",
]  # fmt: skip

PROTOCOL = 2
"""Version of the protocol; engine and client must have the same."""

TICKS_PER_SECOND = 10_000_000
"""Frequency of the machine's clock (`time` CSR, `time_ticks` of the snapshots)."""

CONSOLE_WINDOW = 256 * 1024
"""Bytes of one console stream that the engine sends before the client has acknowledged any."""

MVM_OFF = ("stay", "end", "restart")
"""What may follow when the managing VM powers off: the guests go on, the machine ends, or it starts again."""

EngineState = Literal["booting", "running", "paused", "stopped", "failed"]
ENGINE_STATES: tuple[EngineState, ...] = ("booting", "running", "paused", "stopped", "failed")


@dataclass(frozen=True, slots=True)
class Hello:
    """First request of a client. `owner`: the engine stops when its last owner has gone (unless it was started
    detached)."""

    protocol: int
    client: str = ""
    owner: bool = False


@dataclass(frozen=True, slots=True)
class Welcome:
    """Answer to `Hello`."""

    protocol: int
    version: str
    pid: int


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """One step of a scripted run: `action` "until" (wait until the VM's console has shown `text`) or "send" (type
    it)."""

    action: str
    vm: int
    text: str
    done: bool = False


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What an engine builds when it starts.

    * `embedded`: the built-in supervisor and guest even where Linux images are installed
    * `mvm`: JSON file of the managing VM; None: the built-in configuration
    * `vms`: JSON files of the guest VMs; None: the sample beside the built-in supervisor, none beside a Linux, in which
      the user makes them
    * `mvm_disk`: image of the managing VM's disk; None: the user's own copy of the installed one, or with `snapshot`
      the installed one itself
    * `snapshot`: what the managing VM writes to its disk ends with the engine
    * `clock`: "virtual" (time follows retired instructions, runs repeat exactly) or "wall"
    * `daemon`: JSON file of the mediated disks (`{"mediated": [...]}`) that the engine serves to the guests, and what
      they write stays; None: copies on write of the installed image
    * `mvm_off`: what follows when the managing VM powers off, one of MVM_OFF
    * `log_dir`: folder of the raw console logs (`vm0.log` …); None: a folder of its own in the user's state folder
    * `network`: what is behind the managing VM's second network card: "user", "user,host-loopback", "isolated", "none"
    * `forwards`: ports of the host that lead to the managing VM, each as `[HOST:]PORT:GUESTPORT`; None: 127.0.0.1:5555,
      or a free port near it, to port 22
    * `pcap`: file for all frames that pass the switch and that card (pcapng); `pcap_replace`: it may be there already
    * `script`: steps done inside the engine at exact instructions, so that scripted runs repeat exactly, too
    * `detach`: go on when the last owner has gone
    """

    embedded: bool = False
    mvm: str | None = None
    vms: list[str] | None = None
    mvm_disk: str | None = None
    snapshot: bool = False
    daemon: str | None = None
    mvm_off: str = "stay"
    clock: str = "wall"
    log_dir: str | None = None
    network: str = "user"
    forwards: list[str] | None = None
    pcap: str | None = None
    pcap_replace: bool = False
    script: list[ScenarioStep] = field(default_factory=list)
    detach: bool = False


@dataclass(frozen=True, slots=True)
class HartStatus:
    """One hart now. `mode` is M, HS, U, VS or VU; `vm` the id of the VM whose vCPU it runs; `busy` 0.0 to 1.0, the
    share of the last measuring interval in which it did not wait for an interrupt."""

    hart: int
    mode: str
    vm: int | None
    busy: float


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """The whole machine. `state` is one of ENGINE_STATES, `clock` is "virtual" or "wall", `mips` is million retired
    instructions per second of host time; `message` explains `booting` (progress) and `failed`."""

    state: str
    clock: str
    time_ticks: int
    instructions: int
    mips: float
    harts: list[HartStatus]
    embedded: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class VmInfo:
    """One VM. `type` is 0 (Linux) or 1 (bare-metal); `state` is pending, active, paused, stopped or failed; `cores`
    are the physical harts of its vCPUs in order; `memory` in bytes; `console`: it has a console stream; `message`:
    why it failed. `position` is its row in the configuration table, which is in the order of creation, and
    `state_number` what the list hypercall reports there: 1 pending, 2 active. `file` names the configuration that it
    was made from, or else its kernel; "" where nobody has told."""

    id: int
    name: str
    type: int
    state: str
    vcpus: int
    cores: list[int]
    memory: int
    console: bool
    message: str = ""
    position: int = 0
    state_number: int = 1
    file: str = ""


@dataclass(frozen=True, slots=True)
class DisassemblyLine:
    """One instruction: guest-virtual address, encoding (16 or 32 bits), text."""

    address: int
    raw: int
    text: str


@dataclass(frozen=True, slots=True)
class VcpuSnapshot:
    """One vCPU. `state` is invalid, ready, running or sleep; `core` the hart it belongs to; `mode` VS or VU (or M,
    HS, U in machine mode); `symbol` "name+0x12" where the kernel has symbols, else ""; `x`, `f` are 32 registers
    each (`f` raw bits); `csrs` key CSRs by the specification's names."""

    vm: int
    vcpu: int
    core: int
    state: str
    mode: str
    pc: int
    symbol: str
    disassembly: list[DisassemblyLine]
    x: list[int]
    f: list[int]
    csrs: dict[str, int]


@dataclass(frozen=True, slots=True)
class VcpusSnapshot:
    """All vCPUs at one moment of machine time."""

    time_ticks: int
    vcpus: list[VcpuSnapshot]


@dataclass(frozen=True, slots=True)
class PlicSource:
    """One interrupt source. `enabled` lists the contexts that enable it; `count` how often it was raised since
    power-on."""

    source: int
    name: str
    priority: int
    pending: bool
    claimed: bool
    enabled: list[int]
    count: int


@dataclass(frozen=True, slots=True)
class PlicContext:
    """One target of a PLIC (a hart or vCPU in one mode) with its priority threshold."""

    context: int
    name: str
    threshold: int


@dataclass(frozen=True, slots=True)
class PlicController:
    """The physical PLIC (`vm` is None) or the vPLIC of a VM."""

    name: str
    vm: int | None
    sources: list[PlicSource]
    contexts: list[PlicContext]


@dataclass(frozen=True, slots=True)
class PlicSnapshot:
    """All interrupt controllers at one moment of machine time."""

    time_ticks: int
    controllers: list[PlicController]


@dataclass(frozen=True, slots=True)
class ConsoleChunk:
    """Bytes of a VM's console; `offset` counts from power-on. An offset beyond the end of the previous chunk means that
    bytes were dropped in between, because the reader was too slow or came too late."""

    vm: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding in a configuration. `line` and the columns count from 1; 0 means "the whole file". `severity` is
    error, warning or portable; `remedy` says what to do."""

    file: str
    line: int
    column: int
    end_column: int
    severity: str
    code: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ScenarioStatus:
    """Where a scripted run stands; `finished` when nothing is left to do, `failure` when it cannot go on (machine
    stopped)."""

    steps: list[ScenarioStep]
    finished: bool
    failure: str = ""


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """How the engine ended: `status` as of a process (negative: killed by that signal; None: attached, so unknown),
    and the last lines of its log."""

    status: int | None
    log: list[str] = field(default_factory=list)


class EngineError(Exception):
    """The engine refused a request, or is gone. `code` is for programs, `message` one sentence for people."""

    def __init__(self, code: str, message: str, diagnostics: list[Diagnostic] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.diagnostics: list[Diagnostic] = diagnostics or []
