"""From a configuration file's VM to the hypervisor's definition of it."""

from __future__ import annotations

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
