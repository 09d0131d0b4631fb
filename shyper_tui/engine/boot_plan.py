"""What a workstation boots: the managing VM and its guests, from the options and the images that are installed."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from shyper_tui import config, images
from shyper_tui.config import VmConfig
from shyper_tui.ipc.messages import Diagnostic, EngineError, EngineOptions

MVM_RAMDISK = 0xA000_0000
"""Where the default managing VM's initramfs lies in it: behind its kernel, in the first of its 4 GiB."""


@dataclass(frozen=True)
class MvmPlan:
    """The managing VM. `config` None: the built-in configuration. The files are read; empty ramdisk: none."""

    kernel: bytes
    ramdisk: bytes
    ramdisk_address: int
    disk: Path | None
    config: VmConfig | None = None


@dataclass(frozen=True)
class BootPlan:
    """Everything to boot; `guests` are configuration files, read when it is their turn."""

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
    if options.vms is not None:
        guests = [Path(file) for file in options.vms]
    else:
        guests = [config.sample_path("embedded-guest" if embedded else "linux-guest")]
    if options.mvm is not None:
        mvm = _configured(Path(options.mvm), linux.mvm_disk if linux else None)
    elif linux is None:
        try:
            mvm = MvmPlan(images.embedded("supervisor"), b"", 0, None)
        except images.ImageError as error:
            raise EngineError("image", str(error)) from None
    else:
        mvm = MvmPlan(_read(linux.kernel), _read(linux.initramfs), MVM_RAMDISK, linux.mvm_disk)
    warning = ""
    if linux is None and not options.embedded and (broken := images.damaged()):
        warning = f"no Linux: {broken[0]} of its images is damaged; run `shyper-tui images fetch` again"
    return BootPlan(embedded, mvm, guests, linux.gvm_disk if linux else None, warning)


def _configured(file: Path, disk: Path | None) -> MvmPlan:
    """The managing VM of a configuration file."""
    wanted = read_configuration(_read(file).decode("utf-8", "replace"), str(file), mvm=True)
    kernel, ramdisk = vm_files(wanted, file.parent)
    return MvmPlan(kernel, ramdisk, wanted.image.ramdisk_load_ipa if ramdisk else 0, disk, wanted)


def read_configuration(
    text: str, file: str, others: list[VmConfig] | None = None, mvm: bool = False, folder: Path | None = None
) -> VmConfig:
    """The VM of a configuration's text; EngineError with every diagnostic when it has errors."""
    reading = config.read_vm(text, file)
    found = list(reading.diagnostics)
    if reading.value is not None:
        found += config.check_vm(reading.value, others=others or [], folder=folder, mvm=mvm)
    if reading.value is None or config.has_errors(found):
        first = next((entry for entry in found if entry.severity == "error"), None)
        sentence = f"{config.summary(found)} in {file or 'the configuration'}"
        detail = f", the first in line {first.line}: {first.message}" if first else ""
        raise EngineError("configuration", sentence + detail, [_message(entry) for entry in found])
    return reading.value


def _message(found: config.Diagnostic) -> Diagnostic:
    return Diagnostic(**{**dataclasses.asdict(found), "severity": str(found.severity)})


def vm_files(wanted: VmConfig, folder: Path) -> tuple[bytes, bytes]:
    """Kernel and ramdisk of a VM; file names are relative to `folder`. EngineError when one cannot be read."""
    kernel = _image(wanted.image.kernel_filename, folder)
    ramdisk = wanted.image.ramdisk_filename
    return kernel, _image(ramdisk, folder) if ramdisk else b""


def device_tree_overlay(wanted: VmConfig, folder: Path) -> bytes:
    """Content of the VM's `device_tree_filename`; empty when there is none."""
    name = wanted.image.device_tree_filename
    return _image(name, folder) if name else b""


def _image(name: str, folder: Path) -> bytes:
    try:
        return _read(images.resolve(name, folder))
    except images.ImageError as error:
        raise EngineError("image", str(error)) from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise EngineError("file", f"{os.fspath(file)} cannot be read: {error.strerror or error}") from None
