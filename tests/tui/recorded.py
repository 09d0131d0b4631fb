"""An engine that replays recorded consoles and snapshots, for pictures that are the same every time.

It offers the part of the client API that the front end uses (`ports.Engine`). Nothing moves by itself: console
bytes come when a test calls `show`, and what is typed is kept in `typed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from shyper_tui.ipc.messages import (
    ConsoleChunk,
    Diagnostic,
    DisassemblyLine,
    EngineError,
    HartStatus,
    MachineStatus,
    PlicContext,
    PlicController,
    PlicSnapshot,
    PlicSource,
    VcpuSnapshot,
    VcpusSnapshot,
    VmInfo,
    WorkerExit,
)
from shyper_tui.ipc.vm_messages import ExitCount, Fault, VmAnswer, VmFaults, VmStatistics
from shyper_tui.ports import EngineFactory
from tests.term.streams import boot_log

MVM = (
    b"\x1b[0m[    0.000000] Linux version 6.1.0-44-riscv64 (Debian 6.1.164-1)\r\n"
    + boot_log(2600, seed=7)
    + b"GUEST-READY\r\n\x1b[1;32mroot@mvm\x1b[0m:\x1b[1;34m~\x1b[0m# uname -a\r\n"
    b"Linux mvm 6.1.0-44-riscv64 #1 SMP Debian riscv64 GNU/Linux\r\n\x1b[1;32mroot@mvm\x1b[0m:\x1b[1;34m~\x1b[0m# "
)
GVM = (
    boot_log(1800, seed=9)
    + b"[    0.211733] smp: Brought up 1 node, 3 CPUs\r\nGUEST-READY\r\n~ # ping -c 1 10.0.0.1\r\n"
    b"64 bytes from 10.0.0.1: seq=0 ttl=64 time=0.412 ms\r\n~ # "
)

VMS = [
    VmInfo(0, "mvm", 0, "active", 1, [0], 4 << 30, True),
    VmInfo(1, "guest-os-0", 0, "active", 3, [1, 2, 3], 1 << 30, True),
    VmInfo(2, "spare", 1, "pending", 1, [2], 64 << 20, True),
]
STATUS = MachineStatus(
    "running", "wall", 754_321_000, 4_120_555_121, 61.24,
    [HartStatus(0, "VS", 0, 0.31), HartStatus(1, "VU", 1, 0.98), HartStatus(2, "VS", 1, 0.02),
     HartStatus(3, "VS", 1, 0.0)],
    False,
)  # fmt: skip


def vcpu(vm: int, number: int, core: int, state: str, mode: str, pc: int, symbol: str) -> VcpuSnapshot:
    """A vCPU in the middle of a small loop."""
    code = [
        DisassemblyLine(pc, 0x10500073, "wfi"),
        DisassemblyLine(pc + 4, 0x8082, "ret"),
        DisassemblyLine(pc + 6, 0x00A5_0533, "add     a0, a0, a0"),
        DisassemblyLine(pc + 10, 0xFE05_1CE3, f"bnez    a0, {pc + 2:#x}"),
    ]
    x = [0, *(pc + 0x100 * number + 8 * index for index in range(1, 32))]
    csrs = {
        "vsstatus": 0x2_0000_2120, "vstvec": 0xFFFF_FFFF_8000_3000, "vsepc": pc,
        "vscause": 0x8000_0000_0000_0005, "vstval": 0, "vsatp": 0x9000_0000_0008_1234, "vsie": 0x222, "hvip": 0x40,
        "hgatp": 0x8000_1000_000F_F000 + vm, "hstatus": 0x2_0000_0180,
    }  # fmt: skip
    return VcpuSnapshot(vm, number, core, state, mode, pc, symbol, code, x, list(range(32)), csrs)


VCPUS = VcpusSnapshot(
    754_321_000,
    [
        vcpu(0, 0, 0, "running", "VS", 0xFFFF_FFFF_8000_1A2C, "arch_cpu_idle+0x8"),
        vcpu(1, 0, 1, "running", "VU", 0x0000_003F_B7E4_10C2, ""),
        vcpu(1, 1, 2, "sleep", "VS", 0xFFFF_FFFF_8000_1A2C, "arch_cpu_idle+0x8"),
        vcpu(1, 2, 3, "sleep", "VS", 0xFFFF_FFFF_8000_1A2C, "arch_cpu_idle+0x8"),
    ],
)
PLIC = PlicSnapshot(
    754_321_000,
    [
        PlicController(
            "plic", None,
            [PlicSource(0, "", 0, False, False, [], 0), PlicSource(1, "virtio0", 1, True, False, [1], 1520),
             PlicSource(8, "virtio7", 1, False, True, [1], 12), PlicSource(10, "uart", 1, False, False, [1], 998),
             PlicSource(11, "rtc", 0, False, False, [], 0)],
            [PlicContext(1, "hart0 HS", 0), PlicContext(3, "hart1 HS", 0)],
        ),
        PlicController(
            "vplic vm0", 0, [PlicSource(10, "uart", 1, False, False, [1], 998)], [PlicContext(1, "vcpu0 VS", 0)]
        ),
        PlicController(
            "vplic vm1", 1,
            [PlicSource(16, "virtio-blk", 2, False, False, [1, 3], 77),
             PlicSource(17, "virtio-net", 1, True, False, [5], 3)],
            [PlicContext(1, "vcpu0 VS", 0), PlicContext(3, "vcpu1 VS", 0), PlicContext(5, "vcpu2 VS", 1)],
        ),
    ],
)  # fmt: skip

FAULTS = [
    Fault(
        41_000_000, 1, 0, 22, "virtual instruction", 0xFFFF_FFFF_8000_4412, 0x6800_25F3, 0, 0x6800_25F3, "", -1, "",
        "an instruction or a register that a guest does not have",
    ),
    Fault(
        754_000_000, 1, 2, 21, "load guest-page fault", 0xFFFF_FFFF_8000_1A2C, 0xFFFF_FFC8_0000_0000, 0x1800_0000,
        0x4388, "G-stage", 2,
        "no memory region, device or passthrough region covers 0x18000000; "
        "nearest: device virtio_blk@10001000 0x10001000–0x10001fff",
        "nothing is at this address", 3,
    ),
]  # fmt: skip
EXITS = [
    ExitCount(10, "environment call from VS-mode", 1520, 41_500_000),
    ExitCount(1 << 63 | 1, "supervisor software interrupt", 6, 175_071),
    ExitCount(21, "load guest-page fault", 96_431, 1_204_000_000),
]


class RecordedVms:
    """`client.vm`: state changes at once."""

    def __init__(self) -> None:
        self.vms = {vm.id: vm for vm in VMS}
        self.asked: list[tuple[str, object]] = []
        self.refusal: EngineError | None = None

    async def list(self) -> list[VmInfo]:
        return list(self.vms.values())

    async def config(self, text: str, directory: str = "", file: str = "") -> VmInfo:
        self.asked.append(("config", text))
        if self.refusal is not None:
            raise self.refusal
        vm = VmInfo(max(self.vms) + 1, "new", 1, "pending", 1, [3], 64 << 20, True)
        self.vms[vm.id] = vm
        return vm

    async def boot(self, vm: int) -> VmInfo:
        return self._set("boot", vm, "active")

    async def stop(self, vm: int) -> VmInfo:
        return self._set("stop", vm, "pending")

    async def shutdown(self, vm: int) -> VmAnswer:
        self.asked.append(("shutdown", vm))
        return VmAnswer(self.vms[vm], asked=True)

    async def reboot(self, vm: int) -> VmAnswer:
        return VmAnswer(self._set("reboot", vm, "active"), asked=False)

    async def pause(self, vm: int) -> VmInfo:
        return self._set("pause", vm, "paused")

    async def resume(self, vm: int) -> VmInfo:
        return self._set("resume", vm, "active")

    async def remove(self, vm: int) -> None:
        self.asked.append(("remove", vm))
        del self.vms[vm]

    async def faults(self, vm: int) -> VmFaults:
        return VmFaults(vm, self.vms[vm].name, FAULTS if vm == 1 else [], 7 if vm == 1 else 0)

    async def statistics(self, vm: int) -> VmStatistics:
        info = self.vms[vm]
        if info.state == "pending":
            raise EngineError("vm", f"VM {vm} was never booted")
        return VmStatistics(0, vm, info.name, info.state, info.memory, 1, 0, [], EXITS if vm == 1 else [], [], [])

    def _set(self, verb: str, vm: int, state: str) -> VmInfo:
        self.asked.append((verb, vm))
        if self.refusal is not None:
            raise self.refusal
        self.vms[vm] = replace(self.vms[vm], state=state)
        return self.vms[vm]


class RecordedConsoles:
    """`client.console`: what was shown so far is kept, more comes by `show`."""

    def __init__(self, kept: dict[int, bytes]) -> None:
        self.kept = {vm: bytearray(data) for vm, data in kept.items()}
        self.typed: dict[int, bytearray] = {}
        self.resized: list[tuple[int, int, int]] = []
        self._more = asyncio.Condition()

    async def show(self, vm: int, data: bytes) -> None:
        """The guest prints."""
        async with self._more:
            self.kept.setdefault(vm, bytearray()).extend(data)
            self._more.notify_all()

    async def write(self, vm: int, data: bytes) -> None:
        self.typed.setdefault(vm, bytearray()).extend(data)

    async def resize(self, vm: int, columns: int, rows: int) -> None:
        self.resized.append((vm, columns, rows))
        if vm == 2:
            raise EngineError("no-size", "the console of vm2 is a serial line, which has no size")

    async def read(self, vm: int, offset: int = 0) -> ConsoleChunk:
        return ConsoleChunk(vm, offset, bytes(self.kept.get(vm, b"")[offset:]))

    async def stream(self, vm: int, offset: int = 0) -> AsyncIterator[ConsoleChunk]:
        while True:
            async with self._more:
                while len(self.kept.get(vm, b"")) <= offset:
                    await self._more.wait()
                data = bytes(self.kept[vm][offset : offset + 65536])
            yield ConsoleChunk(vm, offset, data)
            offset += len(data)


class RecordedEngine:
    """The whole engine; `status_now` is what `status` answers."""

    def __init__(self) -> None:
        self.vm = RecordedVms()
        self.console = RecordedConsoles({0: MVM, 1: GVM})
        self.status_now = STATUS
        self.closed: asyncio.Future[WorkerExit] = asyncio.get_running_loop().create_future()
        self.asked: list[str] = []
        self.left = False

    async def status(self) -> MachineStatus:
        return self.status_now

    async def vcpus(self) -> VcpusSnapshot:
        self.asked.append("vcpus")
        return VCPUS

    async def plic(self) -> PlicSnapshot:
        self.asked.append("plic")
        return PLIC

    async def pause(self) -> None:
        self.status_now = replace(self.status_now, state="paused")

    async def resume(self) -> None:
        self.status_now = replace(self.status_now, state="running")

    async def shutdown(self) -> WorkerExit:
        if not self.closed.done():
            self.closed.set_result(WorkerExit(0))
        return self.closed.result()

    async def close(self) -> None:
        self.left = True


def recorded_factory(engines: list[RecordedEngine]) -> EngineFactory:
    """Starts recorded engines and puts each into `engines`."""

    async def start(on_log: Callable[[str], None]) -> RecordedEngine:
        on_log("recorded engine")
        engine = RecordedEngine()
        engines.append(engine)
        return engine

    return start


REFUSAL = EngineError(
    "config",
    "The configuration has an error.",
    [Diagnostic("new.json", 2, 11, 20, "error", "name", "The name is taken.", "Choose another.")],
)

CONFIG = """\
{
    // a second guest with one vCPU
    "name": "tiny",
    "type": "VM_T_BARE_MATEL_APP",
    "cmdline": "",
    "image": {
        "kernel_filename": "images:embedded/guest",
        "kernel_load_ipa": "0x80200000",
        "kernel_entry_point": "0x80200000",
        "device_tree_filename": "",
        "device_tree_load_ipa": "0x83000000",
        "ramdisk_filename": "",
        "ramdisk_load_ipa": "0"
    },
    "memory": {"region": [{"ipa_start": "0x80000000", "length": 67108864}]},
    "cpu": {"num": 1, "allocate_bitmap": "0b0100", "master": 2},
    "emulated_device": {"emulated_device_list": []},
    "passthrough_device": {"passthrough_device_list": []},
    "dtb_device": {"dtb_device_list": []}
}
"""
"""A configuration with a wrong value in line 15: a length must be a string."""
