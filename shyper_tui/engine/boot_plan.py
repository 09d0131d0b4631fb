"""What a workstation boots: the managing VM and its guests, from the options and the images that are installed."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from shyper_tui import config, images
from shyper_tui.config import VmConfig, VmImage
from shyper_tui.config.check_images import MAX_OVERLAY
from shyper_tui.engine.log_pipe import log_line
from shyper_tui.images.kernel_file import LARGEST, open_ramdisk, read_kernel
from shyper_tui.input_file import MAX_CONFIGURATION, read_input
from shyper_tui.ipc.messages import Diagnostic, EngineError, EngineOptions

MVM_RAMDISK = 0xA000_0000
"""Where the default managing VM's initramfs lies in it: behind its kernel, in the first of its 4 GiB."""


@dataclass(frozen=True)
class MvmPlan:
    """The managing VM. `config` None: the built-in configuration. The files are read; empty ramdisk: none. `keep_disk`:
    what it writes stays in the image. The file names are those of a configuration; with `config` they are in it."""

    kernel: bytes
    ramdisk: bytes
    ramdisk_address: int
    disk: Path | None
    keep_disk: bool = False
    config: VmConfig | None = None
    kernel_name: str = ""
    ramdisk_name: str = ""


@dataclass(frozen=True)
class BootPlan:
    """Everything to boot; `guests` are configuration files, read when it is their turn. `guest_disk`: the image that
    each guest gets a copy of; None: the disks are those of a daemon's file, or of the managing VM's daemon."""

    embedded: bool
    mvm: MvmPlan
    guests: list[Path]
    guest_disk: Path | None
    warning: str = ""
    """What the user should know although everything boots."""


def boot_plan(options: EngineOptions) -> BootPlan:
    """The plan for these options; EngineError when the managing VM cannot be made."""
    linux = None if options.embedded else images.linux_images()
    embedded = linux is None
    if options.vms is not None or options.mvm is not None or linux is not None:
        guests = [Path(file) for file in options.vms or ()]
    else:
        guests = [config.sample_path("embedded-guest")]
    warnings = []
    if linux is None and not options.embedded and (broken := images.damaged()):
        warnings.append(f"no Linux: {broken[0]} of its images is damaged; run `shyper-tui images fetch` again")
    if linux is not None and images.outdated():
        warnings.append("the Linux images are those of an older version; `shyper-tui images build` makes them anew")
    try:
        system = _managing_system(options, linux)
        if system is not None and system.note:
            warnings.append(system.note)
        if options.mvm is not None:
            mvm = _configured(Path(options.mvm), system)
        elif linux is None or system is None:
            mvm = _embedded_mvm(system)
        else:
            mvm = _linux_mvm(system)
    except images.ImageError as error:
        raise EngineError("image", str(error)) from None
    shared = linux.gvm_disk if linux and guests and options.daemon is None else None
    return BootPlan(embedded, mvm, guests, shared, "; ".join(warnings))


@dataclass(frozen=True)
class _System:
    """Files of the managing VM's Linux; kernel and initramfs None: the configuration names others. `note`: what the
    user should know."""

    disk: Path
    keep: bool
    kernel: Path | None = None
    initramfs: Path | None = None
    note: str = ""


def _managing_system(options: EngineOptions, linux: images.LinuxImages | None) -> _System | None:
    """The disk that the options mean, with the kernel that belongs to it. Raises ImageError."""
    kernel, initramfs = (linux.kernel, linux.initramfs) if linux is not None else (None, None)
    if options.mvm_disk is not None:
        return _System(Path(options.mvm_disk), not options.snapshot, kernel, initramfs)
    if linux is None:
        return None
    if options.snapshot:
        return _System(linux.mvm_disk, False, kernel, initramfs)
    mine = images.user_system()
    return _System(mine.disk, True, mine.kernel, mine.initramfs, mine.note)


def _linux_mvm(system: _System) -> MvmPlan:
    assert system.kernel is not None
    assert system.initramfs is not None
    return MvmPlan(
        _read(system.kernel),
        _read(system.initramfs),
        MVM_RAMDISK,
        system.disk,
        system.keep,
        kernel_name="images:linux/Image",
        ramdisk_name="images:linux/initramfs.cpio",
    )


def _embedded_mvm(system: _System | None) -> MvmPlan:
    """The supervisor; its `shyper vm config` uploads its ramdisk, which is the guest, as the kernel of a new VM."""
    return MvmPlan(
        images.embedded("supervisor"),
        images.embedded("guest"),
        MVM_RAMDISK,
        system.disk if system is not None else None,
        system is not None and system.keep,
        kernel_name="images:embedded/supervisor",
        ramdisk_name="images:embedded/guest",
    )


def _configured(file: Path, system: _System | None) -> MvmPlan:
    """The managing VM of a configuration file."""
    wanted = read_configuration(text_of(file), str(file), mvm=True)
    kernel, ramdisk = vm_files(wanted, file.parent)
    address = wanted.image.ramdisk_load_ipa if ramdisk else 0
    disk, keep = (system.disk, system.keep) if system is not None else (None, False)
    return MvmPlan(kernel, ramdisk, address, disk, keep, located(wanted, file.parent))


def read_configuration(
    text: str,
    file: str,
    others: list[VmConfig] | None = None,
    mvm: bool = False,
    folder: Path | None = None,
    board: config.Board = config.DEFAULT_BOARD,
) -> VmConfig:
    """The VM of a configuration's text for a machine; EngineError with every diagnostic when it has errors."""
    reading = config.read_vm(text, file)
    found = list(reading.diagnostics)
    if reading.value is not None:
        found += config.check_vm(reading.value, board, others or [], folder, mvm)
    if reading.value is None or config.has_errors(found):
        raise refuse(found, file)
    return reading.value


def refuse(found: list[config.Diagnostic], file: str) -> EngineError:
    """The error for a file with these findings; it carries them all."""
    first = next((entry for entry in found if entry.severity == "error"), None)
    sentence = f"{config.summary(found)} in {file or 'the configuration'}"
    detail = f", the first in line {first.line}: {first.message}" if first else ""
    return EngineError("configuration", sentence + detail, [_message(entry) for entry in found])


def _message(found: config.Diagnostic) -> Diagnostic:
    return Diagnostic(**{**dataclasses.asdict(found), "severity": str(found.severity)})


def vm_files(wanted: VmConfig, folder: Path) -> tuple[bytes, bytes]:
    """Kernel, unpacked, and ramdisk of a VM; file names are relative to `folder`. EngineError when one cannot be read,
    or has become something else since it was checked. A ramdisk without an address need not be there."""
    name, limit = wanted.image.kernel_filename, max(1, wanted.memory_bytes)
    try:
        kernel = read_kernel(images.resolve(name, folder), limit)
    except images.ImageError as error:
        raise EngineError("image", str(error)) from None
    except OSError as error:
        raise _unreadable(name, error) from None
    if kernel.header.problem:
        raise EngineError("image", f"{name} is no kernel for RV64: {kernel.header.problem}. {kernel.remedy}".rstrip())
    if kernel.note:
        log_line(kernel.described(name))
    return kernel.data, _ramdisk(wanted.image, folder, limit)


def _ramdisk(image: VmImage, folder: Path, limit: int) -> bytes:
    if not image.ramdisk_filename:
        return b""
    try:
        return open_ramdisk(_image(image.ramdisk_filename, folder, limit))
    except EngineError as error:
        if image.ramdisk_load_ipa:
            raise
        log_line(f"warning: the VM starts without its ramdisk: {error.message}")
        return b""


def located(wanted: VmConfig, folder: Path) -> VmConfig:
    """The configuration with the file names that are relative to `folder` made absolute."""

    def absolute(name: str) -> str:
        if not name or name.startswith(("images:", "~/")):
            return name
        return os.path.abspath(folder / name)

    image = dataclasses.replace(
        wanted.image,
        kernel_filename=absolute(wanted.image.kernel_filename),
        device_tree_filename=absolute(wanted.image.device_tree_filename),
        ramdisk_filename=absolute(wanted.image.ramdisk_filename),
    )
    return dataclasses.replace(wanted, image=image)


def device_tree_overlay(wanted: VmConfig, folder: Path) -> bytes:
    """Content of the VM's `device_tree_filename`; empty when there is none."""
    name = wanted.image.device_tree_filename
    return _image(name, folder, MAX_OVERLAY) if name and wanted.image.device_tree_load_ipa else b""


def _image(name: str, folder: Path, limit: int) -> bytes:
    try:
        return _read(images.resolve(name, folder), limit)
    except images.ImageError as error:
        raise EngineError("image", str(error)) from None


def text_of(file: Path) -> str:
    """A configuration file's text; what is no UTF-8 in it is replaced, and found by the reader."""
    return _read(file, MAX_CONFIGURATION).decode("utf-8", "replace")


def _read(file: Path, limit: int = LARGEST) -> bytes:
    """The content of a regular file: a pipe would never end, and the machine would stand still meanwhile."""
    try:
        return read_input(file, limit)
    except OSError as error:
        raise _unreadable(os.fspath(file), error) from None


def _unreadable(name: str, error: OSError) -> EngineError:
    return EngineError("file", f"{name} cannot be read: {error.strerror or error}")
