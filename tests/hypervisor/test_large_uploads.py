"""Kernels of many megabytes by hypercall: copied once to where they belong, and once for the next start."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.hypervisor.definition import MemoryRegion
from shyper_tui.engine.hypervisor.large_copy import look, put
from shyper_tui.engine.hypervisor.vm import Vm, VmState
from tests.hypervisor.disk_driver import Lab
from tests.hypervisor.station import RAM_BASE, guest
from tests.hypervisor.test_lifecycle import SPIN

MIB = 1 << 20
ADD_VM, DELETE_VM, SET_CPU, ADD_MEMORY, UPLOAD, BOOT = (
    0x0A00_1100, 0x0A00_1101, 0x0A00_1102, 0x0A00_1103, 0x0A00_1109, 0x0A00_0102,
)  # fmt: skip
STRUCT, NAME, BUFFER = 0x9010_0000, 0x9010_1000, 0x9100_0000
KERNEL, SIZE = 0x8020_0000, 32 * MIB


def image(seed: int) -> bytes:
    """A kernel of 32 MiB that spins, then has a number in every page."""
    return (SPIN + b"".join(struct.pack("<QQ", seed, page) * 256 for page in range(SIZE // 4096)))[:SIZE]


def configured() -> Lab:
    """A managing VM that has configured VM 1 with 64 MiB."""
    lab = Lab()
    lab.mvm.memory.write(NAME, b"large\0")
    lab.mvm.memory.write(STRUCT, struct.pack("<8Q", NAME, 5, 1, NAME, 0, KERNEL, 0, 0))
    assert lab.call(ADD_VM, STRUCT) == 1
    assert lab.call(SET_CPU, 1, 1, 0b0010, 1) == 0
    assert lab.call(ADD_MEMORY, 1, RAM_BASE, 64 * MIB) == 0
    return lab


def test_no_copy_is_made_on_the_way() -> None:
    lab = configured()
    kernel = image(1)
    lab.mvm.memory.write(BUFFER, kernel)
    tracemalloc.start()
    try:
        assert lab.call(UPLOAD, 1, SIZE, BUFFER, 0, SIZE) == 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MIB
    vm = lab.station.manager.vm(1)
    assert vm.memory.read(KERNEL, SIZE) == kernel
    assert not vm.memory.read(KERNEL + SIZE, 4096).strip(b"\0")


def test_the_next_start_has_the_kernel_as_it_was_whatever_became_of_the_buffer() -> None:
    lab = configured()
    manager, kernel = lab.station.manager, image(2)
    half = SIZE // 2
    for offset in (0, half):
        lab.mvm.memory.write(BUFFER, kernel[offset : offset + half])
        assert lab.call(UPLOAD, 1, SIZE, BUFFER, offset, half) == 0
    lab.mvm.memory.write(BUFFER, b"\xee" * SIZE)
    vm = manager.vm(1)
    for _ in range(2):
        assert lab.call(BOOT, 1) == 0
        assert vm.memory.read(KERNEL, SIZE) == kernel
        manager.stop(1)
        lab.station.until(lambda: vm.state is VmState.PENDING)
        vm.memory.write(KERNEL, b"\xdd" * SIZE)


def test_a_piece_that_begins_anew_replaces_what_had_arrived() -> None:
    lab = configured()
    first, second = image(3), image(4)
    lab.mvm.memory.write(BUFFER, first)
    assert lab.call(UPLOAD, 1, SIZE, BUFFER, 0, SIZE) == 0
    lab.mvm.memory.write(BUFFER, second)
    assert lab.call(UPLOAD, 1, 5 * MIB, BUFFER, 0, 4 * MIB) == 0
    upload = lab.station.manager.entry(1).images.upload
    assert upload is not None
    assert upload.received == 4 * MIB
    assert upload.data == second[: 4 * MIB]
    assert lab.call(UPLOAD, 1, 5 * MIB, BUFFER + MIB, MIB, 4 * MIB) == 0  # again from the second megabyte on
    assert upload.data == second[: 5 * MIB]
    memory = lab.station.manager.vm(1).memory
    assert memory.read(KERNEL, 5 * MIB) == second[: 5 * MIB]
    assert not memory.read(KERNEL + 5 * MIB, SIZE - 5 * MIB).strip(b"\0")


def test_a_buffer_outside_of_the_callers_memory_is_refused_and_nothing_arrives() -> None:
    lab = configured()
    end = 0x9000_0000 + (64 << 20)
    assert lab.call(UPLOAD, 1, SIZE, end - 4096, 0, SIZE) == -1
    assert lab.call(UPLOAD, 1, SIZE, (1 << 64) - 4096, 0, SIZE) == -1
    assert lab.station.manager.entry(1).images.upload is None
    assert lab.call(DELETE_VM, 1) == 0


def split() -> tuple[Lab, Vm]:
    """A VM with two regions that follow each other, one of them elsewhere in the machine's memory."""
    lab = Lab()
    regions = [MemoryRegion(RAM_BASE + 16 * MIB, 16 * MIB), MemoryRegion(RAM_BASE, 16 * MIB)]
    definition = guest(1, device_tree_load_ipa=0)
    definition.memory = regions
    vm = lab.station.manager.add(definition, SPIN)
    first, second = vm.memory.regions
    assert first.physical + first.length != second.physical
    return lab, vm


def test_a_piece_in_two_regions_is_the_same_as_in_one() -> None:
    _, vm = split()
    data = bytes(range(256)) * (8 * MIB // 256)
    at = RAM_BASE + 12 * MIB
    put(vm.memory, at, memoryview(data))
    assert vm.memory.read(at, len(data)) == data
    found = look(vm.memory, at, len(data))
    assert (type(found), found) == (bytes, data)
    inside = look(vm.memory, at, 4 * MIB)
    assert (type(inside), inside) == (memoryview, data[: 4 * MIB])
    for address, size in ((RAM_BASE - 1, 2), (RAM_BASE + 32 * MIB - 1, 2), (RAM_BASE, 32 * MIB + 1)):
        with pytest.raises(BadAddress):
            look(vm.memory, address, size)
        with pytest.raises(BadAddress):
            put(vm.memory, address, memoryview(bytes(size)))
