"""Network device (VIRTIO 1.2, section 5.1) and the frames it exchanges."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from shyper_tui.engine.board.alarm import NEVER
from shyper_tui.engine.board.device import Timebase
from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.board.virtio.backend import Backend, Transport
from shyper_tui.engine.board.virtio.pace import DESCRIPTOR_TICKS, Pace
from shyper_tui.engine.board.virtio.queue import Chain, QueueError, VirtQueue
from shyper_tui.engine.board.virtio.segmentation import MAX_SEGMENTS, ones_complement_sum, segment
from shyper_tui.engine.hart.direct import net_layout as at
from shyper_tui.engine.hart.direct import pace_layout
from shyper_tui.engine.hart.host_memory import Block, Flag, Word

if TYPE_CHECKING:
    from shyper_tui.engine.board.virtio.switch import Switch

VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM = at.VIRTIO_NET_F_CSUM, at.VIRTIO_NET_F_GUEST_CSUM
VIRTIO_NET_F_MAC = 1 << 5
VIRTIO_NET_F_GUEST_TSO4 = 1 << 7
VIRTIO_NET_F_GUEST_TSO6 = 1 << 8
VIRTIO_NET_F_GUEST_ECN = 1 << 9
VIRTIO_NET_F_GUEST_UFO = 1 << 10
VIRTIO_NET_F_HOST_TSO4 = 1 << 11
VIRTIO_NET_F_HOST_TSO6 = 1 << 12
VIRTIO_NET_F_HOST_ECN = 1 << 13
VIRTIO_NET_F_HOST_UFO = 1 << 14
VIRTIO_NET_F_MRG_RXBUF = 1 << 15
VIRTIO_NET_F_STATUS = 1 << 16
VIRTIO_NET_F_CTRL_VQ = 1 << 17
VIRTIO_NET_F_GUEST_ANNOUNCE = 1 << 21

_GUEST_TSO = VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6
_HOST_TSO = VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6
_REQUIRES = {
    _GUEST_TSO | VIRTIO_NET_F_GUEST_UFO: (VIRTIO_NET_F_GUEST_CSUM, "VIRTIO_NET_F_GUEST_CSUM"),
    VIRTIO_NET_F_GUEST_ECN: (_GUEST_TSO, "VIRTIO_NET_F_GUEST_TSO4 or 6"),
    _HOST_TSO | VIRTIO_NET_F_HOST_UFO: (VIRTIO_NET_F_CSUM, "VIRTIO_NET_F_CSUM"),
    VIRTIO_NET_F_HOST_ECN: (_HOST_TSO, "VIRTIO_NET_F_HOST_TSO4 or 6"),
    VIRTIO_NET_F_GUEST_ANNOUNCE: (VIRTIO_NET_F_CTRL_VQ, "VIRTIO_NET_F_CTRL_VQ"),
}
"""Any of the features on the left needs one of those on the right (section 5.1.3.1)."""

SENT_DELAY, SENT_HELD = at.SENT_DELAY, at.MOST_HELD

RECEIVEQ, TRANSMITQ, CONTROLQ = 0, 1, 2
LINK_UP, ANNOUNCE = 1, 2
_NEEDS_CSUM = at.VIRTIO_NET_HDR_F_NEEDS_CSUM
_GSO_NEEDS = {1: VIRTIO_NET_F_GUEST_TSO4, 3: VIRTIO_NET_F_GUEST_UFO, 4: VIRTIO_NET_F_GUEST_TSO6}
_GSO_ECN = 0x80
_CTRL_ANNOUNCE, _CTRL_ANNOUNCE_ACK = 3, 0
_CTRL_OK, _CTRL_ERR = b"\0", b"\1"

_HEADER = struct.Struct("<BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
_NOTHING_LEFT = bytes(_HEADER.size)
_NUM_BUFFERS = struct.Struct("<H")
_HEADER_SIZE = _HEADER.size + _NUM_BUFFERS.size
_MIN_FRAME, _MAX_FRAME = at.LEAST_FRAME, 65535 + 18
_FRAME_TICKS, _COPY_TICKS, _COPIED_PER_TICK = at.FRAME_TICKS, at.COPY_TICKS, at.COPIED_PER_TICK
_SEGMENT_TICKS = 50
"""What each segment costs that a copy may have to be cut into."""


class Frame(NamedTuple):
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

    def header(self, buffers: int) -> bytes:
        """The `struct virtio_net_hdr` (12 bytes) of a frame that `buffers` buffers hold."""
        _, flags, *others = self
        return _HEADER.pack(flags & _NEEDS_CSUM, *others) + _NUM_BUFFERS.pack(buffers)

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

    def send(self, frame: Frame) -> int:
        """Takes a frame; returns how many copies were made of it."""


class Net(Backend):
    """A network interface: `port` takes what the guest sends, `deliver` brings frames for the guest.

    * `features` adds to MAC and STATUS what the network behind the port can carry (checksum and segmentation offload,
      the control queue)
    * At most `backlog` frames wait for the guest's buffers; what comes after that is dropped and counted.
    * `timebase` bounds how fast the guest can make the host work (`Pace`): one that floods waits, its neighbours do not
    * `sent_length`: the used length of a frame sent is its own length, as Rust-Shyper's device reports it, and not the
      0 bytes that the device wrote

    The state lies in host memory (`net_layout`). Where `port` is a switch's and the timebase known, native code brings
    most frames from one device to the other.
    """

    device_id = 1
    link_up = Flag(at.LINK)
    _waiting_frames = Word(at.WAITING)
    received_frames, received_bytes = Word(at.RECEIVED_FRAMES), Word(at.RECEIVED_BYTES)
    sent_frames, sent_bytes = Word(at.SENT_FRAMES), Word(at.SENT_BYTES)
    _held, _signal_at = Word(at.HELD), Word(at.SIGNAL_AT)
    """Chains given back since the last interrupt for frames sent, and when the next one is due."""

    def __init__(
        self,
        mac: bytes,
        port: FramePort | None = None,
        *,
        features: int = 0,
        backlog: int = 256,
        queue_size: int = 256,
        timebase: Timebase | None = None,
        sent_length: bool = False,
    ) -> None:
        if len(mac) != 6:
            raise ValueError(f"a MAC address has 6 bytes, not {len(mac)}")
        self.mac = mac
        self.state = Block(at.SIZE)
        self.words = self.state.bytes.cast("Q")
        self.net_state = self.state.address
        self.port = port
        self.features = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | features
        self.queue_sizes = (queue_size,) * (3 if features & VIRTIO_NET_F_CTRL_VQ else 2)
        self.link_up = True
        self.announcing = False  # the guest has been asked to announce itself and has not answered
        self._backlog = backlog
        self._waiting: deque[Frame] = deque()
        self._pace = Pace(timebase, lambda: self.kick(TRANSMITQ), self._pace_words(at.TRANSMIT_PACE))
        self._buffers_pace = Pace(timebase, self._more_buffers, self._pace_words(at.RECEIVE_PACE))
        self._timebase = timebase
        self._sent_length = sent_length
        self.words[at.SENT_LENGTH // 8] = sent_length
        self._signal_at = NEVER
        if timebase is not None:
            timebase.alarm.listen(self._alarm)
            self.words[at.ALARM // 8] = timebase.alarm.address
        self._unplug: Callable[[], None] = lambda: None
        self.all_sent: Callable[[], None] | None = None
        """Told after the port has been given all frames that there were."""
        self.waits: Callable[[], bool] | None = None
        """Asked when the driver has sent something; True: it is not looked at now, and `kick` comes later."""
        self.room: Callable[[], None] | None = None
        """Told when the driver has given buffers for frames that waited."""
        self.received_dropped = self.sent_dropped = 0

    def _pace_words(self, offset: int) -> memoryview[int]:
        return self.words[offset // 8 : (offset + pace_layout.SIZE) // 8]

    def plug(self, transport: Transport | None) -> None:
        super().plug(transport)
        places: tuple[int, ...] = (0, 0, 0, 0)
        if transport is not None:
            receiveq, transmitq = transport.queues[RECEIVEQ], transport.queues[TRANSMITQ]
            queues = receiveq.state.address, transmitq.state.address
            places = (transport.state.address, *queues, receiveq.memory.direct)
        for offset, address in zip((at.TRANSPORT, at.RECEIVEQ, at.TRANSMITQ, at.MEMORY), places, strict=True):
            self.words[offset // 8] = address

    def join(self, switch: Switch, name: str, vm: int | None = None) -> None:
        """Sends to a port of its own of `switch` from now on, which knows its address."""
        port = switch.attach(name, self.deliver, mac=self.mac, vm=vm, net=self.net_state)
        self.words[at.SWITCH // 8], self.words[at.PORT // 8] = port.direct
        self.port = port
        self._unplug = port.unplug

    def leave(self) -> None:
        """Gives its port of the switch back, and is not heard of any more."""
        self._unplug()
        if self._timebase is not None:
            self._timebase.alarm.ignore(self._alarm)

    @property
    def backlog(self) -> int:
        """Frames that wait for the guest's buffers."""
        return len(self._waiting)

    def config(self) -> bytes:
        return self.mac + struct.pack("<H", LINK_UP * self.link_up | ANNOUNCE * self.announcing)

    def missing(self, features: int) -> str | None:
        for those, (needed, names) in _REQUIRES.items():
            if features & those and not features & needed:
                return f"the driver accepts features {features & those:#x}, which need {names}"
        return None

    def set_link(self, up: bool) -> None:
        """Plugs or unplugs the cable; the guest is told, and asked to announce itself on a new link if it can."""
        if up != self.link_up:
            self.link_up = up
            self.announcing = up and self.negotiated(VIRTIO_NET_F_GUEST_ANNOUNCE)
            if self.transport is not None:
                self.transport.config_changed()

    def reset(self) -> None:
        self._waiting.clear()
        self._waiting_frames = 0
        self._forget_sent()
        self.announcing = False

    def deliver(self, frame: Frame) -> bool:
        """A frame for the guest. Dropped (False) while the driver is not ready, the link is down, or the backlog full.

        A packet cut into segments is taken whole or not at all.
        """
        transport, waiting = self.transport, self._waiting
        if transport is None or not transport.active or not self.link_up or len(frame.data) > _MAX_FRAME:
            self.received_dropped += 1
            return False
        suitable = self._suited(frame) if frame.gso_type or frame.flags & _NEEDS_CSUM else [frame]
        if not suitable or len(waiting) + len(suitable) > self._backlog:
            self.received_dropped += 1
            return False
        waiting.extend(suitable)
        self._waiting_frames = len(waiting)
        try:  # as in `kick`, whose questions have been answered here
            self._fill(transport.queues[RECEIVEQ])
        except (QueueError, BadAddress) as error:
            transport.fail(f"queue {RECEIVEQ}: {error}")
        return True

    def _suited(self, frame: Frame) -> list[Frame]:
        """The frame as this driver can take it: whole, with its checksum finished, or in segments; empty if not."""
        gso = frame.gso_type & ~_GSO_ECN
        whole = self.negotiated(_GSO_NEEDS.get(gso, 0))
        if frame.gso_type & _GSO_ECN:
            whole = whole and self.negotiated(VIRTIO_NET_F_GUEST_ECN)
        if gso and not whole:
            return [Frame(data) for data in segment(frame.data, frame.gso_size)]
        if frame.flags & _NEEDS_CSUM and not self.negotiated(VIRTIO_NET_F_GUEST_CSUM):
            return [frame.with_checksum()]
        return [frame]

    def process(self, index: int) -> None:
        queue = self.queue(index)
        if index == RECEIVEQ:
            waiting = len(self._waiting)
            self._fill(queue)
            if self.room is not None and len(self._waiting) < waiting:
                self.room()
        elif index == TRANSMITQ:
            if self.waits is None or not self.waits():
                self._drain(queue)
        else:
            self._control(queue)

    def _more_buffers(self) -> None:
        """The receive and control queues may be looked at again."""
        self.kick(RECEIVEQ)
        self.kick(CONTROLQ)

    def _fill(self, queue: VirtQueue) -> None:
        pace, waiting = self._buffers_pace, self._waiting
        most = queue.size if self.negotiated(VIRTIO_NET_F_MRG_RXBUF) else 1
        for _ in range(queue.size):
            if not waiting or (pace.ahead and pace.must_rest()):
                break
            frame = waiting[0]
            size = _HEADER_SIZE + len(frame.data)
            chains, room = self._room(queue, size, most)
            if room < size:
                for chain in reversed(chains):
                    queue.put_back(chain)
                if len(chains) < most:
                    break  # there may be more buffers later
            waiting.popleft()
            self._waiting_frames = len(waiting)
            if room < size:
                self.received_dropped += 1
                continue
            self.received_frames += 1
            self.received_bytes += len(frame.data)
            self._put(queue, chains, frame.header(len(chains)) + frame.data)

    def _room(self, queue: VirtQueue, size: int, most: int) -> tuple[list[Chain], int]:
        """Takes buffers, at most `most`, until `size` bytes fit into them: the buffers, and what fits."""
        chains: list[Chain] = []
        room = 0
        while room < size and len(chains) < most:
            chain = queue.pop()
            if chain is None:
                break
            self._buffers_pace.spend(DESCRIPTOR_TICKS * chain.descriptors)
            chains.append(chain)
            room += chain.writable_size
        return chains, room

    def _put(self, queue: VirtQueue, chains: list[Chain], data: bytes) -> None:
        """Fills the buffers one after the other and gives them back together (section 5.1.6.4)."""
        done, given = 0, False
        for chain in chains:
            written = chain.write(0, data[done : done + chain.writable_size])
            done += written
            given = self.give_back(queue, chain, written)
        if given and self.transport is not None:
            self.transport.signal(queue)

    def _drain(self, queue: VirtQueue) -> None:
        pace, port, sent = self._pace, self.port, False
        for _ in range(queue.size):
            if pace.ahead and pace.must_rest():
                break
            chain = queue.pop()
            if chain is None:
                break
            pace.spend(_FRAME_TICKS + DESCRIPTOR_TICKS * chain.descriptors)
            size = chain.readable_size - _HEADER_SIZE
            taken = self.link_up and _MIN_FRAME <= size <= _MAX_FRAME
            raw = chain.read(0, _HEADER_SIZE + size) if taken else b""
            if self.give_back(queue, chain, size if taken and self._sent_length else 0):
                self._held += 1
                if self._signal_at == NEVER or self._held >= SENT_HELD:
                    self._plan_signal()
            if port is None or not taken:
                self.sent_dropped += 1
                continue
            self.sent_frames += 1
            self.sent_bytes += size
            copy = _COPY_TICKS + size // _COPIED_PER_TICK
            if not raw.startswith(_NOTHING_LEFT) and self.negotiated(VIRTIO_NET_F_CSUM):
                frame = Frame(raw[_HEADER_SIZE:], *_HEADER.unpack_from(raw))
                if frame.gso_type and frame.gso_size:
                    copy += min(size // frame.gso_size, MAX_SEGMENTS) * _SEGMENT_TICKS
            else:
                frame = Frame(raw[_HEADER_SIZE:])
            pace.spend_more(port.send(frame) * copy)
            sent = True
        if sent and self.all_sent is not None:
            self.all_sent()

    def _plan_signal(self) -> None:
        """Chains of frames sent are given back at once, and the driver is interrupted a little later: often an answer
        has come by then, and one interrupt is for both. The driver asks for no more: it only reclaims memory."""
        if self._timebase is None or self._held >= SENT_HELD:
            self._signal_sent()
        else:
            self._signal_at = self._timebase.now() + SENT_DELAY
            self._timebase.alarm.set(self._signal_at)

    def _alarm(self, now: int) -> None:
        if self._signal_at <= now:
            self._signal_sent()
        elif self._timebase is not None:
            self._timebase.alarm.set(self._signal_at)

    def _signal_sent(self) -> None:
        self._forget_sent()
        transport = self.transport
        if transport is not None and transport.active and transport.queues[TRANSMITQ].ready:
            transport.signal(transport.queues[TRANSMITQ])

    def _forget_sent(self) -> None:
        self._held = 0
        self._signal_at = NEVER

    def _control(self, queue: VirtQueue) -> None:
        for _ in range(queue.size):
            if self._buffers_pace.must_rest():
                break
            chain = queue.pop()
            if chain is None:
                break
            self._buffers_pace.spend(DESCRIPTOR_TICKS * chain.descriptors)
            acknowledged = chain.read(0, 2) == bytes((_CTRL_ANNOUNCE, _CTRL_ANNOUNCE_ACK))
            if acknowledged:
                self.announcing = False
            self.finish(queue, chain, chain.write(0, _CTRL_OK if acknowledged else _CTRL_ERR))
