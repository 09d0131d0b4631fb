"""A correct configuration, with its files, that the tests make mistakes in."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from shyper_tui.config import DEFAULT_BOARD, Board, Diagnostic, VmConfig, check_vm, read_vm

BOARD = replace(
    DEFAULT_BOARD,
    mvm_irqs=DEFAULT_BOARD.mvm_irqs - {11},
    mvm_windows=tuple(window for window in DEFAULT_BOARD.mvm_windows if window[0] != 0x10_1000),
)
"""A machine whose managing VM leaves the real-time clock to others."""

GUEST = """\
{
    "name": "guest",
    "type": "VM_T_LINUX",
    "cmdline": "console=hvc0",
    "image": {
        "kernel_filename": "Image",
        "kernel_load_ipa": "0x80200000",
        "kernel_entry_point": "0x80200000",
        "device_tree_filename": "",
        "device_tree_load_ipa": "0xa0000000",
        "ramdisk_filename": "ramdisk",
        "ramdisk_load_ipa": "0x90000000"
    },
    "memory": {
        "region": [{"ipa_start": "0x80000000", "length": "0x40000000"}]
    },
    "cpu": {"num": 3, "allocate_bitmap": "0b1110", "master": 1},
    "emulated_device": {
        "emulated_device_list": [
            {"name": "plic", "base_ipa": "0xc000000", "length": "0x600000", "irq_id": 1, "type": "EMU_DEVICE_T_PLIC"},
            {"name": "blk", "base_ipa": "0x10001000", "length": "0x1000", "irq_id": 19,
             "cfg_list": [0, 8192], "type": "EMU_DEVICE_T_VIRTIO_BLK_MEDIATED"},
            {"name": "net", "base_ipa": "0x50000000", "length": "0x1000", "irq_id": 20,
             "cfg_list": ["0x74", 86, "0xaa", 15, "0x47", "0xd1"], "type": "EMU_DEVICE_T_VIRTIO_NET"},
            {"name": "console", "base_ipa": "0x40001000", "length": "0x1000", "irq_id": 21,
             "cfg_list": ["0", "0x40001000"], "type": "EMU_DEVICE_T_VIRTIO_CONSOLE"}
        ]
    },
    "passthrough_device": {
        "passthrough_device_list": [
            {"name": "rtc", "base_pa": "0x101000", "base_ipa": "0x101000", "length": "0x1000",
             "irq_num": 1, "irq_list": [11]}
        ]
    },
    "dtb_device": {"dtb_device_list": []}
}
"""


def linux_image(size: int = 0x1000, image_size: int = 0x200_0000) -> bytes:
    """A file with the header of a RISC-V Linux Image."""
    header = struct.pack("<II QQQ II QQ4sI", 0, 0, 0x20_0000, image_size, 0, 2, 0, 0, 0x5643534952, b"RSC\x05", 0)
    return header.ljust(size, b"\0")


def elf(machine: int = 243, address: int = 0x8020_0000, memory: int = 0x3000) -> bytes:
    """An ELF64 file with one segment of 16 bytes that takes `memory` bytes at `address`."""
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, address, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return ident + head + struct.pack("<IIQQQQQQ", 1, 5, 120, address, address, 16, memory, 8) + bytes(16)


def write_files(folder: Path) -> None:
    (folder / "Image").write_bytes(linux_image())
    (folder / "ramdisk").write_bytes(b"070701".ljust(0x5000, b"0"))
    (folder / "program.elf").write_bytes(elf())
    os.mkfifo(folder / "pipe")


def edit(old: str, marked: str, text: str = GUEST) -> tuple[str, int, int]:
    """The text with `old` replaced by `marked` without its mark «, and the line and column of the mark."""
    assert text.count(old) == 1, f"{old!r} is not unique"
    changed = text.replace(old, marked)
    before, _, after = changed.partition("«")
    return before + after, before.count("\n") + 1, len(before) - before.rfind("\n")


def config(text: str, folder: Path) -> VmConfig:
    reading = read_vm(text, str(folder / "vm.json"))
    assert reading.value is not None, reading.diagnostics
    return reading.value


def checked(
    text: str, folder: Path, board: Board = BOARD, others: Sequence[VmConfig] = (), mvm: bool = False
) -> list[Diagnostic]:
    return check_vm(config(text, folder), board, others, mvm=mvm)
