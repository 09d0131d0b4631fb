"""Stage-2 tables, read back by a walker that follows the specification and shares no code with the builder."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.engine.board.memory import RamMemory
from shyper_tui.engine.hypervisor.pool import PageAllocator
from shyper_tui.engine.hypervisor.stage2 import MappingError, Stage2

RAM_BASE = 0x8000_0000
GIB, MIB = 1 << 30, 1 << 20


def make(vmid: int = 3) -> tuple[Stage2, RamMemory, PageAllocator]:
    memory = RamMemory(memoryview(bytearray(4 * MIB)), RAM_BASE)
    pages = PageAllocator(RAM_BASE, RAM_BASE + 4 * MIB)
    return Stage2(memory, pages, vmid), memory, pages


def walk(memory: RamMemory, hgatp: int, gpa: int) -> tuple[int, int] | None:
    """(machine-physical address, bits of the leaf) by Privileged ISA, "Guest Physical Address Translation"; or None."""
    assert hgatp >> 60 == 8
    if gpa >= 1 << 41:
        return None
    table = (hgatp & 0xFFF_FFFF_FFFF) << 12
    assert table % 0x4000 == 0
    for shift, mask in ((30, 0x7FF), (21, 0x1FF), (12, 0x1FF)):
        (pte,) = struct.unpack("<Q", memory.read(table + (gpa >> shift & mask) * 8, 8))
        if not pte & 1:
            return None
        assert pte >> 54 == 0, "reserved bits and PBMT are zero"
        page = (pte >> 10) << 12
        if pte & 0b1010:
            assert page % (1 << shift) == 0, "a superpage is aligned"
            assert pte & 0xFF == 0xDF, "V R W X U A D, not G"
            return page | gpa & (1 << shift) - 1, shift
        assert pte & 0xFE == 0, "a pointer to the next table has no other bits"
        table = page
    raise AssertionError("the last level holds no leaf")


def test_the_identity_map_of_the_managing_vm_uses_the_largest_leaves() -> None:
    stage2, memory, pages = make(vmid=0)
    stage2.map(0x9000_0000, 0x9000_0000, 4 * GIB, "RAM")
    assert walk(memory, stage2.hgatp, 0x9000_1234) == (0x9000_1234, 21)
    assert walk(memory, stage2.hgatp, 0xC000_0000) == (0xC000_0000, 30)
    assert walk(memory, stage2.hgatp, 0x1_8FFF_FFFF) == (0x1_8FFF_FFFF, 21)
    assert walk(memory, stage2.hgatp, 0x8FFF_FFFF) is None
    assert walk(memory, stage2.hgatp, 0x1_9000_0000) is None
    assert pages.in_use == 4 + 2  # the root and two tables of 2 MiB leaves


def test_a_guest_whose_memory_is_not_congruent_gets_the_leaves_that_fit() -> None:
    stage2, memory, _ = make()
    stage2.map(0x8000_0000, 0x1_9000_1000, 4 * MIB, "RAM")
    assert walk(memory, stage2.hgatp, 0x8020_0123) == (0x1_9020_1123, 12)
    stage2.map(0x1000_0000, 0x1000_0000, 0x1000, "device")
    assert walk(memory, stage2.hgatp, 0x1000_0008) == (0x1000_0008, 12)
    assert walk(memory, stage2.hgatp, 0x1000_1000) is None


def test_hgatp_names_mode_vmid_and_root() -> None:
    stage2, _, _ = make(vmid=5)
    assert stage2.hgatp == 8 << 60 | 5 << 44 | stage2.root >> 12


@pytest.mark.parametrize(
    ("ipa", "physical", "length", "message"),
    [
        (0x8000_0800, 0x9000_0000, 0x1000, "whole pages"),
        (0x8000_0000, 0x9000_0000, 0x1800, "whole pages"),
        ((1 << 41) - 0x1000, 0x9000_0000, 0x2000, "beyond the 41 bits"),
        (0x7FFF_F000, 0x9000_0000, 0x2000, "overlaps first"),
    ],
)
def test_a_mapping_that_cannot_be_made_says_why(ipa: int, physical: int, length: int, message: str) -> None:
    stage2, _, _ = make()
    stage2.map(0x8000_0000, 0x9000_0000, 0x1000, "first")
    with pytest.raises(MappingError, match=message):
        stage2.map(ipa, physical, length, "second")


def test_running_out_of_tables_is_an_error() -> None:
    memory = RamMemory(memoryview(bytearray(0x6000)), RAM_BASE)
    stage2 = Stage2(memory, PageAllocator(RAM_BASE, RAM_BASE + 0x5000), 1)
    with pytest.raises(MappingError, match="used up"):
        stage2.map(0x8000_0000, 0x9000_0000, 0x1000, "RAM")


def test_all_tables_come_back() -> None:
    stage2, _, pages = make()
    stage2.map(0x8000_0000, 0x9000_1000, 8 * MIB, "RAM")
    stage2.free()
    assert pages.in_use == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1 << 19), st.integers(0, 1 << 19), st.integers(1, 2048)), min_size=1, max_size=4),
    st.data(),
)
def test_the_tables_say_what_was_mapped(ranges: list[tuple[int, int, int]], data: st.DataObject) -> None:
    stage2, memory, _ = make()
    mapped: list[tuple[int, int, int]] = []
    for ipa, physical, pages in ranges:
        try:
            stage2.map(ipa << 12, physical << 12, pages << 12, "range")
        except MappingError:
            continue
        mapped.append((ipa << 12, physical << 12, pages << 12))
    probe = data.draw(st.integers(0, (1 << 31) + (1 << 24)))
    probes = [probe, *(ipa for ipa, _, _ in mapped), *(ipa + length - 1 for ipa, _, length in mapped)]
    probes += [ipa + length for ipa, _, length in mapped]
    for gpa in probes:
        expected = next((pa + gpa - ipa for ipa, pa, length in mapped if ipa <= gpa < ipa + length), None)
        found = walk(memory, stage2.hgatp, gpa)
        assert (found[0] if found else None) == expected
        own = stage2.translate(gpa)
        assert (own.physical if own else None) == expected


def test_the_level_at_which_a_walk_ends() -> None:
    stage2, _, _ = make()
    stage2.map(0x8000_0000, 0x9000_0000, 2 * MIB, "RAM")
    stage2.map(0x8020_0000, 0x9020_0000, 0x1000, "one page")
    levels = {0x8000_0000: 1, 0x8020_0000: 0, 0x8020_1000: 0, 0x8040_0000: 1, 0xC000_0000: 2, 1 << 41: 2, 1 << 60: 2}
    assert {ipa: stage2.last_level(ipa) for ipa in levels} == levels
