"""SBI calls of VMs on different cores do not wait for one another: there is no lock that they share."""

from __future__ import annotations

from shyper_tui import images
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.programs import Program
from tests.hypervisor.station import Station, guest
from tests.hypervisor.workloads import BASE, boot, exiter, words

GVM = b"gvm# "
BOOT_LIMIT = 200_000_000
"""Cycles, 20 s of the machine's time: far above any boot."""
TURN = 200_000
"""Cycles of the longest turn of a hart: what the measurement leaves open."""
SYSTEM_RESET = 0x53525354


def boot_time(neighbours: int) -> int:
    """Cycles from the boot of the embedded guest on core 1 to its prompt and an answer, while `neighbours` other cores
    do nothing but SBI calls."""
    station = Station(ram=1 << 30)
    vms = [boot(station, 2 + index, exiter(), 0b0100 << index) for index in range(neighbours)]
    station.run(1_000_000)
    before = [words(vm, 1)[0] for vm in vms]
    station.manager.add(guest(1, 0b0010, 64 << 20), images.embedded("guest"))
    begin = station.machine.cycle
    station.manager.boot(1)
    station.until(lambda: GVM in station.consoles[1], BOOT_LIMIT)
    assert "3 intervals of 10000 us" in station.command(1, "timer 3", GVM, BOOT_LIMIT)
    took = station.machine.cycle - begin
    for vm, calls in zip(vms, before, strict=True):
        assert words(vm, 1)[0] > calls  # they went on all the time
    return took


def test_a_guest_boots_as_fast_beside_cores_that_only_make_sbi_calls() -> None:
    assert boot_time(2) <= boot_time(0) + TURN


def test_a_reset_call_of_one_guest_holds_up_no_call_of_another() -> None:
    station = Station(ram=1 << 30)
    going_on = boot(station, 2, exiter(), 0b0100)
    off = Program(BASE).ecall(SYSTEM_RESET, 0, 0, 0).code()
    boot(station, 1, off, 0b0010)
    station.until(lambda: station.manager.state(1) is VmState.PENDING)
    before = words(going_on, 1)[0]
    station.run(2_000_000)
    assert words(going_on, 1)[0] > before + 1000
