"""A VM whose uploaded kernel is damaged is named: before its start by the kernel's header, then by what it does."""

from __future__ import annotations

import struct

import pytest

from shyper_tui.engine.board.device import TICKS_PER_SECOND
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.caller import Call, Caller
from tests.hypervisor.programs import SIE, STVEC, T0, Program
from tests.hypervisor.station import GUEST_BASE, RAM_BASE, Station, guest
from tests.hypervisor.test_every_command_in_every_state import GUESTS
from tests.hypervisor.test_lifecycle import SPIN

ADD, CPU, MEMORY, UPLOAD = 0x1100, 0x1102, 0x1103, 0x1109
AT = 0x9200_0000
"""Free memory of the managing VM."""
SIZE = 0x3000
LINUX, BARE_METAL = 0, 1


def image(body: bytes = b"", size: int = SIZE, announced: int = SIZE) -> bytes:
    """A kernel with the header of a Linux Image."""
    jump = 0x0400_006F  # over the header
    header = (
        struct.pack("<II3Q", jump, 0x13, 0x20_0000, announced, 0).ljust(0x30, b"\0") + b"RISCV\0\0\0RSC\x05\0\0\0\0"
    )
    return (header + body).ljust(size, b"\0")


def uploaded(kernel: bytes, kind: int = LINUX) -> Station:
    """VM 1 with this kernel in two pieces, configured by hypercalls."""
    station = Station()
    caller = Caller(station)
    name = AT + 0x1000
    caller.vm.memory.write(name, b"sent\0")
    caller.vm.memory.write(AT, struct.pack("<8Q", name, 4, kind, name + 4, 0, GUEST_BASE, RAM_BASE + (8 << 20), 0))
    caller.vm.memory.write(AT + 0x2000, kernel)
    half = len(kernel) // 2
    calls: tuple[tuple[int, ...], ...] = (
        (ADD, AT), (CPU, 1, 1, 0b0010, 1), (MEMORY, 1, RAM_BASE, 16 << 20),
        (UPLOAD, 1, len(kernel), AT + 0x2000, 0, half), (UPLOAD, 1, len(kernel), AT + 0x2000 + half, half, half),
    )  # fmt: skip
    results = caller.perform(*(Call(0x0A00_0000 | number, 0, tuple(args)) for number, *args in calls))
    assert [a0 for a0, _ in results] == [1, 0, 0, 0, 0]
    return station


def message(station: Station) -> str:
    return station.manager.message(station.manager.entry(1))


def warnings(station: Station) -> list[str]:
    return [line for line in station.log if line.startswith("warning: VM 1 (")]


def seconds(station: Station, count: float) -> None:
    station.run(int(count * TICKS_PER_SECOND * station.machine.clock.divider))


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (bytes(SIZE), "no known kernel header at 0x80200000: was the upload damaged?"),
        (b"\xff" * SIZE, "no known kernel header at 0x80200000: was the upload damaged?"),
        (b"\x7fELF" + bytes(SIZE - 4), "the uploaded kernel at 0x80200000 is damaged: "),
        (image(size=4 << 20, announced=0x1000), "but the kernel's header tells of 4096"),
    ],
)
def test_an_upload_without_a_kernels_header_is_told_before_it_starts(kernel: bytes, said: str) -> None:
    station = uploaded(kernel)
    assert said in message(station)
    if kernel[:4] != image()[:4]:
        (line,) = warnings(station)
        assert said in line


@pytest.mark.parametrize(("kernel", "kind"), [(image(), LINUX), (bytes(SIZE), BARE_METAL)])
def test_a_whole_kernel_and_one_that_needs_no_header_are_not_warned_of(kernel: bytes, kind: int) -> None:
    station = uploaded(kernel, kind)
    assert message(station) == ""
    assert warnings(station) == []


def test_the_first_fault_of_a_kernel_that_begins_with_nothing_is_named() -> None:
    station = uploaded(bytes(SIZE))
    station.manager.boot(1)
    station.until(lambda: station.manager.state(1) is VmState.FAILED)
    assert "so it can never go on; first came: illegal instruction at 0x80200000" in message(station)


def test_pieces_from_the_wrong_pages_are_named_after_a_second_and_the_vm_can_be_rebooted_and_removed() -> None:
    """The header is whole; what follows it is not: the kernel has parked itself in its handler for early faults."""
    park = Program(GUEST_BASE + 0x40).li(T0, GUEST_BASE + 0x80).csrw(STVEC, T0).csrw(SIE, 0).raw(0, 0)
    park.at(GUEST_BASE + 0x80).label("park").op("wfi").jump("park")
    station = uploaded(image(park.code()))
    station.manager.boot(1)
    seconds(station, 0.5)
    assert message(station) == ""
    seconds(station, 2)
    assert "waits at 0x8020008" in message(station)
    assert (
        "with every interrupt off, so it never goes on; its last fault was: illegal instruction at 0x802000"
        in message(station)
    )
    assert len(warnings(station)) == 1
    station.manager.reboot(1, force=False)
    station.until(lambda: station.manager.vm(1).boots == 2)
    station.manager.remove(1)
    assert 1 not in station.manager.table


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("handler-is-data", "only faults: its trap handler begins with: illegal instruction at 0x80200100"),
        ("handler-faults-later", "its trap handler faults itself; its last fault was: load access fault at 0x80200104"),
        ("calling", "has made no successful call and reached no device since its start"),
        ("waiting", "with every interrupt off, so it never goes on"),
        ("spinning", "has made no successful call and reached no device since its start"),
    ],
)
def test_a_guest_that_gets_nowhere_is_named(kind: str, said: str) -> None:
    station = Station()
    station.manager.add(guest(1), GUESTS[kind])
    station.manager.boot(1)
    seconds(station, 2.5)
    assert said in message(station)
    assert len(warnings(station)) == 1
    assert said in warnings(station)[0]


def test_a_program_that_computes_and_one_that_calls_are_left_alone() -> None:
    station = Station()
    station.manager.add(guest(1, type=BARE_METAL), SPIN)
    station.manager.boot(1)
    seconds(station, 2.5)
    assert message(station) == ""
    assert warnings(station) == []


def test_a_guest_that_takes_no_notice_of_a_request_is_named_after_a_while() -> None:
    station = Station()
    vm = station.manager.add(guest(1, type=BARE_METAL), SPIN)
    station.manager.boot(1)
    vm.mailbox_irq = 69
    assert vm.mailbox.prepare(RAM_BASE + 0x1000)
    station.manager.reboot(1, force=False)
    seconds(station, 8)
    assert message(station) == ""
    seconds(station, 4)
    assert message(station) == "was asked to reboot 10 s ago and has not; --force does it at once"
    station.manager.reboot(1)
    station.until(lambda: vm.boots == 2)
    assert message(station) == ""
