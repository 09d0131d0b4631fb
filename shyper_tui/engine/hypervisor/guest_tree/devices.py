"""Nodes of a VM's devices: emulated ones, and those that its list of device tree entries tells of."""

from __future__ import annotations

import struct

from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.board.memory_map import UART_CLOCK
from shyper_tui.engine.hypervisor.definition import (
    DeviceType,
    DtbDevice,
    EmulatedDevice,
    PassthroughRegion,
    VmDefinition,
)
from shyper_tui.engine.hypervisor.layout import VIRTIO_LENGTH

VIRTIO_TYPES = {
    DeviceType.VIRTIO_BLK,
    DeviceType.VIRTIO_BLK_MEDIATED,
    DeviceType.VIRTIO_NET,
    DeviceType.VIRTIO_CONSOLE,
}
DTB_CONSOLE = 0
"""Type of a device tree entry: a serial port."""
_SERIAL = b"ns16550a\0"
_PLACE = ("phandle", "reg", "interrupts", "interrupt-parent", "interrupts-extended")
"""Properties that say where a device is: a VM has it elsewhere."""


def emulated(device: EmulatedDevice, root: Node, plic: Node | None) -> Node | None:
    """The node of a virtio or `shyper` device, not yet in the tree of `root`; None for other types."""
    if device.type in VIRTIO_TYPES:
        node = interrupts(Node(device.name, root), plic, device.irq_id)
        return node.u64("reg", device.base_ipa, VIRTIO_LENGTH).text("compatible", "virtio,mmio")
    if device.type == DeviceType.SHYPER:  # the kernel module looks for this name, whatever the configuration's
        node = interrupts(Node("vm_service", root).text("compatible", "shyper"), plic, device.irq_id)
        return node.u64("reg", device.base_ipa, device.length)
    return None


def interrupts(node: Node, plic: Node | None, *irqs: int) -> Node:
    """Says which interrupts of the VM's PLIC a device has; a VM without PLIC has none to tell of."""
    if plic is not None and irqs:
        node.u32("interrupts", *irqs).u32("interrupt-parent", plic.phandle)
    return node


def add_entries(definition: VmDefinition, board: Node | None, root: Node, soc: Node, plic: Node | None) -> None:
    """A node for each entry of the definition's list that tells of a device the tree does not have yet.

    A device that is passed through has the properties of the machine's own node; an unknown one is a serial port if the
    entry says so. Other types of entries mean devices that do not exist on RISC-V, and nothing is made of them.
    """
    for entry in definition.dtb_devices:
        if soc.child(entry.name) is not None or not entry.name or "/" in entry.name:
            continue
        original = _original(entry, definition, board)
        if original is None and entry.type != DTB_CONSOLE:
            continue
        node = soc.node(entry.name)
        if original is None:
            node.u32("clock-frequency", UART_CLOCK).data("compatible", _SERIAL)
        else:
            node.properties.update({key: value for key, value in original.properties.items() if key not in _PLACE})
        interrupts(node.u64("reg", entry.ipa_start, entry.length), plic, *(irq & 0xFFFF_FFFF for irq in entry.irqs))
        if _SERIAL in node.properties.get("compatible", b""):
            _offer_console(root, f"/soc/{entry.name}")


def window(node: Node) -> tuple[int, int]:
    """First address and length of a node's registers; (0, 0) when it has none."""
    reg = node.properties.get("reg", b"")
    return struct.unpack_from(">QQ", reg) if len(reg) >= 16 else (0, 0)


def passed(address: int, regions: list[PassthroughRegion]) -> PassthroughRegion | None:
    """The passthrough region that a physical address lies in."""
    return next((region for region in regions if region.pa <= address < region.pa + region.length), None)


def _original(entry: DtbDevice, definition: VmDefinition, board: Node | None) -> Node | None:
    """The machine's node of the device that the entry's region is passed through from."""
    soc = board.child("soc") if board is not None else None
    for region in definition.passthrough:
        if region.ipa <= entry.ipa_start < region.ipa + region.length:
            physical = entry.ipa_start - region.ipa + region.pa
            for node in soc.children if soc is not None else ():
                start, length = window(node)
                if start <= physical < start + length:
                    return node
    return None


def _offer_console(root: Node, path: str) -> None:
    """The first serial port is the tree's console."""
    chosen = root.child("chosen") or root.node("chosen")
    if "stdout-path" not in chosen.properties:
        chosen.text("stdout-path", path)
    aliases = root.child("aliases") or root.node("aliases")
    number = sum(name.startswith("serial") for name in aliases.properties)
    aliases.text(f"serial{number}", path)
