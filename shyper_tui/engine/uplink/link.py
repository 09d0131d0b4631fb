"""The wire between the board's network card and the outer network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from shyper_tui.engine.board.device import Timer
from shyper_tui.engine.board.virtio.net import (
    TRANSMITQ,
    VIRTIO_NET_F_CSUM,
    VIRTIO_NET_F_GUEST_CSUM,
    VIRTIO_NET_F_GUEST_ECN,
    VIRTIO_NET_F_GUEST_TSO4,
    VIRTIO_NET_F_HOST_ECN,
    VIRTIO_NET_F_HOST_TSO4,
    VIRTIO_NET_F_MRG_RXBUF,
    Frame,
    Net,
)
from shyper_tui.engine.uplink.addresses import NIC_MAC
from shyper_tui.engine.uplink.batch import Batch
from shyper_tui.engine.uplink.flows import Flows
from shyper_tui.engine.uplink.gate import Gate
from shyper_tui.engine.uplink.held_answers import HeldAnswers, is_data
from shyper_tui.engine.uplink.host import Host
from shyper_tui.engine.uplink.large_segments import SEGMENT, SegmentSizes, finished, for_guest
from shyper_tui.engine.uplink.libslirp import POLL_IN
from shyper_tui.engine.uplink.packets import TCP, Packet, packet
from shyper_tui.engine.uplink.peer import BuiltInPeer
from shyper_tui.engine.uplink.slirp import SlirpNetwork
from shyper_tui.engine.uplink.sockets import Sockets

FEATURES = (
    VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_ECN
    | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_MRG_RXBUF
)  # fmt: skip
BUSY_FRAMES = 64
"""Frames in the card from which on others wait here, and the host's sockets are not read."""
MOST_WAITING = 8 << 20
"""Bytes that wait here; what comes after that is lost, as on any wire."""

Tap = Callable[[bytes, bool], None]
"""Is shown a frame, and whether the guest has sent it."""


class Uplink:
    """A network card, `net`, and a network behind it. All methods belong to the machine's thread.

    The card sends into the network while its driver's notification is served, and answers come back in the same
    moment. What comes from the host later is looked for between turns, on the account of whoever used the card last.
    """

    def __init__(self, host: Host, tap: Tap | None = None) -> None:
        self.host = host
        self._batch = Batch(host, lambda: self.net.kick(TRANSMITQ))
        self.net = Net(NIC_MAC, self, features=FEATURES, timebase=host)
        self.net.all_sent, self.net.room, self.net.waits = self._served, self._hand_over, self._batch.waits
        self._gate = Gate(host.now)
        self._tap = tap
        self._network: SlirpNetwork | BuiltInPeer | None = None
        self._slirp: SlirpNetwork | None = None
        self._ready: Sockets | None = None
        self._flows = Flows(lambda: self.sockets, host.now)
        self._arrived: list[bytes] = []
        self._sizes = SegmentSizes()
        self._answers = HeldAnswers()
        self._waiting: deque[Frame] = deque()
        self._waiting_bytes = 0
        self._timer: Timer | None = None
        self._timer_at = 0
        self._payer: object = None
        self._due = False
        """The network has something to do besides its sockets."""
        self.dropped = 0
        """Frames that found no room."""

    def use(self, network: SlirpNetwork | BuiltInPeer) -> None:
        """`network` is what is behind the card; it sends with `arrive`."""
        self._network = network
        if isinstance(network, SlirpNetwork):
            self._slirp = network
            self._ready = ready = Sockets()
            network.opened = network.closing = ready.forget
            self.host.watch(ready.descriptor, self._look)
            self.serve()

    @property
    def sockets(self) -> int:
        """Connections of the guest to the host's network that are open, or were lately."""
        return len(self._slirp.sockets) if self._slirp is not None else 0

    @property
    def network(self) -> SlirpNetwork | None:
        """libslirp's, if that is what is behind the card."""
        return self._slirp

    @property
    def waiting(self) -> int:
        """Frames that wait for room in the card."""
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        return self._waiting_bytes

    @property
    def refused(self) -> int:
        """Frames of the guest that the network was not given."""
        return self._gate.refused + self._flows.refused

    def arrive(self, frame: bytes) -> None:
        """The network has sent a frame to the guest. It is looked at when the network's own work is done."""
        self._arrived.append(frame)

    # The card's side (`FramePort`)

    def send(self, frame: Frame) -> int:
        """A frame of the guest; 1 if the network took it."""
        admitted = self._admitted(frame)
        if admitted is None or self._network is None:
            self._batch.add(stream=False)
            return 0
        data, found = admitted
        self._due = self._due or found is None  # frames that wait for an answer to ARP
        self._batch.add(stream=found is not None and found.protocol == TCP and is_data(data, found))
        self._network.send(data)
        if self._arrived:
            self._take_arrived()
        return 1

    def _admitted(self, frame: Frame) -> tuple[bytes, Packet | None] | None:
        """What the network gets of a frame: complete, and only if nothing is wrong with it."""
        admitted = self._gate.admit(frame.data)
        data = None if admitted is None else finished(frame._replace(data=admitted[0]))
        if self._tap is not None:
            self._tap(data or frame.data, True)
        if admitted is None or data is None:
            return None
        found = admitted[1]
        if found is None:
            return data, None
        if not self._flows.admit(found, data):
            return None
        return (self._sizes.announce(data, found) if found.protocol == TCP else data), found

    def _served(self) -> None:
        """The driver has sent all that it had."""
        self._batch.end()
        self._payer = self.host.payer()
        self._serve_sockets()

    def rests(self) -> bool:
        """The machine has nothing to do: the card need not wait for more. True when it did."""
        return self._batch.hurry()

    # The network's side

    def _look(self) -> None:
        """Serves the network if something has happened to its sockets."""
        if self._ready is not None and self._ready.ready():
            self.host.on_account(self._payer, self._serve_sockets)

    def serve(self) -> None:
        """Does what is due in the network, and what its sockets call for."""
        self._due = True
        self._serve_sockets()

    def _serve_sockets(self) -> None:
        network, sockets = self._slirp, self._ready
        self._hand_out(self._answers.take())
        if network is None or sockets is None:
            return
        delay = self._watch(network, sockets)
        ready = sockets.ready()
        if ready or self._due:
            self._due = False
            network.serve(ready)
            if self._arrived:
                self._take_arrived()
                self._hand_out(self._answers.take())
            delay = self._watch(network, sockets)
        self._plan(delay)

    def _watch(self, network: SlirpNetwork, sockets: Sockets) -> int | None:
        """Waits for what the network wants now; when it has to be served in any case (ticks)."""
        wanted, delay = network.wanted()
        if self._waiting:  # the guest does not keep up: data stays with the host, and with whoever sends it
            wanted = [(descriptor, events & ~POLL_IN) for descriptor, events in wanted]
        elif self._flows.full:  # nor are connections taken from outside
            wanted = [(descriptor, events) for descriptor, events in wanted if descriptor in network.sockets]
        sockets.watch((descriptor, events) for descriptor, events in wanted if events & 7)
        return delay if network.sockets else None

    def _plan(self, delay: int | None) -> None:
        """The network is served again in `delay` ticks."""
        if delay is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        tick = self.host.now() + delay
        if self._timer is not None:
            if self._timer_at <= tick:
                return
            self._timer.cancel()
        self._timer, self._timer_at = self.host.call_at(tick, self._timer_ends), tick

    def _timer_ends(self) -> None:
        self._timer = None
        self.serve()

    def _take_arrived(self) -> None:
        arrived, self._arrived = self._arrived, []
        for data in arrived:
            if self._tap is not None:
                self._tap(data, False)
            found = packet(data)
            if found is not None and found.protocol == TCP:
                self._flows.answered(found, data)
                if self._answers.hold(data, found):
                    continue
            self._hand_out([*self._answers.take(), data])

    def _hand_out(self, frames: list[bytes]) -> None:
        for data in frames:
            found = packet(data)
            size = self._sizes.of(data) if found is not None and found.protocol == TCP else SEGMENT
            for frame in for_guest(data, found, size):
                self._deliver(frame)

    def _deliver(self, frame: Frame) -> None:
        if not self._waiting and self.net.backlog < BUSY_FRAMES:
            self.net.deliver(frame)
        elif self._waiting_bytes + len(frame.data) > MOST_WAITING:
            self.dropped += 1
        else:
            self._waiting.append(frame)
            self._waiting_bytes += len(frame.data)

    def _hand_over(self) -> None:
        """The card has room again."""
        if not self._waiting:
            return
        while self._waiting and self.net.backlog < BUSY_FRAMES:
            frame = self._waiting.popleft()
            self._waiting_bytes -= len(frame.data)
            self.net.deliver(frame)
        if not self._waiting:
            self.serve()

    def reset(self) -> None:
        """The machine begins again: what was on its way is lost."""
        self._waiting.clear()
        self._waiting_bytes = 0

    def close(self) -> None:
        """Closes all sockets."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._network is not None:
            self._network.close()
            self._network = self._slirp = None
        if self._ready is not None:
            self.host.ignore()
            self._ready.close()
            self._ready = None
