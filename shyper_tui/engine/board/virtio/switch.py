"""A learning Ethernet switch (IEEE 802.1D forwarding, without spanning tree) that knows the machines on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from shyper_tui.engine.board.device import TICKS_PER_SECOND
from shyper_tui.engine.board.virtio.net import Frame
from shyper_tui.engine.hart.direct import switch_layout as at
from shyper_tui.engine.hart.host_memory import Block, Flag, Word

Deliver = Callable[[Frame], bool]
"""Takes a frame for the device behind a port; False if it was dropped."""
Tap = Callable[[bytes, bool], None]
"""Is shown a frame at a port, and whether the device there has sent it."""

BROADCAST = b"\xff" * 6
FLOODS_PER_SECOND, FLOOD_BURST = 500, 64
"""Storm control: frames to everyone that one port may send in the long run, and at once."""
_FLOOD_COST = TICKS_PER_SECOND // FLOODS_PER_SECOND
_HEADER = 14


class SwitchPort:
    """One socket of the switch. The device plugged in sends with `send` and gets frames through `deliver`.

    `vm` says whose device it is, `mac` which address it was configured with. Counters are from the switch's point of
    view: `in_` is what the device sent, `out_` what the device took. Native code counts, too; it brings frames to a
    port with a `net`, the address of a network device's state (`net_layout`).
    """

    in_frames, in_bytes = Word(at.IN_FRAMES), Word(at.IN_BYTES)
    out_frames, out_bytes = Word(at.OUT_FRAMES), Word(at.OUT_BYTES)
    attached = Flag(at.ATTACHED)

    def __init__(
        self, switch: Switch, name: str, deliver: Deliver | None, mac: bytes | None, vm: int | None, net: int
    ) -> None:
        self.state = Block(at.PORT_SIZE)
        self.words = self.state.bytes.cast("Q")
        self.net = net
        self._switch = switch
        self.send = partial(switch.forward, self)
        """Brings a frame of the device to where it belongs; returns at how many ports that was tried."""
        self.name = name
        self.deliver = deliver
        self.mac = mac
        self.vm = vm
        self.tap: Tap | None = None
        self.in_dropped = self.out_dropped = 0
        self._credit, self._counted_at = FLOOD_BURST * _FLOOD_COST, 0  # ticks

    def may_flood(self, now: int) -> bool:
        """Whether one more frame of this device may go to everyone at tick `now`."""
        self._credit = min(FLOOD_BURST * _FLOOD_COST, self._credit + now - self._counted_at)
        self._counted_at = now
        if self._credit < _FLOOD_COST:
            return False
        self._credit -= _FLOOD_COST
        return True

    @property
    def direct(self) -> tuple[int, int]:
        """Host addresses of what native code knows of the switch and of this port (`switch_layout`)."""
        return self._switch.state.address, self.state.address

    @property
    def dropped(self) -> int:
        """Frames that came to nothing here: sent ones without a way, and those that the device did not take."""
        return self.in_dropped + self.out_dropped

    def unplug(self) -> None:
        """Leaves the switch; frames sent afterwards are dropped."""
        self._switch.detach(self)


class Switch:
    """Sends frames to the port behind which their destination is.

    * A configured address is where it was configured, before its owner has sent anything and whoever else claims it in
      a source address. Of two ports with the same one the later gets the frames. A frame to its sender's own
      configured address comes back, as on Rust-Shyper's switch.
    * Other source addresses are learned, at most `capacity` for each port: the one heard least recently makes room,
      so no machine can crowd out what another has made known.
    * Broadcast, multicast and unknown destinations go to all ports but those of the sender's VM, so that a VM that
      bridges two of its interfaces makes no loop. Every VM has to look at such a frame, so there are at most
      FLOODS_PER_SECOND of them from each port, by the time `now` (ticks); without a clock nothing is held back.

    `max_ports` bounds the ports.
    """

    def __init__(self, capacity: int = 256, max_ports: int = 64, now: Callable[[], int] | None = None) -> None:
        self.now = now
        self._capacity = capacity
        self._max_ports = max_ports
        self._ports: list[SwitchPort] = []
        self.state = Block(at.size(max_ports))
        self._words = self.state.bytes.cast("Q")
        self._configured: dict[bytes, SwitchPort] = {}
        self._learned: dict[bytes, SwitchPort] = {}
        self._heard: dict[SwitchPort, dict[bytes, None]] = {}  # learned addresses of each port, oldest first
        self._new_tap: Callable[[str], Tap] | None = None

    @property
    def ports(self) -> tuple[SwitchPort, ...]:
        return tuple(self._ports)

    @property
    def table(self) -> dict[bytes, SwitchPort]:
        """A copy of the address table, learned and configured."""
        return self._learned | self._configured

    def attach(
        self,
        name: str,
        deliver: Deliver | None = None,
        *,
        mac: bytes | None = None,
        vm: int | None = None,
        net: int = 0,
    ) -> SwitchPort:
        """A new port. `deliver` may be set later, once the device exists. Raises ValueError when there is none left."""
        if len(self._ports) >= self._max_ports:
            raise ValueError(f"{name}: all {self._max_ports} ports of the switch are in use")
        port = SwitchPort(self, name, deliver, mac, vm, net)
        port.attached = True
        if self._new_tap is not None:
            port.tap = self._new_tap(name)
        self._ports.append(port)
        self._heard[port] = {}
        self._configure()
        return port

    def tap_with(self, new_tap: Callable[[str], Tap]) -> None:
        """From now on every frame that passes a port is shown to the port's tap, which `new_tap` makes from its name.
        Native code brings no frames then."""
        self._new_tap = new_tap
        for port in self._ports:
            port.tap = new_tap(port.name)
        self._configure()

    def detach(self, port: SwitchPort) -> None:
        if port in self._ports:
            self._ports.remove(port)
            port.attached = False
            for mac in self._heard.pop(port):
                del self._learned[mac]
            self._configure()

    def _configure(self) -> None:
        self._configured = {port.mac: port for port in self._ports if port.mac is not None and not port.mac[0] & 1}
        words, first = self._words, at.ENTRIES // 8
        for mac, port in self._configured.items():
            words[first + at.MAC // 8] = int.from_bytes(mac, "little")
            words[first + at.NET // 8], words[first + at.PORT // 8] = port.net, port.state.address
            first += at.ENTRY_SIZE // 8
        words[at.PORTS // 8] = len(self._configured) if self._new_tap is None else 0

    def forward(self, source: SwitchPort, frame: Frame) -> int:
        """Brings one frame from `source` to where it belongs; returns at how many ports that was tried."""
        data = frame.data
        if source not in self._heard or len(data) < _HEADER:
            source.in_dropped += 1
            return 0
        source.in_frames += 1
        source.in_bytes += len(data)
        if source.tap is not None:
            source.tap(data, True)
        configured = self._configured
        sender, destination = data[6:12], data[:6]
        if sender not in configured and not sender[0] & 1:
            self._learn(sender, source)  # no device has a group address; a configured one is known
        owner = configured.get(destination)
        if owner is not None:
            return self._hand(owner, frame)
        owner = self._learned.get(destination)
        if owner is source:
            return 0  # the destination is on the same side
        if owner is not None:
            return self._hand(owner, frame)
        if self.now is not None and not source.may_flood(self.now()):
            source.in_dropped += 1
            return 0
        targets = [port for port in self._ports if port is not source and (port.vm is None or port.vm != source.vm)]
        return sum([self._hand(port, frame) for port in targets])

    def _hand(self, port: SwitchPort, frame: Frame) -> int:
        if port.deliver is not None and port.deliver(frame):
            port.out_frames += 1
            port.out_bytes += len(frame.data)
            if port.tap is not None:
                port.tap(frame.data, False)
        else:
            port.out_dropped += 1
        return 1

    def _learn(self, mac: bytes, port: SwitchPort) -> None:
        before = self._learned.get(mac)
        if before is not None:
            del self._heard[before][mac]
        heard = self._heard[port]
        if len(heard) >= self._capacity:
            oldest = next(iter(heard))
            del heard[oldest], self._learned[oldest]
        heard[mac] = None
        self._learned[mac] = port
