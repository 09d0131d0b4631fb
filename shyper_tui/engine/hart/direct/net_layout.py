"""Where a network device keeps its state: byte offsets into a block of host memory, all words 64 bits."""

from __future__ import annotations

from . import pace_layout, queue_layout

TRANSPORT, RECEIVEQ, TRANSMITQ, MEMORY, SWITCH, PORT, ALARM = range(0, 56, 8)
"""Host addresses: the state of the transport, of the two queues, what the driver's addresses mean, the switch, the port
there, the word of the alarm. 0 where there is none, or none that native code can use."""
LINK, WAITING, SENT_LENGTH = 56, 64, 72
"""Whether the link is up; how many frames wait for buffers; whether a frame sent is returned with its length."""
HELD, SIGNAL_AT = 80, 88
"""Frames that were returned without an interrupt, and the tick at which it is due, NEVER when none is."""
NEVER = (1 << 64) - 1
RECEIVED_FRAMES, RECEIVED_BYTES, SENT_FRAMES, SENT_BYTES = 96, 104, 112, 120
TRANSMIT_PACE = 128
RECEIVE_PACE = TRANSMIT_PACE + pace_layout.SIZE

# what native code works with
SENT_CHAIN = RECEIVE_PACE + pace_layout.SIZE
RECEIVED_CHAIN = SENT_CHAIN + queue_layout.CHAIN_SIZE
BUFFER = RECEIVED_CHAIN + queue_layout.CHAIN_SIZE
MOST_FRAME = 2048
"""Longer frames are left to Python."""

# a frame in a buffer (VIRTIO 1.2, section 5.1.6): struct virtio_net_hdr, then the frame
FLAGS, GSO_TYPE, CSUM_OFFSET, NUM_BUFFERS, FRAME = 0, 1, 8, 10, 12
SIZE = BUFFER + FRAME + MOST_FRAME
VIRTIO_NET_HDR_F_NEEDS_CSUM = 1
DESTINATION, SOURCE = FRAME, FRAME + 6
LEAST_FRAME = 14

FRAME_TICKS, COPY_TICKS, COPIED_PER_TICK = 100, 200, 256
"""What the host's work costs: for each frame sent, for each copy of it, and how many bytes of a copy cost one tick
more."""
SENT_DELAY, MOST_HELD = 20_000, 32
"""Ticks that the interrupt for frames sent may be late (2 ms), and for how many frames at most."""

VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM = 1 << 0, 1 << 1
