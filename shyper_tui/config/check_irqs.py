"""Checks of the interrupts of a VM's devices."""

from __future__ import annotations

from collections.abc import Iterator

from .diagnostics import Report
from .model import EmuDeviceType, VmConfig
from .surroundings import EMULATED, MAX_IRQ, PASSTHROUGH, Surroundings

RESERVED = {60: "the hypervisor's interrupts between cores", 62: "the guest's timer"}
"""Numbers that stand for something else in the hypervisor."""
SHARED_IRQS = range(1, 7)
"""Interrupts of the machine that may be passed through to several VMs."""


def check_irqs(config: VmConfig, around: Surroundings, report: Report) -> None:
    """Report on interrupt numbers: range, reserved ones, clashes within the VM, and a missing PLIC."""
    owners: dict[int, str] = {}
    highest = around.highest_irq
    uses = list(_irqs(config))
    for irq, owner, path in uses:
        through = path.startswith(PASSTHROUGH)
        limit = around.board.plic_sources if through else highest
        if not 1 <= irq <= MAX_IRQ:
            report.error(path, "irq-range", f"The interrupt {irq} does not exist.", f"Use 1 to {limit}.")
        elif irq in RESERVED or (through and irq == 61):
            message = f"The interrupt {irq} stands for {RESERVED.get(irq, 'the timer of the hypervisor')}."
            report.error(path, "irq-reserved", message, "Use another number.")
        elif irq > limit:
            whose = "machine's" if through else "VM's"
            message = f"The {whose} PLIC has the sources 1 to {limit}; {irq} would never arrive."
            report.error(path, "irq-plic", message, f"Use 1 to {limit}.")
        elif irq in owners:
            message = f"The interrupt {irq} is already used by {owners[irq]}."
            report.error(path, "irq-clash", message, "Give each device its own.")
        owners.setdefault(irq, owner)
        if through and not around.mvm and irq not in SHARED_IRQS:
            _check_owner(irq, path, around, report)
    if uses and config.device(EmuDeviceType.PLIC) is None:
        message = "The VM has devices with interrupts, but no PLIC."
        remedy = f"Add a device of type {EmuDeviceType.PLIC.json_name} at 0xc000000 with length 0x600000."
        report.error(EMULATED, "no-plic", message, remedy)


def _check_owner(irq: int, path: str, around: Surroundings, report: Report) -> None:
    """An interrupt of the machine goes to one VM; the lowest six may go to several."""
    owners = ["the managing VM"] if irq in around.board.mvm_irqs else []
    owners += [other.name for other in around.others for device in other.passthrough_devices if irq in device.irq_list]
    if owners:
        message = f"The machine's interrupt {irq} is passed through to {owners[0]}."
        report.error(path, "irq-taken", message, "Take it away there, or use another device.")


def _irqs(config: VmConfig) -> Iterator[tuple[int, str, str]]:
    """Every interrupt the VM's devices use: number, owner, place. A PLIC's own irq_id has no meaning."""
    for index, device in enumerate(config.emulated_devices):
        if device.type is not EmuDeviceType.PLIC:
            yield device.irq_id, f'"{device.name}"', f"{EMULATED}[{index}].irq_id"
    for index, through in enumerate(config.passthrough_devices):
        for number, irq in enumerate(through.irq_list):
            yield irq, f'"{through.name}"', f"{PASSTHROUGH}[{index}].irq_list[{number}]"
