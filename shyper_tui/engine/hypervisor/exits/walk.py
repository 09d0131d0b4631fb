"""Where the translation of a guest's address ended, found by walking its tables in software, and what is missing.

Only for records of faults: nothing is changed, no accessed bits are set (Privileged ISA, "Virtual Address Translation
Process" and "Two-Stage Address Translation").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shyper_tui.engine.guest_view import walk
from shyper_tui.engine.hypervisor.layout import PAGE
from shyper_tui.engine.hypervisor.stage2 import IPA_BITS

if TYPE_CHECKING:
    from shyper_tui.engine.hypervisor.vm import Vm

VS_STAGE, G_STAGE = "VS-stage", "G-stage"


@dataclass(frozen=True, slots=True)
class Place:
    """`stage` and `level` of the page-table entry that ends a walk (-1: none does); `expected`: what should be
    there."""

    stage: str
    level: int
    expected: str


def failed_walk(vm: Vm, vsatp: int, virtual: int, physical: int, implicit: bool) -> Place:
    """The end of the walk that raised a guest-page fault at guest-physical `physical`.

    `implicit`: the access was one of the VS-stage walk of `virtual` itself, so a page table of the guest is missing;
    else the G-stage tables do not map what the walk led to.
    """
    if implicit:
        steps = walk(vm.memory, vsatp, virtual)
        level = next((step.level for step in steps if step.address // PAGE == physical // PAGE), -1)
        return Place(VS_STAGE, level, f"memory for a page table of level {level}: {missing(vm, physical)}")
    return Place(G_STAGE, vm.stage2.last_level(physical), missing(vm, physical))


def missing(vm: Vm, physical: int) -> str:
    """What the VM has at and near a guest-physical address that nothing answers."""
    if physical >> IPA_BITS:
        return f"{physical:#x} has more than the {IPA_BITS} bits of a guest-physical address"
    ranges = [(mapping.ipa, mapping.ipa + mapping.length, _plain(mapping.name)) for mapping in vm.stage2.mappings]
    ranges += [(window.base, window.end, f"device {window.name}") for window in vm.bus]
    for start, end, name in ranges:
        if start <= physical < end:
            return f"an access that {name} ({start:#x}–{end - 1:#x}) answers"
    said = f"no memory region, device or passthrough region covers {physical:#x}"
    if not ranges:
        return said
    start, end, name = min(ranges, key=lambda one: max(one[0] - physical, physical - one[1] + 1))
    return f"{said}; nearest: {name} {start:#x}–{end - 1:#x}"


def _plain(name: str) -> str:
    """The name of a mapping without its address."""
    return name.rsplit(" 0x", 1)[0]
