"""virtio-console and virtio-rng."""

from __future__ import annotations

import hashlib

from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.board.virtio import mmio
from shyper_tui.engine.board.virtio.console import RECEIVEQ, TRANSMITQ, Console
from shyper_tui.engine.board.virtio.entropy import Entropy
from tests.board.driver import Driver


class Terminal(Driver):
    """A guest's console driver and what the host saw of it."""

    def __init__(self, capacity: int = 1 << 20) -> None:
        self.output = bytearray()
        self.console = Console(self.output.extend, capacity=capacity)
        super().__init__(self.console)

    def read(self, *sizes: int) -> bytes:
        for size in sizes:
            self.queues[RECEIVEQ].add(writable=[size])
        self.queues[RECEIVEQ].notify()
        return b"".join(data[:length] for length, data in self.queues[RECEIVEQ].collect())


def test_output_arrives_in_order() -> None:
    terminal = Terminal()
    terminal.start()
    for text in (b"hello ", b"world\n"):
        assert terminal.queues[TRANSMITQ].request(text[:2], text[2:]) == (0, b"")
    long = bytes(range(256)) * 64
    terminal.queues[TRANSMITQ].request(long)
    assert terminal.output == b"hello world\n" + long
    assert terminal.acknowledge() == mmio.USED_BUFFER


def test_input_waits_for_the_driver_and_for_buffers() -> None:
    terminal = Terminal()
    assert terminal.console.receive(b"typed before boot\n") == 18
    terminal.start()
    assert terminal.line.rises == 0
    assert terminal.read(5, 100) == b"typed before boot\n"
    assert terminal.line.high()
    terminal.acknowledge()
    terminal.queues[RECEIVEQ].add(writable=[64])
    terminal.console.receive(b"x")
    assert terminal.line.high()
    assert terminal.queues[RECEIVEQ].collect()[0][1][:1] == b"x"


def test_input_is_bounded() -> None:
    terminal = Terminal(capacity=10)
    terminal.start()
    assert terminal.console.receive(b"0123456789abc") == 10
    assert terminal.console.receive(b"more") == 0
    assert (terminal.console.waiting, terminal.read(64)) == (10, b"0123456789")
    assert terminal.console.receive(b"more") == 4


def test_the_size_is_configuration_and_a_resize_interrupts() -> None:
    terminal = Terminal()
    terminal.start()
    assert terminal.features() & 1
    assert (terminal.get(0x100, 2), terminal.get(0x102, 2), terminal.get(0x104, 4)) == (80, 25, 1)
    terminal.console.resize(132, 43)
    assert terminal.acknowledge() == mmio.CONFIG_CHANGE
    assert (terminal.get(0x100, 2), terminal.get(0x102, 2)) == (132, 43)
    terminal.console.resize(132, 43)
    assert terminal.acknowledge() == 0


def test_the_size_is_bounded_and_changes_with_the_generation() -> None:
    terminal = Terminal()
    generations = {terminal.get(mmio.ConfigGeneration)}
    for columns, rows, shown in ((0, -1, (1, 1)), (70_000, 10, (65535, 10)), (70_000, 10, (65535, 10))):
        terminal.console.resize(columns, rows)
        assert (terminal.get(0x100, 2), terminal.get(0x102, 2)) == shown
        generations.add(terminal.get(mmio.ConfigGeneration))
    assert len(generations) == 3  # the last one was no change
    assert terminal.line.rises == 0  # nobody drives the device yet


def test_an_emergency_write_is_shown_whatever_state_the_device_is_in() -> None:
    terminal = Terminal()
    assert terminal.features() & 1 << 2
    for byte in b"panic":
        terminal.put(0x108, byte | 0x100)  # the lower bits are the character
    terminal.transport.write(0x108, 1, ord("!"))
    terminal.start()
    terminal.transport.fail("a test")
    terminal.put(0x108, ord("?"))
    terminal.put(0x100, 0x1234)  # the rest of the configuration is read-only
    assert terminal.output == b"panic!?"
    assert terminal.get(0x100, 2) == 80


def test_there_is_one_port_with_two_queues() -> None:
    terminal = Terminal()
    assert terminal.features() & 1 << 1 == 0  # no MULTIPORT
    sizes = []
    for index in range(4):
        terminal.put(mmio.QueueSel, index)
        sizes.append(terminal.get(mmio.QueueNumMax))
    assert sizes == [64, 64, 0, 0]


class Reader:
    """Whatever is behind a console's `forward`: takes as many bytes as it was given room for."""

    def __init__(self) -> None:
        self.room = 0
        self.taken = bytearray()

    def take(self, data: bytes) -> int:
        taken = data[: self.room]
        self.room -= len(taken)
        self.taken += taken
        return len(taken)


def held_up(reader: Reader) -> Terminal:
    terminal = Terminal()
    terminal.console = Console(terminal.output.extend, forward=reader.take)
    terminal.transport.connect(terminal.console)
    return terminal.start()


def test_a_transmit_buffer_waits_for_the_reader_and_not_for_the_one_who_only_looks() -> None:
    reader = Reader()
    terminal = held_up(reader)
    queue = terminal.queues[TRANSMITQ]
    queue.add([b"first "])
    queue.add([b"second"])
    reader.room = 4
    queue.notify()
    assert (queue.collect(), terminal.console.holding) == ([], True)
    assert (bytes(reader.taken), bytes(terminal.output)) == (b"firs", b"first ")
    reader.room = 5
    terminal.console.resume_output()
    assert (len(queue.collect()), bytes(reader.taken)) == (1, b"first sec")
    reader.room = 100
    queue.notify()  # the driver may ask, too
    assert (len(queue.collect()), bytes(reader.taken)) == (1, b"first second")
    assert bytes(terminal.output) == b"first second"
    assert not terminal.console.holding


def test_a_reset_forgets_the_buffer_that_waited() -> None:
    reader = Reader()
    terminal = held_up(reader)
    terminal.queues[TRANSMITQ].add([b"lost"])
    terminal.queues[TRANSMITQ].notify()
    before = terminal.console.holding
    terminal.start()
    assert (before, terminal.console.holding) == (True, False)
    reader.room = 100
    terminal.console.resume_output()
    assert (terminal.queues[TRANSMITQ].request(b"new"), bytes(reader.taken)) == ((0, b""), b"new")


def test_a_queue_reset_forgets_it_too() -> None:
    reader = Reader()
    terminal = held_up(reader)
    terminal.queues[TRANSMITQ].add([b"lost"])
    terminal.queues[TRANSMITQ].notify()
    terminal.put(mmio.QueueSel, TRANSMITQ)
    terminal.put(mmio.QueueReset, 1)
    terminal.queues[TRANSMITQ] = type(terminal.queues[TRANSMITQ])(terminal, TRANSMITQ, 8)
    terminal.queues[TRANSMITQ].set_up()
    reader.room = 100
    assert terminal.queues[TRANSMITQ].request(b"new") == (0, b"")
    assert bytes(reader.taken) == b"new"


def test_input_for_a_guest_that_does_not_read_keeps_the_newest_bytes_and_counts_the_others() -> None:
    terminal = Terminal(capacity=10)
    terminal.console.push(b"01234567")
    terminal.console.push(b"abcdef")
    assert (terminal.console.waiting, terminal.console.received_dropped) == (10, 4)
    terminal.start()
    assert terminal.read(64) == b"4567abcdef"
    terminal.console.push(bytes(range(30)))
    assert terminal.read(64) == bytes(range(20, 30))
    terminal.queues[TRANSMITQ].request(b"four")
    console = terminal.console
    assert (console.received_bytes, console.received_dropped, console.sent_bytes) == (20, 24, 4)


def test_a_guest_that_floods_its_console_waits_for_the_machines_time() -> None:
    timebase, output = ManualTimebase(), bytearray()
    driver = Driver(Console(output.extend, timebase=timebase)).start()
    queue = driver.queues[TRANSMITQ]
    for _ in range(16):
        queue.add([bytes(256 << 10)])
    queue.notify()
    at_once = len(output)
    assert 0 < at_once < 1 << 20
    queue.notify()
    assert len(output) == at_once
    timebase.advance(10_000_000)
    assert len(output) == 4 << 20
    assert len(queue.collect()) == 16


def test_a_buffer_outside_of_memory_only_stops_this_console() -> None:
    terminal = Terminal()
    terminal.start()
    head = terminal.queues[RECEIVEQ].add(writable=[16])
    terminal.memory.write_u64(terminal.queues[RECEIVEQ].desc + 16 * head, 0x10)
    terminal.console.receive(b"hello")
    assert terminal.get(mmio.Status) & mmio.DEVICE_NEEDS_RESET
    assert "not in memory" in str(terminal.transport.last_error)
    terminal.start()
    assert terminal.read(16) == b"hello"


def test_entropy_comes_from_its_source_alone_and_is_bounded() -> None:
    given = []

    def source(size: int) -> bytes:
        given.append(size)
        return bytes(index & 0xFF for index in range(size))

    driver = Driver(Entropy(source)).start()
    length, data = driver.queues[0].request(writable=[3, 5])
    assert (length, data) == (8, bytes(range(8)))
    length, _ = driver.queues[0].request(writable=[100_000])
    assert (length, given) == (4096, [8, 4096])


def test_entropy_from_a_repeatable_source_is_the_same_in_every_run() -> None:
    def run() -> list[bytes]:
        seeds = iter(range(100))
        driver = Driver(Entropy(lambda size: hashlib.shake_256(b"%d" % next(seeds)).digest(size))).start()
        return [driver.queues[0].request(writable=[16])[1] for _ in range(3)]

    assert run() == run()
    assert len(set(run())) == 3
