"""Flattened device trees: format, and the tree of the board."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import fdt
import pytest

from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.board.virt_tree import virt_tree

ISA = "rv64imafdch_zicsr_zifencei_sstc"


def board_tree(harts: int = 4) -> Node:
    return virt_tree(
        harts=harts,
        ram_size=8 << 30,
        isa=ISA,
        isa_extensions=("i", "m", "a"),
        cpu_properties={"riscv,cbom-block-size": 64},
        bootargs="console=ttyS0",
        initrd=(0x9000_0000, 0x9010_0000),
        rng_seed=bytes(range(32)),
    )


def test_the_header_and_the_reservations_are_where_the_format_wants_them() -> None:
    blob = Node().text("model", "x").to_bytes(reservations=[(0x8000_0000, 0x20_0000)], boot_cpu=2)
    magic, total, structs, strings, reserve, version, compatible, boot, string_size, struct_size = struct.unpack_from(
        ">10I", blob
    )
    assert (magic, total, version, compatible, boot) == (0xD00D_FEED, len(blob), 17, 16, 2)
    assert struct.unpack_from(">4Q", blob, reserve) == (0x8000_0000, 0x20_0000, 0, 0)
    assert blob[strings : strings + string_size] == b"model\0"
    assert (reserve % 8, structs % 4, structs + struct_size) == (0, 0, strings)


def test_properties_read_back_as_they_were_given() -> None:
    root = Node()
    with root.node("a@1") as node:
        node.u32("cells", 1, 2).u64("big", 1 << 40).text("names", "one", "two").flag("yes").data("raw", b"\1\2\3")
        node.u32("cells", 3, 4)
    tree = fdt.parse_dtb(root.to_bytes())
    parsed = tree.get_node("/a@1")
    assert list(parsed.get_property("cells")) == [3, 4]
    assert list(parsed.get_property("big")) == [0x100, 0]
    assert list(parsed.get_property("names")) == ["one", "two"]
    assert parsed.exist_property("yes")
    assert bytes(parsed.get_property("raw")) == b"\1\2\3"


def test_phandles_are_given_out_once_and_never_twice() -> None:
    root = Node()
    first, second, third = (root.node(name) for name in "abc")
    first.u32("phandle", 2)
    assert (second.phandle, second.phandle, third.phandle, first.phandle) == (1, 1, 3, 2)
    third.u32("phandle", 1)
    with pytest.raises(ValueError, match="same phandle"):
        root.to_bytes()
    with pytest.raises(ValueError, match="has a node a already"):
        root.node("a")


def test_the_board_tree_is_wired_as_software_expects() -> None:
    tree = fdt.parse_dtb(board_tree().to_bytes())
    assert tree.get_property("bootargs", "/chosen").value == "console=ttyS0"
    assert list(tree.get_property("linux,initrd-end", "/chosen")) == [0, 0x9010_0000]
    assert tree.get_property("stdout-path", "/chosen").value == "/soc/serial@10000000"
    assert list(tree.get_property("reg", "/memory@80000000")) == [0, 0x8000_0000, 2, 0]
    plic = tree.get_node("/soc/plic@c000000")
    assert plic.get_property("phandle").value == 9  # what Rust-Shyper's patched tree relies on with four harts
    assert plic.get_property("riscv,ndev").value == 95
    intc = [tree.get_property("phandle", f"/cpus/cpu@{hart}/interrupt-controller").value for hart in range(4)]
    assert list(plic.get_property("interrupts-extended")) == [c for i in intc for c in (i, 11, i, 9)]
    clint = tree.get_node("/soc/clint@2000000")
    assert list(clint.get_property("interrupts-extended")) == [c for i in intc for c in (i, 3, i, 7)]
    assert tree.get_property("riscv,isa", "/cpus/cpu@3").value == ISA
    test = tree.get_property("phandle", "/soc/test@100000").value
    assert [tree.get_property("regmap", path).value for path in ("/poweroff", "/reboot")] == [test, test]
    slots = [tree.get_property("interrupts", f"/soc/virtio_mmio@1000{slot}000").value for slot in range(1, 9)]
    assert slots == list(range(1, 9))


@pytest.mark.parametrize("harts", [1, 4, 17])
def test_dtc_finds_nothing_to_complain_about(harts: int, tmp_path: Path) -> None:
    dtc = shutil.which("dtc")
    if dtc is None:
        pytest.skip("dtc (package device-tree-compiler) is not installed")
    blob = tmp_path / "virt.dtb"
    blob.write_bytes(board_tree(harts).to_bytes())
    run = subprocess.run([dtc, "-I", "dtb", "-O", "dts", "-o", "/dev/null", blob], capture_output=True, text=True)
    assert run.returncode == 0
    assert [line for line in run.stderr.splitlines() if "Warning" in line or "ERROR" in line] == []
