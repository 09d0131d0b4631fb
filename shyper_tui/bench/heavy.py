"""The measurement `heavy`: guests that make the host work as hard as they can, beside neighbours that only compute.

For each kind an engine of its own runs three guest VMs: the heavy one on core 1, a neighbour on the same core, and one
on core 2. The same neighbours beside a third that computes, too, are what their work is compared with. Requests come
through a real client, as the workstation's do.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from shyper_tui.bench.measurements import FOLDER
from shyper_tui.ipc.client import Client
from shyper_tui.ipc.messages import EngineError, EngineOptions

BUSY = "busy"
"""What the neighbours do, and the heavy guest in the run that the others are compared with."""
KINDS = (
    "fresh-code", "full-contexts", "own-fences", "tlb-misses", "page-crossing", "odd-floats", "own-traps", "faults",
    "ecalls", "sbi", "fences", "vplic", "notify", "rings", "net-flood", "heavy-frames", "heavy-disk", "heavy-text",
    "console-flood", "debug-console", "ipis", "hypercalls", "changing-code", "page-tables", "wfi",
)  # fmt: skip
"""Attacks of the hostile guest (`guests/hostile`)."""

LATENCY_GOAL, SHARE_GOAL, MEMORY_GOAL = 50.0, 0.9, 512.0
"""Milliseconds (99 of 100 answers), part of what a neighbour does beside a busy guest, MiB besides guests' memory."""
NEAR, FAR, HEAVY = 1, 2, 3
CORES = {NEAR: 1, FAR: 2, HEAVY: 1}
MEMORY = {NEAR: 64 << 20, FAR: 64 << 20, HEAVY: 1 << 30}
WARM_UP, SPAN, PERIOD = 1.0, 4.0, 0.01
"""Seconds before counting starts, of counting, and between two requests."""
COUNTER = 27
"""The register in which the busy guest counts its work."""


@dataclass(frozen=True)
class HeavyResult:
    """One kind. Milliseconds of `status`; what the neighbours did, as parts of what they do beside a busy guest; the
    engine's resident memory besides the guests' (MiB)."""

    kind: str
    p50: float
    p99: float
    near: float
    far: float
    memory: float

    @property
    def goals_met(self) -> bool:
        return self.p99 <= LATENCY_GOAL and min(self.near, self.far) >= SHARE_GOAL and self.memory <= MEMORY_GOAL


@dataclass(frozen=True)
class _Seen:
    p50: float
    p99: float
    near: float
    far: float
    memory: float


def measure(
    folder: Path, progress: Callable[[str, int, int], None], kinds: tuple[str, ...] = KINDS, repeats: int = 1
) -> tuple[list[HeavyResult], list[str]]:
    """The results, the best share of `repeats` runs each, and sentences about runs that failed."""
    results, failures = [], []
    total = (len(kinds) + 1) * repeats
    progress("heavy guests: an ordinary one", 0, total)
    usual = [asyncio.run(_watch(folder, BUSY)) for _ in range(repeats)]
    near, far = (max(seen.near for seen in usual), max(seen.far for seen in usual))
    for done, kind in enumerate((BUSY, *kinds)):
        progress(f"heavy guests: {kind}", done * repeats, total)
        try:
            runs = usual if kind == BUSY else [asyncio.run(_watch(folder, kind)) for _ in range(repeats)]
        except EngineError as error:
            failures.append(f"{kind}: {error.message}")
            continue
        results.append(
            HeavyResult(
                kind,
                round(min(seen.p50 for seen in runs), 2),
                round(min(seen.p99 for seen in runs), 2),
                round(max(seen.near for seen in runs) / near, 3),
                round(max(seen.far for seen in runs) / far, 3),
                round(max(seen.memory for seen in runs), 1),
            )
        )
    return results, failures


async def _watch(folder: Path, kind: str) -> _Seen:
    """One engine with a guest of this kind and its neighbours."""
    files = [_configuration(folder, vm, kind if vm == HEAVY else BUSY) for vm in CORES]
    logs = folder / "logs"
    client = await Client.start(EngineOptions(embedded=True, vms=files, clock="wall", log_dir=str(logs)))
    try:
        await client.console.expect(HEAVY, f"attack {kind}", timeout=60)
        await asyncio.sleep(WARM_UP)
        begun, before, spent = time.monotonic(), await _work(client), _processor_time(client.engine_pid)
        answers = []
        while (asked := time.monotonic()) < begun + SPAN:
            await client.status()
            answers.append(1000 * (time.monotonic() - asked))
            await asyncio.sleep(PERIOD)
        now, after = _processor_time(client.engine_pid), await _work(client)
        seconds = max(now[thread] - spent.get(thread, 0.0) for thread in now)
        memory = _memory(client.engine_pid)  # afterwards: the look itself takes the host some milliseconds
    finally:
        await client.shutdown()
    answers.sort()
    near, far = ((after[vm] - before[vm]) / seconds for vm in (NEAR, FAR))
    return _Seen(answers[len(answers) // 2], answers[int(0.99 * len(answers))], near, far, memory)


async def _work(client: Client) -> dict[int, int]:
    """What the neighbours have done so far."""
    snapshot = await client.vcpus()
    return {vcpu.vm: vcpu.x[COUNTER] for vcpu in snapshot.vcpus if vcpu.vm in (NEAR, FAR)}


def _processor_time(pid: int | None) -> dict[str, float]:
    """Seconds of processor time of each thread: the machine's is the one that has most. Other load on the host takes
    from all guests alike, and from this."""
    times = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        fields = (thread / "stat").read_text().rpartition(")")[2].split()
        times[thread.name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return times


def _memory(pid: int | None) -> float:
    """MiB of the engine that are resident, besides the largest mapping, which is the guests' memory."""
    sizes, resident = [], []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if line.startswith("Size:"):
            sizes.append(int(line.split()[1]))
        elif line.startswith("Rss:"):
            resident.append(int(line.split()[1]))
    return (sum(resident) - resident[sizes.index(max(sizes))]) / 1024


def _configuration(folder: Path, vm: int, attack: str) -> str:
    """The file of VM `vm`, with one device of each kind."""
    console = 0x4000_0000 + 0x1000 * vm
    image = {
        "kernel_filename": str(FOLDER / "hostile.elf"),
        "kernel_load_ipa": "0x80200000",
        "kernel_entry_point": "0x80200000",
        "device_tree_filename": "",
        "device_tree_load_ipa": "0x83000000",
        "ramdisk_filename": "",
        "ramdisk_load_ipa": "0",
    }
    mac = [f"{byte:#x}" for byte in (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD0 + vm)]
    devices = [
        _device("plic@c000000", 0x0C00_0000, 0x60_0000, 1, "EMU_DEVICE_T_PLIC"),
        _device("virtio_blk@10001000", 0x1000_1000, 0x1000, 19, "EMU_DEVICE_T_VIRTIO_BLK_MEDIATED", [0, 8192]),
        _device("virtio_net@50000000", 0x5000_0000, 0x1000, 20, "EMU_DEVICE_T_VIRTIO_NET", mac),
        _device(
            f"virtio_console@{console:x}", console, 0x1000, 21, "EMU_DEVICE_T_VIRTIO_CONSOLE", ["0", f"{console:#x}"]
        ),
    ]
    definition = {
        "name": f"{attack}-{vm}",
        "type": "VM_T_LINUX",
        "cmdline": f"attack={attack}",
        "image": image,
        "memory": {"num": 1, "region": [{"ipa_start": "0x80000000", "length": hex(MEMORY[vm])}]},
        "cpu": {"num": 1, "allocate_bitmap": f"{1 << CORES[vm]:#06b}", "master": CORES[vm]},
        "emulated_device": {"num": len(devices), "emulated_device_list": devices},
        "passthrough_device": {"passthrough_device_list": []},
        "dtb_device": {"num": 0, "dtb_device_list": []},
    }
    path = folder / f"heavy-{vm}.json"
    path.write_text(json.dumps(definition))
    return str(path)


def _device(name: str, base: int, length: int, irq: int, kind: str, values: object = None) -> dict[str, object]:
    described: dict[str, object] = {"name": name, "base_ipa": hex(base), "length": hex(length), "irq_id": irq}
    if values is not None:
        described["cfg_list"] = values
    return {**described, "type": kind}


def table(results: list[HeavyResult]) -> str:
    """The results for a person."""
    rows = [("heavy guest", "p50 ms", "p99 ms", "near", "far", "MiB", "")]
    for result in results:
        times = (f"{result.p50:.2f}", f"{result.p99:.2f}")
        shares = (f"{result.near:.2f}", f"{result.far:.2f}")
        rows.append((result.kind, *times, *shares, f"{result.memory:.0f}", "met" if result.goals_met else "missed"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    legend = (
        "p50, p99: status of the engine; near, far: what a neighbour on the same core and on another one gets done, as "
        f"a part of what it does\nbeside a busy guest; MiB: the engine's memory besides the guests'. Goals: p99 ≤ "
        f"{LATENCY_GOAL:.0f} ms, shares ≥ {SHARE_GOAL}, ≤ {MEMORY_GOAL:.0f} MiB"
    )
    return "\n".join([*(line.rstrip() for line in lines), "", legend])


def to_dicts(results: list[HeavyResult]) -> list[dict[str, object]]:
    """For JSON."""
    return [{**asdict(result), "goals_met": result.goals_met} for result in results]
