"""Checks of a VM's guest-physical address space: RAM, device windows, and the files loaded into RAM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shyper_tui.images.errors import ImageError
from shyper_tui.images.kernel_header import KernelKind, measure
from shyper_tui.images.store import resolve

from .board import Board
from .diagnostics import Report
from .model import VmConfig, VmType

PAGE = 0x1000
_MIB_2 = 0x20_0000
IPA_BITS = 41
"""Sv39x4: guest-physical addresses have 41 bits."""

_EMULATED = "emulated_device.emulated_device_list"
_PASSTHROUGH = "passthrough_device.passthrough_device_list"


@dataclass(frozen=True)
class _Range:
    """Addresses start … end-1; `what` is how a message names it, `path` where it is written."""

    start: int
    end: int
    what: str
    path: str

    def meets(self, other: _Range) -> bool:
        return self.start < other.end and other.start < self.end

    def __str__(self) -> str:
        return f"{self.what} ({self.start:#x}–{self.end - 1:#x})"


def check_layout(
    config: VmConfig, board: Board, others: list[VmConfig], report: Report, folder: Path, mvm: bool
) -> None:
    """Report on overlaps, alignment, sizes and files."""
    ram = list(_ram(config))
    windows = [*ram, *_device_windows(config)]
    if not config.memory:
        report.error("memory.region", "no-memory", "The VM has no memory region.", "Add one with ipa_start and length.")
    for window in windows:
        _check_window(window, report)
    _check_overlaps(windows, report)
    if not mvm:
        _check_pool(config, board, others, report)
        _check_passthrough(config, board, report)
    _check_loaded(config, ram, report, folder, mvm)


def _ram(config: VmConfig) -> Iterator[_Range]:
    for index, region in enumerate(config.memory):
        path = f"memory.region[{index}].ipa_start"
        yield _Range(region.ipa_start, region.ipa_start + region.length, f"memory region {index}", path)


def _device_windows(config: VmConfig) -> Iterator[_Range]:
    for index, device in enumerate(config.emulated_devices):
        if device.base_ipa or device.length:  # the shyper device has no registers: both are 0
            path = f"{_EMULATED}[{index}].base_ipa"
            yield _Range(device.base_ipa, device.base_ipa + device.length, f'the device "{device.name}"', path)
    for index, through in enumerate(config.passthrough_devices):
        path = f"{_PASSTHROUGH}[{index}].base_ipa"
        what = f'the passthrough device "{through.name}"'
        yield _Range(through.base_ipa, through.base_ipa + through.length, what, path)


def _check_window(window: _Range, report: Report) -> None:
    length_path = window.path.replace("ipa_start", "length").replace("base_ipa", "length")
    what = window.what[0].upper() + window.what[1:]
    if window.start == window.end:
        report.error(length_path, "empty-region", f"{what} has the length 0.", "Use at least 0x1000.")
    if window.start % PAGE:
        message = f"{what} does not start at a page of 4 KiB."
        report.error(window.path, "unaligned", message, f"Use {window.start // PAGE * PAGE:#x}.")
    if (window.end - window.start) % PAGE:
        message = f"The length of {window.what} is no multiple of 4 KiB."
        rounded = -(-(window.end - window.start) // PAGE) * PAGE
        report.error(length_path, "unaligned", message, f"Use {rounded:#x}.")
    if window.end > 1 << IPA_BITS:
        message = f"{what} ends beyond the {IPA_BITS} bits of guest-physical addresses."
        report.error(window.path, "address-too-high", message, "Use a lower address or a smaller length.")


def _check_overlaps(windows: list[_Range], report: Report) -> None:
    for index, window in enumerate(windows):
        for earlier in windows[:index]:
            if window.meets(earlier):
                what = str(window)
                message = f"{what[0].upper() + what[1:]} overlaps {earlier}."
                report.error(window.path, "overlap", message, "Move one of them.")


def _check_pool(config: VmConfig, board: Board, others: list[VmConfig], report: Report) -> None:
    used = sum(other.memory_bytes for other in others)
    if used + config.memory_bytes > board.gvm_pool:
        free = max(0, board.gvm_pool - used)
        message = (
            f"The VM wants {_mib(config.memory_bytes)} of memory; {_mib(free)} of the {_mib(board.gvm_pool)} for guest "
            "VMs are free."
        )
        report.error("memory.region", "pool-exhausted", message, "Use smaller regions or remove another VM.")


def _check_passthrough(config: VmConfig, board: Board, report: Report) -> None:
    for index, device in enumerate(config.passthrough_devices):
        path = f"{_PASSTHROUGH}[{index}].base_pa"
        if device.base_pa % PAGE:
            message = f'The physical address of "{device.name}" is not at a page of 4 KiB.'
            report.error(path, "unaligned", message, f"Use {device.base_pa // PAGE * PAGE:#x}.")
        if device.base_pa < board.ram_start + board.ram_length and board.ram_start < device.base_pa + device.length:
            message = f'"{device.name}" would give the machine\'s own memory to the VM.'
            report.error(path, "passthrough-ram", message, "Pass device registers through, not memory.")


def _check_loaded(config: VmConfig, ram: list[_Range], report: Report, folder: Path, mvm: bool) -> None:
    """Kernel, device tree and ramdisk: the files, and where they come to lie."""
    image = config.image
    loaded: list[_Range] = []
    if image.kernel_filename or not mvm:  # the MVM's kernel may come from elsewhere
        size = _check_kernel(config, report, folder)
        loaded.append(_loaded(image.kernel_load_ipa, size, "the kernel", "image.kernel_load_ipa"))
    if image.device_tree_load_ipa:
        overlay = _check_file(image.device_tree_filename, "device_tree_filename", report, folder)
        size = PAGE + (overlay or 0)  # an overlay is merged into a generated tree of some KiB
        loaded.append(_loaded(image.device_tree_load_ipa, size, "the device tree", "image.device_tree_load_ipa"))
        if image.device_tree_load_ipa % 8:
            message = "The device tree is not at a multiple of 8 bytes."
            report.error("image.device_tree_load_ipa", "unaligned", message, "Use for example a multiple of 0x1000.")
    elif image.device_tree_filename:
        message = "There is an overlay but no address for the device tree."
        report.error("image.device_tree_load_ipa", "no-address", message, "Give device_tree_load_ipa.")
    if image.ramdisk_filename:
        ramdisk_size = _check_file(image.ramdisk_filename, "ramdisk_filename", report, folder)
        where = "image.ramdisk_load_ipa"
        if not image.ramdisk_load_ipa:
            message = "There is a ramdisk but no address for it."
            report.error(where, "no-address", message, "Give an address within the memory regions.")
        else:
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


def _loaded(start: int, size: int, what: str, path: str) -> _Range:
    return _Range(start, start + size, what, path)


def _check_kernel(config: VmConfig, report: Report, folder: Path) -> int:
    """Report on the kernel file; the bytes of memory it occupies (1 when that is not known)."""
    where = "image.kernel_filename"
    file = _find(config.image.kernel_filename, "kernel_filename", report, folder)
    load = config.image.kernel_load_ipa
    if not config.image.kernel_filename:
        report.error(where, "file-missing", "No kernel is named.", "Give the path of a kernel file.")
    if file is None:
        return 1
    header = measure(file)
    if header.problem:
        message = f"The kernel {file.name} is not for RV64: {header.problem}."
        report.error(where, "not-a-kernel", message, "Use an uncompressed RISC-V Linux Image or a RISC-V ELF file.")
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
        message = f"The entry point {entry:#x} is outside of the kernel ({load:#x}–{load + header.image_size - 1:#x})."
        report.error("image.kernel_entry_point", "bad-entry", message, f"Use {load:#x}.")
    return max(1, header.image_size)


def _check_file(name: str, key: str, report: Report, folder: Path) -> int | None:
    """Report on a file that may be absent from the configuration; its size in bytes."""
    file = _find(name, key, report, folder)
    return None if file is None else file.stat().st_size


def _find(name: str, key: str, report: Report, folder: Path) -> Path | None:
    """The readable file with a name of the configuration, or None after a report."""
    if not name:
        return None
    where = f"image.{key}"
    try:
        file = resolve(name, folder)
        if file.exists() and not file.is_file() and not file.is_dir():  # opening a pipe could wait for ever
            report.error(where, "file-missing", f'"{name}" is no regular file.', "Name a file.")
            return None
        with file.open("rb") as stream:
            stream.read(1)
    except ImageError as error:
        report.error(where, "file-missing", error.message, error.remedy)
    except ValueError:
        report.error(where, "file-missing", "The file name contains a NUL character.", "Correct it.")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f'The file "{name}" cannot be read: {reason} ({resolve(name, folder)}).'
        remedy = "Correct the name; relative names start at the folder of the configuration file."
        report.error(where, "file-missing", message, remedy)
    else:
        return file
    return None


def _mib(size: int) -> str:
    whole, rest = divmod(size, 1 << 20)
    return f"{size / (1 << 20):.2f} MiB" if rest else f"{whole} MiB"
