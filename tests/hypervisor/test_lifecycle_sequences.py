"""Any sequence of requests about VMs, at any distance in time: what holds for every one of them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hypervisor import manager as manager_module
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, VmDefinition, VmError
from shyper_tui.engine.hypervisor.vm import RUNNING, VmState
from tests.hypervisor.station import Station, guest
from tests.hypervisor.test_lifecycle import MIB, SPIN, idle_mvm

STEPS = 1200
SHORTEST_RUN = 10_000
"""Ticks (1 ms) after which a guest that resets itself begins again here."""
CORES = (0b0010, 0b0110, 0b1110, 0b1000)


def definition(vm: int, cores: int) -> VmDefinition:
    devices = [
        EmulatedDevice("plic", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC),
        EmulatedDevice("net", 0x5000_0000, 0x1000, 20, (2, 0, 0, 0, 0, vm), DeviceType.VIRTIO_NET),
        EmulatedDevice("shyper", 0, 0, 22, (), DeviceType.SHYPER),
    ]
    return guest(vm, cores, devices=devices)


class Sequence:
    """Requests chosen by `source`. A VmError is an answer; everything else is a failure."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.station = Station()
        self.manager = self.station.manager
        self.manager.add(idle_mvm(), SPIN)
        self.manager.boot(0)
        self.station.run(50_000)
        self.empty = (sorted(self.manager.pool.regions), self.manager.pages.in_use)
        self.refused: list[str] = []

    def step(self) -> None:
        vm = self.source.randrange(4)
        manager, force = self.manager, bool(self.source.randrange(2))
        acts: list[Callable[[], object]] = [
            *[lambda: manager.add(definition(vm, self.source.choice(CORES)), SPIN)] * 2,
            lambda: manager.upload(vm, 0, SPIN, len(SPIN)),
            lambda: manager.define(definition(vm, self.source.choice(CORES))),
            *[lambda: manager.boot(vm)] * 4,
            lambda: manager.stop(vm),
            lambda: manager.shutdown(vm, force),
            lambda: manager.reboot(vm, force),
            lambda: manager.pause(vm),
            lambda: manager.resume(vm),
            lambda: (manager.remove if force else manager.delete)(vm),
            lambda: self.of_guest(vm, lambda: manager.guest_reset(manager.vm(vm), ResetType(self.source.randrange(3)))),
            lambda: self.of_guest(vm, lambda: manager.fail(manager.vm(vm), "it failed")),
            lambda: manager.vm(vm).mailbox.prepare(0x8000_4000),
            lambda: self.rarely(lambda: manager.reset_machine(ResetType(self.source.randrange(3)))),
        ]
        try:
            self.source.choice(acts)()
        except VmError as error:
            self.refused.append(str(error))
        if self.source.random() < 0.6:
            self.station.run(self.source.choice([1000, 20_000, 60_000, 120_000]))

    def of_guest(self, vm: int, act: Callable[[], None]) -> None:
        """What only a guest that runs can do."""
        if self.manager.state(vm) in RUNNING:
            act()

    def rarely(self, act: Callable[[], None]) -> None:
        if self.source.random() < 0.2:
            act()

    def check(self) -> None:
        """At any moment."""
        manager, station = self.manager, self.station
        held = sum(vm.definition.memory_size for vm in manager.vms())
        assert manager.pool.free_bytes + held <= manager.pool.length
        assert not any("Traceback" in line for line in station.log), "\n".join(station.log[-20:])
        assert len({vm.id for vm in manager.vms()}) == len(list(manager.vms()))

    def check_at_rest(self) -> None:
        """When every core has done what it was told."""
        manager, station = self.manager, self.station
        station.run(200_000)
        held = sum(vm.definition.memory_size for vm in manager.vms())
        assert manager.pool.free_bytes + held == manager.pool.length
        assert len(station.platform.switch.ports) == len(list(manager.vms()))  # one each, the managing VM's too
        on_cores = {vcpu.vm.id for core in station.hypervisor.cores.values()
                    for vcpu in [*([core.current] if core.current else []), *core.ready, *core.waiting]}  # fmt: skip
        assert on_cores == {vm.id for vm in manager.vms() if vm.state is VmState.ACTIVE}
        assert not any(vm.stopping for vm in manager.vms())
        for vm in manager.vms():
            assert any(vcpu.paused for vcpu in vm.vcpus) is (vm.state is VmState.PAUSED)
            if vm.state in RUNNING:
                assert vm.memory.read(vm.definition.kernel_load_ipa, 4) == SPIN


@pytest.mark.parametrize("seed", range(4))
def test_any_sequence_of_requests_leaves_the_machine_in_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_module, "SHORTEST_RUN", SHORTEST_RUN)
    sequence = Sequence(random.Random(seed))
    for number in range(STEPS):
        sequence.step()
        sequence.check()
        if number % 40 == 39:
            sequence.check_at_rest()
    assert 0 < len(sequence.refused) < STEPS
    assert all(sentence and "\n" not in sentence for sentence in sequence.refused)
    for vm in [vm for vm in sequence.manager.table if vm]:
        sequence.manager.remove(vm)
    sequence.station.run(200_000)
    assert (sorted(sequence.manager.pool.regions), sequence.manager.pages.in_use) == sequence.empty
    assert sequence.manager.pool.free_bytes == sequence.manager.pool.length - 64 * MIB
    if sequence.manager.state(0) not in RUNNING:
        sequence.manager.boot(0)
    sequence.station.run(100_000)
