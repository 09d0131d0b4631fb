"""The legacy SBI calls of guests: one result in a0, a1 untouched, hart masks at virtual addresses."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.firmware.sbi import HsmState
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.caller import Call, Caller
from tests.hypervisor.programs import A0, A1, S0, SATP, SIE, STVEC, T0, T1, Program
from tests.hypervisor.station import Station
from tests.hypervisor.station import guest as small_guest

SET_TIMER, CLEAR_IPI, SEND_IPI, FENCE_I, SFENCE, SFENCE_ASID, SHUTDOWN = 0, 3, 4, 5, 6, 7, 8
INVALID_PARAM, INVALID_ADDRESS = -3, -5
KEPT = 0x1234_5678
MASK = 0x8090_0000
NOWHERE = 0x7000_0000


@pytest.fixture
def guest() -> Caller:
    """A guest VM with three vCPUs; at MASK lie hart masks of 8 bytes each: 0b001, 0b111, 0b1000, 0."""
    caller = Caller(Station(ram=1 << 30), 1, cores=0b1110)
    caller.vm.memory.write(MASK, struct.pack("<4Q", 0b001, 0b111, 0b1000, 0))
    return caller


def test_legacy_calls_keep_a1(guest: Caller) -> None:
    calls = [
        Call(SET_TIMER, 0, ((1 << 64) - 1, KEPT)),
        Call(CLEAR_IPI, 0, (0, KEPT)),
        Call(SEND_IPI, 0, (MASK, KEPT)),
        Call(FENCE_I, 0, (MASK + 8, KEPT)),
        Call(SFENCE, 0, (MASK + 8, KEPT, 0x1000)),
        Call(SFENCE_ASID, 0, (MASK + 8, KEPT, 0x1000, 3)),
    ]
    assert guest.perform(*calls) == [(0, KEPT)] * 6


def test_clear_ipi_tells_whether_one_was_pending(guest: Caller) -> None:
    calls = [Call(CLEAR_IPI), Call(SEND_IPI, 0, (MASK,)), Call(CLEAR_IPI), Call(CLEAR_IPI)]
    assert [a0 for a0, _ in guest.perform(*calls)] == [0, 0, 1, 0]


def test_hart_masks_by_address(guest: Caller) -> None:
    addresses = {MASK: 0, MASK + 8: 0, MASK + 16: INVALID_PARAM, MASK + 24: 0, NOWHERE: INVALID_ADDRESS, 0: 0}
    addresses[(1 << 64) - 4] = INVALID_ADDRESS
    numbers = (SEND_IPI, FENCE_I, SFENCE, SFENCE_ASID)
    calls = [Call(number, 0, (address,)) for number in numbers for address in addresses]
    assert [a0 for a0, _ in guest.perform(*calls)] == list(addresses.values()) * 4


def test_the_hart_mask_is_read_at_the_callers_virtual_address() -> None:
    """Sv39 with one gigapage that maps 0x4000_0000 to RAM at 0x8000_0000: guest-physically, nothing is there."""
    station = Station(ram=1 << 30)
    definition = small_guest()
    base = definition.kernel_load_ipa
    root = base + 0x1000
    program = Program(base).li(T0, 8 << 60 | root >> 12).csrw(SATP, T0).op("sfence.vma")
    program.ecall(SEND_IPI, 0, 0x4000_0000 + (base & 0x3FFF_FFFF) + 0x2000)
    program.li(S0, base + 0x3000).op("sd", rs1=S0, rs2=A0, imm=0)
    program.op("csrrs", rd=A1, rs1=0, imm=0x144).op("sd", rs1=S0, rs2=A1, imm=8).op("wfi")
    leaf = 0xCF  # V R W X A D
    table = struct.pack("<4Q", 0, 0x8000_0000 >> 2 | leaf, 0x8000_0000 >> 2 | leaf, 0)
    program.at(root).data(table).at(base + 0x2000).data(struct.pack("<Q", 1)).at(base + 0x3000).data(b"\xff" * 16)
    vm = station.manager.add(definition, program.code())
    station.manager.boot(1)
    station.until(lambda: vm.memory.read_u64(base + 0x3008) != (1 << 64) - 1)
    assert struct.unpack("<2Q", vm.memory.read(base + 0x3000, 16)) == (0, 1 << 1)  # success, and SSIP is pending


def test_the_legacy_timer_interrupts() -> None:
    station = Station(ram=1 << 30)
    definition = small_guest()
    base = definition.kernel_load_ipa
    program = Program(base).li(T0, base + 0x800).csrw(STVEC, T0).li(T0, 32).csrw(SIE, T0)
    program.ecall(SET_TIMER, 0, 500_000).op("csrrsi", rd=0, rs1=2, imm=0x100)
    program.label("wait").op("wfi").jump("wait")
    program.at(base + 0x800).op("csrrs", rd=T0, rs1=0, imm=0xC01).li(S0, base + 0x1000).op("sd", rs1=S0, rs2=T0, imm=0)
    program.op("csrrs", rd=T1, rs1=0, imm=0x142).op("sd", rs1=S0, rs2=T1, imm=8).li(T0, 0).csrw(SIE, T0).op("sret")
    program.at(base + 0x1000).data(bytes(16))
    vm = station.manager.add(definition, program.code())
    station.manager.boot(1)
    station.until(lambda: vm.memory.read_u64(base + 0x1008) != 0)
    assert vm.memory.read_u64(base + 0x1008) == 1 << 63 | 5
    assert 500_000 <= vm.memory.read_u64(base + 0x1000) < 500_100  # not later than 10 us


def test_legacy_shutdown_powers_the_vm_off(guest: Caller) -> None:
    guest.prepare([Call(SHUTDOWN)])
    guest.station.manager.boot(1)
    guest.station.until(lambda: guest.station.manager.state(1) is VmState.PENDING)
    assert guest.vm.message == "powered off by the guest"
    assert all(vcpu.hsm is HsmState.STOPPED for vcpu in guest.vm.vcpus)
