"""Checks of `dtb_device`: devices that only the device tree tells of.

Rust-Shyper ignores the list on RISC-V, so a mistake in it keeps no VM from running: it is left out, with a warning.
"""

from __future__ import annotations

from .check_devices import is_node_name
from .check_layout import Range, ram_ranges
from .diagnostics import Report
from .model import DtbDevice, DtbDeviceType, EmuDeviceType, VmConfig
from .surroundings import DTB

MAX_IRQS = 64
_TYPES = (DtbDeviceType.CONSOLE, DtbDeviceType.PLIC)


def check_tree_entries(config: VmConfig, report: Report) -> None:
    """Report on entries that name nothing the VM has."""
    names = {device.name for device in config.emulated_devices}
    irqs = {irq for device in config.passthrough_devices for irq in device.irq_list}
    irqs |= {device.irq_id for device in config.emulated_devices}
    for index, entry in enumerate(config.dtb_devices):
        path = f"{DTB}[{index}]"
        if entry.type not in _TYPES:
            known = " or ".join(kind.json_name for kind in _TYPES)
            message = f"{entry.type.json_name} does not exist on RISC-V, so the entry is left out."
            report.warning(f"{path}.type", "entry-type", message, f"Use {known}, or remove the entry.")
        elif not _describes_plic(entry, config):
            if entry.name in names or not is_node_name(entry.name):
                why = "is the name of another node" if entry.name in names else "cannot be the name of a node"
                message = f'"{entry.name}" {why} of the device tree, so the entry is left out.'
                remedy = "Use another name of letters, digits and , . _ + - @."
                report.warning(f"{path}.name", "entry-name", message, remedy)
            names.add(entry.name)
        if len(entry.irq_list) > MAX_IRQS:
            message = f"The irq_list has {len(entry.irq_list)} entries; the limit is {MAX_IRQS}, the rest is left out."
            report.warning(f"{path}.irq_list", "entry-irqs", message, "Remove some.")
        for number, irq in enumerate(entry.irq_list[:MAX_IRQS]):
            if irq not in irqs:
                message = f"No device of the VM has the interrupt {irq}; it would never arrive."
                remedy = "Pass it through with its device (irq_list of passthrough_device_list)."
                report.warning(f"{path}.irq_list[{number}]", "entry-irq", message, remedy)
        _check_region(entry, config, path, report)


def _describes_plic(entry: DtbDevice, config: VmConfig) -> bool:
    """The entry tells of the PLIC that the VM has anyway."""
    plic = config.device(EmuDeviceType.PLIC)
    return entry.type is DtbDeviceType.PLIC and plic is not None and plic.base_ipa == entry.addr_region_ipa


def _check_region(entry: DtbDevice, config: VmConfig, path: str, report: Report) -> None:
    where = f"{path}.addr_region_ipa"
    region = Range(
        entry.addr_region_ipa, entry.addr_region_ipa + entry.addr_region_length, f'the entry "{entry.name}"', where
    )
    for ram in ram_ranges(config):
        if region.meets(ram):
            message = f"There is memory at {region.start:#x}, no device ({ram})."
            report.warning(where, "no-such-device", message, "Correct the address.")
            return
    windows = [(device.base_ipa, device.length) for device in config.passthrough_devices]
    windows += [(device.base_ipa, device.length) for device in config.emulated_devices]
    if not any(base <= region.start < base + length for base, length in windows):
        message = f"The VM has no device at {region.start:#x}; a driver would get access faults there."
        report.warning(where, "no-such-device", message, "Pass the device through (passthrough_device_list).")
