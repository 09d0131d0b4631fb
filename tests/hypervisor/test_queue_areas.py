"""Virtqueues whose areas a device uses in place: where they lie, whose they are, and code beside them."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from shyper_tui.engine.board.dma import DmaPort, NoMemory
from shyper_tui.engine.board.memory import BadAddress, Memory, RamMemory
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.entropy import Entropy
from shyper_tui.engine.board.virtio.mmio import VirtioMmio
from shyper_tui.engine.board.virtio.net import RECEIVEQ, TRANSMITQ, Frame, Net
from shyper_tui.engine.board.virtio.queue import VirtQueue
from shyper_tui.engine.hypervisor.definition import DeviceType, EmulatedDevice
from shyper_tui.engine.hypervisor.guest_memory import GuestMemory, RamRegion
from shyper_tui.engine.machine import Machine
from tests.board.driver import RING_FEATURES, DriverCore, DriverQueue, MemoryFrom
from tests.board.wires import RecordedLine, ram
from tests.hypervisor.station import RAM_BASE, Station, guest
from tests.hypervisor.test_lifecycle import MIB, SPIN, idle_mvm

IPA = 0x4000_0000
HALF = 0x10_000
SIZES = {"desc": 16 * 16, "avail": 6 + 2 * 16, "used": 6 + 8 * 16}
"""Bytes of the areas of a queue of 16."""


class Placed(DriverQueue):
    """A queue with its areas at chosen places."""

    def place(self, **addresses: int) -> None:
        self.free = list(range(self.size))
        put = self.driver.put
        self.desc, self.avail, self.used = (addresses[name] for name in SIZES)
        put(mmio.QueueSel, self.index)
        put(mmio.QueueNum, self.size)
        for low, address in ((0x80, self.desc), (0x90, self.avail), (0xA0, self.used)):
            put(low, address & 0xFFFF_FFFF)
            put(low + 4, address >> 32)
        put(mmio.QueueReady, 1)


class Drawer:
    """A driver of an entropy device in `memory`, whose one queue is placed by the test."""

    def __init__(self, memory: Memory, base: int, without: int = 0) -> None:
        self.transport = VirtioMmio(memory, RecordedLine(), Entropy(lambda size: b"\x5a" * size))
        self.core = DriverCore(MemoryFrom(memory, base), self.transport, (16,))
        assert self.core.accept(self.core.features() & ~without)
        self.queue = Placed(self.core, 0, 16)

    def go(self, **addresses: int) -> None:
        self.queue.place(**addresses)
        self.core.put(mmio.Status, self.core.get(mmio.Status) | mmio.DRIVER_OK)


def two_regions(gap: int = 0) -> GuestMemory:
    """A VM with two regions, which follow each other (or have a hole between them) and lie apart in the machine."""
    return GuestMemory(
        ram(8 * HALF), [RamRegion(IPA, RAM_BASE + 5 * HALF, HALF), RamRegion(IPA + HALF + gap, RAM_BASE + HALF, HALF)]
    )


def places(across: str | None = None) -> dict[str, int]:
    """Ordinary places, or one area half in the first region and half in the second."""
    found = {"desc": IPA + 0x100, "avail": IPA + 0x400, "used": IPA + 0x800}
    if across is not None:
        found[across] = IPA + HALF - (SIZES[across] // 2 & ~15)
    return found


@pytest.mark.parametrize("without", [0, RING_FEATURES])
@pytest.mark.parametrize("across", [None, "desc", "avail", "used"])
def test_an_area_may_cross_from_one_region_into_the_next(across: str | None, without: int) -> None:
    drawer = Drawer(two_regions(), IPA, without)
    drawer.go(**places(across))
    for number in range(40):  # several times around the ring, so on both sides of the border
        size = 1 + number
        assert drawer.queue.request(writable=[size]) == (size, b"\x5a" * size)
    assert drawer.transport.last_error is None
    assert drawer.transport.queues[0].used_idx == 40


@pytest.mark.parametrize("across", ["desc", "avail", "used"])
def test_an_area_with_a_hole_in_it_is_refused(across: str) -> None:
    drawer = Drawer(two_regions(gap=0x1000), IPA)
    drawer.go(**places(across))
    names = {"desc": "descriptor table", "avail": "driver area", "used": "device area"}
    assert f"its {names[across]} is not in memory" in str(drawer.transport.last_error)
    assert not drawer.transport.queues[0].ready
    assert drawer.core.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET


def test_a_queue_that_is_set_up_elsewhere_leaves_its_old_place_alone() -> None:
    memory = two_regions()
    drawer = Drawer(memory, IPA)
    drawer.go(**places())
    drawer.queue.request(writable=[8])
    for reset in (lambda: drawer.core.put(mmio.QueueReset, 1), lambda: drawer.core.accept(drawer.core.features())):
        old = {name: getattr(drawer.queue, name) for name in SIZES}
        drawer.queue.add(writable=[8])
        drawer.core.put(mmio.QueueSel, 0)
        reset()
        before = memory.read(old["used"], SIZES["used"])
        drawer.queue.notify()
        drawer.queue = Placed(drawer.core, 0, 16)
        drawer.go(**{name: address + 0x1000 for name, address in old.items()})
        assert drawer.queue.request(writable=[9]) == (9, b"\x5a" * 9)
        assert memory.read(old["used"], SIZES["used"]) == before


def test_a_queue_that_is_looked_at_before_it_is_set_up() -> None:
    drawer = Drawer(two_regions(), IPA)
    with pytest.raises(BadAddress):
        drawer.transport.queues[0].wants_interrupt()
    drawer.go(**places())
    assert drawer.queue.request(writable=[8]) == (8, b"\x5a" * 8)


# Another VM's memory

PORT_RAM, PORT_OTHER = RAM_BASE + HALF, RAM_BASE + 3 * HALF


def behind_a_port() -> tuple[RamMemory, DmaPort, Drawer]:
    """A device behind a port that leads to a VM's memory, with a request waiting in its queue."""
    machine = ram(8 * HALF)
    port = DmaPort(GuestMemory(machine, [RamRegion(IPA, PORT_RAM, HALF)]))
    drawer = Drawer(port, IPA)
    drawer.go(**places())
    drawer.queue.request(writable=[8])
    drawer.queue.add(writable=[8])
    return machine, port, drawer


def test_a_port_that_leads_elsewhere_takes_the_queue_with_it() -> None:
    machine, port, drawer = behind_a_port()
    machine.write(PORT_OTHER, machine.read(PORT_RAM, HALF))  # the new VM's rings look the same
    port.target = GuestMemory(machine, [RamRegion(IPA, PORT_OTHER, HALF)])
    before = machine.read(PORT_RAM, HALF)
    drawer.queue.notify()
    assert machine.read(PORT_RAM, HALF) == before
    assert machine.read(PORT_OTHER, HALF) != before
    assert [length for length, _ in drawer.queue.collect()] == [8]
    port.target = GuestMemory(machine, [RamRegion(IPA, PORT_RAM, HALF)])  # and back
    other = machine.read(PORT_OTHER, HALF)
    drawer.queue.notify()
    assert machine.read(PORT_OTHER, HALF) == other


@pytest.mark.parametrize("size", [0, 0x600, 0x1000])
def test_a_port_that_leads_to_too_little_or_nothing_breaks_the_device(size: int) -> None:
    """With 0x600 bytes the tables are there and the device area is not; with a page only the buffer is missing."""
    machine, port, drawer = behind_a_port()
    drawer.core.memory.write(drawer.queue.desc, struct.pack("<QI", IPA + 0x2000, 8))  # the buffer, beyond that memory
    machine.write(PORT_OTHER, machine.read(PORT_RAM, HALF))
    port.target = GuestMemory(machine, [RamRegion(IPA, PORT_OTHER, size)]) if size else NoMemory()
    before = machine.read(RAM_BASE, 8 * HALF)
    drawer.queue.notify()
    assert drawer.transport.status & mmio.DEVICE_NEEDS_RESET
    assert machine.read(RAM_BASE, 8 * HALF) == before


def test_a_chain_that_was_taken_before_is_returned_to_the_new_memory_alone() -> None:
    machine, port, drawer = behind_a_port()
    queue = drawer.transport.queues[0]
    chain = queue.pop()
    assert chain is not None
    port.target = NoMemory()
    before = machine.read(RAM_BASE, 8 * HALF)
    with pytest.raises(BadAddress):
        chain.write(0, b"12345678")
    with pytest.raises(BadAddress):
        queue.push(chain, 8)
    assert machine.read(RAM_BASE, 8 * HALF) == before


NET, MAC = 0x5000_0000, (0x74, 0x56, 0xAA, 0x0F, 0x47, 0xD2)


@pytest.mark.parametrize("late", ["notified", "delivered", "interrupt"])
def test_memory_of_a_removed_vm_belongs_to_its_next_owner(late: str) -> None:
    """Whatever reaches the removed VM's device afterwards, the VM that has its memory now does not notice."""
    station = Station()
    station.manager.add(idle_mvm(), SPIN)
    devices = [
        EmulatedDevice("plic@c000000", 0x0C00_0000, 0x60_0000, 0, (), DeviceType.PLIC),
        EmulatedDevice("virtio_net@50000000", NET, 0x1000, 20, MAC, DeviceType.VIRTIO_NET),
    ]
    vm = station.manager.add(guest(2, 0b1000, devices=devices), SPIN)
    window = vm.bus.find(NET)
    net = next(iter(vm.backends.values()))
    assert window is not None
    assert isinstance(net, Net)
    driver = DriverCore(MemoryFrom(vm.memory, RAM_BASE + 4 * MIB), window.device, net.queue_sizes).start()
    frame = bytes(6) + bytes(MAC) + bytes(60)
    driver.queues[RECEIVEQ].add(writable=[2048])
    driver.queues[TRANSMITQ].request(bytes(12) + frame)  # its interrupt is still to come
    driver.queues[TRANSMITQ].add([bytes(12) + frame])
    region = vm.memory.regions[0]
    station.manager.remove(2)
    station.run(1000)
    heir = station.manager.add(guest(3, 0b0100), SPIN)
    assert heir.memory.regions[0].physical == region.physical
    for index, queue in enumerate(driver.queues):  # the heir's data looks like the rings, and lies where they lay
        heir.memory.write(queue.avail, struct.pack("<HHH", 0, 1, 0))
        heir.memory.write(queue.desc, struct.pack("<QIHH", RAM_BASE + 5 * MIB, 2048, 2 * (index == RECEIVEQ), 0))
    before = heir.memory.read(RAM_BASE, region.length)
    if late == "notified":
        for queue in driver.queues:
            queue.notify()
    elif late == "delivered":
        assert not net.deliver(Frame(frame))
    station.run(100_000)
    assert heir.memory.read(RAM_BASE, region.length) == before


# Code beside the rings

CALL = 0x0001_00E7  # jalr x1, 0(x2)
LOOP = 0x0000_006F
RETURN = 0x0000_8067
C_RETURN = 0x8082
CODE, RINGS = RAM_BASE, RAM_BASE + MIB

Kind = Callable[[RamMemory], Memory]


def guests(memory: RamMemory) -> Memory:
    return GuestMemory(memory, [RamRegion(RAM_BASE, RAM_BASE, 4 * MIB)])


@pytest.fixture(params=[lambda memory: memory, DmaPort, guests], ids=["physical", "port", "guest"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


class Coder:
    """A machine whose hart calls code that lies in the pages of a driver's rings and buffers."""

    def __init__(self, kind: Kind, source: Callable[[int], bytes]) -> None:
        self.machine = Machine(1, 16 * MIB)
        memory = self.machine.memory
        memory.write(CODE, struct.pack("<2I", CALL, LOOP))
        self.transport = VirtioMmio(kind(memory), RecordedLine(), Entropy(source))
        self.driver = DriverCore(MemoryFrom(memory, RINGS), self.transport, (16,)).start()
        self.queue = self.driver.queues[0]
        self.driver.allocate(16, 1)  # so that no buffer follows the rings

    def call(self, address: int) -> int:
        """x5 after the code at `address` has run."""
        hart = self.machine.harts[0]
        hart.reset(CODE)
        hart.x[2], hart.x[5] = address, 7
        self.machine.run_round()
        assert hart.pc == CODE + 4
        assert self.machine.host.has_records(address)
        return hart.x[5]


@pytest.mark.parametrize("element", [0, 8], ids=["first page", "last page"])
def test_code_in_the_used_ring_changes_when_the_device_writes_there(kind: Kind, element: int) -> None:
    """The length that the device stores for 0x293 bytes is the instruction `addi x5, x0, 0`. The area lies in two
    pages, with 8 elements in each."""
    coder = Coder(kind, bytes)
    queue = Placed(coder.driver, 0, 16)
    coder.driver.put(mmio.QueueReset, 1)
    queue.place(desc=RINGS + 0x10000, avail=RINGS + 0x10800, used=RINGS + 0x11000 - 4 - 8 * 8)
    for _ in range(element):
        queue.request(writable=[8])
    length = queue.used + 8 + 8 * element
    coder.machine.memory.write(length, struct.pack("<2I", 0x0010_0293, RETURN))  # addi x5, x0, 1
    assert coder.call(length) == 1
    queue.add(writable=[0x293])
    queue.notify()
    assert coder.machine.memory.read_u32(length) == 0x293
    assert coder.call(length) == 0


def test_code_in_the_middle_of_a_used_ring_of_three_pages(kind: Kind) -> None:
    coder = Coder(kind, bytes)
    queue = VirtQueue(kind(coder.machine.memory), 0, 1024)
    queue.desc, queue.driver, queue.device = RINGS + 0x10000, RINGS + 0x14000, RINGS + 0x15000
    queue.check()
    queue.ready = True
    coder.machine.memory.write_u16(queue.driver + 2, 1)
    queue.used_idx = 600
    length = queue.device + 8 + 8 * 600
    coder.machine.memory.write(length, struct.pack("<2I", 0x0010_0293, RETURN))
    assert coder.call(length) == 1
    chain = queue.pop()
    assert chain is not None
    assert queue.push(chain, 0x293)
    assert coder.call(length) == 0


def test_code_in_the_event_index_changes_when_the_device_asks_for_a_notification(kind: Kind) -> None:
    """After the first chain the device stores 1 there, which is C.NOP."""
    coder = Coder(kind, bytes)
    coder.queue.request(writable=[8])
    event = coder.queue.used + 4 + 8 * coder.queue.size
    coder.machine.memory.write(event, struct.pack("<2H", 0x4285, C_RETURN))  # c.li x5, 1
    assert coder.call(event) == 1
    coder.queue.notify()  # there is nothing, and the device says so once more
    assert coder.machine.memory.read_u16(event) == 1
    assert coder.call(event) == 7


@pytest.mark.parametrize(
    ("place", "before", "after"),
    [(RINGS + 0x8000, 0, 0), (RINGS + 0x8000, 0x100, 0), (RINGS + 0x9000 - 8, 0, 0x100)],
    ids=["one page", "last page", "first page"],
)
def test_code_in_a_buffer_changes_when_the_device_fills_it(kind: Kind, place: int, before: int, after: int) -> None:
    made = bytes(before) + struct.pack("<2I", 0x0020_0293, RETURN) + bytes(after)  # addi x5, x0, 2
    coder = Coder(kind, lambda size: made)
    memory = coder.machine.memory
    memory.write(place, struct.pack("<2I", 0x0010_0293, RETURN))
    assert coder.call(place) == 1
    head = coder.queue.add(writable=[len(made)])
    memory.write_u64(coder.queue.desc + 16 * head, place - before)
    coder.queue.notify()
    assert coder.call(place) == 2


def test_code_in_the_middle_of_what_is_written_changes(kind: Kind) -> None:
    coder = Coder(kind, bytes)
    place = RINGS + 0x8000
    coder.machine.memory.write(place, struct.pack("<2I", 0x0010_0293, RETURN))
    assert coder.call(place) == 1
    made = struct.pack("<2I", 0x0020_0293, RETURN)
    kind(coder.machine.memory).write(place - 0x800, bytes(0x800) + made + bytes(0x1000))
    assert coder.call(place) == 2


# Memory in place


def test_ram_in_place_has_a_word_for_each_page() -> None:
    code = memoryview(bytearray(8 * 4)).cast("Q")
    told: list[tuple[int, int]] = []
    memory = RamMemory(
        memoryview(bytearray(0x4000)), RAM_BASE, lambda address, size: told.append((address, size)), code
    )
    mapping = memory.map(RAM_BASE + 0xFF0, 0x20, lambda: None)
    assert mapping is not None
    assert (len(mapping.bytes), len(mapping.code)) == (0x20, 2)
    mapping.bytes[0:4] = b"word"
    assert memory.read(RAM_BASE + 0xFF0, 4) == b"word"
    memory.write(RAM_BASE + 0xFF0, bytes(0x20))
    assert told == []
    code[1] = 1
    assert list(mapping.code) == [0, 1]
    memory.write(RAM_BASE + 0xFF0, bytes(0x20))
    memory.write(RAM_BASE + 0xFF0, bytes(0x10))
    assert told == [(RAM_BASE + 0xFF0, 0x20)]
    code[1], code[2] = 0, 1
    memory.write(RAM_BASE + 0x800, bytes(0x2000))  # in the middle of more than two pages
    assert told[1:] == [(RAM_BASE + 0x800, 0x2000)]


def test_memory_that_tells_every_write_is_never_in_place() -> None:
    memory = RamMemory(memoryview(bytearray(0x1000)), RAM_BASE, lambda address, size: None)
    assert memory.map(RAM_BASE, 8, lambda: None) is None


def test_a_guests_memory_is_in_place_inside_of_a_region() -> None:
    memory = two_regions()
    assert memory.map(IPA, HALF, lambda: None) is not None
    assert memory.map(IPA + HALF - 8, 16, lambda: None) is None
    for address, size in ((IPA + 2 * HALF - 8, 16), (IPA - 1, 1), (1 << 64, 1)):
        with pytest.raises(BadAddress):
            memory.map(address, size, lambda: None)


def test_a_new_target_ends_the_mappings_of_a_port_once() -> None:
    lost: list[str] = []
    port = DmaPort(two_regions())
    tell = lambda: lost.append("lost")  # noqa: E731 the same object twice
    for _ in range(2):
        assert port.map(IPA, 16, tell) is not None
    port.target = NoMemory()
    port.target = two_regions()
    assert lost == ["lost"]
