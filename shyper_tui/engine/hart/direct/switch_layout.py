"""Where a switch keeps which device has which address: byte offsets into blocks of host memory, all words 64 bits."""

from __future__ import annotations

# a switch
PORTS = 0
"""How many configured addresses there are."""
ENTRIES = 8
MAC, NET, PORT = 0, 8, 16
"""An address, its first byte lowest; host addresses of the state of the network device that has it, 0 where something
else is behind the port, and of the port's counters."""
ENTRY_SIZE = 24


def size(ports: int) -> int:
    """Bytes of the block of a switch."""
    return ENTRIES + ports * ENTRY_SIZE


# a port
ATTACHED, IN_FRAMES, IN_BYTES, OUT_FRAMES, OUT_BYTES = 0, 8, 16, 24, 32
PORT_SIZE = 40
