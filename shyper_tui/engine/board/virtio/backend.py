"""What a virtio device is behind its transport, whichever machine it belongs to (VIRTIO 1.2, chapters 2 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.board.virtio.queue import Chain, QueueError, VirtQueue
from shyper_tui.engine.hart.host_memory import Block

VIRTIO_F_INDIRECT_DESC = 1 << 28
VIRTIO_F_EVENT_IDX = 1 << 29
VIRTIO_F_VERSION_1 = 1 << 32
VIRTIO_F_RING_RESET = 1 << 40


class Transport(Protocol):
    """What a backend may use of its transport."""

    @property
    def state(self) -> Block:
        """What native code knows of it (`virtio_layout`)."""

    @property
    def queues(self) -> Sequence[VirtQueue]: ...

    @property
    def driver_features(self) -> int:
        """The negotiated features; 0 before FEATURES_OK."""

    @property
    def active(self) -> bool:
        """DRIVER_OK is set and the device does not need a reset: virtqueues may be used."""

    def signal(self, queue: VirtQueue) -> None:
        """Tells the driver about buffers just pushed, unless it asked not to be interrupted."""

    def config_changed(self) -> None:
        """Tells the driver that the device-specific configuration has changed."""

    def fail(self, reason: str) -> None:
        """The driver broke the rules: DEVICE_NEEDS_RESET."""


class Backend:
    """Base of all virtio devices. A subclass processes its virtqueues in `process` and never sees registers.

    `process(index)` runs when the driver notifies queue `index`, and through `kick` when there is work from the host's
    side. Errors of the driver (`QueueError`, `BadAddress`) may simply leave `process`: they end in DEVICE_NEEDS_RESET.
    """

    device_id: ClassVar[int]
    features: int = 0
    queue_sizes: tuple[int, ...] = ()
    transport: Transport | None = None
    net_state: int = 0
    """Host address of what native code knows of a network device (`net_layout`); 0 for all others."""

    def plug(self, transport: Transport | None) -> None:
        """The device is behind `transport` now, or behind none."""
        self.transport = transport

    def config(self) -> bytes:
        """The device-specific configuration space as it is now; reads beyond it give 0."""
        return b""

    def missing(self, features: int) -> str | None:
        """Why these features cannot go together, each of them being on offer; None when they can (section 2.2.1)."""
        return None

    def config_write(self, offset: int, data: bytes) -> None:
        """The driver wrote to the configuration space. Most devices have nothing writable there."""

    def activated(self) -> None:
        """The driver has set DRIVER_OK."""

    def reset(self) -> None:
        """The driver has reset the device: forget everything about requests and negotiation."""

    def close(self) -> None:
        """The machine ends: give back what the device holds on the host."""

    def process(self, index: int) -> None:
        """Buffers are available in queue `index`."""

    def negotiated(self, feature: int) -> bool:
        return self.transport is not None and bool(self.transport.driver_features & feature)

    def kick(self, index: int) -> None:
        """Runs `process` if the driver is ready, and contains whatever a hostile driver has prepared for it."""
        transport = self.transport
        if transport is None or not transport.active or index >= len(transport.queues):
            return
        try:
            self.process(index)
        except (QueueError, BadAddress) as error:
            transport.fail(f"queue {index}: {error}")

    def queue(self, index: int) -> VirtQueue:
        if self.transport is None:
            raise QueueError("the device is not connected")
        return self.transport.queues[index]

    def finish(self, queue: VirtQueue, chain: Chain, written: int) -> None:
        """Returns one chain and signals the driver, from wherever a request ends. Stale chains are ignored."""
        if self.give_back(queue, chain, written) and self.transport is not None:
            self.transport.signal(queue)

    def give_back(self, queue: VirtQueue, chain: Chain, written: int) -> bool:
        """Returns one chain; whoever calls this signals the driver later. False for a stale chain, or a bad ring."""
        if self.transport is None:
            return False
        try:
            return queue.push(chain, written)
        except (QueueError, BadAddress) as error:
            self.transport.fail(str(error))
            return False
