"""Where a virtio-mmio transport keeps what native code needs: byte offsets into a block of host memory, all words 64
bits."""

from __future__ import annotations

INTERRUPT_STATUS = 0
PLIC, SOURCE = 8, 16
"""Host address of the state of the PLIC that the interrupt leads to, 0 when it leads elsewhere; its source there."""
STATUS, DRIVER_FEATURES = 24, 32
NET = 40
"""Host address of the state of the network device behind it, 0 when it is another one."""
SIZE = 48

InterruptStatus, InterruptACK, QueueNotify = 0x60, 0x64, 0x50
"""Registers (VIRTIO 1.2, section 4.2.2)."""
USED_BUFFER = 1
"""In InterruptStatus."""
DRIVER_OK, DEVICE_NEEDS_RESET, FAILED = 4, 64, 128
"""In Status (section 2.1)."""
