"""Counters, faults and refused calls of VMs as messages. To be called in the machine's thread; nothing is changed."""

from __future__ import annotations

from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.board.virtio.block import Block
from shyper_tui.engine.board.virtio.console import Console
from shyper_tui.engine.board.virtio.net import Net
from shyper_tui.engine.hypervisor.audit import AuditEntry
from shyper_tui.engine.hypervisor.exits.record import ExitRecord, cause_name
from shyper_tui.engine.hypervisor.vm import RUNNING, Vm
from shyper_tui.engine.snapshots import vcpu_state
from shyper_tui.ipc.vm_messages import (
    DeviceCounts,
    ExitCount,
    Fault,
    IrqCounts,
    RefusedCall,
    VcpuUsage,
    VmFaults,
    VmStatistics,
)

_KINDS: dict[type[Backend], tuple[str, tuple[str, ...]]] = {
    Net: (
        "net",
        (
            "received_frames", "received_bytes", "received_dropped", "sent_frames", "sent_bytes", "sent_dropped",
            "link_up",
        ),
    ),
    Block: ("block", ("capacity", "errors")),
    Console: ("console", ("received_bytes", "received_dropped", "sent_bytes", "waiting")),
}  # fmt: skip
"""Kind of a device and its counters by name."""


def statistics(vm: Vm, now: int) -> VmStatistics:
    """A VM's counters at `now` (ticks)."""
    runs = vm.state in RUNNING
    return VmStatistics(
        time_ticks=now,
        vm=vm.id,
        name=vm.name,
        state=vm.state.value,
        memory=vm.definition.memory_size,
        boots=vm.boots,
        running_ticks=now - vm.booted_at if runs else 0,
        vcpus=[
            VcpuUsage(vcpu.index, vcpu.core.hart_id, vcpu_state(vcpu), vcpu.core.time_on_core(vcpu))
            for vcpu in vm.vcpus
        ],
        exits=[ExitCount(row.cause, row.name, row.count, row.time_ns) for row in vm.exits.rows()],
        irqs=_irqs(vm),
        devices=[_device(name, backend) for name, backend in vm.backends.items()],
    )


def _irqs(vm: Vm) -> list[IrqCounts]:
    if vm.vplic is None:
        return []
    names = {device.irq_id: device.name for device in vm.definition.devices if device.irq_id}
    for irq in vm.definition.passthrough_irqs:
        names.setdefault(irq, "passthrough")
    return [
        IrqCounts(source, names.get(source, ""), count.raised, count.claimed, count.completed)
        for source, count in sorted(vm.vplic.statistics.items())
    ]


def _device(name: str, backend: Backend) -> DeviceCounts:
    for kind, (word, counters) in _KINDS.items():
        if isinstance(backend, kind):
            counts = {counter: int(getattr(backend, counter)) for counter in counters}
            if isinstance(backend, Block):
                counts |= {request.name.lower(): count for request, count in backend.requests.items()}
            return DeviceCounts(name, word, counts)
    return DeviceCounts(name, type(backend).__name__.lower(), {})


def faults(vm: Vm, message: str = "") -> VmFaults:
    """What was recorded of a VM's faults, and what else is known of it."""
    return VmFaults(vm.id, vm.name, [_fault(record) for record in vm.faults], vm.faults.unrecorded, message)


def _fault(record: ExitRecord) -> Fault:
    return Fault(
        time_ticks=record.time_ticks,
        vm=record.vm,
        vcpu=record.vcpu,
        cause=record.cause,
        name=cause_name(record.cause),
        pc=record.pc,
        guest_virtual=record.guest_virtual,
        guest_physical=record.guest_physical,
        instruction=record.instruction,
        stage=record.stage,
        level=record.level,
        expected=record.expected,
        reason=record.reason,
        count=record.count,
    )


def refused_call(entry: AuditEntry) -> RefusedCall:
    """One entry of the audit."""
    return RefusedCall(entry.time_ticks, entry.vm, entry.vcpu, entry.number, entry.reason)
