"""Network device (VIRTIO 1.2, section 5.1) and the frames it exchanges."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from shyper_tui.engine.board.virtio.backend import Backend
from shyper_tui.engine.board.virtio.segmentation import ones_complement_sum, segment

VIRTIO_NET_F_CSUM = 1 << 0
VIRTIO_NET_F_GUEST_CSUM = 1 << 1
VIRTIO_NET_F_MAC = 1 << 5
VIRTIO_NET_F_GUEST_TSO4 = 1 << 7
VIRTIO_NET_F_GUEST_TSO6 = 1 << 8
VIRTIO_NET_F_GUEST_UFO = 1 << 10
VIRTIO_NET_F_STATUS = 1 << 16
VIRTIO_NET_F_CTRL_VQ = 1 << 17

RECEIVEQ, TRANSMITQ, CONTROLQ = 0, 1, 2
LINK_UP = 1
_NEEDS_CSUM = 1
_GSO_NEEDS = {1: VIRTIO_NET_F_GUEST_TSO4, 3: VIRTIO_NET_F_GUEST_UFO, 4: VIRTIO_NET_F_GUEST_TSO6}
_GSO_ECN = 0x80
_CTRL_ANNOUNCE, _CTRL_ANNOUNCE_ACK = 3, 0
_CTRL_OK, _CTRL_ERR = b"\0", b"\1"

_HEADER = struct.Struct("<BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
_HEADER_SIZE = 12  # with num_buffers
_MIN_FRAME, _MAX_FRAME = 14, 65535 + 18


@dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame without its check sequence.

    The other fields say what its sender has left undone: bit 0 of `flags` means that the 16-bit checksum from
    `csum_start` is still to be stored at `csum_start + csum_offset`; `gso_type` is not 0 for a packet that still is to
    be cut into segments of `gso_size` bytes.
    """

    data: bytes
    flags: int = 0
    gso_type: int = 0
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    csum_offset: int = 0

    def header(self) -> bytes:
        """The `struct virtio_net_hdr` of a frame in one buffer (12 bytes)."""
        fields = (self.flags & _NEEDS_CSUM, self.gso_type, self.hdr_len, self.gso_size)
        return _HEADER.pack(*fields, self.csum_start, self.csum_offset) + b"\1\0"

    def with_checksum(self) -> Frame:
        """The same frame with its checksum in place (RFC 1071)."""
        at = self.csum_start + self.csum_offset
        if not self.flags & _NEEDS_CSUM or at + 2 > len(self.data):
            return Frame(self.data)
        total = ones_complement_sum(self.data[self.csum_start :])
        checksum = struct.pack(">H", ~total & 0xFFFF or 0xFFFF)  # UDP sends a computed 0 as all ones
        return Frame(self.data[:at] + checksum + self.data[at + 2 :])


class FramePort(Protocol):
    """Where a network device sends its frames; whatever is behind it answers with `Net.deliver`."""

    def send(self, frame: Frame) -> None: ...


class Net(Backend):
    """A network interface: `port` takes what the guest sends, `deliver` brings frames for the guest.

    `features` adds to MAC and STATUS what the network behind the port can carry (checksum and segmentation offload,
    the control queue). At most `backlog` frames wait for buffers; what comes after that is dropped and counted.
    """

    device_id = 1

    def __init__(
        self, mac: bytes, port: FramePort | None = None, *, features: int = 0, backlog: int = 256, queue_size: int = 256
    ) -> None:
        if len(mac) != 6:
            raise ValueError(f"a MAC address has 6 bytes, not {len(mac)}")
        self.mac = mac
        self.port = port
        self.features = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | features
        self.queue_sizes = (queue_size, queue_size) + ((64,) if features & VIRTIO_NET_F_CTRL_VQ else ())
        self.link_up = True
        self._backlog = backlog
        self._waiting: deque[Frame] = deque()
        self.received_frames = self.received_bytes = self.received_dropped = 0
        self.sent_frames = self.sent_bytes = self.sent_dropped = 0

    def config(self) -> bytes:
        return self.mac + struct.pack("<H", LINK_UP if self.link_up else 0)

    def set_link(self, up: bool) -> None:
        """Plugs or unplugs the cable; the guest is told."""
        if up != self.link_up:
            self.link_up = up
            if self.transport is not None:
                self.transport.config_changed()

    def reset(self) -> None:
        self._waiting.clear()

    def deliver(self, frame: Frame) -> None:
        """A frame for the guest. Dropped while the driver is not ready, the link is down or the backlog is full."""
        ready = self.transport is not None and self.transport.active and self.link_up
        suitable = self._suited(frame) if ready and len(frame.data) <= _MAX_FRAME else []
        room = self._backlog - len(self._waiting)
        if not suitable or room < len(suitable):
            self.received_dropped += 1
        self._waiting.extend(suitable[:room])
        self.kick(RECEIVEQ)

    def _suited(self, frame: Frame) -> list[Frame]:
        """The frame as this driver can take it: whole, with its checksum finished, or in segments; empty if not."""
        gso = frame.gso_type & ~_GSO_ECN
        if gso and not self.negotiated(_GSO_NEEDS.get(gso, 0)):
            return [Frame(data) for data in segment(frame.data, frame.gso_size)]
        if frame.flags & _NEEDS_CSUM and not self.negotiated(VIRTIO_NET_F_GUEST_CSUM):
            return [frame.with_checksum()]
        return [frame]

    def process(self, index: int) -> None:
        if index == RECEIVEQ:
            self._fill()
        elif index == TRANSMITQ:
            self._drain()
        else:
            self._control()

    def _fill(self) -> None:
        queue = self.queue(RECEIVEQ)
        for _ in range(queue.size):
            if not self._waiting:
                break
            chain = queue.pop()
            if chain is None:
                break
            frame = self._waiting.popleft()
            size = _HEADER_SIZE + len(frame.data)
            if chain.writable_size < size:
                queue.put_back(chain)
                self.received_dropped += 1
                continue
            chain.write(0, frame.header() + frame.data)
            self.received_frames += 1
            self.received_bytes += len(frame.data)
            self.finish(queue, chain, size)

    def _drain(self) -> None:
        queue = self.queue(TRANSMITQ)
        for _ in range(queue.size):
            chain = queue.pop()
            if chain is None:
                break
            size = chain.readable_size - _HEADER_SIZE
            frame = None
            if _MIN_FRAME <= size <= _MAX_FRAME and self.link_up:
                header = _HEADER.unpack(chain.read(0, _HEADER.size))
                offload = header if self.negotiated(VIRTIO_NET_F_CSUM) else ()
                frame = Frame(chain.read(_HEADER_SIZE, size), *offload)
            self.finish(queue, chain, 0)
            if frame is None or self.port is None:
                self.sent_dropped += 1
                continue
            self.sent_frames += 1
            self.sent_bytes += size
            self.port.send(frame)

    def _control(self) -> None:
        queue = self.queue(CONTROLQ)
        for _ in range(queue.size):
            chain = queue.pop()
            if chain is None:
                break
            known = chain.read(0, 2) == bytes((_CTRL_ANNOUNCE, _CTRL_ANNOUNCE_ACK))
            self.finish(queue, chain, chain.write(0, _CTRL_OK if known else _CTRL_ERR))
