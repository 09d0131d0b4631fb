"""The device tree of the managing VM: what the machine's tree says of the parts that the VM has."""

from __future__ import annotations

import copy

from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.hypervisor.definition import DeviceType, VmDefinition, VmError
from shyper_tui.engine.hypervisor.guest_tree.cpu import Cpu
from shyper_tui.engine.hypervisor.guest_tree.devices import add_entries, emulated, passed, window
from shyper_tui.engine.hypervisor.guest_tree.gvm import add_memory_and_chosen
from shyper_tui.engine.hypervisor.guest_tree.overlay import finish

KEPT = ("aliases", "chosen", "cpus", "soc")
"""The machine's nodes that concern the VM; power switch, flash, reserved memory and the like do not."""
NO_CONTEXT = 0xFFFF_FFFF
"""Instead of M-mode's interrupt: the VM has no M-mode contexts."""


def mvm_tree(board: Node, definition: VmDefinition, cpu: Cpu, ramdisk_size: int, rng_seed: bytes) -> bytes:
    """The tree of the managing VM, its overlay merged. `board` is not changed. Raises VmError.

    It has as many of the machine's harts as the VM has vCPUs, the machine's devices that are passed through, and the
    emulated ones. Those come before the machine's, the last of them first: Linux then numbers eth0 and hvc0 as
    Rust-Shyper's managing VM does.
    """
    root = copy.deepcopy(board)
    root.children = [node for node in root.children if node.name in KEPT]
    cpus, soc, chosen = _child(root, "cpus"), _child(root, "soc"), _child(root, "chosen")
    plic = _keep_devices(soc, definition)
    _keep_cpus(cpus, plic, definition, cpu)
    for name in ("linux,initrd-start", "linux,initrd-end", "rng-seed"):
        chosen.properties.pop(name, None)
    _drop_dangling(root, soc)
    add_memory_and_chosen(root, definition, ramdisk_size, rng_seed)
    root.children.insert(0, root.children.pop())
    for device in definition.devices:
        node = emulated(device, root, plic)
        if node is None:
            continue
        if soc.child(node.name) is not None:
            raise VmError(f"two devices of VM {definition.name} have the name {node.name}")
        soc.children.insert(0, node)
    add_entries(definition, board, root, soc, plic)
    return finish(root, definition)


def _keep_devices(soc: Node, definition: VmDefinition) -> Node:
    """Leaves the devices that are passed through, at their guest-physical addresses, and returns the PLIC.

    The test finisher stays, as in Rust-Shyper's tree, although the VM cannot reach it: nothing refers to it.
    """
    plic: Node | None = None
    kept = []
    for node in soc.children:
        start, length = window(node)
        region = passed(start, definition.passthrough)
        if node.name.startswith("plic@"):
            plic = node
        elif region is not None:
            if region.ipa != region.pa:
                place = start - region.pa + region.ipa
                node.name = f"{node.name.partition('@')[0]}@{place:x}"
                node.u64("reg", place, length)
        elif not node.name.startswith("test@"):
            continue
        kept.append(node)
    if plic is None:
        raise VmError("the board's device tree has no interrupt controller")
    device = next((device for device in definition.devices if device.type == DeviceType.PLIC), None)
    if device is not None and device.base_ipa != window(plic)[0]:
        plic.name = f"plic@{device.base_ipa:x}"
        plic.u64("reg", device.base_ipa, window(plic)[1])
    soc.children = kept
    return plic


def _keep_cpus(cpus: Node, plic: Node, definition: VmDefinition, cpu: Cpu) -> None:
    names = {f"cpu@{index:x}" for index in range(len(definition.cpu.cores()))}
    cpus.children = [node for node in cpus.children if node.name in names]
    cells = []
    for node in cpus.children:
        cpu.describe(node)
        handle = _child(node, "interrupt-controller").phandle
        cells += [handle, NO_CONTEXT, handle, 9]
    plic.u32("interrupts-extended", *cells)


def _drop_dangling(root: Node, soc: Node) -> None:
    """Aliases and the console of devices that the VM does not have."""
    there = {f"/soc/{node.name}" for node in soc.children}
    for name in ("aliases", "chosen"):
        node = root.child(name)
        for key, value in list(node.properties.items()) if node is not None else ():
            path = value.rstrip(b"\0").decode("ascii", "replace")
            if node is not None and path.startswith("/soc/") and path not in there:
                del node.properties[key]


def _child(node: Node, name: str) -> Node:
    child = node.child(name)
    if child is None:
        raise VmError(f"the board's device tree has no node {name}")
    return child
