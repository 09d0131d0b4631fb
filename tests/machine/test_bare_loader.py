"""Programs of machine mode: what a file may ask for."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.bare_loader import load_program
from shyper_tui.engine.board.memory import RamMemory
from shyper_tui.engine.board.memory_map import RAM_BASE
from shyper_tui.images.kernel_file import open_kernel
from shyper_tui.ipc.messages import EngineError

SIZE = 4 << 20


def elf(address: int, data: bytes, memory_size: int) -> bytes:
    """A 64-bit RISC-V executable with one segment."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = head + struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, address, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 7, 120, address, address, len(data), memory_size, 4096)
    return header + segment + data


def test_a_segment_is_loaded_and_its_rest_cleared() -> None:
    memory = RamMemory(memoryview(bytearray(b"\xff" * SIZE)), RAM_BASE)
    loaded = load_program(memory, open_kernel(elf(RAM_BASE, b"code", 3 << 20)), RAM_BASE, "program")
    assert loaded.entry == RAM_BASE
    assert memory.read(RAM_BASE, 8) == b"code\0\0\0\0"
    assert memory.read(RAM_BASE + (3 << 20) - 1, 2) == b"\0\xff"


def test_a_segment_larger_than_memory_is_refused_before_anything_is_written() -> None:
    memory = RamMemory(memoryview(bytearray(SIZE)), RAM_BASE)
    with pytest.raises(EngineError, match="does not fit into the machine's memory"):
        load_program(memory, open_kernel(elf(RAM_BASE, b"code", 1 << 60)), RAM_BASE, "program")
    assert memory.read(RAM_BASE, 4) == bytes(4)


def test_an_elf_file_that_ends_within_a_segment_is_refused() -> None:
    memory = RamMemory(memoryview(bytearray(b"\xff" * SIZE)), RAM_BASE)
    with pytest.raises(EngineError, match="cut cannot be run: it ends within a segment of its ELF program"):
        load_program(memory, open_kernel(elf(RAM_BASE, b"code" * 64, 4096)[:-1]), RAM_BASE, "cut")
    assert memory.read(RAM_BASE, 4) == b"\xff" * 4
