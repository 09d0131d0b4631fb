"""The built-in definition of the management VM (VM 0)."""

from __future__ import annotations

from shyper_tui.engine.hypervisor.definition import (
    CpuSpec,
    DeviceType,
    EmulatedDevice,
    MemoryRegion,
    PassthroughRegion,
    VmDefinition,
    VmType,
)
from shyper_tui.engine.hypervisor.layout import HVC_IRQ, VPLIC_LENGTH

MVM_ID = 0
MVM_NAME = "supervisor"
MVM_CMDLINE = (
    "earlycon=sbi console=ttyS0 root=/dev/vda rw audit=0 default_hugepagesz=2M hugepagesz=2M hugepages=10"
)
MVM_BASE = 0x9000_0000
MVM_LENGTH = 0x1_0000_0000
MVM_DEVICE_TREE = 0x1_8000_0000

VIRTIO_SLOTS = tuple(0x1000_1000 + 0x1000 * slot for slot in range(8))
UART, RTC = 0x1000_0000, 0x0010_1000
PASSTHROUGH_IRQS = tuple(range(1, 12))


def mvm_definition() -> VmDefinition:
    """A fresh copy of the built-in definition; the caller may change it (command line, ramdisk address, memory)."""
    mac = (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD0)
    return VmDefinition(
        id=MVM_ID,
        name=MVM_NAME,
        type=VmType.LINUX,
        cmdline=MVM_CMDLINE,
        kernel_load_ipa=MVM_BASE,
        kernel_entry_point=MVM_BASE,
        device_tree_load_ipa=MVM_DEVICE_TREE,
        ramdisk_load_ipa=0,
        memory=[MemoryRegion(MVM_BASE, MVM_LENGTH)],
        cpu=CpuSpec(num=1, allocate_bitmap=0b0001, master=0),
        devices=[
            EmulatedDevice("plic", 0x0C00_0000, VPLIC_LENGTH, 0, (), DeviceType.PLIC),
            EmulatedDevice(
                "virtio_console@40001000", 0x4000_1000, 0x1000, 66, (1, 0x4000_1000), DeviceType.VIRTIO_CONSOLE
            ),
            EmulatedDevice(
                "virtio_console@40002000", 0x4000_2000, 0x1000, 67, (2, 0x4000_2000), DeviceType.VIRTIO_CONSOLE
            ),
            EmulatedDevice("virtio_net@40003000", 0x4000_3000, 0x1000, 68, mac, DeviceType.VIRTIO_NET),
            EmulatedDevice("shyper", 0, 0, HVC_IRQ, (), DeviceType.SHYPER),
        ],
        passthrough=[PassthroughRegion(base, base, 0x1000) for base in (*VIRTIO_SLOTS, UART, RTC)],
        passthrough_irqs=list(PASSTHROUGH_IRQS),
    )
