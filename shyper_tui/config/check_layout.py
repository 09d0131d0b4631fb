"""Checks of a VM's guest-physical address space: RAM and the windows of its devices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .board import POOL_START
from .check_devices import PLIC_LENGTH
from .diagnostics import Report
from .model import EmuDeviceType, VmConfig
from .surroundings import EMULATED, PASSTHROUGH, Surroundings

PAGE = 0x1000
IPA_BITS = 41
"""Sv39x4: guest-physical addresses have 41 bits."""


@dataclass(frozen=True)
class Range:
    """Addresses start … end-1; `what` is how a message names it, `path` where it is written."""

    start: int
    end: int
    what: str
    path: str

    def meets(self, other: Range) -> bool:
        return self.start < other.end and other.start < self.end

    def __str__(self) -> str:
        return f"{self.what} ({self.start:#x}–{self.end - 1:#x})"


def check_layout(config: VmConfig, around: Surroundings, report: Report) -> None:
    """Report on overlaps, alignment, sizes, and the memory that is left for the VM."""
    windows = [*ram_ranges(config), *_device_windows(config)]
    if not config.memory:
        report.error("memory.region", "no-memory", "The VM has no memory region.", "Add one with ipa_start and length.")
    for window in windows:
        _check_window(window, report)
    _check_overlaps(windows, report)
    if around.mvm:
        _check_managing_memory(config, around, report)
    else:
        _check_pool(config, around, report)


def ram_ranges(config: VmConfig) -> Iterator[Range]:
    """The VM's memory regions."""
    for index, region in enumerate(config.memory):
        path = f"memory.region[{index}].ipa_start"
        yield Range(region.ipa_start, region.ipa_start + region.length, f"memory region {index}", path)


def _device_windows(config: VmConfig) -> Iterator[Range]:
    for index, device in enumerate(config.emulated_devices):
        if device.base_ipa or device.length:  # the shyper device has no registers: both are 0
            path = f"{EMULATED}[{index}].base_ipa"
            length = max(device.length, PLIC_LENGTH) if device.type is EmuDeviceType.PLIC else device.length
            yield Range(device.base_ipa, device.base_ipa + length, f'the device "{device.name}"', path)
    for index, through in enumerate(config.passthrough_devices):
        path = f"{PASSTHROUGH}[{index}].base_ipa"
        what = f'the passthrough device "{through.name}"'
        yield Range(through.base_ipa, through.base_ipa + through.length, what, path)


def _check_window(window: Range, report: Report) -> None:
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


def _check_overlaps(windows: list[Range], report: Report) -> None:
    for index, window in enumerate(windows):
        for earlier in windows[:index]:
            if window.meets(earlier):
                what = str(window)
                message = f"{what[0].upper() + what[1:]} overlaps {earlier}."
                report.error(window.path, "overlap", message, "Move one of them.")


def _check_pool(config: VmConfig, around: Surroundings, report: Report) -> None:
    board = around.board
    used = sum(other.memory_bytes for other in around.others)
    if used + config.memory_bytes > board.gvm_pool:
        free = max(0, board.gvm_pool - used)
        message = (
            f"The VM wants {_mib(config.memory_bytes)} of memory; {_mib(free)} of the {_mib(board.gvm_pool)} for guest "
            "VMs are free."
        )
        report.error("memory.region", "pool-exhausted", message, "Use smaller regions or remove another VM.")


def _check_managing_memory(config: VmConfig, around: Surroundings, report: Report) -> None:
    """The managing VM's memory comes from the same pool, at equal guest-physical and physical addresses."""
    board = around.board
    if config.memory_bytes > board.pool:
        message = f"The VM wants {_mib(config.memory_bytes)} of memory; {_mib(board.pool)} are there for all VMs."
        report.error("memory.region", "pool-exhausted", message, "Use smaller regions.")
        return
    for region in ram_ranges(config):
        if region.start < POOL_START or region.end > board.ram_start + board.ram_length:
            what = str(region)
            message = f"{what[0].upper() + what[1:]} is not memory of the machine that VMs can have."
            remedy = f"Use addresses from {POOL_START:#x} on: passthrough devices reach the managing VM's memory there."
            report.warning(region.path, "no-identity", message, remedy)


def _mib(size: int) -> str:
    whole, rest = divmod(size, 1 << 20)
    return f"{size / (1 << 20):.2f} MiB" if rest else f"{whole} MiB"
