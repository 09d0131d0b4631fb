"""The console the firmware writes to: a polled driver for the board's 16550."""

from __future__ import annotations

from typing import Protocol

THR_RBR, LSR = 0, 5
LSR_DATA_READY = 1


class Console(Protocol):
    """A byte stream in both directions; neither call blocks."""

    def write(self, data: bytes) -> None: ...
    def read(self, size: int) -> bytes: ...


def terminal_lines(data: bytes) -> bytes:
    """What firmware sends for console text: kernels end lines with a bare newline and leave the carriage return to
    it."""
    return data.replace(b"\n", b"\r\n")


class RegisterBus(Protocol):
    """The part of the board's bus that the driver uses."""

    def read(self, address: int, width: int) -> int: ...
    def write(self, address: int, width: int, value: int) -> None: ...


class UartConsole:
    """Console on a 16550 at `base` of `bus`, byte registers without shift (as on QEMU's virt board)."""

    def __init__(self, bus: RegisterBus, base: int = 0x1000_0000) -> None:
        self._bus = bus
        self._base = base

    def write(self, data: bytes) -> None:
        """Transmit every byte; the model's transmitter is always ready."""
        for byte in data:
            self._bus.write(self._base + THR_RBR, 1, byte)

    def read(self, size: int) -> bytes:
        """Up to `size` received bytes; empty when there are none."""
        received = bytearray()
        while len(received) < size and self._bus.read(self._base + LSR, 1) & LSR_DATA_READY:
            received.append(self._bus.read(self._base + THR_RBR, 1))
        return bytes(received)
