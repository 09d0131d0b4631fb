"""NS16550A universal asynchronous receiver/transmitter (National Semiconductor PC16550D data sheet)."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.device import Line, Timebase, Timer

RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR = range(8)

IER_ERBFI, IER_ETBEI, IER_ELSI, IER_EDSSI = 0x01, 0x02, 0x04, 0x08
IIR_NONE, IIR_MODEM, IIR_THRE, IIR_RDA, IIR_LINE, IIR_TIMEOUT, IIR_FIFOS = 0x01, 0x00, 0x02, 0x04, 0x06, 0x0C, 0xC0
FCR_ENABLE, FCR_CLEAR_RX = 0x01, 0x02
LCR_DLAB = 0x80
MCR_DTR, MCR_RTS, MCR_OUT1, MCR_OUT2, MCR_LOOP = 0x01, 0x02, 0x04, 0x08, 0x10
LSR_DR, LSR_OE, LSR_THRE, LSR_TEMT = 0x01, 0x02, 0x20, 0x40
MSR_CTS, MSR_DSR, MSR_RI, MSR_DCD = 0x10, 0x20, 0x40, 0x80

_FIFO_DEPTH = 16
_TICKS_PER_BYTE = 100  # ten bits at 1 Mbit/s
_TRIGGER_LEVELS = (1, 4, 8, 14)
_MODEM_READY = MSR_CTS | MSR_DSR | MSR_DCD  # a terminal is always there
_EMPTY = LSR_THRE | LSR_TEMT
_BYTE = [bytes((value,)) for value in range(256)]


class Uart:
    """A serial port: output is out at once; input comes through a 16-byte FIFO.

    `receive` takes any amount of input up to `capacity` bytes and feeds the FIFO as the guest empties it. With a
    `timebase` it does so at 1 Mbit/s, slow enough for an operating system to carry a pasted text away between two
    interrupts; without one, as fast as the guest reads. The character timeout, which real hardware reports after four
    character times, is reported as soon as the FIFO holds fewer bytes than the trigger level. The divisor and the line
    format are stored without effect. Accesses wider than a byte reach the register at their lowest address.
    """

    def __init__(
        self,
        line: Line,
        on_output: Callable[[bytes], None],
        timebase: Timebase | None = None,
        capacity: int = 1 << 20,
    ) -> None:
        self._line = line
        self._on_output = on_output
        self._timebase = timebase
        self._capacity = capacity
        self._waiting = bytearray()  # host side, in front of the FIFO
        self._busy: Timer | None = None  # the line still carries the bytes fed last
        self.reset()

    def reset(self) -> None:
        """Power-on state; input that still waits on the host's side is kept."""
        self._fifo = bytearray()
        self._depth = 1
        self._trigger = 1
        self._fifos_enabled = False
        self._ier = self._lcr = self._scr = 0
        self._mcr = 0
        self._divisor = 1
        self._overrun = 0
        self._modem_delta = 0
        self._thre_interrupt = False
        self._level = False
        self._line(False)
        self._feed()

    # The host's side

    def receive(self, data: bytes) -> int:
        """Input for the guest. Returns how many bytes were taken: less than given when `capacity` is reached."""
        taken = data[: max(0, self._capacity - len(self._waiting))]
        self._waiting += taken
        self._feed()
        self._update()
        return len(taken)

    @property
    def waiting(self) -> int:
        """Bytes of input that the guest has not read."""
        return len(self._waiting) + len(self._fifo)

    def _feed(self) -> None:
        room = self._depth - len(self._fifo)
        if room <= 0 or not self._waiting or self._busy is not None or self._mcr & MCR_LOOP:
            return
        taken = self._waiting[:room]
        del self._waiting[:room]
        self._fifo += taken
        if self._timebase is not None:
            free = self._timebase.now() + _TICKS_PER_BYTE * len(taken)
            self._busy = self._timebase.call_at(free, self._line_free)

    def _line_free(self) -> None:
        self._busy = None
        self._feed()
        self._update()

    # Registers

    def read(self, offset: int, width: int) -> int:
        if offset == LSR:
            overrun, self._overrun = self._overrun, 0
            if overrun:
                self._update()
            return (_EMPTY | LSR_DR | overrun) if self._fifo else _EMPTY | overrun
        if offset == RBR_THR:
            return self._divisor & 0xFF if self._lcr & LCR_DLAB else self._receive_byte()
        if offset == IER:
            return self._divisor >> 8 if self._lcr & LCR_DLAB else self._ier
        if offset == IIR_FCR:
            return self._read_iir()
        if offset == LCR:
            return self._lcr
        if offset == MCR:
            return self._mcr
        if offset == MSR:
            value = self._modem_status() | self._modem_delta
            self._modem_delta = 0
            self._update()
            return value
        return self._scr if offset == SCR else 0

    def write(self, offset: int, width: int, value: int) -> None:
        value &= 0xFF
        if offset == RBR_THR:
            if self._lcr & LCR_DLAB:
                self._divisor = self._divisor & 0xFF00 | value
            else:
                self._transmit(value)
        elif offset == IER:
            if self._lcr & LCR_DLAB:
                self._divisor = self._divisor & 0x00FF | value << 8
            else:
                self._write_ier(value & 0x0F)
        elif offset == IIR_FCR:
            self._write_fcr(value)
        elif offset == LCR:
            self._lcr = value
        elif offset == MCR:
            self._write_mcr(value & 0x1F)
        elif offset == SCR:
            self._scr = value

    def _receive_byte(self) -> int:
        fifo = self._fifo
        if not fifo:
            return 0
        value = fifo.pop(0)
        if self._waiting:
            self._feed()
        self._update()
        return value

    def _transmit(self, value: int) -> None:
        if self._mcr & MCR_LOOP:
            if len(self._fifo) < self._depth:
                self._fifo.append(value)
            else:
                self._overrun = LSR_OE
        else:
            self._on_output(_BYTE[value])
        if not self._thre_interrupt or self._mcr & MCR_LOOP:
            self._thre_interrupt = True  # empty again already
            self._update()

    def _write_ier(self, value: int) -> None:
        if value & ~self._ier & IER_ETBEI:
            self._thre_interrupt = True  # enabling it reports a transmitter that is empty now
        self._ier = value
        self._update()

    def _write_fcr(self, value: int) -> None:
        enable = bool(value & FCR_ENABLE)
        if enable != self._fifos_enabled or (enable and value & FCR_CLEAR_RX):
            self._fifo.clear()
        self._fifos_enabled = enable
        self._depth = _FIFO_DEPTH if enable else 1
        self._trigger = _TRIGGER_LEVELS[value >> 6] if enable else 1
        self._feed()
        self._update()

    def _write_mcr(self, value: int) -> None:
        before = self._modem_status()
        self._mcr = value
        changed = before ^ self._modem_status()
        # Delta bits; bit 2 is the trailing edge of the ring indicator alone
        self._modem_delta |= changed >> 4 & 0x0B | (changed & before & MSR_RI) >> 4
        self._feed()
        self._update()

    def _modem_status(self) -> int:
        if not self._mcr & MCR_LOOP:
            return _MODEM_READY
        mcr = self._mcr
        return (
            (MSR_CTS if mcr & MCR_RTS else 0)
            | (MSR_DSR if mcr & MCR_DTR else 0)
            | (MSR_RI if mcr & MCR_OUT1 else 0)
            | (MSR_DCD if mcr & MCR_OUT2 else 0)
        )

    # Interrupts, in the order of their priority

    def _cause(self) -> int:
        ier = self._ier
        if ier & IER_ELSI and self._overrun:
            return IIR_LINE
        if ier & IER_ERBFI and self._fifo:
            return IIR_RDA if len(self._fifo) >= self._trigger else IIR_TIMEOUT
        if ier & IER_ETBEI and self._thre_interrupt:
            return IIR_THRE
        if ier & IER_EDSSI and self._modem_delta:
            return IIR_MODEM
        return IIR_NONE

    def _read_iir(self) -> int:
        cause = self._cause()
        if cause == IIR_THRE:
            self._thre_interrupt = False
            self._update()
        return cause | (IIR_FIFOS if self._fifos_enabled else 0)

    def _update(self) -> None:
        level = self._ier != 0 and self._cause() != IIR_NONE
        if level != self._level:
            self._level = level
            self._line(level)
