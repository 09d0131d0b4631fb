"""The VMs' device trees, read with the `fdt` library and, where it is installed, checked by dtc."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import fdt
import pytest

from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.board.virt_tree import virt_tree
from shyper_tui.engine.hypervisor.definition import (
    CpuSpec,
    DeviceType,
    EmulatedDevice,
    MemoryRegion,
    VmDefinition,
    VmError,
)
from shyper_tui.engine.hypervisor.guest_tree import Cpu, gvm_tree, mvm_tree
from shyper_tui.engine.hypervisor.mvm import mvm_definition

SEED = bytes(range(32))


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


def cells(tree: Any, path: str, name: str) -> list[int]:
    return list(tree.get_node(path).get_property(name).data)


def mvm(board: Node | None = None, ramdisk: int = 0) -> Any:
    definition = mvm_definition()
    definition.ramdisk_load_ipa = 0xA000_0000
    board = board or virt_tree(harts=4, ram_size=8 << 30, isa="rv64imafdch_zicntr_zicsr_zifencei_sstc", rng_seed=SEED)
    return parsed(mvm_tree(board, definition, Cpu(), ramdisk, SEED))


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
    board = virt_tree(harts=4, ram_size=8 << 30, isa="rv64imafdch")
    before = board.to_bytes()
    mvm(board)
    assert board.to_bytes() == before


def test_an_overlay_is_merged_into_its_target() -> None:
    overlay = fdt.parse_dts(
        '/dts-v1/;\n/ {\nfragment@0 {\ntarget-path = "/chosen";\n__overlay__ {\nnote = "here";\n};\n};\n'
        'fragment@1 {\ntarget-path = "/";\n__overlay__ {\nextra {\nanswer = <42>;\n};\n};\n};\n};\n'
    ).to_dtb(version=17)
    definition = guest()
    definition.overlay = overlay
    tree = parsed(gvm_tree(definition, Cpu(), 0, b""))
    assert tree.get_node("chosen").get_property("note").value == "here"
    assert cells(tree, "extra", "answer") == [42]
    assert tree.get_node("chosen").get_property("bootargs").value == definition.cmdline


def test_a_bad_overlay_is_a_clear_error() -> None:
    definition = guest()
    definition.overlay = b"no device tree"
    with pytest.raises(VmError, match="overlay cannot be applied"):
        gvm_tree(definition, Cpu(), 0, b"")


@pytest.mark.oracle
@pytest.mark.skipif(shutil.which("dtc") is None, reason="dtc is not installed")
@pytest.mark.parametrize("which", ["guest", "managing"])
def test_dtc_reads_the_trees_without_a_complaint(which: str) -> None:
    board = virt_tree(harts=4, ram_size=8 << 30, isa="rv64imafdch", rng_seed=SEED)
    if which == "guest":
        tree = gvm_tree(guest(), Cpu(), 0x1000, SEED)
    else:
        tree = mvm_tree(board, mvm_definition(), Cpu(), 0x1000, SEED)
    result = subprocess.run(["dtc", "-I", "dtb", "-O", "dts"], input=tree, capture_output=True, check=True)
    complaints = [
        line
        for line in result.stderr.decode().splitlines()
        if "unit name should not" not in line  # vm_service has a reg of zeros by contract, the names are the user's
        and "simple_bus_reg" not in line
        and "unit_address_vs_reg" not in line
    ]
    assert complaints == []
