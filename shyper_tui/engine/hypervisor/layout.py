"""Machine-physical memory as the hypervisor divides it, and numbers that its guests can observe."""

from __future__ import annotations

from shyper_tui.engine.board.device import TICKS_PER_SECOND

PAGE = 4096
HYPERVISOR_MEMORY = (0x8020_0000, 0x9000_0000)
"""First byte and end of the memory kept for the hypervisor itself; stage-2 tables come from here."""
POOL_BASE = 0x9000_0000
"""First byte of the pool from which VM memory is taken; it ends with the machine's RAM."""

MAX_VMS = 8
SLICE = TICKS_PER_SECOND // 100
"""Time slice of a vCPU that shares its core: 10 ms."""
TRAP_TICKS = TICKS_PER_SECOND // 100_000
"""What the machine lets pass in a trap to software written in Python: 10 µs."""

HVC_IRQ = 69
"""Source number of messages from the hypervisor to a VM."""
GVM_SOURCES = 63
VPLIC_SOURCES = 511
VPLIC_LENGTH = 0x60_0000
VIRTIO_LENGTH = 0x1000

PLIC_ENABLE, PLIC_CONTEXT = 0x2000, 0x20_0000
PLIC_ENABLE_STRIDE, PLIC_CONTEXT_STRIDE = 0x80, 0x1000


def supervisor_context(hart_id: int) -> int:
    """PLIC context of a hart's S-mode, physical and virtual alike: M-mode of hart h is 2h, S-mode is 2h + 1."""
    return 2 * hart_id + 1
