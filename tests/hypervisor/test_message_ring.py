"""A guest VM with a `shyper` device: it gets the hypervisor's messages as the managing VM does."""

from __future__ import annotations

import struct

import fdt
import pytest

from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice, VmError
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.caller import Call, Caller
from tests.hypervisor.station import Station, guest

UPDATE_QUEUE = 0x0A00_0200
IRQ = 30
RING, RECEIVE = 0x8040_0000, 0x8040_1000


def shyper(base: int = 0, length: int = 0, irq: int = IRQ, name: str = "shyper") -> EmulatedDevice:
    return EmulatedDevice(name, base, length, irq, (), DeviceType.SHYPER)


@pytest.fixture
def listener() -> Caller:
    """VM 1 with the device, which has prepared its ring and enabled the irq."""
    caller = Caller(Station(ram=1 << 30), 1, more=[shyper()])
    assert caller.perform(Call(UPDATE_QUEUE, 0, (RECEIVE, RING))) == [(0, RING)]
    assert caller.vm.vplic is not None
    caller.vm.vplic.write(4 * IRQ, 4, 1)
    caller.vm.vplic.write(0x2080, 4, 1 << IRQ)
    return caller


def claim(caller: Caller) -> int:
    assert caller.vm.vplic is not None
    source = caller.vm.vplic.read(0x20_1004, 4)
    if source:
        caller.vm.vplic.write(0x20_1004, 4, source)
    return source


def message(caller: Caller, slot: int) -> tuple[int, ...]:
    return struct.unpack("<3Q", caller.vm.memory.read(RING + 512 * slot, 24))


def test_a_guest_is_asked_to_power_off_and_to_reboot_by_messages(listener: Caller) -> None:
    manager = listener.station.manager
    manager.shutdown(1)
    assert manager.state(1) is VmState.ACTIVE  # it was asked, not stopped
    assert (message(listener, 0), claim(listener), claim(listener)) == ((1, 3, 1), IRQ, 0)
    manager.reboot(1, force=False)
    assert (message(listener, 1), claim(listener)) == ((1, 4, 1), IRQ)


def test_there_is_one_interrupt_for_each_message_however_many_wait(listener: Caller) -> None:
    for number in range(20):
        assert listener.vm.notify(1, 100 + number, 1)
    seen = []
    for number in range(20):
        assert claim(listener) == IRQ
        seen.append(message(listener, number % 8)[1])
    assert (seen, claim(listener)) == (list(range(100, 120)), 0)


def test_a_guest_without_the_device_is_stopped_instead_of_asked() -> None:
    caller = Caller(Station(ram=1 << 30), 1)
    caller.perform(Call(UPDATE_QUEUE, 0, (RECEIVE, RING)))
    caller.station.manager.shutdown(1)
    caller.station.until(lambda: caller.station.manager.state(1) is VmState.PENDING)


@pytest.mark.parametrize(
    ("devices", "sentence"),
    [
        ([shyper(0x6000_0000, 0x20_0000)], "memory shared between VMs does not exist; its base and length must be 0"),
        ([shyper(0, 0x20_0000)], "its base and length must be 0"),
        ([shyper(irq=0)], "irq 0 is not a source of the interrupt controller"),
        ([shyper(), shyper(irq=31, name="second")], "a VM has one message ring"),
    ],
)
def test_a_device_that_cannot_work_is_refused_in_a_sentence(devices: list[EmulatedDevice], sentence: str) -> None:
    station = Station(ram=1 << 30)
    definition = guest(1)
    definition.devices.extend(devices)
    free = station.manager.pool.free_bytes
    with pytest.raises(VmError, match=sentence):
        station.manager.add(definition, b"\x73\0\0\0")
    assert station.manager.pool.free_bytes == free
    assert station.platform.switch.ports == ()


def test_the_tree_of_the_guest_names_the_device_as_the_kernel_module_looks_for_it(listener: Caller) -> None:
    at = listener.vm.definition.device_tree_load_ipa
    size = int.from_bytes(listener.vm.memory.read(at + 4, 4), "big")
    tree = fdt.parse_dtb(listener.vm.memory.read(at, size))
    node = tree.get_node("soc/vm_service")
    controller = tree.get_node("soc/plic@c000000").get_property("phandle").value
    assert node.get_property("compatible").value == "shyper"
    assert node.get_property("interrupts").value == IRQ
    assert node.get_property("interrupt-parent").value == controller
