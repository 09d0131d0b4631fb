"""Guest loads and stores that hit an emulated device, executed by the real core, in every encoding."""

from __future__ import annotations

import struct

from shyper_tui.engine.board.device import AccessFault
from shyper_tui.engine.hypervisor.exits.access import Access, Kind
from shyper_tui.engine.hypervisor.vm import Vm
from tests.hypervisor.caller import WFI, addi, auipc, ld, sd
from tests.hypervisor.station import Station, guest
from tests.hypervisor.test_access import ENCODINGS

DEVICE = 0x5000_0000
A1, SP, T0, T1, S0 = 11, 2, 5, 6, 8
FLT_ONES = 0xFFFF_FFFF << 32
RESULTS_OFFSET = 0x2000
PATTERN = 0x8182_8384_8586_8788
STORED = 0x1122_3344_5566_7788


class Register:
    """A device whose every byte reads as part of PATTERN and which notes what is written."""

    def __init__(self) -> None:
        self.writes: list[tuple[int, int, int]] = []

    def read(self, offset: int, width: int) -> int:
        if offset >= 0x800:
            raise AccessFault(offset, width, "nothing here")
        return PATTERN & (1 << 8 * width) - 1

    def write(self, offset: int, width: int, value: int) -> None:
        if offset >= 0x800:
            raise AccessFault(offset, width, "nothing here")
        self.writes.append((offset, width, value))


def lui(rd: int, value: int) -> int:
    return value & 0xFFFF_F000 | rd << 7 | 0x37


def csrrw(rd: int, csr: int, rs1: int) -> int:
    return csr << 20 | rs1 << 15 | 1 << 12 | rd << 7 | 0x73


def csrrs(rd: int, csr: int, rs1: int) -> int:
    return csr << 20 | rs1 << 15 | 2 << 12 | rd << 7 | 0x73


def fsd(rs2: int, rs1: int) -> int:
    return rs2 << 20 | rs1 << 15 | 3 << 12 | 0x27


def fmv_d_x(rd: int, rs1: int) -> int:
    return 0x79 << 25 | rs1 << 15 | rd << 7 | 0x53


def word(instruction: int) -> bytes:
    """Four bytes: a compressed instruction is followed by c.nop."""
    return struct.pack("<I", instruction if instruction & 3 == 3 else instruction | 0x0001 << 16)


def run(body: list[int]) -> tuple[Vm, Register, Station]:
    """Run `body` in a guest: a1 and sp point to the device, s0 to the results, traps store scause and stval there."""
    station = Station(ram=1 << 30)
    device = Register()
    handler = [csrrs(T1, 0x142, 0), sd(T1, S0, 0), csrrs(T1, 0x143, 0), sd(T1, S0, 8), addi(S0, S0, 16)]
    handler += [csrrs(T1, 0x141, 0), addi(T1, T1, 4), csrrw(0, 0x141, T1), 0x1020_0073]
    start = [auipc(S0, RESULTS_OFFSET >> 12), auipc(T0, 1), csrrw(0, 0x105, T0)]
    start += [lui(A1, DEVICE), lui(SP, DEVICE), lui(T0, 0x6000), csrrs(0, 0x100, T0)]
    code = b"".join(word(instruction) for instruction in [*start, *body, addi(T0, 0, 1), sd(T0, S0, 0), WFI, 0x6F])
    # auipc t0, 1 is the second instruction, so the handler is at 0x1004
    kernel = code.ljust(0x1004, b"\0") + b"".join(word(instruction) for instruction in handler)
    vm = station.manager.add(guest(), kernel)
    vm.bus.attach(DEVICE, 0x1000, device, "register")
    station.manager.boot(1)
    station.until(lambda: station.machine.harts[1].waiting and vm.vcpus[0].loaded)
    return vm, device, station


def results(vm: Vm, count: int) -> list[int]:
    at = vm.definition.kernel_load_ipa + RESULTS_OFFSET
    return list(struct.unpack(f"<{count}Q", vm.memory.read(at, 8 * count)))


def expected_load(access: Access) -> int:
    value = PATTERN & (1 << 8 * access.width) - 1
    if access.kind is Kind.FLOAT_LOAD and access.width == 4:
        return value | FLT_ONES
    if access.signed:  # every byte of the pattern has its sign bit set
        value |= (1 << 64) - (1 << 8 * access.width)
    return value


def test_every_load_gets_the_devices_value_as_its_encoding_says() -> None:
    loads = [
        (text, encoding, access)
        for text, encoding, access in ENCODINGS
        if access.kind in (Kind.LOAD, Kind.FLOAT_LOAD) and not (access.width == 8 and "4(" in text)
    ]
    body = []
    for _, encoding, access in loads:
        store = fsd(access.register, S0) if access.kind is Kind.FLOAT_LOAD else sd(access.register, S0, 0)
        body += [encoding, store, addi(S0, S0, 8)]
    vm, _, _ = run(body)
    found = dict(zip([text for text, _, _ in loads], results(vm, len(loads)), strict=True))
    assert found == {text: expected_load(access) for text, _, access in loads}
    assert results(vm, len(loads) + 1)[-1] == 1, "no trap, and the program went on behind each access"


def test_every_store_brings_its_register_to_the_device() -> None:
    stores = [(text, encoding, access) for text, encoding, access in ENCODINGS if access.is_store]
    body = [auipc(T0, 0x0)]
    for _, encoding, access in stores:
        body += [lui(A1, DEVICE), lui(SP, DEVICE), lui(T0, STORED), addi(T0, T0, 0x678)]
        if access.kind is Kind.FLOAT_STORE:
            body += [fmv_d_x(access.register, T0)]
        else:
            body += [addi(access.register, T0, 0)]
        body += [encoding]
    vm, device, _ = run(body)
    value = (STORED & 0xFFFF_F000) + 0x678
    offsets = {text: int(text.split(", ")[1].split("(")[0]) for text, _, _ in stores}
    assert device.writes == [
        (offsets[text], access.width, value & (1 << 8 * access.width) - 1) for text, _, access in stores
    ]
    assert results(vm, 1) == [1]


def test_what_no_device_answers_is_the_guests_access_fault() -> None:
    amoadd, lr, lw_odd, sw_odd = 0x00C5_A52F, 0x1005_A52F, 0x0025_A503, 0x00C5_A123
    beyond = lui(A1, DEVICE + 0x1000)
    refused_load, refused_store = ld(10, A1, 0x7FF + 1 - 0x1000), sd(10, A1, 0x7FF + 1 - 0x1000)
    nothing_there = ld(10, A1, 0x100)
    body = [amoadd, lr, lw_odd, sw_odd, beyond, refused_load, refused_store, nothing_there]
    vm, device, station = run(body)
    found = results(vm, 15)
    assert list(zip(found[0:14:2], found[1:14:2], strict=True)) == [
        (7, DEVICE),
        (5, DEVICE),
        (4, DEVICE + 2),
        (6, DEVICE + 2),
        (5, DEVICE + 0x800),
        (7, DEVICE + 0x800),
        (5, DEVICE + 0x1100),
    ]
    assert found[14] == 1
    assert device.writes == []
    reasons = [record.reason for record in station.manager.vm(1).faults]
    assert reasons.count("nothing is at this address") == 1
    assert sum("register refuses the access" in reason for reason in reasons) == 2


def test_a_guest_whose_trap_handler_is_nowhere_is_stopped_with_a_record() -> None:
    station = Station(ram=1 << 30)
    vm = station.manager.add(guest(), b"".join(map(word, [lui(T0, DEVICE), csrrw(0, 0x105, T0), 0x0000_0000])))
    station.manager.boot(1)
    station.until(lambda: station.manager.state(1).value == "failed")
    assert "its trap handler lies outside of its memory" in vm.message
    record = vm.faults[-1]
    assert (record.cause, record.pc, record.guest_physical) == (20, DEVICE, DEVICE)


def test_a_guest_whose_page_tables_are_nowhere_is_stopped_with_a_record() -> None:
    # satp = Sv39 with its root at 0x7000_0000, where the guest has nothing: the next fetch walks there
    station = Station(ram=1 << 30)
    body = [lui(T0, 0x7_0000), addi(T1, 0, 8), T1 << 15 | 60 << 20 | 1 << 12 | T1 << 7 | 0x13]
    body += [T1 << 20 | T0 << 15 | 6 << 12 | T0 << 7 | 0x33, csrrw(0, 0x180, T0)]
    vm = station.manager.add(guest(), b"".join(map(word, body)))
    station.manager.boot(1)
    station.until(lambda: station.manager.state(1).value == "failed")
    assert "its page tables lie outside of its memory" in vm.message
    assert vm.faults[-1].guest_physical >> 12 == 0x7000_0000 >> 12


def test_an_emulated_device_does_not_reach_the_physical_interrupt_controller() -> None:
    station = Station(ram=1 << 30)
    vm = station.manager.add(guest(), word(WFI) + word(0x6F))
    assert vm.vplic is not None
    vm.vplic.write(0x2080, 4, 1 << 10)  # the UART's number, which this VM does not own
    vm.vplic.write(4 * 10, 4, 1)
    assert not any(station.machine.board.plic.enabled(context, 10) for context in range(8))
