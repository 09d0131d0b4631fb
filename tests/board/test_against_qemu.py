"""The same accesses on QEMU's board and on ours give the same values (oracle: needs qemu-system-riscv64)."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import fdt
import pytest

from shyper_tui.engine.board import rtc, uart
from shyper_tui.engine.board.board import Board
from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.board.virt_tree import virt_tree
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.backend import VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_VERSION_1
from shyper_tui.engine.board.virtio.block import Block
from shyper_tui.engine.board.virtio.console import Console
from shyper_tui.engine.board.virtio.disk import MemoryDisk, RawFile
from shyper_tui.engine.board.virtio.disk_server import DiskServer
from shyper_tui.engine.board.virtio.net import Net
from tests.board.driver import Driver, DriverCore, DriverQueue
from tests.board.qemu_board import QEMU, QemuBoard, QemuSlot, qemu_board, qemu_tree, wait_until
from tests.board.wires import ram

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(QEMU is None, reason="qemu-system-riscv64 is not installed"),
]

PLIC, UART, RTC, SLOT = 0xC00_0000, 0x1000_0000, 0x10_1000, 0x1000_1000
Access = tuple[str, int, int, int]


def our_board() -> Board:
    return Board(
        ram(), 4, ManualTimebase(),
        set_interrupt=lambda hart, bit, level: None, set_mtimecmp=lambda hart, tick: None,
        on_console=lambda data: None, on_power=lambda event, code: None,
    )  # fmt: skip


def replay(
    accesses: list[Access], load: Callable[[int, int], int], store: Callable[[int, int, int], None]
) -> list[str]:
    """Performs accesses; the loaded values, with their place for a readable difference. A load's value is a mask."""
    seen = []
    for number, (what, address, width, value) in enumerate(accesses):
        if what == "store":
            store(address, width, value)
        else:
            seen.append(f"{number}: load {address:#x} = {load(address, width) & (value or ~0):#x}")
    return seen


def compare(accesses: list[Access], *options: str) -> None:
    board = our_board()
    ours = replay(accesses, board.bus.read, board.bus.write)
    with qemu_board(*options) as qemu:
        assert ours == replay(accesses, qemu.load, qemu.store)


def test_the_plic_registers_hold_what_they_hold_there() -> None:
    random.seed(1)
    accesses: list[Access] = []
    for _ in range(150):
        kind = random.randrange(3)
        if kind == 0:
            address, value = PLIC + 4 * random.randrange(100), random.randrange(8)
        elif kind == 1:
            address = PLIC + 0x2000 + 0x80 * random.randrange(8) + 4 * random.randrange(3)
            value = random.getrandbits(32)
        else:
            address, value = PLIC + 0x20_0000 + 0x1000 * random.randrange(8), random.randrange(8)
        accesses += [("store", address, 4, value & ~1 if kind == 1 else value), ("load", address, 4, 0)]
    compare(accesses)


def test_claim_and_completion_of_a_line_that_stays_high() -> None:
    claim = PLIC + 0x20_1004
    accesses: list[Access] = [
        ("store", PLIC + 40, 4, 1), ("store", PLIC + 0x2080, 4, 1 << 10), ("load", claim, 4, 0),
        ("store", UART + uart.IER, 1, uart.IER_ETBEI),  # raises source 10
        ("load", PLIC + 0x1000, 4, 0), ("load", claim, 4, 0), ("load", PLIC + 0x1000, 4, 0), ("load", claim, 4, 0),
        ("load", UART + uart.IIR_FCR, 1, 0),  # lowers it
        ("store", claim, 4, 10), ("load", PLIC + 0x1000, 4, 0), ("load", claim, 4, 0),
    ]  # fmt: skip
    compare(accesses, "-serial", "null")


def test_the_serial_port_answers_a_probe_alike() -> None:
    def put(register: int, value: int) -> Access:
        return ("store", UART + register, 1, value)

    def get(register: int) -> Access:
        return ("load", UART + register, 1, 0)

    msr = ("load", UART + uart.MSR, 1, 0xF0)  # QEMU's loopback does not set the change bits, a 16550's does
    accesses: list[Access] = [get(uart.LSR), get(uart.IIR_FCR), get(uart.IER), put(uart.MCR, 0)]
    accesses += [put(uart.IER, 0), get(uart.IER), put(uart.IER, 0xFF), get(uart.IER), put(uart.IER, 0)]
    accesses += [put(uart.MCR, 0x1A), msr, put(uart.MCR, 0x15), msr, put(uart.MCR, 0)]
    accesses += [put(uart.IIR_FCR, 0), get(uart.IIR_FCR), put(uart.IIR_FCR, 1), get(uart.IIR_FCR)]
    accesses += [put(uart.SCR, 0x5A), get(uart.SCR), put(uart.LCR, 0x80), put(0, 0x12), put(1, 0x34), get(0), get(1)]
    accesses += [put(uart.LCR, 3), get(uart.LCR), get(uart.IER)]
    accesses += [put(uart.IER, uart.IER_ETBEI), get(uart.IIR_FCR), get(uart.IIR_FCR), put(uart.IER, 0)]
    accesses += [put(uart.IER, uart.IER_ETBEI), get(uart.IIR_FCR), get(uart.IIR_FCR)]
    compare(accesses, "-serial", "null")


def test_the_alarm_registers_of_the_clock() -> None:
    accesses: list[Access] = [
        ("store", RTC + rtc.IRQ_ENABLED, 4, 1), ("load", RTC + rtc.IRQ_ENABLED, 4, 0),
        ("store", RTC + rtc.ALARM_HIGH, 4, 0x7000_0000), ("store", RTC + rtc.ALARM_LOW, 4, 5),
        ("load", RTC + rtc.ALARM_STATUS, 4, 0), ("load", RTC + rtc.ALARM_HIGH, 4, 0),
        ("load", RTC + rtc.ALARM_LOW, 4, 0), ("store", RTC + rtc.CLEAR_ALARM, 4, 1),
        ("load", RTC + rtc.ALARM_STATUS, 4, 0),
    ]  # fmt: skip
    compare(accesses)


def test_an_empty_virtio_slot() -> None:
    compare([("load", SLOT + register, 4, 0) for register in (mmio.MagicValue, mmio.Version, mmio.DeviceID)])


class QemuDriver(DriverCore):
    """Our test driver on a device of QEMU's."""

    def __init__(self, board: QemuBoard, queues: int) -> None:
        super().__init__(board, QemuSlot(board, SLOT), [64] * queues)
        self._board = board

    def wait(self, queue: DriverQueue) -> None:
        wait_until(lambda: self._board.read_u16(queue.used + 2) == queue.avail_idx, "answer to a request")


# What both sides offer; the rest of QEMU's features is left alone.
RING = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX


def block_session(driver: DriverCore) -> list[object]:
    """A life with a disk: what the driver sees, in order."""
    seen: list[object] = [driver.get(mmio.DeviceID), driver.get(0x100, 4), driver.get(0x114, 4)]
    everything = driver.features()
    wanted = RING | 1 << 2 | 1 << 6 | 1 << 9 | 1 << 13 | 1 << 14
    seen.append(everything & wanted)
    driver.start(without=everything & ~wanted, sizes=[16])
    queue = driver.queues[0]

    def ask(kind: int, sector: int, *data: bytes, room: int = 0) -> None:
        for indirect in (False, True):
            header = struct.pack("<IIQ", kind, 0, sector)
            writable = [room, 1] if room else [1]
            _, answer = queue.request(header, *data, writable=writable, indirect=indirect)
            seen.append((kind, sector, answer))

    ask(0, 3, room=1024)
    ask(1, 3, b"new contents".ljust(512, b"-"), bytes(range(256)) * 2)
    ask(0, 2, room=2048)
    ask(4, 0)
    ask(8, 0, room=20)
    ask(1, 1 << 60, bytes(512))
    ask(1, 0, bytes(100))
    ask(99, 0)
    ask(13, 0, struct.pack("<QII", 4, 2, 0))
    ask(0, 3, room=2048)
    ask(13, 0, struct.pack("<QII", 1 << 40, 2, 0))
    ask(11, 0, struct.pack("<QII", 1, 1, 1))
    seen.append(driver.acknowledge())
    driver.put(mmio.Status, 0)
    seen.append((driver.get(mmio.Status), driver.get(mmio.InterruptStatus)))
    return seen


def test_a_disk_behaves_alike(tmp_path: Path) -> None:
    images = [tmp_path / "ours.img", tmp_path / "theirs.img"]
    for path in images:
        path.write_bytes(bytes(range(256)) * 2 * 64)
    ours = block_session(Driver(Block(DiskServer(RawFile(images[0])), serial="drive0")))
    drive = f"file={images[1]},format=raw,if=none,id=d,discard=ignore"
    device = "virtio-blk-device,drive=d,serial=drive0,bus=virtio-mmio-bus.0,packed=off"
    with qemu_board("-drive", drive, "-device", device) as board:
        theirs = block_session(QemuDriver(board, 1))
    assert ours == theirs
    assert images[0].read_bytes() == images[1].read_bytes()


@pytest.mark.parametrize(
    ("corruption", "value"),
    [("loop", 0), ("index", 200), ("order", 0), ("indirect length", 24), ("available", 400)],
)
def test_a_corrupt_ring_needs_a_reset_there_too(corruption: str, value: int) -> None:
    def session(driver: DriverCore) -> None:
        driver.start(without=driver.features() & ~RING, sizes=[64])
        queue = driver.queues[0]
        driver.acknowledge()
        head = queue.add([bytes(8), bytes(520)], [1])
        at = queue.desc + 16 * head
        following = driver.memory.read_u16(at + 14)
        if corruption == "loop":
            driver.memory.write_u16(queue.desc + 16 * following + 14, head)
        elif corruption == "index":
            driver.memory.write_u16(at + 14, value)
        elif corruption == "order":
            driver.memory.write_u16(at + 12, 3)  # writable before a readable one
        elif corruption == "indirect length":
            driver.memory.write_u16(at + 12, 4)
            driver.memory.write(at + 8, struct.pack("<I", value))
        else:
            driver.memory.write_u16(queue.avail + 2, value)
        queue.notify()

    def broken(driver: DriverCore) -> bool:
        return driver.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET != 0

    ours = Driver(Block(DiskServer(MemoryDisk(bytes(4096)))))
    session(ours)
    assert broken(ours)
    null = "driver=null-co,read-zeroes=on,size=4096,node-name=d"
    with qemu_board("-blockdev", null, "-device", "virtio-blk-device,drive=d,bus=virtio-mmio-bus.0") as board:
        theirs = QemuDriver(board, 1)
        session(theirs)
        wait_until(lambda: broken(theirs), "DEVICE_NEEDS_RESET")


def test_network_and_console_configuration_alike() -> None:
    def session(driver: DriverCore) -> list[int]:
        return [driver.get(mmio.DeviceID), *(driver.get(0x100 + index, 1) for index in range(6)), driver.get(0x106, 2)]

    mac = bytes.fromhex("525400123456")
    with qemu_board("-device", "virtio-net-device,bus=virtio-mmio-bus.0,mac=52:54:00:12:34:56") as board:
        assert session(Driver(Net(mac))) == session(QemuDriver(board, 2))
    console = Driver(Console(lambda data: None))
    options = ("-device", "virtio-serial-device,bus=virtio-mmio-bus.0,max_ports=1", "-device", "virtconsole,chardev=n",
               "-chardev", "null,id=n")  # fmt: skip
    with qemu_board(*options) as board:
        there = QemuDriver(board, 2)
        assert console.get(mmio.DeviceID) == there.get(mmio.DeviceID) == 3
        for driver in (console, there):
            driver.start(without=driver.features() & ~RING, sizes=[16, 16])
            assert driver.queues[1].request(b"hello", b" world") == (0, b"")


def test_our_device_tree_describes_the_same_board(tmp_path: Path) -> None:
    theirs = fdt.parse_dtb(qemu_tree(tmp_path / "qemu.dtb"))
    ours = virt_tree(harts=4, ram_size=8 << 30, isa="rv64imafdch")
    our_own = {"model", "bootargs", "riscv,isa", "#address-cells"}
    compared = 0
    for path, node in paths(ours, ""):
        for name, value in node.properties.items():
            if name not in our_own:
                there = theirs.get_property(name, path or "/")
                assert there is not None, f"{path}: {name}"
                assert there.to_dtb("", version=17)[0][12:].rstrip(b"\0") == value.rstrip(b"\0"), f"{path}: {name}"
                compared += 1
    assert compared > 100


def paths(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    yield path, node
    for child in node.children:
        yield from paths(child, f"{path}/{child.name}")
