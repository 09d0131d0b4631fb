"""Messages to the embedded supervisor, whose handler takes one slot for each interrupt as the kernel module does."""

from __future__ import annotations

import re

import pytest

from shyper_tui import images
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.supervisor import Supervisor

SLOTS = 8
QUIET = 2
"""A function that the supervisor takes note of and does nothing about."""
SEEN = re.compile(r"hypervisor message in slot (\d): function 0x2, event 0x(\w+), vm (\d+)")


@pytest.fixture
def mvm() -> Supervisor:
    return Supervisor(images.embedded("guest")).boot()


def seen(mvm: Supervisor) -> list[tuple[int, int, int]]:
    """(slot, event, VM) of every message of this kind that the handler took."""
    return [(int(slot), int(event, 16), int(vm)) for slot, event, vm in SEEN.findall(mvm.command("log"))]


def send(mvm: Supervisor, numbers: range) -> None:
    vm = mvm.station.manager.vm(0)
    assert all(vm.notify(QUIET, 1, number) for number in numbers)


def expected(numbers: range, slot: int = 0) -> list[tuple[int, int, int]]:
    return [((slot + index) % SLOTS, 1, number) for index, number in enumerate(numbers)]


def test_thirty_messages_at_once_are_taken_one_by_one(mvm: Supervisor) -> None:
    send(mvm, range(30))
    mvm.station.run(5_000_000)
    assert mvm.command("messages").startswith("30 messages of the hypervisor, next slot 6,")
    assert seen(mvm)[-20:] == expected(range(30))[-20:]


def test_messages_to_a_paused_vm_wait_until_it_goes_on(mvm: Supervisor) -> None:
    mvm.station.manager.pause(0)
    mvm.station.run(1_000_000)
    send(mvm, range(20))
    mvm.station.run(5_000_000)
    mvm.station.manager.resume(0)
    mvm.station.run(5_000_000)
    assert mvm.command("messages").startswith("20 messages")
    assert seen(mvm) == expected(range(20))


def test_a_module_that_is_loaded_again_gets_what_comes_then(mvm: Supervisor) -> None:
    send(mvm, range(3))
    mvm.station.run(1_000_000)
    mvm.command("rmmod")
    mvm.command("insmod")
    send(mvm, range(100, 112))
    mvm.station.run(5_000_000)
    assert seen(mvm) == expected(range(3)) + expected(range(100, 112))


def test_messages_before_the_ring_is_there_are_dropped_with_a_word(mvm: Supervisor) -> None:
    mvm.station.manager.reboot(0, force=True)
    mvm.station.until(lambda: mvm.station.manager.vm(0).boots == 2)
    assert not mvm.station.manager.vm(0).notify(QUIET, 1, 1)
    mvm.station.manager.reboot(0, force=False)  # so it is by force
    mvm.station.until(lambda: mvm.station.manager.vm(0).boots == 3)
    assert "VM 0 (supervisor) does not listen for messages: (1, 4, 0) is dropped" in mvm.station.log


def test_a_kernel_that_was_not_kept_is_uploaded_again_by_the_managing_vm(mvm: Supervisor) -> None:
    """The whole way: configured and booted by the supervisor, started again by a message, an upload and a boot call."""
    station, manager = mvm.station, mvm.station.manager
    manager.loader.keep = 0
    assert mvm.command("shyper vm config again disk=0 memory=64 cpus=2").endswith("Config VM [1] successfully\n")
    mvm.command("shyper vm boot 1")
    station.until(lambda: b"gvm# " in station.consoles[1])
    vm, shown = manager.vm(1), len(station.consoles[1])
    mvm.command("shyper vm reboot 1 --force")
    station.until(lambda: vm.boots == 2 and b"gvm# " in station.consoles[1][shown:])
    shown = len(station.consoles[1])
    station.type(1, b"reboot\r")
    station.until(lambda: vm.boots == 3 and b"gvm# " in station.consoles[1][shown:], 200_000_000)
    assert vm.state is VmState.ACTIVE
    assert mvm.command("log").count("VM 1: kernel uploaded again, booted") == 2
