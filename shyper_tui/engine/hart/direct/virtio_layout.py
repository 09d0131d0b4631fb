"""Where a virtio-mmio transport keeps its interrupt: byte offsets into a block of host memory, all words 64 bits."""

from __future__ import annotations

INTERRUPT_STATUS = 0
PLIC, SOURCE = 8, 16
"""Host address of the state of the PLIC that the interrupt leads to, 0 when it leads elsewhere; its source there."""
SIZE = 24

InterruptStatus, InterruptACK = 0x60, 0x64
"""Registers (VIRTIO 1.2, section 4.2.2)."""
