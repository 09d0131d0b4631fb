"""virtio-console and virtio-rng."""

from __future__ import annotations

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


def test_entropy_comes_from_its_source_alone() -> None:
    given = []

    def source(size: int) -> bytes:
        given.append(size)
        return bytes(index & 0xFF for index in range(size))

    driver = Driver(Entropy(source)).start()
    length, data = driver.queues[0].request(writable=[3, 5])
    assert (length, data) == (8, bytes(range(8)))
    length, _ = driver.queues[0].request(writable=[100_000])
    assert (length, given) == (4096, [8, 4096])
