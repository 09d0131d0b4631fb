"""How the answers about VMs look as text: the list, counters, faults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shyper_tui.commands.engine_access import columns
from shyper_tui.ipc.messages import TICKS_PER_SECOND, VmInfo
from shyper_tui.ipc.vm_messages import Fault, RefusedCall, VmFaults, VmStatistics
from shyper_tui.plain_text import visible

_TYPES = {0: "Linux", 1: "Bare Metal App", 2: "FreeRTOS"}
_STATES = {0: "Inactive", 1: "Pending", 2: "Active"}


def original_list(vms: Iterable[VmInfo]) -> str:
    """The list as Rust-Shyper's tool prints it, in the order of the configuration table. A line is added for a VM of
    which the user should know more."""
    blocks = [
        f"----------vm[{row}]----------\n"
        f"vm id [{vm.id}] name: {visible(vm.name)} type: {vm.type}\n"
        "\n"
        f"vm type: {_TYPES.get(vm.type, 'illegal type')}\n"
        f"vm state: {_STATES.get(vm.state_number, 'illegal state')}"
        + (f"\nvm note: {visible(vm.message)}" if vm.message else "")
        for row, vm in enumerate(sorted(vms, key=lambda vm: vm.position))
    ]
    return "\n".join(blocks)


def table(vms: Iterable[VmInfo]) -> str:
    """One line per VM, with cores, memory, and why one failed."""
    rows = [("ID", "NAME", "STATE", "VCPUS", "CORES", "MEMORY", "")]
    for vm in vms:
        cores = ",".join(map(str, vm.cores))
        rows.append((str(vm.id), vm.name, vm.state, str(vm.vcpus), cores, _mebibytes(vm.memory), vm.message))
    return columns(rows)


def statistics(vm: VmStatistics) -> str:
    """All counters of one VM."""
    times = "once" if vm.boots == 1 else f"{vm.boots} times"
    runs = f", runs for {_seconds(vm.running_ticks)}" if vm.running_ticks else ""
    parts = [f"vm{vm.vm} {visible(vm.name)}: {vm.state}, {_mebibytes(vm.memory)}, started {times}{runs}"]
    vcpus = [(str(vcpu.vcpu), str(vcpu.core), vcpu.state, _seconds(vcpu.ran_ticks)) for vcpu in vm.vcpus]
    parts.append(_section(("VCPU", "CORE", "STATE", "ON ITS CORE"), vcpus))
    exits = [
        (row.name, str(row.count), f"{row.time_ns / 1e6:.3f} ms", f"{row.time_ns / 1e3 / max(1, row.count):.1f} µs")
        for row in vm.exits
    ]
    parts.append(_section(("EXIT", "COUNT", "TIME", "EACH"), exits))
    irqs = [(str(irq.source), str(irq.raised), str(irq.claimed), str(irq.completed), irq.name) for irq in vm.irqs]
    parts.append(_section(("IRQ", "RAISED", "CLAIMED", "COMPLETED", "DEVICE"), irqs))
    devices = [
        (device.name, device.kind, ", ".join(f"{name} {count}" for name, count in device.counters.items()))
        for device in vm.devices
    ]
    parts.append(_section(("DEVICE", "KIND", "COUNTERS"), devices))
    return "\n".join(part for part in parts if part)


def faults(found: VmFaults, refused: Iterable[RefusedCall]) -> str:
    """Every fault of a VM with all that is known of it, and its hypercalls that were refused."""
    lines = [f"vm{found.vm} {visible(found.name)}: {visible(found.message)}"] if found.message else []
    lines += [_fault(fault) for fault in found.faults]
    if found.unrecorded:
        lines.append(f"{found.unrecorded} more came too fast to be written down.")
    lines += [
        f"[{_seconds(call.time_ticks)}] vCPU {call.vcpu}: hypercall {call.number:#x} refused: {visible(call.reason)}"
        for call in refused
    ]
    return "\n".join(lines) or f"vm{found.vm} {visible(found.name)}: no faults."


def _fault(fault: Fault) -> str:
    rows = [
        ("cause", f"{fault.cause:#x} ({visible(fault.name)})"),
        ("pc", f"{fault.pc:#x}"),
        ("instruction", f"{fault.instruction:#x}" if fault.instruction else "not known"),
        ("guest-virtual", f"{fault.guest_virtual:#x}"),
        ("guest-physical", f"{fault.guest_physical:#x}"),
    ]
    if fault.stage:
        level = f", level {fault.level}" if fault.level >= 0 else ""
        rows.append(("translation", f"failed in the {fault.stage}{level}"))
    if fault.expected:
        rows.append(("expected", visible(fault.expected)))
    times = f" ({fault.count} times, the last one then)" if fault.count > 1 else ""
    head = f"[{_seconds(fault.time_ticks)}] vCPU {fault.vcpu}: {visible(fault.reason)}{times}"
    return "\n".join([head, *(f"    {name:<16}{value}" for name, value in rows)])


def _section(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return columns([heading, *rows], indent="  ") if rows else ""


def _mebibytes(size: int) -> str:
    return f"{size >> 20} MiB"


def _seconds(ticks: int) -> str:
    return f"{ticks / TICKS_PER_SECOND:.6f} s"
