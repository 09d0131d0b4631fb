"""Checks of what is loaded into a VM's memory: kernel, device tree, ramdisk; the files, and where they come to lie."""

from __future__ import annotations

import os
from pathlib import Path

from shyper_tui.images.errors import ImageError
from shyper_tui.images.kernel_file import RAMDISK_START, examine_kernel, ramdisk_problem
from shyper_tui.images.kernel_header import KernelKind
from shyper_tui.images.store import PREFIX, resolve
from shyper_tui.input_file import open_input

from .check_layout import PAGE, Range, ram_ranges
from .diagnostics import Report, shortened
from .model import VmConfig, VmType
from .surroundings import Surroundings

_MIB_2 = 0x20_0000
DTB_MAGIC = b"\xd0\x0d\xfe\xed"
MAX_OVERLAY = 1 << 20
"""Bytes; the engine's limit."""


def check_images(config: VmConfig, around: Surroundings, report: Report) -> None:
    """Report on the three files, and on addresses outside of memory or on top of each other."""
    image, folder = config.image, around.folder
    ram = list(ram_ranges(config))
    loaded: list[Range] = []
    if not image.kernel_load_ipa:
        message = "The kernel has no load address."
        report.error("image.kernel_load_ipa", "no-address", message, "Give an address within the memory regions.")
    elif image.kernel_filename or not around.mvm:  # the MVM's kernel may come from elsewhere
        size = _check_kernel(config, report, folder)
        loaded.append(_loaded(image.kernel_load_ipa, size, "the kernel", "image.kernel_load_ipa"))
    if image.device_tree_load_ipa:
        size = tree_bytes(config, _check_overlay(config, report, folder))
        loaded.append(_loaded(image.device_tree_load_ipa, size, "the device tree", "image.device_tree_load_ipa"))
        if image.device_tree_load_ipa % 8:
            message = "The device tree is not at a multiple of 8 bytes."
            report.error("image.device_tree_load_ipa", "unaligned", message, "Use for example a multiple of 0x1000.")
    elif image.device_tree_filename:
        message = "The address of the device tree is 0: the VM gets none, and the overlay is ignored."
        remedy = "Give device_tree_load_ipa, or leave the overlay out."
        report.warning("image.device_tree_load_ipa", "no-tree", message, remedy)
    where = "image.ramdisk_load_ipa"
    if image.ramdisk_filename and not image.ramdisk_load_ipa:
        _check_placed_ramdisk(image.ramdisk_filename, report, folder)
    elif image.ramdisk_filename:
        ramdisk_size = _check_ramdisk(image.ramdisk_filename, report, folder)
        loaded.append(_loaded(image.ramdisk_load_ipa, ramdisk_size or 1, "the ramdisk", where))
        if image.ramdisk_load_ipa % PAGE:
            message = "The ramdisk does not start at a page of 4 KiB."
            report.error(where, "unaligned", message, f"Use {image.ramdisk_load_ipa // PAGE * PAGE:#x}.")
    for index, item in enumerate(loaded):
        what = str(item)[0].upper() + str(item)[1:]
        if ram and not any(region.start <= item.start and item.end <= region.end for region in ram):
            regions = ", ".join(f"{region.start:#x}–{region.end - 1:#x}" for region in ram)
            message = f"{what} does not lie in the VM's memory ({regions})."
            report.error(item.path, "outside-ram", message, "Move it or enlarge the region.")
        for earlier in loaded[:index]:
            if item.meets(earlier):
                report.error(item.path, "overlap", f"{what} overlaps {earlier}.", "Move one of them.")


def tree_bytes(config: VmConfig, overlay: int) -> int:
    """At most so many bytes has the generated device tree of a guest VM, with an overlay of a size merged."""
    devices = len(config.emulated_devices) + len(config.dtb_devices)
    size = 0x600 + len(config.cmdline.encode()) + 16 * len(config.memory) + 0x200 * config.cpu.num + 0xC0 * devices
    if overlay:  # the tree gets labels then
        size += overlay + 0x80 * (8 + 2 * config.cpu.num + devices)
    return -(-size // PAGE) * PAGE


def _loaded(start: int, size: int, what: str, path: str) -> Range:
    return Range(start, start + size, what, path)


def _check_kernel(config: VmConfig, report: Report, folder: Path) -> int:
    """Report on the kernel file; the bytes of memory it occupies (1 when that is not known)."""
    where = "image.kernel_filename"
    file = _find(config.image.kernel_filename, "kernel_filename", report, folder)
    load = config.image.kernel_load_ipa
    if not config.image.kernel_filename:
        report.error(where, "file-missing", "No kernel is named.", "Give the path of a kernel file.")
    if file is None:
        return 1
    try:
        kernel = examine_kernel(file, max(1, config.memory_bytes))
    except OSError as error:
        report.error(where, "file-missing", *_unreadable(config.image.kernel_filename, file, error))
        return 1
    header = kernel.header
    if header.problem:
        message = f"The kernel {file.name} is not for RV64: {header.problem}."
        remedy = kernel.remedy or "Use a RISC-V Linux Image, which may be compressed, or a RISC-V ELF file."
        report.error(where, "not-a-kernel", message, remedy)
    elif header.kind is KernelKind.RAW and config.type is VmType.LINUX:
        message = f"The kernel {file.name} is neither a RISC-V Linux Image nor a RISC-V ELF file."
        remedy = f'Use one of these, or the type "{VmType.BARE_METAL.json_name}" for a raw binary.'
        report.error(where, "not-a-kernel", message, remedy)
    elif header.image_size == 0:
        report.error(where, "not-a-kernel", f"The kernel {file.name} is empty.", "Use another file.")
    elif header.kind is KernelKind.LINUX_IMAGE and load % _MIB_2:
        message = "A Linux kernel must start at a multiple of 2 MiB."
        report.error("image.kernel_load_ipa", "unaligned", message, f"Use {load // _MIB_2 * _MIB_2:#x}.")
    elif header.kind is KernelKind.ELF and header.lowest != load:
        message = f"The ELF kernel is linked for {header.lowest:#x}, but is loaded to {load:#x}."
        remedy = f"Use {header.lowest:#x}, unless the program can run anywhere."
        report.warning("image.kernel_load_ipa", "elf-moved", message, remedy)
    entry = config.image.kernel_entry_point
    if entry and not load <= entry < load + max(1, header.image_size):
        end = load + max(1, header.image_size) - 1
        message = f"The entry point {entry:#x} is outside of the kernel ({load:#x}–{end:#x}) and is ignored."
        report.warning("image.kernel_entry_point", "entry-outside", message, f"Use {load:#x}.")
    return max(1, header.image_size)


def _check_overlay(config: VmConfig, report: Report, folder: Path) -> int:
    """Report on the device tree overlay; its size in bytes, 0 when there is none."""
    name, where = config.image.device_tree_filename, "image.device_tree_filename"
    file = _find(name, "device_tree_filename", report, folder)
    if file is None:
        return 0
    size = file.stat().st_size
    start = _start_of(file, 8)
    if start[:4] != DTB_MAGIC or int.from_bytes(start[4:], "big") > size:
        message = f'"{name}" is no device tree overlay, or not the whole of one.'
        remedy = "Make one with `dtc -@ -I dts -O dtb`; empty means none, the tree is generated anyway."
        report.error(where, "not-an-overlay", message, remedy)
    elif size > MAX_OVERLAY:
        message = f"The overlay has {size} bytes; the limit is {MAX_OVERLAY}."
        report.error(where, "not-an-overlay", message, "Use a smaller one.")
    return size


def _check_ramdisk(name: str, report: Report, folder: Path) -> int | None:
    """Report on the ramdisk; its size in bytes."""
    file = _find(name, "ramdisk_filename", report, folder)
    if file is None:
        return None
    if not name.startswith(PREFIX) and (problem := ramdisk_problem(_start_of(file, RAMDISK_START))):
        message = f"Linux cannot use the ramdisk {file.name}: {problem}."
        remedy = "Use a cpio archive (newc), which may be compressed."
        report.warning("image.ramdisk_filename", "not-a-ramdisk", message, remedy)
    return file.stat().st_size


def _check_placed_ramdisk(name: str, report: Report, folder: Path) -> None:
    """Report on a ramdisk whose address is 0: it is placed where it fits, and the VM starts without one that is not
    there."""
    problem = _problem(name, folder)
    if problem is None:
        _check_ramdisk(name, report, folder)
    else:
        message = f"{problem[0]} The address of the ramdisk is 0, so the VM starts without it."
        report.warning("image.ramdisk_filename", "no-ramdisk", message, problem[1])


def _start_of(file: Path, size: int) -> bytes:
    descriptor = open_input(file)
    try:
        return os.pread(descriptor, size, 0)
    finally:
        os.close(descriptor)


def _find(name: str, key: str, report: Report, folder: Path) -> Path | None:
    """The readable file with a name of the configuration, or None after a report."""
    if not name:
        return None
    problem = _problem(name, folder)
    if problem is not None:
        report.error(f"image.{key}", "file-missing", *problem)
        return None
    return resolve(name, folder)


def _problem(name: str, folder: Path) -> tuple[str, str] | None:
    """Why a file with a name of the configuration cannot be read, and what to do; None when it can."""
    try:
        os.close(open_input(resolve(name, folder)))
    except ImageError as error:
        return error.message, error.remedy
    except OSError as error:
        return _unreadable(name, resolve(name, folder), error)
    return None


def _unreadable(name: str, file: Path, error: OSError) -> tuple[str, str]:
    """Message and remedy."""
    if "\0" in name:
        return "The file name contains a NUL character.", "Correct it."
    reason = error.strerror or str(error)
    reason = reason[:1].lower() + reason[1:]
    remedy = "Correct the name; relative names start at the folder of the configuration file."
    return f'The file "{shortened(name)}" cannot be read: {reason} ({shortened(str(file))}).', remedy
