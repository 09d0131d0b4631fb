"""What can be done with a VM in which state, and what comes of it: boot, pause, stop, shut down, reboot, remove."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from shyper_tui.engine.firmware.sbi import HsmState, ResetType
from shyper_tui.engine.hypervisor.csr_bits import SSTATUS_SIE
from shyper_tui.engine.hypervisor.definition import MemoryRegion, VmDefinition, VmError, VmType
from shyper_tui.engine.hypervisor.manager import SHORTEST_RUN
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vcpu import VcpuState
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.caller import Call, Caller
from tests.hypervisor.station import GUEST_BASE, RAM_BASE, Station, guest
from tests.hypervisor.test_hypercalls import hypercall, perform_with

MIB = 1 << 20
SPIN = struct.pack("<I", 0x0000_006F)
"""A jump to itself."""
PAGE = 0x9200_0000
"""Free memory of the managing VM."""
BOOT, SHUTDOWN, REBOOT, REMOVE, FORCE = 2, 3, 4, 16, 1 << 16
UPLOAD, DELETE = 9, 1


def idle_mvm() -> VmDefinition:
    definition = mvm_definition()
    definition.memory = [MemoryRegion(0x9000_0000, 64 * MIB)]
    definition.device_tree_load_ipa = 0x9100_0000
    return definition


@pytest.fixture
def station() -> Station:
    """The managing VM and VM 1 on cores 1 and 2, both spinning."""
    station = Station()
    station.manager.add(idle_mvm(), SPIN)
    station.manager.add(guest(1, 0b0110), SPIN)
    station.manager.boot(0)
    station.manager.boot(1)
    station.run(100_000)
    return station


def listening(station: Station, vm_id: int, page: int) -> None:
    """The VM has told where its ring is, as its kernel module does when it is loaded."""
    vm = station.manager.vm(vm_id)
    vm.mailbox_irq = 69
    assert vm.mailbox.prepare(page)


def ring(station: Station, vm_id: int, page: int, slot: int = 0) -> tuple[int, ...]:
    return struct.unpack("<3Q", station.manager.vm(vm_id).memory.read(page + 512 * slot, 24))


def in_state(station: Station, state: str) -> None:
    """Bring VM 1 into a state."""
    manager = station.manager
    if state == "pending":
        manager.stop(1)
        station.run(100_000)
    elif state == "paused":
        manager.pause(1)
        station.run(100_000)
    elif state == "failed":
        manager.fail(manager.vm(1), "it failed")
        station.run(100_000)
    elif state == "stopping":
        manager.stop(1)
        assert manager.vm(1).stopping
    if state != "stopping":
        assert manager.state(1).value == state


# boot


@pytest.mark.parametrize(
    ("state", "sentence"),
    [("active", "VM 1 runs already"), ("paused", "VM 1 runs already"), ("stopping", "VM 1 is still stopping")],
)
def test_a_vm_that_runs_is_not_booted_again(station: Station, state: str, sentence: str) -> None:
    in_state(station, state)
    boots = station.manager.vm(1).boots
    with pytest.raises(VmError, match=sentence):
        station.manager.boot(1)
    assert station.manager.vm(1).boots == boots


@pytest.mark.parametrize("state", ["pending", "failed"])
def test_a_vm_that_is_off_is_booted(station: Station, state: str) -> None:
    in_state(station, state)
    station.manager.boot(1)
    station.run(100_000)
    assert station.manager.state(1) is VmState.ACTIVE
    assert station.manager.vm(1).vcpus[0].state is VcpuState.RUNNING
    assert station.manager.vm(1).message == ""


def test_boot_hypercalls_of_what_cannot_be_booted_fail_and_the_machine_goes_on() -> None:
    mvm = Caller(Station())
    calls = [hypercall(1, BOOT, vm) for vm in (0, 1, 7, 8, 1 << 32, (1 << 64) - 1)]
    assert [a0 for a0, _ in mvm.perform(*calls)] == [-1] * 6
    assert mvm.vm.boots == 1
    assert mvm.perform(hypercall(1, 8, PAGE))[0][0] == 0


def test_a_vm_without_a_kernel_is_not_booted(station: Station) -> None:
    station.manager.define(guest(2, 0b1000))
    with pytest.raises(VmError, match="VM 2 is configured, but has no kernel yet"):
        station.manager.boot(2)


# pause and resume


@pytest.mark.parametrize("state", ["pending", "failed", "paused", "stopping"])
def test_only_an_active_vm_is_paused(station: Station, state: str) -> None:
    in_state(station, state)
    with pytest.raises(VmError, match="VM 1 does not run, so it cannot be paused"):
        station.manager.pause(1)


@pytest.mark.parametrize("state", ["pending", "failed", "active", "stopping"])
def test_only_a_paused_vm_is_resumed(station: Station, state: str) -> None:
    in_state(station, state)
    with pytest.raises(VmError, match="VM 1 is not paused"):
        station.manager.resume(1)


def test_pause_and_resume_of_a_vm_that_does_not_exist(station: Station) -> None:
    for act in (station.manager.pause, station.manager.resume, station.manager.stop, station.manager.remove):
        with pytest.raises(VmError, match="there is no VM 6"):
            act(6)


def test_a_paused_vm_can_be_stopped_and_booted(station: Station) -> None:
    in_state(station, "paused")
    station.manager.stop(1)
    station.run(100_000)
    assert station.manager.state(1) is VmState.PENDING
    station.manager.boot(1)
    station.run(100_000)
    assert station.hypervisor.cores[1].current is station.manager.vm(1).vcpus[0]


# stop, and requests that meet


def test_a_stop_while_stopping_changes_nothing(station: Station) -> None:
    station.manager.stop(1)
    station.manager.stop(1)
    station.run(100_000)
    assert station.manager.state(1) is VmState.PENDING
    assert station.log.count("VM 1 (guest-1) is pending") == 1
    station.manager.stop(1)  # nor does one of a VM that is off
    assert station.manager.state(1) is VmState.PENDING


def test_of_two_requests_the_later_one_counts(station: Station) -> None:
    manager = station.manager
    manager.stop(1)
    manager.reboot(1, force=True)
    station.run(100_000)
    assert (manager.state(1), manager.vm(1).boots) == (VmState.ACTIVE, 2)
    manager.reboot(1, force=True)
    manager.stop(1)
    station.run(100_000)
    assert (manager.state(1), manager.vm(1).boots) == (VmState.PENDING, 2)


def test_a_vm_that_is_stopping_is_not_asked(station: Station) -> None:
    """Nobody would read the message."""
    manager = station.manager
    listening(station, 1, RAM_BASE + 0x4000)
    manager.stop(1)
    manager.reboot(1, force=False)
    station.run(100_000)
    assert (manager.state(1), manager.vm(1).boots) == (VmState.ACTIVE, 2)
    listening(station, 1, RAM_BASE + 0x4000)
    manager.reboot(1, force=True)
    manager.shutdown(1, force=False)
    station.run(100_000)
    assert (manager.state(1), manager.vm(1).boots) == (VmState.PENDING, 2)


def test_a_removal_is_final(station: Station) -> None:
    manager = station.manager
    free = manager.pool.free_bytes
    manager.reboot(1, force=True)
    manager.remove(1)
    for act in (manager.boot, manager.stop, manager.reboot, manager.remove):
        with pytest.raises(VmError, match="there is no VM 1"):
            act(1)
    station.run(100_000)
    assert 1 not in manager.table
    assert manager.pool.free_bytes == free + 16 * MIB


def test_a_guest_cannot_overrule_a_stop(station: Station) -> None:
    manager, vm = station.manager, station.manager.vm(1)
    manager.stop(1)
    manager.guest_reset(vm, ResetType.COLD_REBOOT)  # a vCPU that the stop has not reached yet
    station.run(100_000)
    station.run(10 * SHORTEST_RUN)
    assert (manager.state(1), vm.boots) == (VmState.PENDING, 1)


def test_a_stop_ends_a_restart_that_waits(station: Station) -> None:
    manager, vm = station.manager, station.manager.vm(1)
    manager.guest_reset(vm, ResetType.COLD_REBOOT)
    station.run(100_000)
    assert vm.restart is not None
    manager.stop(1)
    station.run(20 * SHORTEST_RUN)
    assert (manager.state(1), vm.boots) == (VmState.PENDING, 1)


# remove, and ids


def test_the_managing_vm_is_not_removed(station: Station) -> None:
    for remove in (station.manager.remove, station.manager.delete):
        with pytest.raises(VmError, match="VM 0 is the managing VM and cannot be removed"):
            remove(0)
    assert station.manager.state(0) is VmState.ACTIVE


@pytest.mark.parametrize("state", ["pending", "active", "paused", "failed", "stopping"])
def test_a_vm_is_removed_in_any_state(station: Station, state: str) -> None:
    manager = station.manager
    vm = manager.vm(1)
    free, base = manager.pool.free_bytes, vm.memory.regions[0].physical
    in_state(station, state)
    manager.remove(1)
    assert list(manager.table) == [0]
    station.run(100_000)
    assert manager.pool.free_bytes == free + 16 * MIB
    assert [station.hypervisor.cores[core].current for core in (1, 2)] == [None, None]
    assert station.machine.memory.read(base + 2 * MIB, 4) == bytes(4)
    assert manager.state(0) is VmState.ACTIVE


def test_memory_is_not_given_away_before_the_cores_have_let_go(station: Station) -> None:
    manager = station.manager
    free = manager.pool.free_bytes
    manager.remove(1)
    assert manager.pool.free_bytes == free
    assert manager.free_id() == 1
    station.run(100_000)
    assert manager.pool.free_bytes == free + 16 * MIB


def test_an_id_is_used_again_while_its_old_vm_is_still_stopping(station: Station) -> None:
    manager = station.manager
    old = manager.vm(1)
    manager.remove(1)
    new = manager.add(guest(1, 0b0110, 32 * MIB, name="another"), SPIN)
    manager.boot(1)
    assert new.memory.regions[0].physical != old.memory.regions[0].physical
    station.run(200_000)
    assert manager.vm(1) is new
    assert station.hypervisor.cores[1].current is new.vcpus[0]
    assert new.memory.read(GUEST_BASE, 4) == SPIN
    assert not old.stopping
    assert {vcpu.state for vcpu in old.vcpus} <= {VcpuState.SLEEP, VcpuState.INVALID}


def configure(vm: int, base: int) -> list[Call]:
    """Calls that configure a VM on core 1 and upload its kernel."""
    return [
        hypercall(0x11, 0, base),
        hypercall(0x11, 3, vm, RAM_BASE, 16 * MIB),
        hypercall(0x11, 2, vm, 1, 0b0010, 1),
        hypercall(0x11, UPLOAD, vm, len(SPIN), PAGE + 0x4000, 0, len(SPIN)),
    ]


def configuration() -> dict[int, bytes]:
    """Memory that those calls point to: two names at PAGE and PAGE + 0x2000."""
    return {
        PAGE: struct.pack("<8Q", PAGE + 0x1000, 5, 0, PAGE + 0x5000, 0, GUEST_BASE, RAM_BASE + 8 * MIB, 0),
        PAGE + 0x1000: b"first\0",
        PAGE + 0x2000: struct.pack("<8Q", PAGE + 0x3000, 6, 1, PAGE + 0x5000, 0, GUEST_BASE + MIB, 0, 0),
        PAGE + 0x3000: b"second\0",
        PAGE + 0x4000: SPIN,
        PAGE + 0x5000: b"\0",
    }


def test_delete_after_creation_removes_the_vm_and_its_id_gets_the_new_configuration() -> None:
    mvm = Caller(Station())
    manager = mvm.station.manager
    free = manager.pool.free_bytes
    answers = perform_with(
        mvm,
        configuration(),
        *configure(1, PAGE),
        hypercall(1, BOOT, 1),
        hypercall(0x11, DELETE, 1),
        hypercall(1, 1, 1),
        hypercall(0x11, DELETE, 1),
        *configure(1, PAGE + 0x2000),
    )
    assert answers == [1, 0, 0, 0, 0, 0, -1, -1, 1, 0, 0, 0]
    mvm.station.run(200_000)
    vm = manager.vm(1)
    assert (vm.name, vm.definition.type, vm.boots) == ("second", VmType.BARE_METAL, 0)
    assert vm.memory.read(GUEST_BASE, 4) == bytes(4)  # nothing of the first one
    assert vm.memory.read(GUEST_BASE + MIB, 4) == SPIN
    assert manager.pool.free_bytes == free - 16 * MIB


def test_the_configuration_of_a_created_vm_stands() -> None:
    mvm = Caller(Station())
    answers = perform_with(
        mvm,
        configuration(),
        *configure(1, PAGE),
        hypercall(0x11, 3, 1, 0xC000_0000, MIB),
        hypercall(0x11, 2, 1, 1, 0b0100, 2),
        hypercall(0x11, 2, 0, 1, 0b0100, 2),
    )
    assert answers == [1, 0, 0, 0, -1, -1, -1]
    assert mvm.station.manager.entry(1).definition == mvm.station.manager.vm(1).definition
    assert mvm.station.manager.entry(0).definition.cpu.cores() == [0]


# shut down and reboot


def test_a_shutdown_is_asked_for_by_message(station: Station) -> None:
    listening(station, 1, RAM_BASE + 0x4000)
    station.manager.shutdown(1)
    station.run(100_000)
    assert ring(station, 1, RAM_BASE + 0x4000) == (1, 3, 1)
    assert station.manager.state(1) is VmState.ACTIVE  # the guest does it, and this one does not
    station.manager.shutdown(1, force=True)
    station.run(100_000)
    assert station.manager.state(1) is VmState.PENDING


def test_a_vm_without_a_ring_is_shut_down_by_force(station: Station) -> None:
    station.manager.shutdown(1)
    station.run(100_000)
    assert station.manager.state(1) is VmState.PENDING
    assert any("VM 1 (guest-1) does not listen" in line for line in station.log)


def test_a_paused_vm_that_listens_is_shut_down_by_force_alone(station: Station) -> None:
    listening(station, 1, RAM_BASE + 0x4000)
    in_state(station, "paused")
    with pytest.raises(VmError, match="paused and cannot power off by itself"):
        station.manager.shutdown(1)
    station.manager.shutdown(1, force=True)
    station.run(100_000)
    assert station.manager.state(1) is VmState.PENDING


@pytest.mark.parametrize("state", ["pending", "failed"])
def test_a_vm_that_is_off_is_not_shut_down(station: Station, state: str) -> None:
    in_state(station, state)
    for force in (False, True):
        with pytest.raises(VmError, match="VM 1 does not run, so it cannot be shut down"):
            station.manager.shutdown(1, force)


def test_a_soft_reboot_is_asked_for_by_message_on_whatever_core(station: Station) -> None:
    for vm_id, page in ((0, PAGE), (1, RAM_BASE + 0x4000)):
        listening(station, vm_id, page)
        station.manager.reboot(vm_id, force=False)
        station.run(100_000)
        assert ring(station, vm_id, page) == (1, 4, vm_id)
        vm = station.manager.vm(vm_id)
        assert vm.boots == 1
        assert vm.vplic is not None
        assert vm.vplic.plic.read(0x1000 + 4 * (69 // 32), 4) >> 69 % 32 & 1  # the interrupt is pending


def test_a_forced_reboot_starts_any_vm_with_clean_memory(station: Station) -> None:
    for vm_id, kernel in ((0, 0x9000_0000), (1, GUEST_BASE)):
        vm = station.manager.vm(vm_id)
        vm.memory.write(kernel + MIB, b"left behind")
        station.manager.reboot(vm_id, force=True)
        station.run(200_000)
        assert (vm.boots, vm.state) == (2, VmState.ACTIVE)
        assert vm.memory.read(kernel + MIB, 11) == bytes(11)
        assert vm.memory.read(kernel, 4) == SPIN


def test_a_reboot_of_a_vm_that_is_off_boots_it(station: Station) -> None:
    in_state(station, "pending")
    station.manager.reboot(1, force=False)
    station.run(100_000)
    assert station.manager.state(1) is VmState.ACTIVE


def test_shutdown_and_reboot_hypercalls_take_the_vm_and_force_from_one_register() -> None:
    mvm = Caller(Station())
    manager = mvm.station.manager
    manager.add(guest(1, 0b0010), SPIN)
    manager.boot(1)
    calls = [hypercall(1, REBOOT, 1 | FORCE), hypercall(1, REBOOT, 1 | 1 << 32), hypercall(1, SHUTDOWN, 1 | 1 << 32)]
    calls += [hypercall(1, event, vm) for event in (SHUTDOWN, REBOOT) for vm in (5, 0xFFFF, 5 | FORCE)]
    assert [a0 for a0, _ in mvm.perform(*calls)] == [0] + [-1] * 8
    mvm.station.until(lambda: manager.vm(1).boots == 2)
    assert mvm.perform(hypercall(1, SHUTDOWN, 1 | FORCE))[0][0] == 0
    mvm.station.until(lambda: manager.state(1) is VmState.PENDING)
    assert mvm.perform(hypercall(1, SHUTDOWN, 1))[0][0] == -1


def test_a_forced_reboot_of_the_managing_vm_by_itself_starts_it_again() -> None:
    mvm = Caller(Station())
    mvm.prepare([hypercall(1, REBOOT, 0 | FORCE)])
    mvm.station.manager.boot(0)
    started = mvm.station.machine.now()
    mvm.station.until(lambda: mvm.vm.boots == 3, 200_000_000)
    assert mvm.station.machine.now() >= started + SHORTEST_RUN  # it does so again and again: not at once


# kernels that came by upload


def uploaded(keep: int) -> Caller:
    """A managing VM that has configured VM 1 and booted it; kernels up to `keep` bytes are kept."""
    mvm = Caller(Station())
    mvm.station.manager.loader.keep = keep
    answers = perform_with(mvm, configuration(), *configure(1, PAGE), hypercall(1, BOOT, 1))
    assert answers == [1, 0, 0, 0, 0]
    mvm.station.run(200_000)
    assert mvm.station.manager.state(1) is VmState.ACTIVE
    return mvm


def test_a_vm_starts_again_from_the_kernel_that_was_uploaded() -> None:
    mvm = uploaded(keep=MIB)
    manager, vm = mvm.station.manager, mvm.station.manager.vm(1)
    vm.memory.write(GUEST_BASE, b"spoilt by the guest")
    manager.reboot(1, force=True)
    mvm.station.run(200_000)
    assert (vm.boots, vm.state) == (2, VmState.ACTIVE)
    assert vm.memory.read(GUEST_BASE, 8) == SPIN + bytes(4)


def reboot_force(mvm: Caller) -> None:
    mvm.station.manager.reboot(1, force=True)


def guest_reset(mvm: Caller) -> None:
    mvm.station.manager.guest_reset(mvm.station.manager.vm(1), ResetType.COLD_REBOOT)


def off_and_boot(mvm: Caller) -> None:
    mvm.station.manager.stop(1)
    mvm.station.run(200_000)
    mvm.station.manager.boot(1)


@pytest.mark.parametrize("restart", [reboot_force, guest_reset, off_and_boot])
def test_a_kernel_that_was_not_kept_is_asked_for_and_uploaded_again(restart: Callable[[Caller], None]) -> None:
    mvm = uploaded(keep=0)
    manager, vm = mvm.station.manager, mvm.station.manager.vm(1)
    listening(mvm.station, 0, PAGE + 0x10_0000)
    restart(mvm)
    mvm.station.run(20 * SHORTEST_RUN)
    assert ring(mvm.station, 0, PAGE + 0x10_0000) == (0x11, 9, 1)
    assert (vm.state, vm.boots) == (VmState.PENDING, 1)
    assert "upload its kernel again" in vm.message
    upload = configure(1, PAGE)[-1]
    assert perform_with(mvm, configuration(), upload, hypercall(1, BOOT, 1)) == [0, 0]
    mvm.station.run(200_000)
    assert (vm.state, vm.boots) == (VmState.ACTIVE, 2)
    assert manager.vm(1) is vm


def test_a_kernel_that_nobody_brings_again_is_a_failure_with_a_sentence() -> None:
    mvm = uploaded(keep=0)
    manager = mvm.station.manager
    manager.reboot(1, force=True)
    mvm.station.run(200_000)
    assert manager.state(1) is VmState.FAILED
    assert "was not kept" in manager.vm(1).message
    with pytest.raises(VmError, match="upload it again"):
        manager.boot(1)


def test_a_kernel_is_not_replaced_under_a_running_vm() -> None:
    mvm = uploaded(keep=MIB)
    assert perform_with(mvm, configuration(), configure(1, PAGE)[-1]) == [-1]
    assert mvm.station.manager.state(1) is VmState.ACTIVE


# guests that stop by themselves

SRST = 0x5352_5354


@pytest.mark.parametrize(("kind", "boots"), [(0, 1), (1, 2), (2, 2)])
def test_a_guests_power_call_concerns_that_vm_alone(kind: int, boots: int) -> None:
    station = Station()
    caller = Caller(station, vm_id=1)
    other = station.manager.add(guest(2, 0b0100), SPIN)
    station.manager.boot(2)
    caller.prepare([Call(SRST, 0, (kind, 0))])
    station.manager.boot(1)
    station.until(lambda: station.manager.state(1) is VmState.PENDING)
    caller.prepare([Call(0x10, 0)])
    station.run(10 * SHORTEST_RUN)
    assert caller.vm.boots == boots
    assert (other.state, other.boots) == (VmState.ACTIVE, 1)
    assert station.resets == []


# VMs that are not Linux


@pytest.mark.parametrize("kind", [VmType.BARE_METAL, VmType.FREERTOS])
def test_a_bare_metal_vm_begins_with_fresh_registers_and_the_end_of_its_memory(kind: VmType) -> None:
    station = Station()
    vm = station.manager.add(guest(1, 0b0010, type=kind), SPIN)
    vcpu = vm.vcpus[0]
    for _ in range(2):
        station.manager.boot(1)
        station.run(100_000)
        assert station.manager.state(1) is VmState.ACTIVE
        hart = station.machine.harts[1]
        assert (hart.csr.vsatp, hart.csr.vstvec, hart.csr.vsie, hart.csr.vsscratch) == (0, 0, 0, 0)
        assert not hart.csr.vsstatus & SSTATUS_SIE
        assert hart.x[10] == RAM_BASE + 16 * MIB
        assert [hart.x[index] for index in range(1, 32) if index != 10] == [0] * 30
        for name in ("vsatp", "vstvec", "vsscratch"):  # what a first life leaves behind
            setattr(hart.csr, name, 0x8000_0000)
        station.manager.stop(1)
        station.run(100_000)
        assert vcpu.hsm is HsmState.STOPPED


# the whole machine


def test_a_shutdown_of_the_machine_stops_every_vm_first(station: Station) -> None:
    manager = station.manager
    manager.add(guest(2, 0b1000), SPIN)
    states: list[set[VmState]] = []
    station.platform.on_machine_reset = lambda kind: states.append({vm.state for vm in manager.vms()})
    manager.pause(1)
    manager.reset_machine(ResetType.SHUTDOWN)
    with pytest.raises(VmError, match="the machine is going down"):
        manager.boot(2)
    station.run(200_000)
    assert states == [{VmState.PENDING}]
    manager.boot(1)  # the machine is off, not dead
    station.run(100_000)
    assert manager.state(1) is VmState.ACTIVE


def test_a_reset_of_the_machine_boots_what_the_workstation_had_booted() -> None:
    mvm = uploaded(keep=MIB)
    manager = mvm.station.manager
    manager.add(guest(2, 0b0100), SPIN)
    manager.add(guest(3, 0b1000), SPIN)
    manager.boot(2)
    mvm.prepare([hypercall(0, 0)])
    manager.stop(0)
    mvm.station.run(200_000)
    before = mvm.vm.boots
    manager.boot(0)
    mvm.station.until(lambda: bool(mvm.station.resets))
    mvm.prepare([hypercall(0, 4)])
    mvm.station.until(lambda: mvm.vm.boots > before + 1, 200_000_000)
    mvm.station.run(200_000)
    assert mvm.station.resets[0] is ResetType.COLD_REBOOT
    assert {vm.id: vm.state for vm in manager.vms()} == {
        0: VmState.ACTIVE, 2: VmState.ACTIVE, 3: VmState.PENDING,
    }  # fmt: skip
    assert manager.vm(2).boots > 1


def test_a_machine_that_goes_down_while_a_vm_is_being_removed(station: Station) -> None:
    station.manager.remove(1)
    station.manager.reset_machine(ResetType.SHUTDOWN)
    station.run(200_000)
    assert station.resets == [ResetType.SHUTDOWN]
    assert list(station.manager.table) == [0]


def test_the_test_call_prints_one_line_on_the_machines_console() -> None:
    mvm = Caller(Station())
    assert mvm.perform(hypercall(0, 4))[0][0] == 0
    assert bytes(mvm.station.consoles[0]).count(b"hypervisor: test call of VM 0\r\n") == 1
