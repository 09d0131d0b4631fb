"""Writes a VM's configuration as Rust-Shyper's JSON: what `reader` reads back as the same configuration."""

from __future__ import annotations

import json
from typing import Any

from .model import DtbDevice, EmulatedDevice, PassthroughDevice, VmConfig


def write_vm(config: VmConfig) -> str:
    """The configuration as strict JSON, which Rust-Shyper's own tool reads as well. Addresses and lengths are
    hexadecimal strings with their prefix, the bitmap is binary."""
    image = config.image
    memory: dict[str, Any] = {
        "region": [
            {"ipa_start": hexadecimal(region.ipa_start), "length": hexadecimal(region.length)}
            for region in config.memory
        ]
    }
    if config.memory_colors is not None:
        memory["colors"] = config.memory_colors
    if config.memory_budget is not None:
        memory["budget"] = config.memory_budget
    body = {
        "name": config.name,
        "type": config.type.json_name,
        "cmdline": config.cmdline,
        "image": {
            "kernel_filename": image.kernel_filename,
            "kernel_load_ipa": hexadecimal(image.kernel_load_ipa),
            "kernel_entry_point": hexadecimal(image.kernel_entry_point),
            "device_tree_filename": image.device_tree_filename,
            "device_tree_load_ipa": hexadecimal(image.device_tree_load_ipa),
            "ramdisk_filename": image.ramdisk_filename,
            "ramdisk_load_ipa": hexadecimal(image.ramdisk_load_ipa),
        },
        "memory": memory,
        "cpu": {
            "num": config.cpu.num,
            "allocate_bitmap": f"{config.cpu.allocate_bitmap:#06b}",
            "master": -1 if config.cpu.master is None else config.cpu.master,
        },
        "emulated_device": {"emulated_device_list": [_emulated(device) for device in config.emulated_devices]},
        "passthrough_device": {
            "passthrough_device_list": [_passthrough(device) for device in config.passthrough_devices]
        },
        "dtb_device": {"dtb_device_list": [_dtb(device) for device in config.dtb_devices]},
    }
    return json.dumps(body, indent=4, ensure_ascii=False) + "\n"


def hexadecimal(value: int) -> str:
    """HEX of the format: `"0"`, or digits behind `0x`."""
    return f"{value:#x}" if value else "0"


def _emulated(device: EmulatedDevice) -> dict[str, Any]:
    return {
        "name": device.name,
        "base_ipa": hexadecimal(device.base_ipa),
        "length": hexadecimal(device.length),
        "irq_id": device.irq_id,
        "cfg_num": len(device.cfg_list),
        "cfg_list": list(device.cfg_list),
        "type": device.type.json_name,
    }


def _passthrough(device: PassthroughDevice) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": device.name,
        "base_pa": hexadecimal(device.base_pa),
        "base_ipa": hexadecimal(device.base_ipa),
        "length": hexadecimal(device.length),
        "irq_num": len(device.irq_list),
        "irq_list": list(device.irq_list),
    }
    if device.smmu_id is not None:
        body["smmu_id"] = device.smmu_id
    return body


def _dtb(device: DtbDevice) -> dict[str, Any]:
    return {
        "name": device.name,
        "type": device.type.json_name,
        "irq_num": len(device.irq_list),
        "irq_list": list(device.irq_list),
        "addr_region_ipa": hexadecimal(device.addr_region_ipa),
        "addr_region_length": hexadecimal(device.addr_region_length),
    }
