"""The device tree of a guest VM, made from its definition."""

from __future__ import annotations

from shyper_tui.engine.board.device import TICKS_PER_SECOND
from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, VmDefinition, VmError
from shyper_tui.engine.hypervisor.guest_tree.cpu import Cpu
from shyper_tui.engine.hypervisor.guest_tree.devices import add_entries, emulated
from shyper_tui.engine.hypervisor.guest_tree.overlay import finish
from shyper_tui.engine.hypervisor.layout import GVM_SOURCES, VPLIC_LENGTH, VPLIC_SOURCES


def gvm_tree(
    definition: VmDefinition, cpu: Cpu, ramdisk_size: int, rng_seed: bytes, board: Node | None = None
) -> bytes:
    """The tree of a guest VM as bytes, its overlay merged. Raises VmError.

    Node names of devices are those of the configuration; devices in its order. `ramdisk_size` 0: no initrd properties.
    `board` is the machine's tree, which passthrough devices are described from. For n vCPUs, the phandle of vCPU i is
    2n-1-2i, of its interrupt controller 2n-2i, of the PLIC 2n+1.
    """
    root = Node().u32("#address-cells", 2).u32("#size-cells", 2)
    root.text("compatible", "riscv-virtio").text("model", "riscv-virtio,qemu")
    add_memory_and_chosen(root, definition, ramdisk_size, rng_seed)
    controllers = _add_cpus(root, len(definition.cpu.cores()), cpu)
    soc = root.node("soc").u32("#address-cells", 2).u32("#size-cells", 2)
    soc.text("compatible", "simple-bus").flag("ranges")
    plic: Node | None = None
    for device in definition.devices:
        if device.type == DeviceType.PLIC and plic is None:
            plic = Node(device.name, root).u32("phandle", 2 * len(controllers) + 1)
            _describe_plic(plic, device, definition, controllers)
    for device in definition.devices:
        node = plic if device.type == DeviceType.PLIC else emulated(device, root, plic)
        if node is None:
            continue
        if soc.child(node.name) is not None:
            raise VmError(f"two devices of VM {definition.name} have the name {node.name}")
        soc.children.append(node)
    add_entries(definition, board, root, soc, plic)
    return finish(root, definition)


def add_memory_and_chosen(root: Node, definition: VmDefinition, ramdisk_size: int, rng_seed: bytes) -> None:
    """The nodes `memory@…` and `chosen`."""
    first = definition.memory[0].ipa_start
    regions = [value for region in definition.memory for value in (region.ipa_start, region.length)]
    root.node(f"memory@{first:x}").text("device_type", "memory").u64("reg", *regions)
    chosen = root.child("chosen") or root.node("chosen")
    chosen.text("bootargs", definition.cmdline)
    if definition.ramdisk_load_ipa and ramdisk_size:
        chosen.u64("linux,initrd-start", definition.ramdisk_load_ipa)
        chosen.u64("linux,initrd-end", definition.ramdisk_load_ipa + ramdisk_size)
    if rng_seed:
        chosen.data("rng-seed", rng_seed)


def _add_cpus(root: Node, count: int, cpu: Cpu) -> list[Node]:
    """The node `cpus`; returns the interrupt controller of each vCPU."""
    cpus = root.node("cpus").u32("#address-cells", 1).u32("#size-cells", 0)
    cpus.u32("timebase-frequency", TICKS_PER_SECOND)
    controllers = []
    for index in range(count):
        node = cpus.node(f"cpu@{index:x}").u32("phandle", 2 * count - 1 - 2 * index).text("device_type", "cpu")
        node.u32("reg", index).text("status", "okay").text("compatible", "riscv")
        cpu.describe(node)
        controller = node.node("interrupt-controller").u32("#address-cells", 0).u32("#interrupt-cells", 1)
        controller.flag("interrupt-controller").text("compatible", "riscv,cpu-intc")
        controllers.append(controller.u32("phandle", 2 * count - 2 * index))
    return controllers


def _describe_plic(plic: Node, device: EmulatedDevice, definition: VmDefinition, controllers: list[Node]) -> None:
    """Contexts: <intc 11> <intc 9> of every vCPU. Sources: 63, or more when a device has a higher one."""
    sources = min(VPLIC_SOURCES, max([GVM_SOURCES, *definition.owned_irqs()]))
    plic.u32("riscv,ndev", sources).u64("reg", device.base_ipa, VPLIC_LENGTH)
    cells = [cell for controller in controllers for irq in (11, 9) for cell in (controller.phandle, irq)]
    plic.u32("interrupts-extended", *cells).flag("interrupt-controller").text("compatible", "sifive,plic-1.0.0")
    plic.u32("#address-cells", 0).u32("#interrupt-cells", 1)
