"""Reading guest code by virtual addresses, and names for it."""

from __future__ import annotations

import pytest

from shyper_tui import images
from shyper_tui.engine.guest_view import UnmappedError, read_code, translate
from shyper_tui.engine.snapshots import disassembly
from shyper_tui.engine.symbols import Symbols

V, RX, RW = 0b0001, 0b1010, 0b0110
SV39 = 8 << 60


class Pages:
    """Sparse memory: reading outside of its pages fails."""

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}

    def put(self, address: int, data: bytes) -> None:
        for index, byte in enumerate(data, address):
            self.pages.setdefault(index >> 12, bytearray(4096))[index & 0xFFF] = byte

    def entry(self, table: int, index: int, value: int) -> None:
        self.put(table + 8 * index, value.to_bytes(8, "little"))

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.pages[index >> 12][index & 0xFFF] for index in range(address, address + size))


@pytest.fixture
def memory() -> Pages:
    """Sv39 tables at 0x1000: the page 0x40201000 at 0x8000, its neighbour not mapped, a 1 GiB leaf from -2^38."""
    memory = Pages()
    memory.entry(0x1000, 1, 0x2000 >> 2 | V)
    memory.entry(0x2000, 1, 0x3000 >> 2 | V)
    memory.entry(0x3000, 1, 0x8000 >> 2 | V | RX)
    memory.entry(0x1000, 256, (1 << 30) >> 2 | V | RW)
    return memory


def test_translation_through_three_levels(memory: Pages) -> None:
    assert translate(memory, SV39 | 1, 0x4020_1234) == 0x8234


def test_a_superpage_keeps_the_low_bits(memory: Pages) -> None:
    assert translate(memory, SV39 | 1, -(1 << 38) % (1 << 64) | 0x123_4567) == (1 << 30) | 0x123_4567


def test_bare_translation_is_the_identity(memory: Pages) -> None:
    assert translate(memory, 0, 0x1234) == 0x1234


@pytest.mark.parametrize("address", [0x4020_2000, 0x8000_0000, 1 << 38, 1 << 63])
def test_what_is_not_mapped(memory: Pages, address: int) -> None:
    with pytest.raises(UnmappedError):
        translate(memory, SV39 | 1, address)


def test_code_ends_where_the_mapping_ends(memory: Pages) -> None:
    memory.put(0x8FFA, bytes.fromhex("01458280 1300"))  # li a0, 0; ret; the first half of something
    assert len(read_code(memory, SV39 | 1, 0x4020_1FFA, 64)) == 6
    lines = disassembly(memory, SV39 | 1, 0x4020_1FFA)
    assert [(line.address, line.raw, line.text) for line in lines] == [
        (0x4020_1FFA, 0x4501, "addi a0, zero, 0"),
        (0x4020_1FFC, 0x8082, "jalr zero, 0(ra)"),
    ]


def test_names_of_the_embedded_supervisor_also_when_it_is_moved() -> None:
    kernel = images.embedded("supervisor")
    symbols = Symbols(kernel)
    start = next(address for address, _, name in symbols._entries if name == "_start")
    assert symbols
    assert symbols.name(start) == "_start"
    assert symbols.name(start + 2) == "_start+0x2"
    assert symbols.name(start - 1) == ""
    assert Symbols(kernel, start + 0x1000_0000).name(start + 0x1000_0002) == "_start+0x2"


@pytest.mark.parametrize("kernel", [b"", b"MZ raw image", b"\x7fELF", b"\x7fELF" + b"\xff" * 200])
def test_a_kernel_without_symbols_has_no_names(kernel: bytes) -> None:
    assert not Symbols(kernel)
    assert Symbols(kernel).name(0x8020_0000) == ""
