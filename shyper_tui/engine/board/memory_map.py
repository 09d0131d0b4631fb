"""Where the devices of the `virt` board are: physical addresses, lengths in bytes, PLIC source numbers."""

from __future__ import annotations

FINISHER_BASE, FINISHER_LENGTH = 0x10_0000, 0x1000
RTC_BASE, RTC_LENGTH, RTC_IRQ = 0x10_1000, 0x1000, 11
CLINT_BASE, CLINT_LENGTH = 0x200_0000, 0x1_0000
PLIC_BASE, PLIC_LENGTH, PLIC_SOURCES = 0xC00_0000, 0x60_0000, 95
UART_BASE, UART_LENGTH, UART_IRQ, UART_CLOCK = 0x1000_0000, 0x100, 10, 3_686_400
VIRTIO_BASE, VIRTIO_STRIDE, VIRTIO_SLOTS, VIRTIO_IRQ = 0x1000_1000, 0x1000, 8, 1
RAM_BASE = 0x8000_0000

MAX_HARTS = (PLIC_LENGTH - 0x20_0000) // 0x2000  # the PLIC's window has room for two contexts of each
