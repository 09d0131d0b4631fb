"""What the panes show of vCPUs and interrupt controllers: one moment of the machine as messages.

To be called in the machine's thread between slices. Nothing here changes the machine.
"""

from __future__ import annotations

from collections.abc import Mapping

from shyper_tui.engine.board.plic import Plic
from shyper_tui.engine.guest_view import Readable, read_code
from shyper_tui.engine.hart.csr_numbers import CSR_NUMBERS
from shyper_tui.engine.hypervisor.csr_bits import VSTIP
from shyper_tui.engine.hypervisor.vcpu import Vcpu, VcpuState
from shyper_tui.engine.isa.disassembly import disassemble
from shyper_tui.engine.symbols import Symbols
from shyper_tui.ipc.messages import (
    DisassemblyLine,
    PlicContext,
    PlicController,
    PlicSource,
    VcpuSnapshot,
)

CSR_NAMES = {number: name for name, number in CSR_NUMBERS.items()}
INSTRUCTIONS_SHOWN = 12
LONGEST_INSTRUCTION = 4
GUEST_CSRS = (
    "vsstatus", "vsie", "vstvec", "vsscratch", "vsepc", "vscause", "vstval", "vsatp", "vstimecmp", "hvip", "scounteren",
)  # fmt: skip
"""CSRs of a vCPU, on its hart or saved."""


def vcpu_snapshot(vcpu: Vcpu, memory: Readable, now: int, symbols: Symbols | None) -> VcpuSnapshot:
    """One vCPU with its registers, taken from its hart when it is loaded there, else from where they are saved."""
    hart = vcpu.core.hart
    if vcpu.loaded:
        pc, mode = (hart.pc, hart.mode.name) if hart.mode.name in ("VS", "VU") else (hart.csr.sepc, "VS")
        x, f = [hart.x[index] for index in range(32)], [hart.f[index] for index in range(32)]
        csrs = {name: getattr(hart.csr, name) for name in GUEST_CSRS}
    else:
        pc, mode = vcpu.pc, "VS" if vcpu.supervisor else "VU"
        x, f = list(vcpu.x), list(vcpu.f)
        csrs = {name: vcpu.csrs[name] for name in GUEST_CSRS}
    pending = csrs["hvip"] | (VSTIP if csrs["vstimecmp"] <= now else 0)
    csrs |= {"vsip": pending >> 1, "hgatp": vcpu.vm.stage2.hgatp}
    return VcpuSnapshot(
        vm=vcpu.vm.id,
        vcpu=vcpu.index,
        core=vcpu.core.hart_id,
        state=vcpu_state(vcpu),
        mode=mode,
        pc=pc,
        symbol=symbols.name(pc) if symbols is not None else "",
        disassembly=[] if vcpu.state is VcpuState.INVALID else disassembly(memory, csrs["vsatp"], pc),
        x=x,
        f=f,
        csrs=csrs,
    )


def vcpu_state(vcpu: Vcpu) -> str:
    """A vCPU alone on its core waits in the hart itself: what the user calls asleep."""
    if vcpu.state is VcpuState.RUNNING and getattr(vcpu.core.hart, "waiting", False):
        return VcpuState.SLEEP.value
    return vcpu.state.value


def disassembly(memory: Readable, satp: int, pc: int, count: int = INSTRUCTIONS_SHOWN) -> list[DisassemblyLine]:
    """The next `count` instructions from `pc` on; fewer where the code is not mapped."""
    code = read_code(memory, satp, pc, count * LONGEST_INSTRUCTION)
    lines: list[DisassemblyLine] = []
    at = 0
    while len(lines) < count and at + 2 <= len(code):
        size = 4 if code[at] & 3 == 3 else 2
        if at + size > len(code):
            break
        raw = int.from_bytes(code[at : at + size], "little")
        lines.append(DisassemblyLine(pc + at, raw, disassemble(raw, pc + at, _csr_name)))
        at += size
    return lines


def _csr_name(number: int) -> str:
    return CSR_NAMES.get(number) or hex(number)


def plic_controller(name: str, vm: int | None, plic: Plic, names: Mapping[int, str]) -> PlicController:
    """A PLIC's sources that are wired, used or named, and its contexts."""
    state = plic.snapshot()
    sources = [
        PlicSource(
            source=source.source,
            name=names.get(source.source, ""),
            priority=source.priority,
            pending=source.pending,
            claimed=source.claimed,
            enabled=list(source.enabled),
            count=source.count,
        )
        for source in state.sources
        if source.source in names or source.priority or source.enabled or source.pending or source.claimed
    ]
    owner = "hart" if vm is None else "vcpu"
    contexts = [
        PlicContext(entry.context, f"{owner}{entry.context // 2} {'MS'[entry.context % 2]}", entry.threshold)
        for entry in state.contexts
    ]
    return PlicController(name, vm, sources, contexts)
