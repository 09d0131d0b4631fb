"""Brings a VM's images into its RAM: kernel, ramdisk and device tree, and kernels that come in pieces by hypercall."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shyper_tui.engine.hypervisor.definition import VmDefinition, VmError
from shyper_tui.engine.hypervisor.guest_tree import gvm_tree, mvm_tree
from shyper_tui.engine.hypervisor.images import LoadPlan, Segment, Upload, footprint, plan_kernel
from shyper_tui.engine.hypervisor.large_copy import Piece, put
from shyper_tui.engine.hypervisor.mvm import MVM_ID
from shyper_tui.engine.hypervisor.placement import place
from shyper_tui.engine.hypervisor.platform import Platform

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.manager import Entry
    from shyper_tui.engine.hypervisor.vm import Vm

SEED_SIZE = 32
ROOM_FOR_TREE = 2 << 20
"""Bytes from a device tree's address on that a ramdisk without an address keeps away from."""
KEPT_UPLOAD = 256 << 20
LARGEST_RAMDISK = 512 << 20
"""Bytes; an uploaded ramdisk is always kept."""


class Loader:
    """`keep`: bytes up to which an uploaded kernel is kept; a larger one must be uploaded again for a restart."""

    def __init__(self, platform: Platform, keep: int = KEPT_UPLOAD) -> None:
        self._platform = platform
        self.keep = keep

    def load(self, entry: Entry, vm: Vm) -> int:
        """Clean RAM with kernel, ramdisk and device tree in it; returns where vCPU 0 begins. Raises VmError."""
        plan = self.plan(entry, vm)
        if entry.used:
            self.clear(vm)
        entry.used = True
        for segment in plan.segments:
            put(vm.memory, segment.ipa, segment.data)
        return plan.entry

    def clear(self, vm: Vm) -> None:
        """Make the VM's RAM zero."""
        for region in vm.memory.regions:
            self._platform.clear(region.physical, region.length)

    def missing(self, entry: Entry) -> bool:
        """Whether the kernel must be uploaded again: it was in RAM alone, and the VM has run since."""
        upload = entry.images.upload
        return upload is not None and not upload.kept and entry.used

    def plan(self, entry: Entry, vm: Vm) -> LoadPlan:
        """Everything to be loaded, after checking that it lies in the VM's RAM, and where vCPU 0 begins."""
        definition = vm.definition
        what = f"VM {definition.id} ({definition.name})"
        kernel, begin = self._kernel(entry, definition)
        parts = [*((f"kernel of {what}", segment) for segment in kernel), *self._others(entry, definition)]
        for name, segment in parts:
            self._check_place(vm, name, segment)
        _check_apart(parts)
        return LoadPlan([segment for _, segment in parts], begin)

    def check_tree(self, entry: Entry, vm: Vm) -> None:
        """Raises VmError when the device tree cannot be made, as by a bad overlay, or does not fit the VM's RAM."""
        for name, segment in self._others(entry, vm.definition):
            self._check_place(vm, name, segment)

    def upload(self, entry: Entry, vm: Vm, offset: int, data: Piece, size: int) -> None:
        """A piece of a kernel of `size` bytes goes to RAM. The pieces come in order; offset 0 begins anew."""
        images, address = entry.images, vm.definition.kernel_load_ipa + offset
        upload = images.upload
        if offset == 0:
            if entry.used or (upload is not None and upload.received):
                self.clear(vm)
            entry.used = False
            upload = images.upload = Upload(size, kept=size <= self.keep)
        if upload is None or upload.size != size or offset > upload.received:
            arrived = upload.received if upload is not None else 0
            raise VmError(f"a piece at offset {offset} does not continue the {arrived} bytes that have arrived")
        put(vm.memory, address, data)
        upload.add(offset, data)

    def upload_ramdisk(self, entry: Entry, offset: int, data: Piece, size: int) -> None:
        """A piece of a ramdisk of `size` bytes. The pieces come in order; offset 0 begins anew."""
        definition, images = entry.definition, entry.images
        most = min(LARGEST_RAMDISK, definition.memory_size)
        if not 0 < size <= most:
            raise VmError(f"a ramdisk of {size} bytes is not possible for VM {definition.id}: it has 1 to {most}")
        if offset == 0:
            images.ramdisk_upload = Upload(size)
        upload = images.ramdisk_upload
        if upload is None or upload.size != size or offset > upload.received:
            arrived = upload.received if upload is not None else 0
            raise VmError(f"a piece at offset {offset} does not continue the {arrived} bytes that have arrived")
        upload.add(offset, data)

    def _kernel(self, entry: Entry, definition: VmDefinition) -> tuple[list[Segment], int]:
        """The kernel's segments and entry point; no segments when it is in RAM already."""
        images, address = entry.images, definition.kernel_load_ipa
        upload = images.upload
        if upload is None:
            if not images.kernel:
                raise VmError(f"VM {definition.id} ({definition.name}) has no kernel")
            plan = plan_kernel(images.kernel, address, definition.kernel_entry_point)
            return plan.segments, plan.entry
        if upload.received < upload.size:
            raise VmError(
                f"the kernel of VM {definition.id} ({definition.name}) has not arrived in full: "
                f"{upload.received} of {upload.size} bytes; upload it again"
            )
        if not entry.used:
            return [], address
        if not upload.kept:
            raise VmError(
                f"the kernel of VM {definition.id} ({definition.name}) was not kept, as it is larger than "
                f"{self.keep >> 20} MiB; upload it again"
            )
        return [Segment(address, upload.data)], address

    def _others(self, entry: Entry, definition: VmDefinition) -> list[tuple[str, Segment]]:
        """Ramdisk and device tree, with their names for messages."""
        what = f"VM {definition.id} ({definition.name})"
        parts = []
        ramdisk = entry.images.whole_ramdisk
        if ramdisk:
            definition = self._with_place(entry, definition, len(ramdisk))
            parts.append((f"ramdisk of {what}", Segment(definition.ramdisk_load_ipa, ramdisk)))
        if definition.device_tree_load_ipa:
            tree = self._tree(definition, len(ramdisk))
            parts.append((f"device tree of {what}", Segment(definition.device_tree_load_ipa, tree)))
        return parts

    def _tree(self, definition: VmDefinition, ramdisk_size: int) -> bytes:
        cpu, seed = self._platform.cpu, self._platform.rng_seed(SEED_SIZE)
        if definition.id == MVM_ID:
            return mvm_tree(self._platform.board_tree, definition, cpu, ramdisk_size, seed)
        return gvm_tree(definition, cpu, ramdisk_size, seed, self._platform.board_tree)

    def _with_place(self, entry: Entry, definition: VmDefinition, size: int) -> VmDefinition:
        """The definition with an address for the ramdisk of `size` bytes: its own, or one where it fits."""
        if definition.ramdisk_load_ipa:
            return definition
        kernel, tree = definition.kernel_load_ipa, definition.device_tree_load_ipa
        taken = [(kernel, kernel + footprint(entry.images))]
        if tree:
            taken.append((tree, tree + ROOM_FOR_TREE))
        address = place(definition.memory, taken, size)
        if address is None:
            what = f"VM {definition.id} ({definition.name})"
            raise VmError(f"the ramdisk of {what} has {size} bytes and fits nowhere in its memory")
        return replace(definition, ramdisk_load_ipa=address)

    def _check_place(self, vm: Vm, name: str, segment: Segment) -> None:
        size = len(segment.data) + segment.zeros
        if size and not vm.memory.contains(segment.ipa, size):
            raise VmError(f"the {name} needs {size:#x} bytes at {segment.ipa:#x}, which are not all in its memory")


def check_upload(definition: VmDefinition, offset: int, size: int) -> None:
    """Raises VmError for a kernel of `size` bytes that cannot be in the VM's RAM, before anything is made for it."""
    if size <= 0 or offset > size:
        raise VmError(f"a piece at offset {offset} of a kernel of {size} bytes is no piece of it")
    start = at = definition.kernel_load_ipa
    for region in sorted(definition.memory, key=lambda region: region.ipa_start):
        if region.ipa_start <= at < region.ipa_start + region.length:
            at = region.ipa_start + region.length
    if start and start + size > at > start:
        raise VmError(
            f"the kernel of VM {definition.id} ({definition.name}) needs {size:#x} bytes at {start:#x}, "
            "which are not all in its memory"
        )


def _check_apart(parts: list[tuple[str, Segment]]) -> None:
    """Raises VmError when one image would overwrite another."""
    done: list[tuple[int, int, str]] = []
    for name, segment in parts:
        start, end = segment.ipa, segment.ipa + len(segment.data) + segment.zeros
        for other_start, other_end, other in done:
            if other != name and start < other_end and other_start < end:
                raise VmError(f"the {name} at {start:#x}..{end:#x} would overwrite the {other} at {other_start:#x}")
        done.append((start, end, name))
