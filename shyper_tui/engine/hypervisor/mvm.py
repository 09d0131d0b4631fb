"""The built-in definition of the management VM (VM 0)."""

from __future__ import annotations

from shyper_tui.engine.board.memory_map import PLIC_BASE
from shyper_tui.engine.hypervisor.definition import (
    CpuSpec,
    DeviceType,
    EmulatedDevice,
    MemoryRegion,
    PassthroughRegion,
    VmDefinition,
    VmType,
)
from shyper_tui.engine.hypervisor.layout import HVC_IRQ, MAX_VMS, VIRTIO_LENGTH, VPLIC_LENGTH

MVM_ID = 0
MVM_NAME = "supervisor"
MVM_CMDLINE = "earlycon=sbi console=ttyS0 root=/dev/vda rw audit=0 default_hugepagesz=2M hugepagesz=2M hugepages=10"
MVM_BASE = 0x9000_0000
MVM_LENGTH = 0x1_0000_0000
MVM_DEVICE_TREE = 0x1_8000_0000

VIRTIO_SLOTS = tuple(0x1000_1000 + 0x1000 * slot for slot in range(8))
UART, RTC = 0x1000_0000, 0x0010_1000
PASSTHROUGH_IRQS = tuple(range(1, 12))

MAX_CONSOLES = MAX_VMS - 1
"""One console of the MVM for every guest VM."""
_FIRST_CONSOLES = {1: (0x4000_1000, 66), 2: (0x4000_2000, 67)}
_MORE_CONSOLES, _MORE_IRQS = 0x4000_4000, 70  # of VM 3; the network device and the message ring lie in between


def console_for(vm_id: int) -> EmulatedDevice:
    """The MVM's console that is paired with guest VM `vm_id` (1 to 7): the guest's is at the same address there.

    Those of VMs 1 and 2 are Rust-Shyper's.
    """
    if not 1 <= vm_id <= MAX_CONSOLES:
        raise ValueError(f"guest VMs have ids 1 to {MAX_CONSOLES}, not {vm_id}")
    further = vm_id - 3
    base, irq = _FIRST_CONSOLES.get(vm_id, (_MORE_CONSOLES + 0x1000 * further, _MORE_IRQS + further))
    name, peer = f"virtio_console@{base:x}", (vm_id, base)
    return EmulatedDevice(name, base, VIRTIO_LENGTH, irq, peer, DeviceType.VIRTIO_CONSOLE)


def mvm_definition(consoles: int = MAX_CONSOLES) -> VmDefinition:
    """A fresh copy of the built-in definition; the caller may change it (command line, ramdisk address, memory).

    The MVM has a console for each of the guest VMs 1 to `consoles`; Rust-Shyper's has 2. Further ones stand before
    those two, and so come after them in the device tree: with any number of them, a Linux calls VM 2's console hvc0 and
    VM 1's hvc1, and further ones hvc2 (VM 3) to hvc6 (VM 7).
    """
    if not 2 <= consoles <= MAX_CONSOLES:
        raise ValueError(f"the managing VM has 2 to {MAX_CONSOLES} consoles, not {consoles}")
    mac = (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD0)
    further = [console_for(vm_id) for vm_id in range(consoles, 2, -1)]
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
            EmulatedDevice("plic", PLIC_BASE, VPLIC_LENGTH, 0, (), DeviceType.PLIC),
            *further,
            console_for(1),
            console_for(2),
            EmulatedDevice("virtio_net@40003000", 0x4000_3000, VIRTIO_LENGTH, 68, mac, DeviceType.VIRTIO_NET),
            EmulatedDevice("shyper", 0, 0, HVC_IRQ, (), DeviceType.SHYPER),
        ],
        passthrough=[PassthroughRegion(base, base, 0x1000) for base in (*VIRTIO_SLOTS, UART, RTC)],
        passthrough_irqs=list(PASSTHROUGH_IRQS),
    )
