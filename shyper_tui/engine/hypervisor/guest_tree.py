"""Device trees of the VMs (Devicetree Specification): the MVM's from the board's tree, a GVM's from its definition."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import fdt

from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.hypervisor.definition import DeviceType, VmDefinition, VmError
from shyper_tui.engine.hypervisor.layout import GVM_SOURCES, TICKS_PER_SECOND, VPLIC_LENGTH

VIRTIO_TYPES = {
    DeviceType.VIRTIO_BLK,
    DeviceType.VIRTIO_BLK_MEDIATED,
    DeviceType.VIRTIO_NET,
    DeviceType.VIRTIO_CONSOLE,
}
ISA_EXTENSIONS = ("i", "m", "a", "f", "d", "c", "zicntr", "zicsr", "zifencei", "sstc", "svadu")
"""What a vCPU has: the core's extensions without H, and Sstc and Svadu as henvcfg gives them."""
REMOVED = ("poweroff", "reboot", "platform-bus@4000000", "pmu", "fw-cfg@10100000", "flash@20000000", "reserved-memory")
REMOVED_FROM_SOC = ("clint@2000000", "pci@30000000")


@dataclass(frozen=True, slots=True)
class Cpu:
    """What a tree says about each hart."""

    isa_extensions: tuple[str, ...] = ISA_EXTENSIONS
    mmu_type: str = "riscv,sv57"

    @property
    def isa(self) -> str:
        """The string of `riscv,isa`: single letters first, the others after underscores."""
        single = "".join(name for name in self.isa_extensions if len(name) == 1)
        return "_".join([f"rv64{single}", *(name for name in self.isa_extensions if len(name) > 1)])


def gvm_tree(definition: VmDefinition, cpu: Cpu, ramdisk_size: int, rng_seed: bytes) -> bytes:
    """The tree of a guest VM as bytes.

    Node names of devices are those of the configuration; devices in its order. `ramdisk_size` 0: no initrd properties.
    """
    count = len(definition.cpu.cores())
    plic = 2 * count + 1
    root = Node().u32("#address-cells", 2).u32("#size-cells", 2)
    root.text("compatible", "riscv-virtio").text("model", "riscv-virtio,qemu")
    first = definition.memory[0].ipa_start
    root.node(f"memory@{first:x}").text("device_type", "memory").u64("reg", *_regions(definition))
    chosen = root.node("chosen").text("bootargs", definition.cmdline)
    if definition.ramdisk_load_ipa and ramdisk_size:
        chosen.u64("linux,initrd-start", definition.ramdisk_load_ipa)
        chosen.u64("linux,initrd-end", definition.ramdisk_load_ipa + ramdisk_size)
    if rng_seed:
        chosen.data("rng-seed", rng_seed)
    cpus = root.node("cpus").u32("#address-cells", 1).u32("#size-cells", 0)
    cpus.u32("timebase-frequency", TICKS_PER_SECOND)
    for index in range(count):
        node = cpus.node(f"cpu@{index:x}").u32("phandle", 2 * count - 1 - 2 * index).text("device_type", "cpu")
        node.u32("reg", index).text("status", "okay").text("compatible", "riscv")
        _describe_isa(node, cpu)
        controller = node.node("interrupt-controller").u32("#address-cells", 0).u32("#interrupt-cells", 1)
        controller.flag("interrupt-controller").text("compatible", "riscv,cpu-intc").u32("phandle", 2 * count - 2 *
        index)
    soc = root.node("soc").u32("#address-cells", 2).u32("#size-cells", 2)
    soc.text("compatible", "simple-bus").flag("ranges")
    for device in definition.devices:
        if device.type == DeviceType.PLIC:
            node = soc.node(device.name).u32("phandle", plic).u32("riscv,ndev", GVM_SOURCES)
            node.u64("reg", device.base_ipa, VPLIC_LENGTH).u32("interrupts-extended", *_contexts(count))
            node.flag("interrupt-controller").text("compatible", "sifive,plic-1.0.0")
            node.u32("#address-cells", 0).u32("#interrupt-cells", 1)
        elif device.type in VIRTIO_TYPES:
            node = soc.node(device.name).u32("interrupts", device.irq_id).u32("interrupt-parent", plic)
            node.u64("reg", device.base_ipa, 0x1000).text("compatible", "virtio,mmio")
        elif device.type == DeviceType.SHYPER:
            node = soc.node("vm_service").text("compatible", "shyper").u32("interrupts", device.irq_id)
            node.u32("interrupt-parent", plic).u64("reg", device.base_ipa, device.length)
    return merge_overlay(root.to_bytes(), definition.overlay)


def mvm_tree(board: Node, definition: VmDefinition, cpu: Cpu, ramdisk_size: int, rng_seed: bytes) -> bytes:
    """The tree of the managing VM: the board's, less what the VM does not have, plus its emulated devices.

    New nodes come before the board's, the last of them first: Linux then numbers eth0 and hvc0 as Rust-Shyper's MVM
    does.
    """
    root = copy.deepcopy(board)
    count = len(definition.cpu.cores())
    kept = {f"cpu@{index:x}" for index in range(count)}
    root.children = [
        node for node in root.children if node.name not in REMOVED and not node.name.startswith("memory@")
    ]
    cpus, soc, chosen = _child(root, "cpus"), _child(root, "soc"), _child(root, "chosen")
    cpus.children = [node for node in cpus.children if node.name in kept]
    soc.children = [node for node in soc.children if node.name not in REMOVED_FROM_SOC]
    for node in cpus.children:
        for name in ("riscv,isa-base", "riscv,isa-extensions", "riscv,cbom-block-size", "riscv,cboz-block-size"):
            node.properties.pop(name, None)
        _describe_isa(node, cpu)
    plic = next((node for node in soc.children if node.name.startswith("plic@")), None)
    if plic is None:
        raise VmError("the board's device tree has no interrupt controller")
    cells = []
    for node in cpus.children:
        handle = _child(node, "interrupt-controller").phandle
        cells += [handle, 0xFFFF_FFFF, handle, 9]  # the VM has no M-mode contexts
    plic.u32("interrupts-extended", *cells)

    memory = Node(f"memory@{definition.memory[0].ipa_start:x}", root)
    memory.text("device_type", "memory").u64("reg", *_regions(definition))
    root.children.insert(0, memory)
    chosen.text("bootargs", definition.cmdline)
    for name in ("linux,initrd-start", "linux,initrd-end", "rng-seed"):
        chosen.properties.pop(name, None)
    if definition.ramdisk_load_ipa and ramdisk_size:
        chosen.u64("linux,initrd-start", definition.ramdisk_load_ipa)
        chosen.u64("linux,initrd-end", definition.ramdisk_load_ipa + ramdisk_size)
    if rng_seed:
        chosen.data("rng-seed", rng_seed)
    for device in definition.devices:
        if device.type in VIRTIO_TYPES:
            node = Node(device.name, root).u32("interrupts", device.irq_id).u32("interrupt-parent", plic.phandle)
            node.u64("reg", device.base_ipa, device.length).text("compatible", "virtio,mmio")
        elif device.type == DeviceType.SHYPER:
            node = Node("vm_service", root).text("compatible", "shyper").u32("interrupts", device.irq_id)
            node.u32("interrupt-parent", plic.phandle).u64("reg", device.base_ipa, device.length)
        else:
            continue
        soc.children.insert(0, node)
    return merge_overlay(root.to_bytes(), definition.overlay)


def merge_overlay(tree: bytes, overlay: bytes) -> bytes:
    """`tree` with a device tree overlay applied: every fragment's `__overlay__` merged into the node it targets."""
    if not overlay:
        return tree
    try:
        base, extra = fdt.parse_dtb(tree), fdt.parse_dtb(overlay)
        for fragment in extra.root.nodes:
            content = fragment.get_subnode("__overlay__")
            if content is None:
                continue
            target = _overlay_target(base, fragment)
            content.set_name(target.name)
            target.merge(content)
        return bytes(base.to_dtb(version=17))
    except VmError:
        raise
    except Exception as error:  # the parser raises bare Exceptions and whatever bad offsets lead to
        raise VmError(f"the device tree overlay cannot be applied: {error}") from None


def _overlay_target(base: fdt.FDT, fragment: fdt.Node) -> fdt.Node:
    path, handle = fragment.get_property("target-path"), fragment.get_property("target")
    if path is not None:
        name = path.value.strip("/")
        return base.get_node(f"/{name}") if name else base.root
    if handle is not None:
        for node in _below(base.root):
            found = node.get_property("phandle")
            if found is not None and found.value == handle.value:
                return node
    raise VmError(f"the device tree overlay's {fragment.name} has no target in this tree; use target-path")


def _below(node: fdt.Node) -> Iterator[fdt.Node]:
    yield node
    for child in node.nodes:
        yield from _below(child)


def _describe_isa(node: Node, cpu: Cpu) -> None:
    node.text("riscv,isa", cpu.isa).text("riscv,isa-base", "rv64i").text("riscv,isa-extensions", *cpu.isa_extensions)
    node.text("mmu-type", cpu.mmu_type)


def _regions(definition: VmDefinition) -> list[int]:
    return [value for region in definition.memory for value in (region.ipa_start, region.length)]


def _contexts(count: int) -> list[int]:
    """<intc 11> <intc 9> of every vCPU."""
    return [cell for index in range(count) for cell in (2 * count - 2 * index, 11, 2 * count - 2 * index, 9)]


def _child(node: Node, name: str) -> Node:
    child = node.child(name)
    if child is None:
        raise VmError(f"the board's device tree has no node {name}")
    return child
