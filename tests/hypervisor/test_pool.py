"""The VM memory pool and the hypervisor's page allocator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shyper_tui.engine.hypervisor.pool import OutOfMemoryError, PageAllocator, Pool

MIB = 1 << 20
BASE = 0x9000_0000


def test_the_front_is_taken_and_the_rest_goes_to_the_end_of_the_list() -> None:
    pool = Pool(BASE, 8 * MIB)
    first, second = pool.allocate(MIB), pool.allocate(2 * MIB)
    assert (first, second) == (BASE, BASE + MIB)
    pool.release(first, MIB)
    assert pool.regions == [(BASE + 3 * MIB, 5 * MIB), (BASE, MIB)]
    assert pool.allocate(MIB) == BASE + 3 * MIB  # first fit in list order, not in address order


def test_freed_neighbours_merge_into_one_region() -> None:
    pool = Pool(BASE, 4 * MIB)
    pieces = [pool.allocate(MIB) for _ in range(4)]
    for piece in (pieces[1], pieces[3], pieces[2], pieces[0]):
        pool.release(piece, MIB)
    assert pool.regions == [(BASE, 4 * MIB)]


def test_sizes_are_whole_pages_rounded_down() -> None:
    pool = Pool(BASE, 4 * MIB)
    pool.allocate(2 * 4096 + 4095)
    assert pool.free_bytes == 4 * MIB - 2 * 4096
    with pytest.raises(OutOfMemoryError, match="less than one page"):
        pool.allocate(4095)


def test_exhaustion_is_an_error_with_the_numbers() -> None:
    pool = Pool(BASE, 4 * MIB)
    with pytest.raises(OutOfMemoryError, match="5 MiB of VM memory are wanted and 4 MiB are free"):
        pool.allocate(5 * MIB)


def test_an_exact_place_can_be_asked_for() -> None:
    pool = Pool(BASE, 8 * MIB)
    assert pool.allocate_at(BASE + 2 * MIB, MIB)
    assert not pool.allocate_at(BASE + 2 * MIB, 4096)
    assert sorted(pool.regions) == [(BASE, 2 * MIB), (BASE + 3 * MIB, 5 * MIB)]


def test_memory_that_is_free_already_or_foreign_is_refused() -> None:
    pool = Pool(BASE, MIB)
    with pytest.raises(ValueError, match="free already"):
        pool.release(BASE, 4096)
    with pytest.raises(ValueError, match="not memory of this pool"):
        pool.release(BASE - 4096, 4096)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 64)), max_size=60))
def test_allocations_never_overlap_and_everything_comes_back(steps: list[tuple[bool, int]]) -> None:
    pool = Pool(BASE, 256 * 4096)
    held: list[tuple[int, int]] = []
    for take, pages in steps:
        if take:
            try:
                base = pool.allocate(pages * 4096)
            except OutOfMemoryError:
                continue
            assert all(base + pages * 4096 <= other or other + size <= base for other, size in held)
            held.append((base, pages * 4096))
        elif held:
            pool.release(*held.pop(pages % len(held)))
    assert pool.free_bytes + sum(size for _, size in held) == 256 * 4096
    for piece in held:
        pool.release(*piece)
    assert pool.regions == [(BASE, 256 * 4096)]


def test_page_runs_are_aligned_and_freed_pages_are_used_again() -> None:
    pages = PageAllocator(0x8020_1000, 0x8021_0000)
    single = pages.page()
    root = pages.pages(4)
    assert root % 0x4000 == 0
    pages.free(root, 4)
    assert pages.pages(4) == root
    pages.free(single)
    assert pages.in_use == 4
    for _ in range(11):
        pages.page()
    with pytest.raises(OutOfMemoryError):
        pages.page()


GIB = 1 << 30


def test_a_gigabyte_is_placed_for_gigabyte_leaves_where_that_costs_no_room() -> None:
    pool = Pool(0x1_9000_0000, 0xF000_0000)  # what the managing VM leaves of 8 GiB
    bases = [pool.allocate(GIB, 0x8000_0000) for _ in range(3)]
    assert [base % GIB for base in bases] == [0, 0, 0]
    assert pool.regions == [(0x1_9000_0000, 768 * MIB)]


def test_a_large_vm_still_fits_beside_an_aligned_one() -> None:
    pool = Pool(0x1_9000_0000, 0xF000_0000)
    pool.allocate(GIB, 0x8000_0000)
    base = pool.allocate(2816 * MIB, 0x8000_0000)
    assert base % (2 * MIB) == 0
    assert pool.free_bytes == 0


def test_memory_is_congruent_to_its_guest_address_modulo_2_mib() -> None:
    pool = Pool(0x1_9000_0000, 0xF000_0000)
    pool.allocate(4096)  # the pool now begins at an odd place
    for ipa in (0x8000_0000, 0x8010_0000, 0x8000_3000):
        assert (pool.allocate(64 * MIB, ipa) - ipa) % (2 * MIB) == 0


def test_memory_is_given_without_alignment_when_there_is_no_other() -> None:
    pool = Pool(BASE + 4096, 4 * MIB)
    assert pool.allocate(4 * MIB, 0x8000_0000) == BASE + 4096
