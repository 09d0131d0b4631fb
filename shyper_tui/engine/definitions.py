"""From a configuration file's VM to the hypervisor's definition of it, and back."""

from __future__ import annotations

import dataclasses

from shyper_tui import config
from shyper_tui.config import VmConfig
from shyper_tui.engine.hypervisor.definition import (
    CpuSpec,
    DeviceType,
    DtbDevice,
    EmulatedDevice,
    MemoryRegion,
    PassthroughRegion,
    VmDefinition,
)


def definition(vm_id: int, wanted: VmConfig, overlay: bytes = b"") -> VmDefinition:
    """The definition of VM `vm_id`, as the configuration hypercalls would have filled it; `overlay` is the content of
    `device_tree_filename`."""
    image = wanted.image
    return VmDefinition(
        id=vm_id,
        name=wanted.name,
        type=int(wanted.type),
        cmdline=wanted.cmdline,
        kernel_load_ipa=image.kernel_load_ipa,
        kernel_entry_point=image.kernel_entry_point,
        device_tree_load_ipa=image.device_tree_load_ipa,
        ramdisk_load_ipa=image.ramdisk_load_ipa if image.ramdisk_filename else 0,
        memory=[MemoryRegion(region.ipa_start, region.length) for region in wanted.memory],
        cpu=CpuSpec(wanted.cpu.num, wanted.cpu.allocate_bitmap, wanted.cpu.master).normalised(),
        devices=[
            EmulatedDevice(
                device.name, device.base_ipa, device.length, device.irq_id, device.cfg_list, *_stored_type(device.type)
            )
            for device in wanted.emulated_devices
        ],
        passthrough=[
            PassthroughRegion(device.base_ipa, device.base_pa, device.length) for device in wanted.passthrough_devices
        ],
        passthrough_irqs=sorted({irq for device in wanted.passthrough_devices for irq in device.irq_list}),
        stream_ids=[device.smmu_id for device in wanted.passthrough_devices if device.smmu_id is not None],
        dtb_devices=[
            DtbDevice(entry.name, int(entry.type), entry.irq_list, entry.addr_region_ipa, entry.addr_region_length)
            for entry in wanted.dtb_devices
        ],
        overlay=overlay,
    )


def _stored_type(kind: int) -> tuple[int, bool]:
    """(type, mediated): a mediated block device is stored as a block device that is marked."""
    if kind == DeviceType.VIRTIO_BLK_MEDIATED:
        return DeviceType.VIRTIO_BLK, True
    return kind, False


def configuration(made: VmDefinition, kernel: str = "", ramdisk: str = "") -> VmConfig:
    """The configuration that `definition` would make this definition from; `kernel` and `ramdisk` are file names.

    A definition knows which irqs are passed through, not with which region: the first region gets them all. The file
    behind an overlay that the managing VM uploaded is not known here, so its name is empty.
    """
    passthrough = [
        config.PassthroughDevice(f"passthrough@{region.pa:x}", region.pa, region.ipa, region.length)
        for region in made.passthrough
    ]
    if passthrough:
        first = dataclasses.replace(passthrough[0], irq_list=tuple(made.passthrough_irqs))
        passthrough[0] = dataclasses.replace(first, smmu_id=made.stream_ids[0] if made.stream_ids else None)
    return VmConfig(
        name=made.name,
        type=config.VmType(made.type),
        cmdline=made.cmdline,
        image=config.VmImage(
            kernel_filename=kernel,
            kernel_load_ipa=made.kernel_load_ipa,
            kernel_entry_point=made.kernel_entry_point,
            device_tree_load_ipa=made.device_tree_load_ipa,
            ramdisk_filename=ramdisk,
            ramdisk_load_ipa=made.ramdisk_load_ipa,
        ),
        memory=tuple(config.MemoryRegion(region.ipa_start, region.length) for region in made.memory),
        cpu=config.CpuConfig(made.cpu.num, made.cpu.allocate_bitmap, made.cpu.master),
        emulated_devices=tuple(
            config.EmulatedDevice(
                device.name, device.base_ipa, device.length, device.irq_id, _named_type(device), _settings(device)
            )
            for device in made.devices
        ),
        passthrough_devices=tuple(passthrough),
        dtb_devices=tuple(
            config.DtbDevice(
                entry.name, config.DtbDeviceType(entry.type), tuple(entry.irqs), entry.ipa_start, entry.length
            )
            for entry in made.dtb_devices
        ),
    )


_SETTINGS = {
    DeviceType.PLIC: 0,
    DeviceType.SHYPER: 0,
    DeviceType.VIRTIO_BLK: 2,
    DeviceType.VIRTIO_CONSOLE: 2,
    DeviceType.VIRTIO_NET: 6,
}
"""How many entries of `cfg_list` have a meaning."""


def _settings(device: EmulatedDevice) -> tuple[int, ...]:
    """The device's `cfg_list` without the zeros that the configuration hypercall fills its 16 entries with."""
    meant = next((count for kind, count in _SETTINGS.items() if kind == device.type), len(device.cfg_list))
    values = tuple(device.cfg_list)
    return values if any(values[meant:]) else values[:meant]


def _named_type(device: EmulatedDevice) -> config.EmuDeviceType:
    return config.EmuDeviceType(DeviceType.VIRTIO_BLK_MEDIATED if device.mediated else device.type)
