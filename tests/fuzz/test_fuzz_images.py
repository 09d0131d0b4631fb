"""Random bytes as kernel, ELF file, ramdisk and device tree overlay of a VM."""

from __future__ import annotations

import struct
from importlib import resources

import pytest
from hypothesis import strategies as st

from shyper_tui import images
from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.hypervisor.definition import VmError
from shyper_tui.engine.hypervisor.images import plan_kernel
from shyper_tui.engine.symbols import Symbols
from shyper_tui.images.kernel_header import measure
from tests.config.files import elf, linux_image
from tests.fuzz.cases import fuzz, numbers
from tests.fuzz.puppet import JUMP_TO_SELF, Puppets
from tests.hypervisor.station import GUEST_BASE, RAM_BASE, guest


def overlay_with_labels(
    path: str = "/soc",
    fixup: str = "/fragment@1:target:0",
    symbol: str = "/fragment@0/__overlay__/extra@60000000",
    phandle: int = 1,
    place: int = 0,
    name: str = "extra@60000000",
) -> bytes:
    """Two fragments: one by path, one by a label of the tree it is for, with references both ways."""
    root = Node()
    one, two = root.node("fragment@0").text("target-path", path), root.node("fragment@1").u32("target", 0xFFFF_FFFF)
    extra = one.node("__overlay__").node(name).text("compatible", "test,extra").u32("phandle", phandle)
    extra.u32("reg", 0, 0x6000_0000, 0, 0x1000).u32("interrupt-parent", 0xFFFF_FFFF).u32("interrupts", 30)
    two.node("__overlay__").text("status", "okay").u32("partner", phandle)
    root.node("__symbols__").text("extra", symbol)
    fixups = root.node("__fixups__").text("cpu0", fixup)
    fixups.text("plic", "/fragment@0/__overlay__/extra@60000000:interrupt-parent:0")
    root.node("__local_fixups__").node("fragment@1").node("__overlay__").u32("partner", place)
    return root.to_bytes()


def plain_tree() -> bytes:
    """A tree to be merged as it is."""
    root = Node()
    root.node("chosen").text("bootargs", "quiet")
    root.node("extra").u32("value", 1, 2, 3).text("names", "x", "y")
    return root.to_bytes()


OVERLAYS = [overlay_with_labels(), plain_tree()]
ELF = elf()
KERNELS = [ELF, linux_image(), images.embedded("guest"), JUMP_TO_SELF]
HEADER = 192
"""Bytes at the beginning of a file that decide how it is read."""


replacements = st.one_of(
    st.binary(max_size=2),
    st.binary(max_size=8),
    numbers(RAM_BASE, GUEST_BASE).map(struct.Struct("<Q").pack),
    st.integers(0, 64).map(struct.Struct(">I").pack),
)


@st.composite
def spoiled(draw: st.DrawFn, originals: list[bytes], header: int) -> bytes:
    """A file of the right kind with bytes of its first `header` replaced, cut off or added."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, min(header, len(data))))
        value = draw(replacements)
        data[at : at + len(value)] = value
    if draw(st.integers(0, 9)) == 9:
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@pytest.fixture(scope="module")
def puppets() -> Puppets:
    return Puppets()


kernels = st.one_of(spoiled(KERNELS, HEADER), st.binary(max_size=200), st.binary(max_size=200).map(b"\x7fELF".__add__))
names = st.sampled_from(["/", "/soc", "/soc/", "/nope", "soc", "", "/cpus/cpu@0", "/chosen", "/" * 300, "/a" * 2000])
fixups = st.sampled_from(
    ["/fragment@1:target:0", "/fragment@1:target:4", "/fragment@1:target:-1", "/fragment@1:target:99999999999999999999",
     "/fragment@0:target-path:0", "/fragment@1:target", "::", ":::", "", "/fragment@1/__overlay__:status:1",
     "/nope:x:0"]
)  # fmt: skip
cells = st.one_of(st.integers(0, 5), st.integers(0, (1 << 32) - 1))
places = st.sampled_from([0, 0, 0, 0, 3, 4, (1 << 32) - 1])
new_names = st.sampled_from(["extra@60000000", "plic@c000000", "cpus", "__overlay__", "a" * 40, "memory@80000000"])
damaged = st.builds(overlay_with_labels, names, st.one_of(fixups, names), names, cells, places, new_names)
overlays = st.one_of(damaged, damaged, spoiled(OVERLAYS, 900), st.binary(max_size=120))


def try_vm(puppets: Puppets, kernel: bytes, ramdisk: bytes, overlay: bytes, entry: int = 0) -> None:
    station = puppets.begin()
    wanted = guest(2, 0b0100, overlay=overlay, kernel_entry_point=entry)
    wanted.ramdisk_load_ipa = RAM_BASE + (12 << 20)
    try:
        puppets.manager.add(wanted, kernel, ramdisk)
        puppets.manager.boot(2)
        station.run(3000)
    except VmError as error:
        puppets.sentence(error)
    puppets.settle()


@fuzz("kernel images", share=0.04, quick=50, kernel=kernels, ramdisk=st.binary(max_size=64), entry=numbers(GUEST_BASE))
def test_any_kernel_is_refused_or_hurts_its_own_vm_alone(
    puppets: Puppets, kernel: bytes, ramdisk: bytes, entry: int
) -> None:
    try_vm(puppets, kernel, ramdisk, b"", entry)


@fuzz("device tree overlays", share=0.04, quick=50, overlay=overlays)
def test_any_overlay_is_merged_or_refused(puppets: Puppets, overlay: bytes) -> None:
    try_vm(puppets, JUMP_TO_SELF, b"", overlay)


PROGRAM = (resources.files("shyper_tui") / "bench/programs/recursion.elf").read_bytes()
TABLES = len(PROGRAM) - 2200
"""Where its section headers, symbols and names are about to begin."""


@st.composite
def spoiled_tables(draw: st.DrawFn) -> bytes:
    """An ELF file with symbols, bytes of its headers or tables replaced."""
    data = bytearray(PROGRAM)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.one_of(st.integers(0, HEADER), st.integers(TABLES, len(data))))
        value = draw(st.one_of(st.binary(min_size=1, max_size=8), numbers().map(struct.Struct("<Q").pack)))
        data[at : at + len(value)] = value
    return bytes(data)


@fuzz("headers and symbol tables of kernels", share=0.03, quick=40,
      kernel=st.one_of(kernels, spoiled_tables(), spoiled_tables()), pc=numbers(RAM_BASE))  # fmt: skip
def test_any_header_and_symbol_table_is_read_or_left_alone(
    tmp_path_factory: pytest.TempPathFactory, kernel: bytes, pc: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "random-kernel"
    file.write_bytes(kernel)
    header = measure(file)
    assert header.image_size >= 0
    assert isinstance(Symbols(kernel, GUEST_BASE).name(pc), str)


@pytest.mark.parametrize(
    ("kernel", "sentence"),
    [
        (ELF[:121], "ends within a segment"),
        (ELF[:56] + struct.pack("<H", 65) + ELF[58:], "65 ELF program headers"),
        (ELF[:104] + struct.pack("<Q", 8) + ELF[112:], "larger in the file than in memory"),
    ],
)
def test_what_a_fuzzer_found_in_elf_files(kernel: bytes, sentence: str) -> None:
    with pytest.raises(VmError, match=sentence):
        plan_kernel(kernel, GUEST_BASE, 0)
