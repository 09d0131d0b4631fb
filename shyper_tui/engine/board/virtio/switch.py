"""A learning Ethernet switch (IEEE 802.1D forwarding, without spanning tree)."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.virtio.net import Frame

Deliver = Callable[[Frame], None]
BROADCAST = b"\xff" * 6
_HEADER = 14


class SwitchPort:
    """One socket of the switch. The device plugged in sends with `send` and gets frames through `deliver`.

    Counters are from the switch's point of view: `in_` is what the device sent.
    """

    def __init__(self, switch: Switch, name: str, deliver: Deliver | None) -> None:
        self._switch = switch
        self.name = name
        self.deliver = deliver
        self.in_frames = self.in_bytes = self.out_frames = self.out_bytes = self.dropped = 0

    def send(self, frame: Frame) -> None:
        self._switch.forward(self, frame)

    def unplug(self) -> None:
        """Leaves the switch; frames sent afterwards are dropped."""
        self._switch.detach(self)


class Switch:
    """Learns source addresses and sends frames to the port behind which their destination is.

    Broadcast, multicast and unknown destinations go to all other ports. `capacity` bounds the address table: the
    address heard least recently makes room. `max_ports` bounds the ports.
    """

    def __init__(self, capacity: int = 1024, max_ports: int = 64) -> None:
        self._capacity = capacity
        self._max_ports = max_ports
        self._ports: list[SwitchPort] = []
        self._table: dict[bytes, SwitchPort] = {}  # in the order in which addresses were heard

    @property
    def ports(self) -> tuple[SwitchPort, ...]:
        return tuple(self._ports)

    @property
    def table(self) -> dict[bytes, SwitchPort]:
        """A copy of the address table."""
        return dict(self._table)

    def attach(self, name: str, deliver: Deliver | None = None) -> SwitchPort:
        """A new port. `deliver` may be set later, once the device exists."""
        if len(self._ports) >= self._max_ports:
            raise ValueError(f"{name}: all {self._max_ports} ports of the switch are in use")
        port = SwitchPort(self, name, deliver)
        self._ports.append(port)
        return port

    def detach(self, port: SwitchPort) -> None:
        if port in self._ports:
            self._ports.remove(port)
            self._table = {mac: owner for mac, owner in self._table.items() if owner is not port}

    def forward(self, source: SwitchPort, frame: Frame) -> None:
        """Brings one frame from `source` to where it belongs."""
        data = frame.data
        if source not in self._ports or len(data) < _HEADER:
            source.dropped += 1
            return
        source.in_frames += 1
        source.in_bytes += len(data)
        self._learn(data[6:12], source)
        destination = data[0:6]
        owner = None if destination[0] & 1 else self._table.get(destination)
        if owner is source:
            return  # the destination is on the same side
        for port in (owner,) if owner is not None else self.ports:
            if port is not source and port.deliver is not None:
                port.out_frames += 1
                port.out_bytes += len(data)
                port.deliver(frame)

    def _learn(self, mac: bytes, port: SwitchPort) -> None:
        if mac[0] & 1:
            return  # no device has a group address
        self._table.pop(mac, None)
        if len(self._table) >= self._capacity:
            del self._table[next(iter(self._table))]
        self._table[mac] = port
