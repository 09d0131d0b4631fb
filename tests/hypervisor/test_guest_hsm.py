"""SBI hart state management of guests: starting, stopping, suspending, and who may wake whom."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.firmware.sbi import HsmState
from shyper_tui.engine.hypervisor import guest_sbi
from shyper_tui.engine.hypervisor.definition import CpuSpec
from shyper_tui.engine.hypervisor.vcpu import VcpuState
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.caller import PROGRAM, Call, Caller
from tests.hypervisor.programs import A0, A1, S0, SATP, SIE, SIP, SSTATUS, T0, T1, TIME, Program
from tests.hypervisor.station import Station, guest
from tests.hypervisor.workloads import BASE, RESULTS, boot, words

HSM, IPI = 0x48534D, 0x735049
SECOND_HART = BASE + 0x800
NON_RETENTIVE = 0x8000_0000
ALREADY_AVAILABLE = -6


@pytest.fixture
def station() -> Station:
    return Station(ram=1 << 30)


def first(body: Program) -> Program:
    """End of vCPU 0's part; vCPU 1's begins here."""
    return body.label("end").op("wfi").jump("end").at(SECOND_HART)


def test_a_start_is_pending_until_the_other_core_has_done_it(station: Station) -> None:
    caller = Caller(station, 1, cores=0b0110)
    wait = caller.base + len(PROGRAM) - 8
    caller.perform(Call(HSM, 2, (1,)))
    vcpu = caller.vm.vcpus[0]
    args = [1, wait, 0, 0, 0, 0]
    assert guest_sbi.TABLE.call(station.hypervisor, vcpu, HSM, 0, args).error == 0
    assert guest_sbi.TABLE.call(station.hypervisor, vcpu, HSM, 2, args).value == HsmState.START_PENDING
    assert guest_sbi.TABLE.call(station.hypervisor, vcpu, HSM, 0, args).error == ALREADY_AVAILABLE
    station.run(100_000)
    assert caller.vm.vcpus[1].hsm is HsmState.STARTED


def test_a_hart_that_was_started_is_so_for_its_starter_soon(station: Station) -> None:
    caller = Caller(station, 1, cores=0b0110)
    wait = caller.base + len(PROGRAM) - 8
    found = caller.perform(Call(HSM, 0, (1, wait, 0)), Call(HSM, 2, (1,)), Call(HSM, 0, (1, wait, 0)))
    assert found[0] == (0, 0)
    assert found[1] in [(0, int(HsmState.START_PENDING)), (0, int(HsmState.STARTED))]
    assert found[2] == (ALREADY_AVAILABLE, 0)


def test_a_hart_that_stops_can_be_started_again_anywhere(station: Station) -> None:
    """vCPU 1 notes a0 and a1, and stops; vCPU 0 starts it three times, when it sees that it has stopped."""
    body = Program(BASE).li(S0, RESULTS)
    for opaque in (0x11, 0x22, 0x33):
        body.ecall(HSM, 0, 1, SECOND_HART, opaque)
        body.label(f"wait {opaque}").ecall(HSM, 2, 1).li(T0, 1).branch("bne", A1, T0, f"wait {opaque}")
    first(body).li(S0, RESULTS).op("ld", rd=T0, rs1=S0, imm=0).op("addi", rd=T0, rs1=T0, imm=1)
    body.op("sd", rs1=S0, rs2=T0, imm=0).op("slli", rd=T0, rs1=T0, imm=4).op("add", rd=T0, rs1=T0, rs2=S0)
    body.op("sd", rs1=T0, rs2=A0, imm=0).op("sd", rs1=T0, rs2=A1, imm=8).ecall(HSM, 1).raw(0, 0)
    vm = boot(station, 1, body.code(), 0b0110)
    station.until(lambda: words(vm, 1)[0] == 3)
    station.run(200_000)
    assert words(vm, 8) == (3, 0, 1, 0x11, 1, 0x22, 1, 0x33)
    assert vm.vcpus[1].hsm is HsmState.STOPPED
    assert vm.vcpus[1].core.current is None
    assert vm.vcpus[0].hsm is HsmState.STARTED


def test_a_stopped_hart_is_not_woken_by_interrupts(station: Station) -> None:
    """It has its timer, IPIs and an external interrupt enabled when it stops."""
    source = 19
    body = Program(BASE).ecall(HSM, 0, 1, SECOND_HART, 0)
    body.label("wait").ecall(HSM, 2, 1).li(T0, 1).branch("bne", A1, T0, "wait").ecall(IPI, 0, 2, 0)
    body.li(S0, RESULTS).op("sd", rs1=S0, rs2=A0, imm=8)
    first(body).li(T0, 0x0C00_0000 + 4 * source).li(T1, 1).op("sw", rs1=T0, rs2=T1, imm=0)
    body.li(T0, 0x0C00_2180).li(T1, 1 << source).op("sw", rs1=T0, rs2=T1, imm=0)
    body.li(T0, 0x222).csrw(SIE, T0).csrr(T0, TIME).op("addi", rd=T0, rs1=T0, imm=1000).csrw(0x14D, T0)
    body.ecall(HSM, 1).li(S0, RESULTS).li(T0, 1).op("sd", rs1=S0, rs2=T0, imm=0)
    vm = boot(station, 1, body.code(), 0b0110)
    station.until(lambda: vm.vcpus[1].hsm is HsmState.STOPPED and vm.vcpus[1].core.current is None)
    station.run(500_000)
    assert vm.vplic is not None
    vm.vplic.plic.pulse(source)
    station.run(2_000_000)
    assert vm.vcpus[1].external
    assert (vm.vcpus[1].hsm, vm.vcpus[1].state) == (HsmState.STOPPED, VcpuState.SLEEP)
    assert vm.vcpus[1].core.current is None
    assert words(vm, 2) == (0, 0)


def test_the_last_hart_may_stop_and_its_core_sleeps(station: Station) -> None:
    vm = boot(station, 1, Program(BASE).ecall(HSM, 1).raw(0, 0).code())
    station.until(lambda: vm.vcpus[0].hsm is HsmState.STOPPED)
    station.run(200_000)
    before = station.machine.instructions
    station.run(10_000_000)
    assert station.machine.instructions == before
    assert vm.state is VmState.ACTIVE
    assert station.machine.harts[1].waiting
    other = boot(station, 2, Program(BASE).li(S0, RESULTS).op("sd", rs1=S0, rs2=S0, imm=0).op("wfi").code())
    station.until(lambda: words(other, 1)[0] == RESULTS)  # the core is as good as before


def test_a_non_retentive_suspend_goes_on_as_after_a_start(station: Station) -> None:
    root = BASE + 0x5000
    body = Program(BASE).li(T0, 8 << 60 | root >> 12).csrw(SATP, T0).op("sfence.vma")
    body.li(T0, 1 << 5).csrw(SIE, T0).csrr(T0, TIME).li(T1, 20_000).op("add", rd=T0, rs1=T0, rs2=T1).csrw(0x14D, T0)
    body.op("csrrsi", rd=0, rs1=2, imm=SSTATUS).ecall(HSM, 3, NON_RETENTIVE, SECOND_HART, 0x77)
    first(body).li(S0, RESULTS)
    for index, csr in enumerate((SATP, SIE, SIP, SSTATUS)):
        body.csrr(T0, csr).op("sd", rs1=S0, rs2=T0, imm=24 + 8 * index)
    body.op("sd", rs1=S0, rs2=A0, imm=8).op("sd", rs1=S0, rs2=A1, imm=16).li(T0, 1).op("sd", rs1=S0, rs2=T0, imm=0)
    image = bytearray(body.label("stay").op("wfi").jump("stay").code().ljust(0x6000, b"\0"))
    struct.pack_into("<Q", image, root - BASE + 16, 0x8000_0000 >> 2 | 0xCF)
    vm = boot(station, 1, bytes(image))
    station.until(lambda: vm.vcpus[0].hsm is HsmState.SUSPENDED)
    assert vm.vcpus[0].core.current is None
    station.until(lambda: words(vm, 1)[0] == 1)
    _, hart, opaque, satp, sie, sip, status = words(vm, 7)
    assert (hart, opaque, satp, sie) == (0, 0x77, 0, 0)
    assert sip == 1 << 5, "its timer is still due"
    assert status & 2 == 0
    assert vm.vcpus[0].hsm is HsmState.STARTED


def test_a_suspend_with_an_interrupt_pending_ends_at_once(station: Station) -> None:
    body = Program(BASE).li(T0, 2).csrw(SIE, T0).ecall(IPI, 0, 1, 0).ecall(HSM, 3, 0, 0, 0)
    body.li(S0, RESULTS).op("sd", rs1=S0, rs2=A0, imm=8).li(T0, 1).op("sd", rs1=S0, rs2=T0, imm=0)
    vm = boot(station, 1, body.label("stay").jump("stay").code())
    station.until(lambda: words(vm, 1)[0] == 1)
    assert words(vm, 2) == (1, 0)
    assert vm.vcpus[0].hsm is HsmState.STARTED


@pytest.mark.parametrize("retentive", [True, False])
def test_an_ipi_ends_another_harts_suspend(station: Station, retentive: bool) -> None:
    body = Program(BASE).ecall(HSM, 0, 1, SECOND_HART, 0).label("wait").ecall(HSM, 2, 1).li(T0, int(HsmState.SUSPENDED))
    body.branch("bne", A1, T0, "wait").ecall(IPI, 0, 2, 0)
    first(body).li(T0, 2).csrw(SIE, T0).ecall(HSM, 3, 0 if retentive else NON_RETENTIVE, SECOND_HART + 0x200, 5)
    body.label("resumed").li(S0, RESULTS).li(T0, 1).op("sd", rs1=S0, rs2=T0, imm=0).label("a").op("wfi").jump("a")
    body.at(SECOND_HART + 0x200).li(S0, RESULTS).li(T0, 2).op("sd", rs1=S0, rs2=T0, imm=0)
    body.label("b").op("wfi").jump("b")
    vm = boot(station, 1, body.code(), 0b0110)
    station.until(lambda: words(vm, 1)[0] != 0)
    assert words(vm, 1) == (1 if retentive else 2,)
    assert vm.vcpus[1].hsm is HsmState.STARTED


def test_a_woken_hart_that_waits_for_its_core_is_resume_pending(station: Station) -> None:
    vm = station.manager.add(guest(cores=0b0110), Program(BASE).op("wfi").code())
    target = vm.vcpus[1]
    target.hsm, target.waiting = HsmState.SUSPENDED, True
    assert not target.suspend_ended
    target.waiting = False
    assert target.suspend_ended


def test_a_start_that_comes_while_the_vm_is_paused_waits_for_the_resume(station: Station) -> None:
    body = Program(BASE).ecall(HSM, 0, 1, SECOND_HART, 9)
    first(body).li(S0, RESULTS).op("sd", rs1=S0, rs2=A1, imm=0).label("stay").op("wfi").jump("stay")
    definition = guest()
    definition.cpu = CpuSpec(2, 0b0110, 2)  # vCPU 1 on core 1, whose turn in each round of the machine is the earlier
    vm = station.manager.add(definition, body.code())
    station.manager.boot(1)
    station.until(lambda: vm.vcpus[1].hsm is HsmState.START_PENDING)
    vm.vcpus[1].pause()  # the pause reaches the other core before the start does
    station.manager.pause(1)
    station.run(1_000_000)
    assert words(vm, 1) == (0,)
    assert vm.vcpus[1].hsm is HsmState.STARTED
    station.manager.resume(1)
    station.until(lambda: words(vm, 1)[0] == 9)
