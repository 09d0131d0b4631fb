"""Checks of a VM's passthrough devices: what of the machine the VM gets."""

from __future__ import annotations

from .check_devices import MAX_DEVICE_NAME
from .diagnostics import Report
from .model import PassthroughDevice, VmConfig
from .surroundings import PASSTHROUGH, Surroundings

MAX_IRQS = 64
MAX_STREAMS = 16
_PAGE = 0x1000


def check_passthrough(config: VmConfig, around: Surroundings, report: Report) -> None:
    """Report on physical addresses, and on the limits of the configuration calls."""
    total = 0
    for index, device in enumerate(config.passthrough_devices):
        path = f"{PASSTHROUGH}[{index}]"
        total += len(device.irq_list)
        if total > MAX_IRQS >= total - len(device.irq_list):
            message = f"With this irq_list the VM has {total} passthrough interrupts; the limit is {MAX_IRQS}."
            report.error(f"{path}.irq_list", "too-many", message, "Remove some.")
        if len(device.name.encode()) > MAX_DEVICE_NAME:
            message = f"The device name has {len(device.name.encode())} bytes; the limit is {MAX_DEVICE_NAME}."
            report.error(f"{path}.name", "name-too-long", message, "Shorten it.")
        if device.smmu_id:
            message = f"The stream id {device.smmu_id} needs an IOMMU, which the machine does not have."
            report.error(f"{path}.smmu_id", "no-iommu", message, "Remove smmu_id.")
        _check_target(device, path, around, report)
    streams = [index for index, device in enumerate(config.passthrough_devices) if device.smmu_id is not None]
    if len(streams) > MAX_STREAMS:
        message = f"The VM has {len(streams)} stream ids; the limit is {MAX_STREAMS}."
        report.error(f"{PASSTHROUGH}[{streams[MAX_STREAMS]}].smmu_id", "too-many", message, "Remove some.")


def _check_target(device: PassthroughDevice, path: str, around: Surroundings, report: Report) -> None:
    board, where = around.board, f"{path}.base_pa"
    if device.base_pa % _PAGE:
        message = f'The physical address of "{device.name}" is not at a page of 4 KiB.'
        report.error(where, "unaligned", message, f"Use {device.base_pa // _PAGE * _PAGE:#x}.")
    if device.base_pa + device.length > board.ram_start:
        message = f'"{device.name}" would give the machine\'s own memory to the VM.'
        report.error(where, "passthrough-ram", message, "Pass device registers through, not memory.")
        return
    there = [window for window in board.devices if window.meets(device.base_pa, device.length)]
    private = [window.name for window in there if window.private]
    if private:
        message = f'"{device.name}" would give the machine\'s {private[0]} to the VM.'
        report.error(where, "passthrough-private", message, "It is the hypervisor's own; pass another device through.")
    elif device.length and not there:
        message = f"The machine has no device at {device.base_pa:#x}; the VM would get access faults there."
        report.warning(where, "no-such-device", message, "Correct the address, or remove the entry.")
    elif not around.mvm:
        _check_owners(device, where, around, report)
        direct = next((window.name for window in there if window.dma), None)
        if direct is not None:
            message = f"With Rust-Shyper the {direct} uses physical addresses: it reaches all memory but the VM's."
            report.portable(where, "passthrough-dma", message, "Use an emulated device instead.")


def _check_owners(device: PassthroughDevice, where: str, around: Surroundings, report: Report) -> None:
    for other in around.others:
        if any(_meet(device, their.base_pa, their.length) for their in other.passthrough_devices):
            message = f"The device at {device.base_pa:#x} is passed through to {other.name}."
            report.error(where, "device-taken", message, "Take it away there, or use another device.")
            return
    if any(_meet(device, base, length) for base, length in around.board.mvm_windows):
        message = f"The managing VM has the device at {device.base_pa:#x}, too."
        report.warning(where, "passthrough-shared", message, "Two drivers disturb each other: leave it to one VM.")


def _meet(device: PassthroughDevice, base: int, length: int) -> bool:
    return base < device.base_pa + device.length and device.base_pa < base + length
