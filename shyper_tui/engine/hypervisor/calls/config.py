"""Hypercalls of type 0x11: a VM's configuration, piece by piece, and its kernel."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from shyper_tui.engine.hypervisor.calls.table import CONFIG, Args, RefusedError, hypercall
from shyper_tui.engine.hypervisor.definition import (
    NAME_SIZE,
    CpuSpec,
    DeviceType,
    DtbDevice,
    EmulatedDevice,
    MemoryRegion,
    PassthroughRegion,
    VmDefinition,
    printable,
)
from shyper_tui.engine.hypervisor.definition_check import check_vm_name
from shyper_tui.engine.hypervisor.images import FileKind
from shyper_tui.engine.hypervisor.large_copy import look

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.hypervisor import Hypervisor
    from shyper_tui.engine.hypervisor.manager import Entry
    from shyper_tui.engine.hypervisor.vm import Vm

CMDLINE_SIZE = 1024
FILE_NAME_SIZE = 256
CFG_ENTRIES = 16
MAX_IRQS, MAX_STREAMS, MAX_REGIONS, MAX_DEVICES, MAX_COLORS = 64, 16, 128, 128, 1024
MAX_CHUNK = 64 << 20
MAX_OVERLAY = 1 << 20
MASK32 = 0xFFFF_FFFF


def _entry(hypervisor: Hypervisor, vm_id: int) -> Entry:
    """The row of a VM that is being configured: the configuration of one that has been created stands."""
    entry = hypervisor.manager.entry(vm_id)
    if entry.vm is not None:
        raise RefusedError(f"VM {vm_id} has been created already, so its configuration stands")
    return entry


def _definition(hypervisor: Hypervisor, vm_id: int) -> VmDefinition:
    return _entry(hypervisor, vm_id).definition


def _u32(value: int, what: str) -> int:
    if value > MASK32:
        raise RefusedError(f"{what} {value:#x} has more than 32 bits")
    return value


def _text(vm: Vm, address: int, size: int, what: str) -> str:
    """A string of the caller; with its NUL it has at most `size` bytes."""
    data = vm.memory.read_string(address, size)
    if len(data) == size:
        raise RefusedError(f"the {what} has {size} bytes or more without a NUL")
    return data.decode("utf-8", "replace")


def _short(name: bytes) -> str:
    """A VM's name, cut to the 31 bytes that the VM list has room for."""
    return name[: NAME_SIZE - 1].decode("utf-8", "ignore")


def _words(vm: Vm, address: int, count: int, most: int) -> list[int]:
    """`count` u64 values of the caller."""
    if count > most:
        raise RefusedError(f"{count} entries are more than the {most} that are possible")
    return list(struct.unpack(f"<{count}Q", vm.memory.read(address, 8 * count))) if count else []


def _extend(numbers: list[int], more: list[int], most: int) -> None:
    if len(numbers) + len(more) > most:
        raise RefusedError(f"{len(numbers) + len(more)} entries are more than the {most} that are possible")
    numbers.extend(more)


@hypercall(CONFIG, 0x0)
def add_vm(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """a0: {name, name length, type, command line, its length, kernel, device tree, ramdisk addresses}; returns the
    id."""
    name_at, _, vm_type, cmdline_at, _, kernel, tree, ramdisk = _words(vm, args[0], 8, 8)
    manager = hypervisor.manager
    name = _short(vm.memory.read_string(name_at, NAME_SIZE))
    check_vm_name(name)
    definition = VmDefinition(
        id=manager.free_id(),
        name=name,
        type=_u32(vm_type, "type"),
        cmdline=_text(vm, cmdline_at, CMDLINE_SIZE + 1, "command line"),
        kernel_load_ipa=kernel,
        kernel_entry_point=kernel,
        device_tree_load_ipa=tree,
        ramdisk_load_ipa=ramdisk,
    )
    manager.define(definition)
    return definition.id


@hypercall(CONFIG, 0x1)
def delete_vm(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """a0: the VM. One that has been created from the definition goes with it."""
    hypervisor.manager.delete(args[0])
    return 0


@hypercall(CONFIG, 0x2)
def set_cpu(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """a1: how many, a2: cores (bit n: core n), a3: core of the first (none of them: the lowest core)."""
    wanted = CpuSpec(_u32(args[1], "number of CPUs"), _u32(args[2], "core bitmap"), args[3])
    _definition(hypervisor, args[0]).cpu = wanted.normalised()
    return 0


@hypercall(CONFIG, 0x3)
def add_memory_region(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    regions = _definition(hypervisor, args[0]).memory
    if len(regions) >= MAX_REGIONS:
        raise RefusedError("the VM has too many memory regions")
    regions.append(MemoryRegion(args[1], args[2]))
    return 0


@hypercall(CONFIG, 0x4)
def add_emulated_device(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """a1 name, a2 base, a3 length, a4 irq, a5 sixteen u64 of settings, a6 type; type 7 takes the next mediated disk."""
    vm_id, name_at, base, length, irq, cfg_at, number = args
    entry = _entry(hypervisor, vm_id)
    definition = entry.definition
    if len(definition.devices) >= MAX_DEVICES:
        raise RefusedError("the VM has too many emulated devices")
    name, cfg = _text(vm, name_at, NAME_SIZE, "name"), tuple(_words(vm, cfg_at, CFG_ENTRIES, CFG_ENTRIES))
    _u32(irq, "irq")
    mediated = number == DeviceType.VIRTIO_BLK_MEDIATED
    disk = hypervisor.platform.disks.take(entry) if mediated else None
    if mediated and disk is None:
        raise RefusedError("no mediated disk is free")
    stored = DeviceType.VIRTIO_BLK if mediated else number
    definition.devices.append(EmulatedDevice(name, base, length, irq, cfg, stored, mediated, disk))
    return 0


@hypercall(CONFIG, 0x5)
def add_passthrough_region(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    regions = _definition(hypervisor, args[0]).passthrough
    if len(regions) >= MAX_REGIONS:
        raise RefusedError("the VM has too many passthrough regions")
    regions.append(PassthroughRegion(args[1], args[2], args[3]))
    return 0


@hypercall(CONFIG, 0x6)
def set_passthrough_irqs(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    _extend(_definition(hypervisor, args[0]).passthrough_irqs, _words(vm, args[1], args[2], MAX_IRQS), MAX_IRQS)
    return 0


@hypercall(CONFIG, 0x7)
def set_stream_ids(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    _extend(_definition(hypervisor, args[0]).stream_ids, _words(vm, args[1], args[2], MAX_STREAMS), MAX_STREAMS)
    return 0


@hypercall(CONFIG, 0x8)
def add_dtb_device(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    vm_id, name_at, number, irqs_at, count, ipa, length = args
    devices = _definition(hypervisor, vm_id).dtb_devices
    if len(devices) >= MAX_DEVICES:
        raise RefusedError("the VM has too many device tree entries")
    irqs = tuple(_words(vm, irqs_at, count, MAX_IRQS))
    devices.append(DtbDevice(_text(vm, name_at, NAME_SIZE, "name"), number, irqs, ipa, length))
    return 0


@hypercall(CONFIG, 0x9)
def upload_kernel(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """a1 file size, a2 guest-physical buffer, a3 offset in the file, a4 bytes; the first piece creates the VM.

    The last piece may be announced with the size of the whole file: no more than what is left of it is taken.
    """
    vm_id, image_size, buffer, offset, size = args[:5]
    size = min(size, max(0, image_size - offset))
    if size > MAX_CHUNK:
        raise RefusedError(f"a piece of {size} bytes is too large, {MAX_CHUNK} are possible")
    piece = look(vm.memory, buffer, size) if size else b""
    hypervisor.manager.upload(vm_id, offset, piece, image_size)
    return 0


@hypercall(CONFIG, 0xA)
def set_memory_colors(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """a1 colours (u64 each) at a2, a3 memory budget: there are no caches to divide, so they are noted and that is
    all."""
    _definition(hypervisor, args[0])
    _words(vm, args[2], args[1], MAX_COLORS)
    hypervisor.platform.log(f"VM {args[0]}: memory colours and budget have no effect on this machine")
    return 0


@hypercall(CONFIG, 0xB)
def upload_device_tree(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """As for the kernel, but a piece at offset 0 begins anew and the others are appended."""
    vm_id, image_size, buffer, offset, size = args[:5]
    size = min(size, max(0, image_size - offset))
    definition = _definition(hypervisor, vm_id)
    if len(definition.overlay) + size > MAX_OVERLAY:
        raise RefusedError("the device tree overlay is too large")
    piece = vm.memory.read(buffer, size) if size else b""
    definition.overlay = piece if offset == 0 else definition.overlay + piece
    return 0


@hypercall(CONFIG, 0xC)
def upload_ramdisk(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """As for the kernel; any time before the VM is booted. Not in Rust-Shyper."""
    vm_id, image_size, buffer, offset, size = args[:5]
    size = min(size, max(0, image_size - offset))
    if size > MAX_CHUNK:
        raise RefusedError(f"a piece of {size} bytes is too large, {MAX_CHUNK} are possible")
    piece = look(vm.memory, buffer, size) if size else b""
    hypervisor.manager.upload_ramdisk(vm_id, offset, piece, image_size)
    return 0


@hypercall(CONFIG, 0xD)
def name_file(hypervisor: Hypervisor, vm: Vm, args: Args) -> int:
    """a1 which file (`FileKind`), a2 its name, for display. Not in Rust-Shyper."""
    entry = hypervisor.manager.entry(args[0])
    if args[1] not in tuple(FileKind):
        raise RefusedError(f"{args[1]} is no kind of file: they are 0 (kernel), 1 (configuration), 2 (ramdisk)")
    entry.files[FileKind(args[1])] = printable(_text(vm, args[2], FILE_NAME_SIZE, "file name"))
    hypervisor.platform.on_change()
    return 0
