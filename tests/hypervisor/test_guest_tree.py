"""The VMs' device trees, read with the `fdt` library and, where it is installed, checked by dtc."""

from __future__ import annotations

import struct
from typing import Any

import fdt
import pytest

from shyper_tui import config
from shyper_tui.config import CpuConfig, VmConfig, VmImage, VmType
from shyper_tui.config.check_images import tree_bytes
from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.board.virt_tree import virt_tree
from shyper_tui.engine.definitions import definition as from_config
from shyper_tui.engine.hypervisor.definition import (
    CpuSpec,
    DeviceType,
    DtbDevice,
    EmulatedDevice,
    MemoryRegion,
    PassthroughRegion,
    VmDefinition,
    VmError,
)
from shyper_tui.engine.hypervisor.guest_tree import Cpu, gvm_tree, mvm_tree
from shyper_tui.engine.hypervisor.mvm import mvm_definition

from . import tree_tools
from .tree_tools import SEED, board, compile_overlay, complaints, needs_dtc


def guest() -> VmDefinition:
    return VmDefinition(
        id=1,
        name="guest-os-1",
        cmdline="earlycon=sbi console=hvc1 root=/dev/vda rw audit=0",
        kernel_load_ipa=0x8020_0000,
        device_tree_load_ipa=0xA000_0000,
        ramdisk_load_ipa=0x9000_0000,
        memory=[MemoryRegion(0x8000_0000, 0x4000_0000), MemoryRegion(0x1_0000_0000, 0x1000_0000)],
        cpu=CpuSpec(3, 0b1110, 1),
        devices=[
            EmulatedDevice("plic@c000000", 0xC00_0000, 0x60_0000, 1, (), DeviceType.PLIC),
            EmulatedDevice("virtio_blk@10001000", 0x1000_1000, 0x1000, 19, (0, 8192), DeviceType.VIRTIO_BLK, True),
            EmulatedDevice("virtio_net@50000000", 0x5000_0000, 0x1000, 20, (0,) * 6, DeviceType.VIRTIO_NET),
            EmulatedDevice("virtio_console@40001000", 0x4000_1000, 0x1000, 21, (0,), DeviceType.VIRTIO_CONSOLE),
        ],
    )


def parsed(tree: bytes) -> Any:
    return fdt.parse_dtb(tree)


def tree_of(definition: VmDefinition) -> Any:
    return parsed(gvm_tree(definition, Cpu(), 0, b""))


def cells(tree: Any, path: str, name: str) -> list[int]:
    return list(tree.get_node(path).get_property(name).data)


def mvm(machine: Node | None = None, ramdisk: int = 0) -> Any:
    definition = mvm_definition()
    definition.ramdisk_load_ipa = 0xA000_0000
    return parsed(mvm_tree(machine or board(), definition, Cpu(), ramdisk, SEED))


def test_the_guest_tree_has_the_contracts_nodes() -> None:
    tree = parsed(gvm_tree(guest(), Cpu(), 0x1234, SEED))
    assert cells(tree, "memory@80000000", "reg") == [0, 0x8000_0000, 0, 0x4000_0000, 1, 0, 0, 0x1000_0000]
    assert tree.get_node("chosen").get_property("bootargs").value == guest().cmdline
    assert cells(tree, "chosen", "linux,initrd-start") == [0, 0x9000_0000]
    assert cells(tree, "chosen", "linux,initrd-end") == [0, 0x9000_1234]
    assert [node.name for node in tree.get_node("soc").nodes] == [device.name for device in guest().devices]
    assert cells(tree, "cpus", "timebase-frequency") == [10_000_000]
    for index, (cpu, intc) in enumerate([(5, 6), (3, 4), (1, 2)]):
        assert cells(tree, f"cpus/cpu@{index}", "phandle") == [cpu]
        assert cells(tree, f"cpus/cpu@{index}/interrupt-controller", "phandle") == [intc]
    assert cells(tree, "soc/plic@c000000", "phandle") == [7]
    assert cells(tree, "soc/plic@c000000", "riscv,ndev") == [63]
    assert cells(tree, "soc/plic@c000000", "interrupts-extended") == [6, 11, 6, 9, 4, 11, 4, 9, 2, 11, 2, 9]
    assert cells(tree, "soc/virtio_net@50000000", "interrupts") == [20]
    assert cells(tree, "soc/virtio_net@50000000", "interrupt-parent") == [7]
    assert cells(tree, "soc/virtio_net@50000000", "reg") == [0, 0x5000_0000, 0, 0x1000]


def test_the_isa_names_only_what_a_vcpu_has() -> None:
    tree = parsed(gvm_tree(guest(), Cpu(("i", "m", "a", "zicsr"), "riscv,sv48"), 0, b""))
    cpu = tree.get_node("cpus/cpu@0")
    assert cpu.get_property("riscv,isa").value == "rv64ima_zicsr"
    assert list(cpu.get_property("riscv,isa-extensions").data) == ["i", "m", "a", "zicsr"]
    assert cpu.get_property("mmu-type").value == "riscv,sv48"
    assert "h" not in Cpu().isa_extensions


def test_without_a_ramdisk_there_are_no_initrd_properties() -> None:
    chosen = parsed(gvm_tree(guest(), Cpu(), 0, b"")).get_node("chosen")
    assert chosen.get_property("linux,initrd-start") is None
    assert chosen.get_property("rng-seed") is None


def test_both_trees_have_entropy_for_linux() -> None:
    seed = bytes(range(32))
    for tree in (gvm_tree(guest(), Cpu(), 0, seed), mvm_tree(board(), mvm_definition(), Cpu(), 0, seed)):
        assert struct.pack(">8I", *cells(parsed(tree), "chosen", "rng-seed")) == seed


def test_the_managing_vms_tree_is_the_boards_less_what_it_does_not_have() -> None:
    tree = mvm(ramdisk=0x100)
    assert [node.name for node in tree.root.nodes if node.name.startswith("memory@")] == ["memory@90000000"]
    assert cells(tree, "memory@90000000", "reg") == [0, 0x9000_0000, 1, 0]
    assert [node.name for node in tree.get_node("cpus").nodes] == ["cpu@0"]
    assert tree.get_node("cpus/cpu@0").get_property("riscv,isa").value == Cpu().isa
    names = [node.name for node in tree.get_node("soc").nodes]
    assert "clint@2000000" not in names
    assert {"serial@10000000", "rtc@101000", "test@100000", "plic@c000000", "virtio_mmio@10008000"} <= set(names)
    assert not {"poweroff", "reboot"} & {node.name for node in tree.root.nodes}
    assert tree.get_node("chosen").get_property("bootargs").value == mvm_definition().cmdline
    assert cells(tree, "chosen", "linux,initrd-end") == [0, 0xA000_0100]
    intc = cells(tree, "cpus/cpu@0/interrupt-controller", "phandle")[0]
    assert cells(tree, "soc/plic@c000000", "interrupts-extended") == [intc, 0xFFFF_FFFF, intc, 9]


def test_linux_meets_the_managing_vms_devices_in_the_contracts_order() -> None:
    names = [node.name for node in mvm().get_node("soc").nodes]
    expected = ["vm_service", "virtio_net@40003000", "virtio_console@40002000", "virtio_console@40001000"]
    assert names[:4] == expected
    assert mvm().get_node("soc/vm_service").get_property("compatible").value == "shyper"


def test_the_boards_tree_is_not_changed() -> None:
    machine = board()
    before = machine.to_bytes()
    mvm(machine)
    assert machine.to_bytes() == before


def test_a_guest_has_no_clint_as_nothing_answers_there() -> None:
    assert "clint@2000000" not in [node.name for node in tree_of(guest()).get_node("soc").nodes]


@pytest.mark.parametrize(("irq", "sources"), [(63, 63), (64, 64), (511, 511), (600, 511)])
def test_the_plic_has_sources_for_every_device(irq: int, sources: int) -> None:
    definition = guest()
    definition.devices.append(EmulatedDevice("late", 0x6000_0000, 0x1000, irq, (), DeviceType.VIRTIO_NET))
    assert cells(tree_of(definition), "soc/plic@c000000", "riscv,ndev") == [sources]


def test_a_vm_without_plic_tells_of_no_interrupts() -> None:
    definition = guest()
    del definition.devices[0]
    node = tree_of(definition).get_node("soc/virtio_net@50000000")
    assert not node.exist_property("interrupts")
    assert not node.exist_property("interrupt-parent")


def test_two_devices_of_one_name_are_a_sentence() -> None:
    definition = guest()
    definition.devices.append(definition.devices[1])
    with pytest.raises(VmError, match=r"two devices of VM guest-os-1 have the name virtio_blk@10001000"):
        tree_of(definition)


def test_the_managing_vm_has_the_machines_devices_that_are_passed_through() -> None:
    definition = mvm_definition()
    definition.passthrough = [
        PassthroughRegion(0x1000_0000, 0x1000_0000, 0x1000),
        PassthroughRegion(0x2000_7000, 0x1000_7000, 0x1000),
    ]
    tree = parsed(mvm_tree(board(), definition, Cpu(), 0, b""))
    names = [node.name for node in tree.get_node("soc").nodes]
    assert "serial@10000000" in names
    assert not any(name.startswith(("rtc@", "virtio_mmio@1000")) for name in names)
    assert cells(tree, "soc/virtio_mmio@20007000", "reg") == [0, 0x2000_7000, 0, 0x1000]
    assert cells(tree, "soc/virtio_mmio@20007000", "interrupts") == [7]


def test_a_managing_vm_without_serial_port_has_no_console_in_its_tree() -> None:
    definition = mvm_definition()
    definition.passthrough = []
    tree = parsed(mvm_tree(board(), definition, Cpu(), 0, b""))
    assert not tree.get_node("chosen").exist_property("stdout-path")
    assert not tree.get_node("aliases").exist_property("serial0")


def test_the_managing_vms_tree_does_not_depend_on_the_boards_phandles() -> None:
    for harts in (1, 2, 4, 8):
        machine = virt_tree(harts=harts, ram_size=8 << 30, isa="rv64imafdch")
        tree = parsed(mvm_tree(machine, mvm_definition(), Cpu(), 0, b""))
        plic = cells(tree, "soc/plic@c000000", "phandle")
        assert cells(tree, "soc/virtio_net@40003000", "interrupt-parent") == plic
        assert cells(tree, "soc/vm_service", "interrupt-parent") == plic
        assert cells(tree, "soc/serial@10000000", "interrupt-parent") == plic
        intc = cells(tree, "cpus/cpu@0/interrupt-controller", "phandle")[0]
        assert cells(tree, "soc/plic@c000000", "interrupts-extended") == [intc, 0xFFFF_FFFF, intc, 9]


def test_the_managing_vms_harts_name_only_what_a_vcpu_has() -> None:
    tree = parsed(mvm_tree(board(), mvm_definition(), Cpu(), 0, b""))
    cpu = tree.get_node("cpus/cpu@0")
    assert list(cpu.get_property("riscv,isa-extensions").data) == list(Cpu().isa_extensions)
    assert "h" not in cpu.get_property("riscv,isa-extensions").data
    assert not cpu.exist_property("riscv,cbom-block-size")


OVERLAY = "&{/} { probe { regs = <&plic>; }; };\n&{/chosen} { note; };\n&cpu0 { x; };"


@needs_dtc
@pytest.mark.oracle
@pytest.mark.parametrize("with_overlay", [False, True])
@pytest.mark.parametrize("regions", [1, 3])
@pytest.mark.parametrize("cpus", [1, 2, 3])
def test_dtc_reads_a_guests_tree_without_a_complaint(cpus: int, regions: int, with_overlay: bool) -> None:
    definition = tree_tools.guest(cpus, regions, compile_overlay(OVERLAY) if with_overlay else b"")
    definition.passthrough = [PassthroughRegion(0x10_1000, 0x10_1000, 0x1000)]
    definition.passthrough_irqs = [11]
    definition.dtb_devices = [
        DtbDevice("rtc@101000", 0, (11,), 0x10_1000, 0x1000),
        DtbDevice("serial@30000000", 0, (40,), 0x3000_0000, 0x100),
    ]
    assert complaints(gvm_tree(definition, Cpu(), 0x1000, SEED, board())) == []


@needs_dtc
@pytest.mark.oracle
@pytest.mark.parametrize("with_overlay", [False, True])
@pytest.mark.parametrize("cpus", [1, 2, 3])
def test_dtc_reads_the_managing_vms_tree_without_a_complaint(cpus: int, with_overlay: bool) -> None:
    definition = mvm_definition()
    definition.cpu = CpuSpec(cpus, (1 << cpus) - 1, 0)
    definition.memory.append(MemoryRegion(0x1_9000_0000, 0x1000_0000))
    definition.overlay = compile_overlay(OVERLAY) if with_overlay else b""
    assert complaints(mvm_tree(board(), definition, Cpu(), 0x1000, SEED)) == []


@pytest.mark.parametrize("with_overlay", [False, True])
@pytest.mark.parametrize(("cpus", "devices"), [(1, 0), (3, 4), (31, 15)])
def test_the_configuration_checks_know_how_large_a_tree_can_be(cpus: int, devices: int, with_overlay: bool) -> None:
    extra = Node()
    extra.node("fragment@0").text("target-path", "/").node("__overlay__").data("big", bytes(5000))
    overlay = extra.to_bytes() if with_overlay else b""
    wanted = VmConfig(
        name="large",
        type=VmType.LINUX,
        cmdline="x" * 1024,
        image=VmImage("", 0x8020_0000, 0, "", 0x8100_0000, "", 0x8200_0000),
        memory=tuple(config.MemoryRegion(n << 32, 0x4000_0000) for n in range(4)),
        cpu=CpuConfig(cpus, (1 << cpus) - 1 << 1, None),
        emulated_devices=tuple(
            config.EmulatedDevice(f"device-{n}".ljust(31, "x"), n << 12, 0x1000, n, config.EmuDeviceType.VIRTIO_NET)
            for n in range(1, devices + 1)
        ),
        dtb_devices=tuple(
            config.DtbDevice(f"entry-{n}".ljust(31, "x"), config.DtbDeviceType.CONSOLE, (n,), n << 12, 0x1000)
            for n in range(devices)
        ),
    )
    tree = gvm_tree(from_config(1, wanted, overlay), Cpu(), 0x1000, SEED, board())
    assert len(tree) <= tree_bytes(wanted, len(overlay)) < len(tree) + 0x6000
