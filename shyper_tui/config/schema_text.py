"""What editors show about each key of the configuration files."""

from __future__ import annotations

TITLES = {
    "vm": "Guest VM of Rust-Shyper and Shyper-TUI (`vm config`)",
    "mvm": "Managing VM of Shyper-TUI (`--mvm`), in the format of the guest VMs' files",
    "daemon": "Mediated disks of Rust-Shyper and Shyper-TUI (`system daemon`)",
}

_EMULATED = "emulated_device.emulated_device_list"
_PASSTHROUGH = "passthrough_device.passthrough_device_list"
_DTB = "dtb_device.dtb_device_list"
_COUNT = "Not used; the list knows its length."

DESCRIPTIONS = {
    "$schema": "For editors.",
    "id": "Not used; VMs get the lowest free id.",
    "name": "1 to 31 bytes.",
    "type": "VM_T_LINUX starts with the hart's id in a0 and the device tree's address in a1. VM_T_BARE_MATEL_APP "
    "and VM_T_FREERTOS start without a device tree, with the end of memory in sp.",
    "cmdline": "The guest's command line, at most 1024 bytes; `bootargs` of its device tree.",
    "image": "Files, and where they go in the guest. Names are relative to this file, absolute, start with `~/`, or "
    "are `images:NAME` for an image of `shyper-tui images list`.",
    "image.kernel_filename": "Linux Image, ELF file, or raw binary (bare-metal VMs).",
    "image.kernel_load_ipa": "Guest-physical address of the kernel; for Linux a multiple of 2 MiB.",
    "image.kernel_entry_point": "Where the first vCPU starts in a raw binary or a Linux Image; 0: at the load address.",
    "image.device_tree_filename": "Device tree overlay (dtbo) that is merged into the generated tree; empty: none.",
    "image.device_tree_load_ipa": "Guest-physical address of the generated device tree; 0: none.",
    "image.ramdisk_filename": "Initial RAM disk; empty: none.",
    "image.ramdisk_load_ipa": "Guest-physical address of the ramdisk.",
    "memory": "RAM of the VM.",
    "memory.num": _COUNT,
    "memory.region": "Regions of RAM.",
    "memory.region[].ipa_start": "First guest-physical address, a multiple of 4 KiB.",
    "memory.region[].length": "Bytes, a multiple of 4 KiB.",
    "memory.colors": "Memory colours, for example 0-13,14,32-63. No effect on RISC-V.",
    "memory.budget": "Memory bandwidth. No effect on RISC-V.",
    "cpu": "Virtual CPUs, each on a core of its own.",
    "cpu.num": "Number of vCPUs.",
    "cpu.allocate_bitmap": "Cores for the vCPUs, bit n = core n. Core 0 belongs to the managing VM.",
    "cpu.master": "Core of vCPU 0, which starts; -1: the lowest.",
    "emulated_device": "Devices that the hypervisor emulates.",
    "emulated_device.num": _COUNT,
    _EMULATED: "At most 16.",
    f"{_EMULATED}[].name": "Name of the device tree node, at most 31 bytes.",
    f"{_EMULATED}[].base_ipa": "First guest-physical address of its registers.",
    f"{_EMULATED}[].length": "Bytes of its registers: 0x1000, for a PLIC 0x600000.",
    f"{_EMULATED}[].irq_id": "Its interrupt at the VM's PLIC; without meaning for the PLIC itself.",
    f"{_EMULATED}[].type": "Available: PLIC, VIRTIO_BLK, VIRTIO_BLK_MEDIATED, VIRTIO_NET, VIRTIO_CONSOLE, SHYPER.",
    f"{_EMULATED}[].cfg_num": "Length of cfg_list; not used.",
    f"{_EMULATED}[].cfg_list": "Block: first sector, number of sectors of 512 bytes. Network: the 6 bytes of the MAC "
    "address. Console: VM id and guest-physical address of the console it is paired with.",
    "passthrough_device": "Devices of the machine that the VM gets.",
    "passthrough_device.num": _COUNT,
    _PASSTHROUGH: "At most 128.",
    f"{_PASSTHROUGH}[].name": "For messages only.",
    f"{_PASSTHROUGH}[].base_pa": "First physical address of its registers.",
    f"{_PASSTHROUGH}[].base_ipa": "First guest-physical address of its registers.",
    f"{_PASSTHROUGH}[].length": "Bytes of its registers, a multiple of 4 KiB.",
    f"{_PASSTHROUGH}[].irq_num": "Length of irq_list; not used.",
    f"{_PASSTHROUGH}[].irq_list": "Its interrupts at the machine's PLIC; the VM sees the same numbers.",
    f"{_PASSTHROUGH}[].smmu_id": "Stream id at an IOMMU, which this machine does not have.",
    "dtb_device": "Devices that only the device tree tells of.",
    "dtb_device.num": _COUNT,
    _DTB: "At most 16. Each becomes a node below /soc; for a passthrough device with the properties it has in the "
    "machine's own device tree.",
    f"{_DTB}[].name": "Name of the node, at most 31 bytes.",
    f"{_DTB}[].type": "CONSOLE is a 16550 serial port, and /chosen/stdout-path, unless the machine knows better what "
    "is there. PLIC stands for the emulated one.",
    f"{_DTB}[].irq_num": "Length of irq_list; not used.",
    f"{_DTB}[].irq_list": "Its interrupts at the VM's PLIC.",
    f"{_DTB}[].addr_region_ipa": "First guest-physical address of its registers.",
    f"{_DTB}[].addr_region_length": "Bytes of its registers.",
    "mediated": "Disks for the mediated block devices of the guest VMs, in the order of configuration: paths of block "
    "devices or image files inside the managing VM, or `images:NAME` for an image of this workstation.",
}
