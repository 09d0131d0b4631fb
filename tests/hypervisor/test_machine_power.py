"""What follows when the managing VM powers off, and whole-machine hypercalls, on the machine that the engine builds."""

from __future__ import annotations

import pytest

from shyper_tui import images
from shyper_tui.engine.clock import VirtualClock
from shyper_tui.engine.hart.program import program
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.hypervisor.vm import VmState
from shyper_tui.engine.shyper_machine import Hooks, ShyperMachine
from tests.hypervisor.station import guest
from tests.hypervisor.test_lifecycle import SPIN

PROMPT = b"mvm# "


class Built:
    """The engine's machine with the embedded supervisor and a guest that spins, both running."""

    def __init__(self, mvm_off: str) -> None:
        self.shown = bytearray()
        self.log: list[str] = []
        hooks = Hooks(self._show, lambda: None, self.log.append)
        self.built = ShyperMachine(VirtualClock(), program(), hooks, None, None, mvm_off=mvm_off)
        self.machine, self.manager = self.built.machine, self.built.hypervisor.manager
        self.manager.add(mvm_definition(), images.embedded("supervisor"))
        self.manager.add(guest(1, 0b0010), SPIN)
        self.manager.boot(0)
        self.manager.boot(1)
        self.built.power_on()
        self.until_prompts(1)

    def _show(self, vm: int, data: bytes) -> None:
        if vm == 0:
            self.shown += data

    def run(self, cycles: int) -> None:
        end = self.machine.cycle + cycles
        while self.machine.cycle < end and self.machine.power is None:
            self.machine.run_round(end)

    def until_prompts(self, count: int) -> None:
        for _ in range(200):
            if self.shown.count(PROMPT) >= count:
                return
            self.run(1_000_000)
        pytest.fail(f"the supervisor has shown no prompt: {bytes(self.shown[-300:])!r}, {self.log[-5:]}")

    def type(self, line: str) -> None:
        self.machine.board.uart.receive(line.encode() + b"\r")
        self.run(5_000_000)

    def states(self) -> dict[int, VmState]:
        return {vm.id: vm.state for vm in self.manager.vms()}


OFF, ON = VmState.PENDING, VmState.ACTIVE


def test_stay_the_guests_go_on_and_the_managing_vm_can_be_booted_again() -> None:
    built = Built("stay")
    built.type("poweroff")
    assert built.states() == {0: OFF, 1: ON}
    assert built.machine.power is None
    built.manager.boot(0)
    built.until_prompts(2)
    built.built.close()


def test_end_every_vm_stops_and_the_machine_powers_off() -> None:
    built = Built("end")
    built.type("poweroff")
    assert built.states() == {0: OFF, 1: OFF}
    assert built.machine.power == ("poweroff", 0)
    built.built.close()


def test_restart_the_machine_begins_again_with_what_ran() -> None:
    built = Built("restart")
    built.type("poweroff")
    built.until_prompts(2)
    assert built.states() == {0: ON, 1: ON}
    assert [vm.boots for vm in built.manager.vms()] == [2, 2]
    assert built.machine.power is None
    built.built.close()


def test_a_reboot_of_the_managing_vm_leaves_its_guests_alone() -> None:
    built = Built("end")
    built.type("reboot")
    built.until_prompts(2)
    assert [vm.boots for vm in built.manager.vms()] == [2, 1]
    assert built.machine.power is None
    built.built.close()


@pytest.mark.parametrize(("mvm_off", "power"), [("stay", None), ("end", ("poweroff", 0)), ("restart", ("poweroff", 0))])
def test_a_shutdown_of_the_machine(mvm_off: str, power: tuple[str, int] | None) -> None:
    """By a hypercall of the managing VM. With "stay" the machine is as before the first boot."""
    built = Built(mvm_off)
    built.type("hypercall 0 1")
    assert built.states() == {0: OFF, 1: OFF}
    assert built.machine.power == power
    if power is None:
        built.manager.boot(0)
        built.until_prompts(2)
    built.built.close()


def test_a_reset_of_the_machine() -> None:
    built = Built("end")
    built.type("hypercall 0 0")
    built.until_prompts(2)
    assert [vm.boots for vm in built.manager.vms()] == [2, 2]
    built.built.close()
