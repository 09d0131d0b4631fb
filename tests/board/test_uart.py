"""The 16550 as a driver sees it."""

from __future__ import annotations

from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.board.uart import (
    FCR_CLEAR_RX,
    FCR_ENABLE,
    IER,
    IER_EDSSI,
    IER_ELSI,
    IER_ERBFI,
    IER_ETBEI,
    IIR_FCR,
    IIR_FIFOS,
    IIR_LINE,
    IIR_MODEM,
    IIR_NONE,
    IIR_RDA,
    IIR_THRE,
    IIR_TIMEOUT,
    LCR,
    LCR_DLAB,
    LSR,
    LSR_DR,
    LSR_OE,
    LSR_TEMT,
    LSR_THRE,
    MCR,
    MCR_LOOP,
    MCR_OUT2,
    MCR_RTS,
    MSR,
    MSR_CTS,
    MSR_DCD,
    RBR_THR,
    SCR,
    Uart,
)
from tests.board.wires import RecordedLine


class Port:
    """A UART with its output and its line, and single-byte accesses."""

    def __init__(self, capacity: int = 1 << 20, *, paced: bool = False) -> None:
        self.output = bytearray()
        self.line = RecordedLine()
        self.time = ManualTimebase()
        self.uart = Uart(self.line, self.output.extend, self.time if paced else None, capacity)

    def get(self, register: int) -> int:
        return self.uart.read(register, 1)

    def put(self, register: int, value: int) -> None:
        self.uart.write(register, 1, value)

    def read_all(self) -> bytes:
        """Polls like a boot console."""
        data = bytearray()
        while self.get(LSR) & LSR_DR:
            data.append(self.get(RBR_THR))
        return bytes(data)


def test_polled_output_leaves_at_once() -> None:
    port = Port()
    for byte in b"hello":
        assert port.get(LSR) & (LSR_THRE | LSR_TEMT) == LSR_THRE | LSR_TEMT
        port.put(RBR_THR, byte)
    assert (bytes(port.output), port.line.rises) == (b"hello", 0)


def test_a_long_paste_arrives_whole_through_the_fifo() -> None:
    port = Port()
    port.put(IIR_FCR, FCR_ENABLE)
    text = bytes(range(256)) * 300
    assert port.uart.receive(text) == len(text)
    assert port.read_all() == text
    assert port.uart.waiting == 0


def test_with_a_timebase_input_comes_at_the_speed_of_a_line() -> None:
    port = Port(paced=True)
    port.put(IIR_FCR, FCR_ENABLE)
    port.put(IER, IER_ERBFI)
    text = bytes(range(100))
    port.uart.receive(text)
    got = bytearray()
    while (due := port.time.next_tick()) is not None:
        assert port.line.high()
        batch = port.read_all()
        assert 0 < len(batch) <= 16
        assert not port.line.high()  # the driver has time for something else
        got += batch
        port.time.advance_to(due)
    got += port.read_all()
    assert (bytes(got), port.time.now()) == (text, 100 * len(text))


def test_input_beyond_the_capacity_is_refused_not_mangled() -> None:
    port = Port(capacity=100)
    taken = port.uart.receive(b"x" * 1000)
    assert taken == 100
    assert port.read_all() == b"x" * taken


def test_the_probe_of_the_8250_driver_finds_a_16550a() -> None:
    port = Port()
    port.put(IER, 0)
    assert port.get(IER) == 0
    port.put(IER, 0xFF)
    assert port.get(IER) == 0x0F
    port.put(IER, 0)
    port.put(MCR, MCR_LOOP | MCR_OUT2 | MCR_RTS)
    assert port.get(MSR) & 0xF0 == MSR_DCD | MSR_CTS
    port.put(MCR, 0)
    port.put(IIR_FCR, 0)
    assert port.get(IIR_FCR) & 0xC0 == 0
    port.put(IIR_FCR, FCR_ENABLE)
    assert port.get(IIR_FCR) & 0xC0 == IIR_FIFOS
    for value in (0x55, 0xAA):
        port.put(SCR, value)
        assert port.get(SCR) == value


def test_the_divisor_hides_behind_dlab() -> None:
    port = Port()
    port.put(LCR, LCR_DLAB | 3)
    port.put(RBR_THR, 0x34)
    port.put(IER, 0x12)
    assert (port.get(RBR_THR), port.get(IER)) == (0x34, 0x12)
    port.put(LCR, 3)
    assert (port.get(IER), port.get(LCR), bytes(port.output)) == (0, 3, b"")


def test_receive_interrupt_at_the_trigger_level_else_timeout() -> None:
    port = Port()
    port.put(IIR_FCR, FCR_ENABLE | 0x80)  # trigger level 8
    port.put(IER, IER_ERBFI)
    assert not port.line.high()
    port.uart.receive(b"1234567")
    assert port.line.high()
    assert port.get(IIR_FCR) == IIR_FIFOS | IIR_TIMEOUT
    port.uart.receive(b"8")
    assert port.get(IIR_FCR) == IIR_FIFOS | IIR_RDA
    assert port.read_all() == b"12345678"
    assert (port.line.high(), port.get(IIR_FCR)) == (False, IIR_FIFOS | IIR_NONE)


def test_transmit_interrupt_is_cleared_by_reading_iir_and_comes_back() -> None:
    port = Port()
    port.put(IER, IER_ETBEI)
    assert port.line.high()  # enabling reports the empty transmitter
    assert port.get(IIR_FCR) == IIR_THRE
    assert (port.line.high(), port.get(IIR_FCR)) == (False, IIR_NONE)
    port.put(RBR_THR, ord("a"))
    assert port.line.high()
    assert port.get(IIR_FCR) == IIR_THRE
    port.put(IER, 0)
    port.put(IER, IER_ETBEI)  # the driver's test for lost transmit interrupts
    assert port.get(IIR_FCR) == IIR_THRE


def test_receive_goes_before_transmit() -> None:
    port = Port()
    port.put(IER, IER_ETBEI | IER_ERBFI)
    port.uart.receive(b"x")
    assert port.get(IIR_FCR) == IIR_RDA
    assert port.get(RBR_THR) == ord("x")
    assert port.get(IIR_FCR) == IIR_THRE
    assert not port.line.high()


def test_loopback_echoes_overruns_and_keeps_the_wire_quiet() -> None:
    port = Port()
    port.put(IER, IER_ELSI)
    port.put(MCR, MCR_LOOP)
    port.uart.receive(b"from outside")
    port.put(RBR_THR, ord("a"))
    port.put(RBR_THR, ord("b"))  # no FIFO: one byte of room
    assert port.get(IIR_FCR) == IIR_LINE
    assert port.get(LSR) & (LSR_OE | LSR_DR) == LSR_OE | LSR_DR
    assert not port.get(LSR) & LSR_OE
    assert (port.get(RBR_THR), bytes(port.output)) == (ord("a"), b"")
    port.put(MCR, 0)
    assert port.read_all() == b"from outside"


def test_modem_lines_report_changes_once() -> None:
    port = Port()
    port.put(IER, IER_EDSSI)
    port.put(MCR, MCR_LOOP)  # CTS, DSR and DCD fall
    assert port.line.high()
    assert port.get(IIR_FCR) == IIR_MODEM
    assert port.get(MSR) & 0x0F == 0x0B
    assert (port.get(MSR) & 0x0F, port.line.high()) == (0, False)


def test_clearing_the_receive_fifo_drops_only_what_is_in_it() -> None:
    port = Port()
    port.put(IIR_FCR, FCR_ENABLE)
    port.uart.receive(b"0123456789abcdefREST")
    port.put(IIR_FCR, FCR_ENABLE | FCR_CLEAR_RX)
    assert port.read_all() == b"REST"
    assert port.get(RBR_THR) == 0
