"""What the checks know of the machine is what the machine is."""

from __future__ import annotations

from shyper_tui.config import DEFAULT_BOARD, VmConfig, read_vm, sample_path
from shyper_tui.config.board import POOL_START
from shyper_tui.config.check_devices import PLIC_LENGTH
from shyper_tui.config.check_irqs import SHARED_IRQS
from shyper_tui.config.surroundings import MAX_IRQ
from shyper_tui.engine.board import memory_map as m
from shyper_tui.engine.hypervisor import definition_check, layout
from shyper_tui.engine.hypervisor.definition import DeviceType
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.shyper_machine import HARTS, MEMORY


def managing() -> VmConfig:
    file = sample_path("mvm")
    vm = read_vm(file.read_text(), str(file)).value
    assert vm is not None
    return vm


def test_the_devices_are_those_of_the_machine() -> None:
    windows = {window.name: (window.base, window.irqs) for window in DEFAULT_BOARD.devices}
    assert windows == {
        "power switch": (m.FINISHER_BASE, ()),
        "real-time clock": (m.RTC_BASE, (m.RTC_IRQ,)),
        "CLINT": (m.CLINT_BASE, ()),
        "PLIC": (m.PLIC_BASE, ()),
        "serial port": (m.UART_BASE, (m.UART_IRQ,)),
        **{
            f"virtio slot {slot}": (m.VIRTIO_BASE + slot * m.VIRTIO_STRIDE, (m.VIRTIO_IRQ + slot,))
            for slot in range(m.VIRTIO_SLOTS)
        },
    }
    lengths = {window.name: window.length for window in DEFAULT_BOARD.devices}
    assert (lengths["CLINT"], lengths["PLIC"]) == (m.CLINT_LENGTH, m.PLIC_LENGTH)


def test_memory_and_cores_are_those_of_the_machine() -> None:
    board = DEFAULT_BOARD
    assert (board.cores, board.ram_start, board.ram_length) == (HARTS, m.RAM_BASE, MEMORY)
    assert (POOL_START, board.max_vms) == (layout.POOL_BASE, layout.MAX_VMS)
    assert (board.plic_sources, MAX_IRQ) == (m.PLIC_SOURCES, layout.VPLIC_SOURCES)
    assert PLIC_LENGTH == layout.VPLIC_LENGTH
    assert board.gvm_pool == board.pool - mvm_definition().memory_size
    assert list(SHARED_IRQS) == list(definition_check.SHARED_IRQS)


def test_the_managing_vm_is_the_built_in_one() -> None:
    board, built_in = DEFAULT_BOARD, mvm_definition()
    devices = [device for device in built_in.devices if device.type == DeviceType.VIRTIO_CONSOLE]
    consoles = {device.base_ipa: device.cfg_list for device in devices}
    assert {console.base: (console.peer, console.peer_base) for console in board.mvm_consoles} == consoles
    macs = [device.cfg_list[:6] for device in built_in.devices if device.type == DeviceType.VIRTIO_NET]
    assert list(board.mvm_macs) == macs
    assert board.mvm_irqs == set(built_in.passthrough_irqs)
    assert set(board.mvm_windows) == {(region.pa, region.length) for region in built_in.passthrough}
    assert board.mvm_cores == set(built_in.cpu.cores())


def test_a_machine_beside_the_sample_managing_vm_is_the_default_one() -> None:
    beside = DEFAULT_BOARD.beside(managing())
    assert (beside.gvm_pool, beside.mvm_cores) == (DEFAULT_BOARD.gvm_pool, DEFAULT_BOARD.mvm_cores)
    assert (beside.mvm_macs, beside.mvm_irqs) == (DEFAULT_BOARD.mvm_macs, DEFAULT_BOARD.mvm_irqs)
    assert set(beside.mvm_windows) == set(DEFAULT_BOARD.mvm_windows)
    assert set(beside.mvm_consoles) <= set(DEFAULT_BOARD.mvm_consoles)
