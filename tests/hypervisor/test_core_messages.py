"""Messages from core to core, and what a world switch leaves in the TLB."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hart.hart import Hart
from shyper_tui.engine.hypervisor.layout import SLICE
from tests.hypervisor.station import Station
from tests.hypervisor.workloads import CYCLES_PER_TICK, boot, spinner


def test_messages_to_a_core_are_all_done_in_the_order_in_which_they_came() -> None:
    station = Station(ram=1 << 30)
    boot(station, 1, spinner())
    station.run(1_000_000)
    done: list[tuple[int, int | None]] = []
    core = station.hypervisor.cores[1]

    def note(number: int) -> None:
        done.append((number, core.hart_id))
        if number == 2:
            core.post(lambda: note(100))  # one more while they are being done

    for number in range(20):
        core.post(lambda number=number: note(number))  # type: ignore[misc]
    station.until(lambda: len(done) == 21)
    assert [number for number, _ in done] == [*range(20), 100]


def test_a_message_that_starts_a_vm_does_not_keep_those_behind_it_waiting() -> None:
    station = Station(ram=1 << 30)
    boot(station, 1, spinner())
    boot(station, 2, spinner())  # both starts are messages to core 1, behind each other
    station.run(2 * SLICE * CYCLES_PER_TICK)
    vcpus = [station.manager.vm(vm_id).vcpus[0] for vm_id in (1, 2)]
    assert all(vcpu.core.time_on_core(vcpu) > SLICE // 2 for vcpu in vcpus)


def test_taking_turns_on_a_core_fences_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Translations are kept apart by VMID, so they are dropped when a VMID gets a new owner and at no other time."""
    station = Station(ram=1 << 30)
    fences: list[int] = []
    real = Hart.hfence_gvma

    def counted(hart: Hart, gpa: int | None = None, vmid: int | None = None) -> None:
        fences.append(hart.hart_id)
        real(hart, gpa, vmid)

    monkeypatch.setattr(Hart, "hfence_gvma", counted)
    vms = [boot(station, vm_id, spinner()) for vm_id in (1, 2)]
    station.run(4 * SLICE * CYCLES_PER_TICK)
    assert fences == [1, 1]  # one for each start
    turns = [vm.vcpus[0].ran for vm in vms]
    station.run(20 * SLICE * CYCLES_PER_TICK)
    assert all(vm.vcpus[0].ran > ran + 5 * SLICE for vm, ran in zip(vms, turns, strict=True))
    assert fences == [1, 1]
