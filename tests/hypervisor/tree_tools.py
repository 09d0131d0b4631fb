"""Definitions, overlays and dtc for the tests of device trees."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.board.dtb_reader import read_tree
from shyper_tui.engine.board.virt_tree import virt_tree
from shyper_tui.engine.hypervisor.definition import CpuSpec, DeviceType, EmulatedDevice, MemoryRegion, VmDefinition
from shyper_tui.engine.hypervisor.guest_tree import ISA_EXTENSIONS, Cpu, gvm_tree

SEED = bytes(range(32))
MAC = (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD1)
needs_dtc = pytest.mark.skipif(
    shutil.which("dtc") is None or shutil.which("fdtoverlay") is None, reason="dtc (device-tree-compiler) is missing"
)


def board() -> Node:
    """The machine's tree."""
    extensions = (*ISA_EXTENSIONS[:6], "h", *ISA_EXTENSIONS[6:])
    return virt_tree(harts=4, ram_size=8 << 30, isa=Cpu(extensions).isa, isa_extensions=extensions, rng_seed=SEED)


def guest(cpus: int = 3, regions: int = 1, overlay: bytes = b"") -> VmDefinition:
    """A guest with every kind of device."""
    return VmDefinition(
        id=1,
        name="guest-os-1",
        cmdline="console=hvc0",
        kernel_load_ipa=0x8020_0000,
        device_tree_load_ipa=0xA000_0000,
        ramdisk_load_ipa=0x9000_0000,
        memory=[MemoryRegion(0x8000_0000 + (n << 32), 0x4000_0000) for n in range(regions)],
        cpu=CpuSpec(cpus, (1 << cpus) - 1 << 1, 1),
        devices=[
            EmulatedDevice("plic@c000000", 0xC00_0000, 0x60_0000, 1, (), DeviceType.PLIC),
            EmulatedDevice("virtio_blk@10001000", 0x1000_1000, 0x1000, 19, (0, 8192), DeviceType.VIRTIO_BLK, True),
            EmulatedDevice("virtio_net@50000000", 0x5000_0000, 0x1000, 20, MAC, DeviceType.VIRTIO_NET),
            EmulatedDevice("virtio_console@40001000", 0x4000_1000, 0x1000, 21, (0,), DeviceType.VIRTIO_CONSOLE),
            EmulatedDevice("shyper", 0, 0, 22, (), DeviceType.SHYPER),
        ],
        overlay=overlay,
    )


def tree_of(definition: VmDefinition, machine: Node | None = None) -> Node:
    """The guest's tree, as its guest reads it."""
    return read_tree(gvm_tree(definition, Cpu(), 0, SEED, machine))


def node_at(root: Node, path: str) -> Node:
    """The node of a path."""
    node = dict(root.paths()).get(path)
    assert node is not None, f"no node {path}"
    return node


def cells(node: Node, name: str) -> list[int]:
    """A property's cells."""
    value = node.properties[name]
    return [int.from_bytes(value[at : at + 4], "big") for at in range(0, len(value), 4)]


def text(node: Node, name: str) -> str:
    """A property's first string."""
    return node.properties[name].split(b"\0")[0].decode()


def compile_overlay(source: str) -> bytes:
    """`dtc -@` of a source with `/plugin/`."""
    command = ["dtc", "-@", "-I", "dts", "-O", "dtb", "-q"]
    result = subprocess.run(command, input=f"/dts-v1/;\n/plugin/;\n{source}".encode(), capture_output=True, check=True)
    return result.stdout


def complaints(tree: bytes) -> list[str]:
    """What dtc says about a tree; what a configuration's names and the contract ask for does not count."""
    result = subprocess.run(["dtc", "-I", "dtb", "-O", "dts"], input=tree, capture_output=True, check=True)
    return [line for line in result.stderr.decode().splitlines() if "/soc/vm_service" not in line]
