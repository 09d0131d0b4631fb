"""The device tree of the `virt` board, with the nodes and phandles that software written for QEMU's board expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shyper_tui.engine.board import finisher
from shyper_tui.engine.board import memory_map as m
from shyper_tui.engine.board.device import TICKS_PER_SECOND
from shyper_tui.engine.board.devicetree import Node


def virt_tree(
    *,
    harts: int,
    ram_size: int,
    isa: str,
    mmu_type: str = "riscv,sv57",
    isa_extensions: Sequence[str] = (),
    cpu_properties: Mapping[str, int] | None = None,
    bootargs: str = "",
    initrd: tuple[int, int] | None = None,
    rng_seed: bytes = b"",
) -> Node:
    """The whole tree; `to_bytes()` makes the DTB.

    `isa` is the text of `riscv,isa`; `isa_extensions` adds `riscv,isa-extensions` (newer kernels prefer it);
    `cpu_properties` are more u32 properties of each hart, such as `riscv,cbom-block-size`; `initrd` is (first address,
    address after the last). `rng_seed` should be given (32 bytes): without it Linux spends 155 million instructions to
    gather randomness. Phandles: hart i is 2n-1-2i, its interrupt controller 2n-2i, the PLIC 2n+1 for n harts.
    """
    root = Node().u32("#address-cells", 2).u32("#size-cells", 2)
    root.text("compatible", "riscv-virtio").text("model", "riscv-virtio,shyper-tui")
    uart = f"serial@{m.UART_BASE:x}"
    with root.node("aliases") as aliases:
        aliases.text("serial0", f"/soc/{uart}")
    with root.node("chosen") as chosen:
        chosen.text("stdout-path", f"/soc/{uart}").text("bootargs", bootargs)
        if initrd is not None:
            chosen.u64("linux,initrd-start", initrd[0]).u64("linux,initrd-end", initrd[1])
        if rng_seed:
            chosen.data("rng-seed", rng_seed)
    with root.node(f"memory@{m.RAM_BASE:x}") as memory:
        memory.text("device_type", "memory").u64("reg", m.RAM_BASE, ram_size)
    _add_cpus(root, harts, isa, mmu_type, isa_extensions, cpu_properties or {})
    _add_soc(root, harts, uart)
    return root


def _hart_phandle(harts: int, hart: int) -> int:
    return 2 * harts - 1 - 2 * hart


def _intc_phandle(harts: int, hart: int) -> int:
    return 2 * harts - 2 * hart


def _add_cpus(
    root: Node, harts: int, isa: str, mmu_type: str, extensions: Sequence[str], properties: Mapping[str, int]
) -> None:
    cpus = root.node("cpus").u32("#address-cells", 1).u32("#size-cells", 0)
    cpus.u32("timebase-frequency", TICKS_PER_SECOND)
    for hart in range(harts):
        with cpus.node(f"cpu@{hart:x}") as cpu:
            cpu.u32("phandle", _hart_phandle(harts, hart)).text("device_type", "cpu").u32("reg", hart)
            cpu.text("status", "okay").text("compatible", "riscv")
            cpu.text("riscv,isa", isa).text("mmu-type", mmu_type)
            if extensions:
                cpu.text("riscv,isa-base", isa[:5]).text("riscv,isa-extensions", *extensions)
            for name, value in properties.items():
                cpu.u32(name, value)
            with cpu.node("interrupt-controller") as intc:
                intc.u32("#address-cells", 0).u32("#interrupt-cells", 1).flag("interrupt-controller")
                intc.text("compatible", "riscv,cpu-intc")
                intc.u32("phandle", _intc_phandle(harts, hart))
    cluster = cpus.node("cpu-map").node("cluster0")
    for hart in range(harts):
        cluster.node(f"core{hart}").u32("cpu", _hart_phandle(harts, hart))


def _add_soc(root: Node, harts: int, uart: str) -> None:
    plic = 2 * harts + 1
    soc = root.node("soc").u32("#address-cells", 2).u32("#size-cells", 2)
    soc.text("compatible", "simple-bus").flag("ranges")

    with soc.node(f"rtc@{m.RTC_BASE:x}") as rtc:
        rtc.u32("interrupts", m.RTC_IRQ).u32("interrupt-parent", plic)
        rtc.u64("reg", m.RTC_BASE, m.RTC_LENGTH).text("compatible", "google,goldfish-rtc")
    with soc.node(uart) as serial:
        serial.u32("interrupts", m.UART_IRQ).u32("interrupt-parent", plic)
        serial.u32("clock-frequency", m.UART_CLOCK).u64("reg", m.UART_BASE, m.UART_LENGTH)
        serial.text("compatible", "ns16550a")
    with soc.node(f"test@{m.FINISHER_BASE:x}") as test:
        test.u32("phandle", plic + 1).u64("reg", m.FINISHER_BASE, m.FINISHER_LENGTH)
        test.text("compatible", "sifive,test1", "sifive,test0", "syscon")
    for slot in range(m.VIRTIO_SLOTS):
        base = m.VIRTIO_BASE + slot * m.VIRTIO_STRIDE
        with soc.node(f"virtio_mmio@{base:x}") as virtio:
            virtio.u32("interrupts", m.VIRTIO_IRQ + slot).u32("interrupt-parent", plic)
            virtio.u64("reg", base, m.VIRTIO_STRIDE).text("compatible", "virtio,mmio")
    with soc.node(f"plic@{m.PLIC_BASE:x}") as controller:
        controller.u32("phandle", plic).u32("riscv,ndev", m.PLIC_SOURCES).u64("reg", m.PLIC_BASE, m.PLIC_LENGTH)
        controller.u32("interrupts-extended", *_each_intc(harts, 11, 9)).flag("interrupt-controller")
        controller.text("compatible", "sifive,plic-1.0.0", "riscv,plic0")
        controller.u32("#address-cells", 0).u32("#interrupt-cells", 1)
    with soc.node(f"clint@{m.CLINT_BASE:x}") as clint:
        clint.u32("interrupts-extended", *_each_intc(harts, 3, 7)).u64("reg", m.CLINT_BASE, m.CLINT_LENGTH)
        clint.text("compatible", "sifive,clint0", "riscv,clint0")

    for name, value in (("poweroff", finisher.PASS), ("reboot", finisher.RESET)):
        with root.node(name) as power:
            power.text("compatible", f"syscon-{name}").u32("regmap", plic + 1).u32("offset", 0).u32("value", value)


def _each_intc(harts: int, *interrupts: int) -> list[int]:
    """Cells <intc of hart, interrupt> for every hart."""
    return [cell for hart in range(harts) for bit in interrupts for cell in (_intc_phandle(harts, hart), bit)]
