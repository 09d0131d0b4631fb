"""The files of Rust-Shyper's user guide that lie in /root of the managing VM: configurations of guests and disks."""

from __future__ import annotations

DISKS = ("vm0_ubuntu.img", "vm0_ubuntu_2.img", "vm0_busybox.img")
SECTORS = 8192000
"""Of each GVM's disk, in units of 512 bytes, as the guide's configurations say."""

MEDIATED = """\
{
    "mediated": [
        "/root/vm0_ubuntu.img", // the mediated disk of the first GVM
        "/root/vm0_ubuntu_2.img", // the mediated disk of the second GVM
        "/root/vm0_busybox.img" // the mediated disk of the third GVM
    ]
}
"""


def vm_configuration(number: int) -> str:
    """The guide's configuration of GVM 1 or 2. The second one has the other console of the managing VM (hvc0), and the
    next MAC."""
    console = {1: "0x40001000", 2: "0x40002000"}[number]
    words = {"@NAME@": f"guest-os-{number}", "@BASE@": console[2:], "@CONSOLE@": console, "@LAST@": f"0xd{number}"}
    text = _VM
    for word, value in words.items():
        text = text.replace(word, value)
    return text


_VM = """\
{
    "name": "@NAME@",
    "type": "VM_T_LINUX",
    // the kernel's command line
    "cmdline": "earlycon=sbi console=hvc1 root=/dev/vda rw audit=0",
    "image": {
        // where the kernel is, and where it goes
        "kernel_filename": "Image",
        "kernel_load_ipa": "0x80200000",
        "kernel_entry_point": "0x80200000",
        "device_tree_filename": "",
        "device_tree_load_ipa": "0xa0000000",
        "ramdisk_filename": "initrd.gz",
        "ramdisk_load_ipa": "0"
    },
    "memory": {
        // the regions of memory
        "num": 1,
        "region": [
            {
                "ipa_start": "0x80000000",
                "length": "0x40000000"
            }
        ]
    },
    "cpu": {
        // allocate_bitmap: the physical cores that the GVM gets
        // The MVM has core 0 for itself; GVMs may share the others. GVM 1 and GVM 2 can share cores 1, 2 and 3
        "num": 3,
        "allocate_bitmap": "0b1110",
        // the main core, one of those in allocate_bitmap
        "master" : 1
    },
    // emulated devices
    "emulated_device" : {
        "num": 4,
        "emulated_device_list": [
            {
                "name": "plic@c000000",
                "base_ipa": "0xc000000",
                "length": "0x600000",
                "irq_id": 1,
                "cfg_num": 2,
                "cfg_list": [
                    0,
                    0
                ],
                "type": "EMU_DEVICE_T_PLIC"
            },
            {
                "name": "virtio_blk@10001000",
                "base_ipa": "0x10001000",
                "length": "0x1000",
                "irq_id": 19,
                "cfg_num": 2,
                "cfg_list": [
                    0,
                    8192000
                ],
                "type": "EMU_DEVICE_T_VIRTIO_BLK_MEDIATED"
            },
            {
                "name": "virtio_net@50000000",
                "base_ipa": "0x50000000",
                "length": "0x1000",
                "irq_id": 20,
                "cfg_num": 6,
                "cfg_list": [
                    "0x74",
                    "0x56",
                    "0xaa",
                    "0x0f",
                    "0x47",
                    "@LAST@"
                ],
                "type": "EMU_DEVICE_T_VIRTIO_NET"
            },
            {
                "name": "virtio_console@@BASE@",
                "base_ipa": "@CONSOLE@",
                "length": "0x1000",
                "irq_id": 21,
                "cfg_num": 2,
                "cfg_list": [
                    "0",
                    "@CONSOLE@"
                ],
                "type": "EMU_DEVICE_T_VIRTIO_CONSOLE"
            }
        ]
    },
    // passed-through devices: none
    "passthrough_device": {
        "passthrough_device_list": [
        ]
    },
    // devices for the device tree: none
    "dtb_device" : {
        "num": 0,
        "dtb_device_list": [
        ]
    }
}
"""
