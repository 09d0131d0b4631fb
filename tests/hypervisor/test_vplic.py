"""A VM's interrupt controller against the RISC-V PLIC specification, and its dealings with the machine's controller."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.board.device import AccessFault
from shyper_tui.engine.board.plic import IrqCount, SourceState
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice
from shyper_tui.engine.hypervisor.vm import Vm, VmState
from shyper_tui.engine.hypervisor.vplic import VPlic
from tests.hypervisor.programs import A0, S0, S1, SIE, STVEC, T0, T1, T2, Program
from tests.hypervisor.station import Station, guest

BASE = guest().kernel_load_ipa
PLIC = 0x0C00_0000
PENDING, ENABLE, CONTEXT = 0x1000, 0x2000, 0x20_0000
CONTEXTS = range(6)
FREE = 30
"""A source of the machine's controller that no device of the board drives."""
HSM = 0x48534D


def enable(context: int, source: int) -> int:
    return ENABLE + 0x80 * context + source // 32 * 4


def threshold(context: int) -> int:
    return CONTEXT + 0x1000 * context


def claim(context: int) -> int:
    return threshold(context) + 4


@pytest.fixture
def vm() -> Vm:
    """A VM of three vCPUs that has not been booted."""
    return Station(ram=1 << 30).manager.add(guest(cores=0b1110), b"\x73\0\x50\x10")


@pytest.fixture
def vplic(vm: Vm) -> VPlic:
    assert vm.vplic is not None
    return vm.vplic


def outputs(vm: Vm) -> list[bool]:
    return [vcpu.external for vcpu in vm.vcpus]


def set_up(vplic: VPlic, context: int, source: int, priority: int = 1) -> None:
    vplic.write(4 * source, 4, priority)
    vplic.write(enable(context, source), 4, 1 << source % 32 | vplic.read(enable(context, source), 4))


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("source", [1, 31, 32, 69, 511])
def test_each_context_delivers_claims_and_completes(vm: Vm, vplic: VPlic, context: int, source: int) -> None:
    set_up(vplic, context, source)
    vm.line(source)(True)
    expected = [context == 2 * vcpu + 1 for vcpu in range(3)]  # M-mode contexts lead nowhere
    assert outputs(vm) == expected
    assert vplic.read(PENDING + source // 32 * 4, 4) == 1 << source % 32
    for other in CONTEXTS:
        if other != context:
            assert vplic.read(claim(other), 4) == 0
    assert vplic.read(claim(context), 4) == source
    assert outputs(vm) == [False] * 3
    assert vplic.read(PENDING + source // 32 * 4, 4) == 0
    vm.line(source)(False)
    vplic.write(claim(context), 4, source)
    assert outputs(vm) == [False] * 3
    assert vplic.statistics == {source: IrqCount(1, 1, 1)}


def test_the_highest_priority_goes_first_and_of_equals_the_lowest_number(vm: Vm, vplic: VPlic) -> None:
    for source, priority in ((40, 2), (7, 2), (3, 1), (500, 7), (9, 0)):
        set_up(vplic, 3, source, priority)
        vm.line(source)(True)
    assert [vplic.read(claim(3), 4) for _ in range(6)] == [500, 7, 40, 3, 0, 0]


def test_an_interrupt_must_be_above_the_threshold(vm: Vm, vplic: VPlic) -> None:
    set_up(vplic, 1, 5, 3)
    vplic.write(threshold(1), 4, 3)
    vm.line(5)(True)
    assert outputs(vm) == [False] * 3
    vplic.write(threshold(1), 4, 2)
    assert outputs(vm) == [True, False, False]
    vplic.write(threshold(1), 4, 0xFFFF_FFFF)
    assert vplic.read(threshold(1), 4) == 7
    assert outputs(vm) == [False] * 3
    assert vplic.read(claim(1), 4) == 5, "a claim does not look at the threshold"


def test_priority_0_never_interrupts(vm: Vm, vplic: VPlic) -> None:
    set_up(vplic, 1, 5, 0)
    vm.line(5)(True)
    assert outputs(vm) == [False] * 3
    assert vplic.read(claim(1), 4) == 0
    vplic.write(4 * 5, 4, 1)
    assert outputs(vm) == [True, False, False], "a change of priority looks again"


def test_a_change_of_enables_looks_again(vm: Vm, vplic: VPlic) -> None:
    vplic.write(4 * 70, 4, 1)
    vm.line(70)(True)
    assert outputs(vm) == [False] * 3
    vplic.write(enable(5, 70), 4, 1 << 6)
    assert outputs(vm) == [False, False, True]
    vplic.write(enable(5, 70), 4, 0)
    assert outputs(vm) == [False] * 3
    vplic.write(enable(3, 70), 4, 0xFFFF_FFFF)
    assert outputs(vm) == [False, True, False]


def test_the_output_stays_while_another_interrupt_is_pending(vm: Vm, vplic: VPlic) -> None:
    for source in (11, 12):
        set_up(vplic, 3, source)
        vm.line(source)(True)
    assert vplic.read(claim(3), 4) == 11
    assert vm.vcpus[1].external
    assert vplic.read(claim(3), 4) == 12
    assert not vm.vcpus[1].external


def test_a_claimed_source_comes_again_only_when_it_is_completed(vm: Vm, vplic: VPlic) -> None:
    set_up(vplic, 1, 8)
    vm.line(8)(True)
    assert vplic.read(claim(1), 4) == 8
    assert vplic.read(claim(1), 4) == 0
    vplic.write(claim(3), 4, 8)  # where it is not enabled: ignored
    vplic.write(claim(1), 4, 9)  # not claimed: ignored
    vplic.write(claim(1), 4, 1 << 31)
    assert vplic.read(claim(1), 4) == 0
    vplic.write(claim(1), 4, 8)  # the line is still high
    assert vplic.read(claim(1), 4) == 8
    assert vplic.statistics == {8: IrqCount(1, 2, 1)}


def test_pending_bits_are_read_only(vm: Vm, vplic: VPlic) -> None:
    set_up(vplic, 1, 8)
    vplic.write(PENDING, 4, 1 << 8)
    assert vplic.read(PENDING, 4) == 0
    vm.line(8)(True)
    vplic.write(PENDING, 4, 0)
    assert vplic.read(PENDING, 4) == 1 << 8


def test_source_0_does_not_exist(vplic: VPlic) -> None:
    vplic.write(0, 4, 7)
    vplic.write(enable(1, 0), 4, 0xFFFF_FFFF)
    assert (vplic.read(0, 4), vplic.read(enable(1, 0), 4)) == (0, 0xFFFF_FFFE)


@pytest.mark.parametrize(
    "offset", [4 * 512, 0x1040, 0x1FFC, enable(6, 0), threshold(6), claim(6), 0x40_0000, 0x5F_FFFC]
)
def test_what_is_reserved_reads_as_zero_and_ignores_writes(vplic: VPlic, offset: int) -> None:
    vplic.write(offset, 4, 0xFFFF_FFFF)
    assert vplic.read(offset, 4) == 0


@pytest.mark.parametrize("width", [1, 2, 8])
def test_registers_have_32_bits_and_another_access_is_refused_without_effect(vm: Vm, vplic: VPlic, width: int) -> None:
    set_up(vplic, 1, 8)
    vm.line(8)(True)
    for offset in (4 * 8, PENDING, enable(1, 8), threshold(1), claim(1), claim(6)):
        with pytest.raises(AccessFault):
            vplic.read(offset, width)
        with pytest.raises(AccessFault):
            vplic.write(offset, width, 8)
    assert vplic.read(claim(1), 4) == 8
    with pytest.raises(AccessFault):
        vplic.write(claim(1), width, 8)
    assert vplic.read(claim(1), 4) == 0, "it has not been completed"


def running(cores: int, irqs: list[int], vm_id: int = 1, station: Station | None = None) -> tuple[Station, Vm, VPlic]:
    """A VM that owns passthrough irqs and does nothing."""
    station = station or Station(ram=1 << 30)
    kernel = Program(BASE).label("wait").op("wfi").jump("wait").code()
    vm = station.manager.add(guest(vm_id, cores, passthrough_irqs=irqs), kernel)
    station.manager.boot(vm_id)
    station.run(200_000)
    assert vm.vplic is not None
    return station, vm, vm.vplic


def physical(station: Station, source: int) -> SourceState:
    return station.machine.board.plic.snapshot().sources[source - 1]


@pytest.mark.parametrize(("vcpu", "core"), [(0, 1), (1, 2), (2, 3)])
def test_a_passthrough_irq_is_served_by_the_guest_before_the_machine_delivers_it_again(vcpu: int, core: int) -> None:
    station, vm, vplic = running(0b1110, [FREE])
    context = 2 * vcpu + 1
    set_up(vplic, context, FREE, 5)
    assert physical(station, FREE).enabled == (2 * core + 1,)
    assert physical(station, FREE).priority == 1
    line = station.machine.board.plic.line(FREE)
    line(True)
    station.run(200_000)
    assert outputs(vm) == [index == vcpu for index in range(3)]
    assert physical(station, FREE).claimed
    assert vplic.read(claim(context), 4) == FREE
    station.run(200_000)
    assert physical(station, FREE).claimed, "not completed before the guest has served the device"
    assert not vm.vcpus[vcpu].external
    vplic.write(claim(context), 4, FREE)  # the guest's driver did not quiet the device: it comes again
    station.run(200_000)
    assert vplic.read(claim(context), 4) == FREE
    line(False)
    vplic.write(claim(context), 4, FREE)
    station.run(200_000)
    assert (physical(station, FREE).claimed, physical(station, FREE).pending) == (False, False)
    assert vplic.statistics == {FREE: IrqCount(2, 2, 2)}
    assert physical(station, FREE).count == 2


def test_a_passthrough_irq_that_moves_to_another_vcpu_while_it_is_served_is_completed_all_the_same() -> None:
    station, _, vplic = running(0b1110, [FREE])
    set_up(vplic, 1, FREE)
    line = station.machine.board.plic.line(FREE)
    line(True)
    station.run(200_000)
    assert vplic.read(claim(1), 4) == FREE
    line(False)
    vplic.write(enable(1, FREE), 4, 0)
    set_up(vplic, 3, FREE)
    vplic.write(claim(3), 4, FREE)
    assert physical(station, FREE) == SourceState(FREE, 1, False, False, False, (5,), 1)
    line(True)
    station.run(200_000)
    assert vplic.read(claim(3), 4) == FREE


def test_a_vm_that_stops_leaves_the_machines_controller_as_at_power_on() -> None:
    """On all cores it used, and with an irq in the middle of being served."""
    station, _, vplic = running(0b1110, [FREE, FREE + 1])
    for context in (1, 3, 5):
        set_up(vplic, context, FREE)
        set_up(vplic, context, FREE + 1)
    line = station.machine.board.plic.line(FREE)
    line(True)
    station.run(200_000)
    assert vplic.read(claim(5), 4) == FREE
    line(False)
    station.manager.remove(1)
    station.run(200_000)
    for source in (FREE, FREE + 1):
        state = physical(station, source)
        assert (state.priority, state.pending, state.claimed, state.enabled) == (0, False, False, ())
    _, _, again = running(0b0010, [FREE], 2, station)
    set_up(again, 1, FREE)
    line(True)
    station.run(200_000)
    assert again.read(claim(1), 4) == FREE


def test_a_source_that_two_vms_own_stays_on_for_the_other() -> None:
    station, _, first = running(0b0010, [5])
    _, _, second = running(0b0010, [5], 2, station)
    set_up(first, 1, 5)
    set_up(second, 1, 5)
    first.write(enable(1, 5), 4, 0)
    assert (physical(station, 5).enabled, physical(station, 5).priority) == ((3,), 1)
    station.manager.remove(1)
    station.run(200_000)
    station.machine.board.plic.line(5)(True)
    station.run(200_000)
    assert second.read(claim(1), 4) == 5


def test_an_irq_that_no_vm_owns_any_more_is_switched_off_once() -> None:
    station, _, vplic = running(0b0010, [FREE])
    set_up(vplic, 1, FREE)
    del station.manager.table[1]  # as `remove` does before the vCPUs have let go
    station.machine.board.plic.line(FREE)(True)
    station.run(400_000)
    assert (physical(station, FREE).enabled, physical(station, FREE).claimed) == ((), False)
    assert [line for line in station.log if "belongs to no VM" in line] == [
        f"physical irq {FREE} on core 1 belongs to no VM: switched off"
    ]


def test_emulated_irqs_never_reach_the_machines_controller() -> None:
    """Numbers of the board's own devices, among them the UART's 10, used by a VM for its emulated ones."""
    station = Station(ram=1 << 30)
    console = EmulatedDevice("console", 0x4000_1000, 0x1000, 10, (0, 0x4000_1000), DeviceType.VIRTIO_CONSOLE)
    plic = EmulatedDevice("plic@c000000", PLIC, 0x60_0000, 0, (), DeviceType.PLIC)
    vm = station.manager.add(guest(cores=0b1110, devices=[plic, console]), b"\x73\0\x50\x10")
    assert vm.vplic is not None
    before = station.machine.board.plic.snapshot()
    for context in CONTEXTS:
        for source in range(1, 96):
            set_up(vm.vplic, context, source, 7)
        vm.vplic.write(threshold(context), 4, 1)
    vm.line(10)(True)
    assert vm.vplic.read(claim(1), 4) == 10
    vm.vplic.write(claim(1), 4, 10)
    assert station.machine.board.plic.snapshot() == before


@pytest.mark.parametrize("vcpu", [0, 1, 2])
def test_a_guest_takes_an_emulated_irq_on_any_vcpu(vcpu: int) -> None:
    """By its own instructions on the real core: enable, WFI, claim, complete, twice."""
    station = Station(ram=1 << 30)
    source, results = 19, BASE + 0x3000
    body = Program(BASE)
    if vcpu:
        body.ecall(HSM, 0, vcpu, BASE + 0x800, 0).label("end").op("wfi").jump("end")
        body.at(BASE + 0x800)
    body.li(S0, PLIC + claim(2 * vcpu + 1)).li(S1, results).li(T0, BASE + 0x2000).csrw(STVEC, T0)
    body.li(T0, PLIC + 4 * source).li(T1, 1).op("sw", rs1=T0, rs2=T1, imm=0)
    body.li(T0, PLIC + enable(2 * vcpu + 1, source)).li(T1, 1 << source).op("sw", rs1=T0, rs2=T1, imm=0)
    body.op("sd", rs1=S1, rs2=T1, imm=8)  # ready
    body.li(T0, 1 << 9).csrw(SIE, T0).op("csrrsi", rd=0, rs1=2, imm=0x100)
    body.label("wait").op("wfi").jump("wait")
    body.at(BASE + 0x2000).op("lw", rd=T2, rs1=S0, imm=0).op("sw", rs1=S0, rs2=T2, imm=0)
    body.op("ld", rd=A0, rs1=S1, imm=0).op("slli", rd=A0, rs1=A0, imm=16).op("add", rd=A0, rs1=A0, rs2=T2)
    body.op("sd", rs1=S1, rs2=A0, imm=0).op("sret").at(results).data(bytes(16))
    vm = station.manager.add(guest(cores=0b1110), body.code())
    vplic = vm.vplic
    assert vplic is not None
    station.manager.boot(1)
    station.until(lambda: vm.memory.read_u64(results + 8) != 0)
    for _ in range(2):
        station.run(100_000)
        vplic.plic.pulse(source)
        station.until(lambda: vplic.statistics[source].completed == vplic.statistics[source].raised)
    station.run(100_000)
    assert struct.unpack("<Q", vm.memory.read(results, 8)) == (source << 16 | source,)
    assert vplic.statistics == {source: IrqCount(2, 2, 2)}
    assert vm.state is VmState.ACTIVE
