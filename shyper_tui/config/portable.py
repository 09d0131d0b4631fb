"""What this workstation does and Rust-Shyper itself does not: it rejects the file, ignores a key, or panics.

These findings never keep a VM from running here.
"""

from __future__ import annotations

from pathlib import Path

from shyper_tui.images.errors import ImageError
from shyper_tui.images.kernel_header import KernelKind, measure
from shyper_tui.images.store import PREFIX, resolve

from .diagnostics import Report
from .model import EmuDeviceType, EmulatedDevice, VmConfig, VmType
from .surroundings import DTB, EMULATED, PASSTHROUGH, Surroundings

CORES = 4
VPLIC_SOURCES = 63
CONSOLES = (0x4000_1000, 0x4000_2000)
"""Consoles of the built-in managing VM."""
PATH_BYTES = 31
CHUNK = 32 << 20
"""A kernel is uploaded in pieces of this size."""
STREAMS = 2
MVM_REGIONS = 4
CMDLINE = 1023
T = EmuDeviceType


def check_portable(config: VmConfig, around: Surroundings, report: Report) -> None:
    """Report on what Rust-Shyper would make of a file that works here."""
    if around.mvm:
        message = "Rust-Shyper's managing VM is compiled in; it reads no file for it."
        report.portable("name", "built-in-mvm", message, "Change the hypervisor's sources for it.")
        return
    _check_vm(config, report)
    _check_kernel(config, around.folder, report)
    _check_files(config, around.folder, report)
    _check_devices(config, report)
    _check_lists(config, report)


def _check_vm(config: VmConfig, report: Report) -> None:
    if config.type is VmType.FREERTOS:
        message = "Rust-Shyper's hypervisor panics on VM_T_FREERTOS; here it is started as VM_T_BARE_MATEL_APP is."
        report.portable("type", "freertos", message, "Use VM_T_BARE_MATEL_APP for it.")
    if config.type is VmType.BARE_METAL:
        message = "Rust-Shyper gives a bare-metal VM the managing VM's CSRs, so it crashes at once beside Linux."
        report.portable("type", "bare-metal", message, "Use VM_T_LINUX for it.")
    if len(config.cmdline.encode()) > CMDLINE:
        message = "A command line of 1024 bytes has no room for its end, and Rust-Shyper reads on behind it."
        report.portable("cmdline", "cmdline-unterminated", message, f"Use at most {CMDLINE} bytes for it.")
    for key, value in (("colors", config.memory_colors), ("budget", config.memory_budget)):
        if value is not None:
            message = f"Rust-Shyper refuses the whole file for memory.{key} on RISC-V; here it has no effect."
            report.portable(f"memory.{key}", "memory-colours", message, "Remove this key for it.")
    beyond = [core for core in config.cpu.cores if core >= CORES]
    if beyond:
        message = f"Rust-Shyper uses {CORES} cores; a vCPU on core {beyond[0]} never starts there."
        report.portable("cpu.allocate_bitmap", "core-beyond-four", message, "Use the cores 1 to 3 for it.")


def _check_kernel(config: VmConfig, folder: Path, report: Report) -> None:
    image = config.image
    name, where = image.kernel_filename, "image.kernel_filename"
    if image.kernel_entry_point and image.kernel_entry_point != image.kernel_load_ipa:
        message = f"Rust-Shyper ignores the entry point and starts at the load address {image.kernel_load_ipa:#x}."
        report.portable("image.kernel_entry_point", "entry-ignored", message, "Let the kernel start there for it.")
    if len(name.encode()) > PATH_BYTES:
        message = f"The path has {len(name.encode())} bytes; Rust-Shyper's tool panics on more than {PATH_BYTES}."
        report.portable(where, "long-kernel-path", message, "Use a shorter path for it.")
    try:
        file = resolve(name, folder)
        kind, size = measure(file).kind, file.stat().st_size
    except (ImageError, OSError, ValueError):  # what is wrong with it is told elsewhere
        return
    if kind is KernelKind.ELF:
        message = "Rust-Shyper copies the file to the load address as it is, and an ELF file's first bytes are no code."
        report.portable(where, "elf-kernel", message, "Make a binary with `objcopy -O binary` for it.")
    if size > CHUNK:
        message = f"Rust-Shyper copies a kernel of {size} bytes wrongly: its last piece is as long as the whole."
        report.portable(where, "kernel-over-32-mib", message, "Use one of at most 32 MiB for it.")


def _check_files(config: VmConfig, folder: Path, report: Report) -> None:
    image = config.image
    names = {
        "kernel_filename": image.kernel_filename,
        "device_tree_filename": image.device_tree_filename,
        "ramdisk_filename": image.ramdisk_filename,
    }
    for key, name in names.items():
        if name.startswith((PREFIX, "~/")):
            message = f'Rust-Shyper takes "{name}" for a path as it stands, and its files lie inside the managing VM.'
            report.portable(f"image.{key}", "workstation-path", message, "Give a path there for it.")
    if image.ramdisk_filename:
        message = "Rust-Shyper loads no ramdisk; it tells the guest of one with the length 0."
        report.portable("image.ramdisk_filename", "ramdisk-ignored", message, "Use a root disk for it.")
    tree, first = image.device_tree_load_ipa, config.memory[0] if config.memory else None
    if tree and first is not None and not first.ipa_start <= tree < first.ipa_start + first.length:
        message = "Rust-Shyper writes the device tree into the first memory region, whatever its address."
        remedy = "Put it there, or name its region first, for it."
        report.portable("image.device_tree_load_ipa", "tree-not-in-first-region", message, remedy)


def _check_devices(config: VmConfig, report: Report) -> None:
    disks = 0
    for index, device in enumerate(config.emulated_devices):
        path = f"{EMULATED}[{index}]"
        if device.irq_id > VPLIC_SOURCES and device.type is not T.PLIC:
            message = f"Rust-Shyper's guest tree has {VPLIC_SOURCES} sources; {device.irq_id} would never arrive."
            report.portable(f"{path}.irq_id", "irq-beyond-63", message, f"Use 1 to {VPLIC_SOURCES} for it.")
        if device.type is T.VIRTIO_BLK:
            message = "Rust-Shyper panics at the first request to a block device that is not mediated."
            remedy = f"Use {T.VIRTIO_BLK_MEDIATED.json_name} for it."
            report.portable(f"{path}.type", "plain-block", message, remedy)
        elif device.type is T.VIRTIO_BLK_MEDIATED:
            disks += 1
            if disks == 2:
                message = "Rust-Shyper serves one mediated disk per VM; the second takes the first one's place."
                report.portable(f"{path}.type", "second-disk", message, "Keep one for it.")
        elif device.type is T.SHYPER:
            message = "Rust-Shyper describes this device to a guest VM in a form that nothing understands."
            report.portable(f"{path}.type", "guest-shyper-device", message, "Remove it for it.")
        elif _beyond_two(device):
            message = f"Rust-Shyper's managing VM has consoles for VM 1 and VM 2 only, none at {device.cfg_list[1]:#x}."
            report.portable(f"{path}.cfg_list[1]", "console-beyond-two", message, "Leave the console out for it.")


def _beyond_two(device: EmulatedDevice) -> bool:
    """A console that is paired with one of the managing VM's that Rust-Shyper's does not have."""
    pair = device.cfg_list[:2]
    return device.type is T.VIRTIO_CONSOLE and len(pair) == 2 and pair[0] == 0 and pair[1] not in CONSOLES


def _check_lists(config: VmConfig, report: Report) -> None:
    streams = [index for index, device in enumerate(config.passthrough_devices) if device.smmu_id is not None]
    if len(streams) > STREAMS:
        message = f"Rust-Shyper's hypervisor has room for {STREAMS} stream ids and is overrun by {len(streams)}."
        report.portable(f"{PASSTHROUGH}[{streams[STREAMS]}].smmu_id", "stream-ids", message, "Remove them for it.")
    if config.dtb_devices:
        message = "Rust-Shyper ignores the list on RISC-V: the guest's tree would not tell of these devices."
        report.portable(DTB, "dtb-devices-ignored", message, "Describe them in an overlay for it.")
