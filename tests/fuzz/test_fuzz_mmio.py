"""Random accesses to devices: through a VM's bus, through the machine's, and by instructions that a guest runs."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from shyper_tui.engine.board.bus import Bus
from shyper_tui.engine.board.device import AccessFault
from shyper_tui.engine.machine import Machine
from tests.fuzz.cases import fuzz, numbers
from tests.fuzz.puppet import BLOCK, CONSOLE, NET, PLIC, Puppets, guest_with_devices
from tests.hypervisor.station import GUEST_BASE, RAM_BASE

VIRTIO_REGISTERS = [*range(0, 0x120, 4), 0x1FC, 0x200, 0xFFC, 0xFFF]
PLIC_REGISTERS = [
    *(0, 4, 76, 84, 2044, 2048, 0xFFC, 0x1000, 0x103C, 0x1040, 0x1FFC, 0x2000, 0x2080, 0x2100, 0x2180, 0x2200),
    *(0x1F_FFFC, 0x20_0000, 0x20_0004, 0x20_1000, 0x20_1004, 0x20_1008, 0x20_2004, 0x20_3000, 0x20_3004),
    *(0x3F_FFFC, 0x40_0000, 0x5F_FFFC, 0x5F_FFFF),
]
WINDOWS = [(PLIC, PLIC_REGISTERS), *((base, VIRTIO_REGISTERS) for base in (BLOCK, NET, CONSOLE))]
KNOWN = [base + offset for base, offsets in WINDOWS for offset in offsets]
BOARD = [
    *(0x0010_0000 + offset for offset in range(0, 8, 4)),  # finisher
    *(0x0010_1000 + offset for offset in range(0, 0x28, 4)),  # real-time clock
    *(0x0200_0000, 0x0200_4000, 0x0200_BFF8, 0x0200_C000, 0x0200_FFFC),  # CLINT
    *(PLIC + offset for offset in PLIC_REGISTERS),
    *(0x1000_0000 + offset for offset in range(9)),  # UART
    *(slot + offset for slot in range(0x1000_1000, 0x1000_9000, 0x1000) for offset in (0, 0x30, 0x50, 0x70, 0x100)),
]

widths = st.sampled_from([1, 2, 4, 4, 4, 8])
guest_addresses = st.one_of(st.sampled_from(KNOWN), numbers(*KNOWN))
contents = numbers(GUEST_BASE, RAM_BASE, *range(16))


def accesses(addresses: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[bool, int, int, int]]]:
    """(store?, address, width, value)."""
    return st.lists(st.tuples(st.booleans(), addresses, widths, contents), min_size=1, max_size=16)


@pytest.fixture(scope="module")
def puppets() -> Puppets:
    return Puppets(guest_with_devices)


def perform(bus: Bus, chosen: list[tuple[bool, int, int, int]]) -> None:
    """All accesses; what a device refuses is an AccessFault, what it answers fits the width."""
    for store, address, width, value in chosen:
        try:
            if store:
                bus.write(address, width, value & (1 << 8 * width) - 1)
            else:
                assert 0 <= bus.read(address, width) < 1 << 8 * width
        except AccessFault:
            pass


@fuzz("MMIO, devices of a VM", share=0.11, quick=60, chosen=accesses(guest_addresses))
def test_emulated_devices_answer_or_refuse(puppets: Puppets, chosen: list[tuple[bool, int, int, int]]) -> None:
    station = puppets.begin()
    perform(puppets.check_guest(1).bus, chosen)
    station.run(1000)
    puppets.settle()


@fuzz("MMIO, devices of the machine", share=0.03, quick=40, chosen=accesses(numbers(*BOARD)))
def test_the_boards_devices_answer_or_refuse(chosen: list[tuple[bool, int, int, int]]) -> None:
    machine = Machine(2, 1 << 20)  # a fresh one: whoever reaches these registers owns the machine
    perform(machine.board.bus, chosen)
    machine.run_round()
    machine.close()


LOADS, STORES, ATOMICS = 0x03, 0x23, 0x2F
A0 = 10


def _load(funct3: int, rd: int, offset: int, float_register: bool) -> int:
    return (offset & 0xFFF) << 20 | A0 << 15 | funct3 << 12 | rd << 7 | (0x07 if float_register else LOADS)


def _store(funct3: int, rs2: int, offset: int, float_register: bool) -> int:
    opcode = 0x27 if float_register else STORES
    return (offset >> 5 & 0x7F) << 25 | rs2 << 20 | A0 << 15 | funct3 << 12 | (offset & 31) << 7 | opcode


def _atomic(funct5: int, funct3: int, rd: int, rs2: int) -> int:
    return funct5 << 27 | rs2 << 20 | A0 << 15 | funct3 << 12 | rd << 7 | ATOMICS


registers, funct3s, offsets = st.integers(0, 31), st.integers(0, 7), st.integers(-2048, 2047)
near = st.one_of(st.just(0), st.just(0), offsets)
NOP = 0x0001_0001  # two c.nop
instructions = st.one_of(
    st.builds(_load, funct3s, registers, near, st.booleans()),
    st.builds(_store, funct3s, registers, near, st.booleans()),
    st.builds(_atomic, st.integers(0, 31), st.integers(2, 3), registers, registers),
    st.integers(0, 0xFFFF).map(lambda parcel: 0x0001_0000 | parcel),  # compressed, then c.nop
    st.integers(0, 0xFFFF_FFFF),
)
everywhere = st.one_of(st.sampled_from(KNOWN), st.sampled_from(BOARD), numbers(*KNOWN, *BOARD, GUEST_BASE))


@fuzz("MMIO and others, instructions of a guest", share=0.11, quick=80,
      words=st.lists(instructions, min_size=1, max_size=6), address=everywhere, value=contents)  # fmt: skip
def test_whatever_instruction_touches_whatever_address(
    puppets: Puppets, words: list[int], address: int, value: int
) -> None:
    station = puppets.begin()
    vm = puppets.check_guest(1)
    chosen = dict.fromkeys(range(1, 32), value) | {A0: address, 8: address, 2: address}
    puppets.execute(vm, words, chosen)
    station.run(1000)
    puppets.check_guest(1)
    puppets.settle()
