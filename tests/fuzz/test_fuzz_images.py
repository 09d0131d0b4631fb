"""Random bytes as kernel, ELF file, ramdisk and device tree overlay of a VM."""

from __future__ import annotations

import struct
from importlib import resources

import fdt
import pytest
from hypothesis import strategies as st

from shyper_tui import images
from shyper_tui.engine.hypervisor.definition import VmError
from shyper_tui.engine.hypervisor.images import plan_kernel
from shyper_tui.engine.symbols import Symbols
from shyper_tui.images.kernel_header import measure
from tests.config.files import elf, linux_image
from tests.fuzz.cases import fuzz, numbers
from tests.fuzz.puppet import JUMP_TO_SELF, Puppets
from tests.hypervisor.station import GUEST_BASE, RAM_BASE, guest

OVERLAY_SOURCE = """/dts-v1/;
/ { fragment@0 { target-path = "/soc"; __overlay__ { #address-cells = <2>; #size-cells = <2>;
      extra@60000000 { compatible = "test,extra"; reg = <0 0x60000000 0 0x1000>; interrupts = <30>; phandle = <77>; };
    }; };
  fragment@1 { target = <0xffffffff>; __overlay__ { status = "okay"; }; };
  __fixups__ { plic = "/fragment@1:target:0"; }; };
"""
PLAIN_SOURCE = """/dts-v1/;
/ { chosen { bootargs = "quiet"; }; cpus { cpu@0 { test,mark; }; }; extra { value = <1 2 3>; text = "x"; }; };
"""
OVERLAYS = [bytes(fdt.parse_dts(text).to_dtb(version=17)) for text in (OVERLAY_SOURCE, PLAIN_SOURCE)]
ELF = elf()
KERNELS = [ELF, linux_image(), images.embedded("guest"), JUMP_TO_SELF]
HEADER = 192
"""Bytes at the beginning of a file that decide how it is read."""


@st.composite
def spoiled(draw: st.DrawFn, originals: list[bytes], header: int) -> bytes:
    """A file of the right kind with bytes of its first `header` replaced, cut off or added."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, min(header, len(data))))
        value = draw(st.one_of(st.binary(max_size=8), numbers(RAM_BASE, GUEST_BASE).map(struct.Struct("<Q").pack),
                               st.integers(0, 64).map(struct.Struct(">I").pack)))  # fmt: skip
        data[at : at + len(value)] = value
    if draw(st.integers(0, 3)) == 0:
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@pytest.fixture(scope="module")
def puppets() -> Puppets:
    return Puppets()


kernels = st.one_of(spoiled(KERNELS, HEADER), st.binary(max_size=200), st.binary(max_size=200).map(b"\x7fELF".__add__))
overlays = st.one_of(spoiled(OVERLAYS, 600), spoiled(OVERLAYS, 600), st.binary(max_size=120))


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


@fuzz("device tree overlays", share=0.05, quick=50, overlay=overlays)
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
        (ELF[:121], "cut short"),
        (ELF[:56] + struct.pack("<H", 65) + ELF[58:], "65 segments"),
        (ELF[:104] + struct.pack("<Q", 8) + ELF[112:], "larger in the file than in memory"),
    ],
)
def test_what_a_fuzzer_found_in_elf_files(kernel: bytes, sentence: str) -> None:
    with pytest.raises(VmError, match=sentence):
        plan_kernel(kernel, GUEST_BASE, 0)
