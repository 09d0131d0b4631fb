"""Virtio over MMIO, register layout version 2 (VIRTIO 1.2, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from shyper_tui.engine.board.device import AccessFault, Line
from shyper_tui.engine.board.memory import BadAddress, Memory
from shyper_tui.engine.board.plic import SourceLine
from shyper_tui.engine.board.virtio.backend import (
    VIRTIO_F_EVENT_IDX,
    VIRTIO_F_INDIRECT_DESC,
    VIRTIO_F_RING_RESET,
    VIRTIO_F_VERSION_1,
    Backend,
)
from shyper_tui.engine.board.virtio.queue import QueueError, VirtQueue
from shyper_tui.engine.hart.direct import virtio_layout
from shyper_tui.engine.hart.direct.windows_layout import VIRTIO
from shyper_tui.engine.hart.host_memory import Block, Word

MAGIC = 0x7472_6976  # "virt"
VERSION = 2
VENDOR_ID = 0x4955_5453  # "STUI": this board's own devices
WINDOW = 0x1000  # bytes a slot occupies
CONFIG = 0x100

MagicValue, Version, DeviceID, VendorID = 0x000, 0x004, 0x008, 0x00C
DeviceFeatures, DeviceFeaturesSel, DriverFeatures, DriverFeaturesSel = 0x010, 0x014, 0x020, 0x024
QueueSel, QueueNumMax, QueueNum, QueueReady, QueueNotify = 0x030, 0x034, 0x038, 0x044, virtio_layout.QueueNotify
InterruptStatus, InterruptACK, Status = virtio_layout.InterruptStatus, virtio_layout.InterruptACK, 0x070
QueueDescLow, QueueDescHigh, QueueDriverLow, QueueDriverHigh, QueueDeviceLow, QueueDeviceHigh = (
    0x080, 0x084, 0x090, 0x094, 0x0A0, 0x0A4,
)  # fmt: skip
SHMSel, SHMLenLow, SHMLenHigh, SHMBaseLow, SHMBaseHigh = 0x0AC, 0x0B0, 0x0B4, 0x0B8, 0x0BC
QueueReset, ConfigGeneration = 0x0C0, 0x0FC

ACKNOWLEDGE, DRIVER, FEATURES_OK = 1, 2, 8
DRIVER_OK, DEVICE_NEEDS_RESET, FAILED = virtio_layout.DRIVER_OK, virtio_layout.DEVICE_NEEDS_RESET, virtio_layout.FAILED
USED_BUFFER, CONFIG_CHANGE = virtio_layout.USED_BUFFER, 2  # bits of InterruptStatus

RING_FEATURES = VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_RESET

_U32 = 0xFFFF_FFFF
_FEATURE_WORDS = 4  # 64 bits can be on offer; accepting one beyond them is refused like any other
_QUEUE_ADDRESSES = {
    QueueDescLow: ("desc", 0), QueueDescHigh: ("desc", 32),
    QueueDriverLow: ("driver", 0), QueueDriverHigh: ("driver", 32),
    QueueDeviceLow: ("device", 0), QueueDeviceHigh: ("device", 32),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class QueueState:
    """A virtqueue: its size, how far the device has come in both rings, and chains taken but not returned."""

    index: int
    size: int
    ready: bool
    last_avail: int
    used_idx: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class SlotState:
    """A slot: registers by the specification's names; `device_id` is 0 in an empty one."""

    device_id: int
    status: int
    interrupt_status: int
    device_features: int
    driver_features: int
    queues: tuple[QueueState, ...]
    last_error: str | None


class VirtioMmio:
    """One slot: the registers of a virtio device whose virtqueues lie in `memory`.

    Without a backend it is the empty slot of the specification (DeviceID 0). A driver that breaks the rules gets
    DEVICE_NEEDS_RESET, and `last_error` says why; nothing it does raises anything but `AccessFault`. What native code
    looks at, too, lies in host memory (`virtio_layout`).
    """

    interrupt_status = Word(virtio_layout.INTERRUPT_STATUS)
    """InterruptStatus: why the device interrupts."""
    status, driver_features = Word(virtio_layout.STATUS), Word(virtio_layout.DRIVER_FEATURES)
    _net = Word(virtio_layout.NET)

    def __init__(
        self,
        memory: Memory,
        line: Line,
        backend: Backend | None = None,
        *,
        vendor_id: int = VENDOR_ID,
        ring_features: int = RING_FEATURES,
    ) -> None:
        self._memory = memory
        self._line = line
        self.state = Block(virtio_layout.SIZE)
        self.words = self.state.bytes.cast("Q")
        if isinstance(line, SourceLine):
            _, plic = line.plic.direct
            self.words[virtio_layout.PLIC // 8], self.words[virtio_layout.SOURCE // 8] = plic.address, line.source
        self._vendor_id = vendor_id
        self._ring_features = ring_features
        self._generation = 0
        self.last_error: str | None = None
        self.backend: Backend | None = None
        self.queues: list[VirtQueue] = []
        self._clear()
        self.connect(backend)

    def connect(self, backend: Backend | None) -> None:
        """Plugs a backend in (or, with None, empties the slot). To be done while no driver uses the slot."""
        if self.backend is not None:
            self.backend.plug(None)
        self.backend = backend
        self.queues = []
        self._net = backend.net_state if backend is not None else 0
        if backend is not None:
            self.queues = [VirtQueue(self._memory, index, size) for index, size in enumerate(backend.queue_sizes)]
            backend.plug(self)
        self.reset()

    def reset(self) -> None:
        """The device reset a driver causes by writing 0 to Status; also power-on."""
        self._clear()
        for queue in self.queues:
            queue.reset()
        self._line(False)
        if self.backend is not None:
            self.backend.reset()

    @property
    def direct(self) -> tuple[int, Block]:
        """See `DirectDevice`."""
        return VIRTIO, self.state

    def _clear(self) -> None:
        self.status = 0
        self.interrupt_status = 0
        self._device_features_sel = self._driver_features_sel = 0
        self._accepted = 0  # what the driver has written to DriverFeatures
        self.driver_features = 0
        self._queue_sel = 0

    @property
    def device_features(self) -> int:
        """All feature bits on offer."""
        if self.backend is None:
            return 0
        return self.backend.features | self._ring_features | VIRTIO_F_VERSION_1

    @property
    def active(self) -> bool:
        return self.status & (DRIVER_OK | DEVICE_NEEDS_RESET | FAILED) == DRIVER_OK

    def snapshot(self) -> SlotState:
        """A copy of the slot's state."""
        return SlotState(
            self.backend.device_id if self.backend is not None else 0,
            self.status,
            self.interrupt_status,
            self.device_features,
            self.driver_features,
            tuple(QueueState(q.index, q.size, q.ready, q.last_avail, q.used_idx, q.in_flight) for q in self.queues),
            self.last_error,
        )

    # The backend's side

    def signal(self, queue: VirtQueue) -> None:
        """See `Transport.signal`."""
        try:
            wanted = queue.wants_interrupt()
        except BadAddress as error:
            self.fail(f"queue {queue.index}: {error}")
            return
        if wanted:
            self._interrupt(USED_BUFFER)

    def config_changed(self) -> None:
        """See `Transport.config_changed`."""
        self._generation = (self._generation + 1) & _U32
        if self.status & DRIVER_OK:
            self._interrupt(CONFIG_CHANGE)

    def fail(self, reason: str) -> None:
        """See `Transport.fail` (section 2.1.2)."""
        self.last_error = reason
        for queue in self.queues:
            queue.broken = True  # nothing more is taken from any of them, even by work that is under way
        if not self.status & DEVICE_NEEDS_RESET:
            self.status |= DEVICE_NEEDS_RESET
            if self.status & DRIVER_OK:
                self._interrupt(CONFIG_CHANGE)

    def _interrupt(self, cause: int) -> None:
        self.interrupt_status |= cause
        self._line(True)

    # Registers

    def read(self, offset: int, width: int) -> int:
        if offset >= CONFIG:
            config = self.backend.config() if self.backend is not None else b""
            return int.from_bytes(config[offset - CONFIG : offset - CONFIG + width], "little")
        if width != 4 or offset & 3:
            raise AccessFault(offset, width, "virtio control registers are 32 bits wide")
        if offset == InterruptStatus:
            return self.interrupt_status
        if offset == MagicValue:
            return MAGIC
        if offset == Version:
            return VERSION
        if self.backend is None:
            return self._vendor_id if offset == VendorID else 0
        return self._read(offset, self.backend)

    def _read(self, offset: int, backend: Backend) -> int:
        if offset == DeviceID:
            return backend.device_id
        if offset == VendorID:
            return self._vendor_id
        if offset == DeviceFeatures:
            return _word(self.device_features, self._device_features_sel)
        if offset == Status:
            return self.status
        if offset == ConfigGeneration:
            return self._generation
        if offset in (QueueNumMax, QueueReady):
            queue = self._selected()
            if queue is None:
                return 0
            return queue.max_size if offset == QueueNumMax else int(queue.ready)
        if offset in (SHMLenLow, SHMLenHigh, SHMBaseLow, SHMBaseHigh):
            return _U32  # no shared memory region: length and base are all ones
        return 0

    def write(self, offset: int, width: int, value: int) -> None:
        if offset >= CONFIG:
            if self.backend is not None:
                self.backend.config_write(offset - CONFIG, value.to_bytes(width, "little"))
            return
        if width != 4 or offset & 3:
            raise AccessFault(offset, width, "virtio control registers are 32 bits wide")
        if self.backend is None:
            return
        if offset == QueueNotify:
            self.backend.kick(value)
        elif offset == InterruptACK:
            self.interrupt_status &= ~value
            if not self.interrupt_status:
                self._line(False)
        elif offset == Status:
            self._write_status(value & 0xFF)
        elif offset == DeviceFeaturesSel:
            self._device_features_sel = value
        elif offset == DriverFeaturesSel:
            self._driver_features_sel = value
        elif offset == DriverFeatures:
            self._write_features(value)
        elif offset == QueueSel:
            self._queue_sel = value
        else:
            self._write_queue(offset, value)

    def _write_status(self, value: int) -> None:
        if value == 0:
            self.reset()
            return
        before = self.status
        if value & FEATURES_OK and not before & FEATURES_OK:
            refusal = self._refusal(self._accepted)
            if refusal is None:
                self.driver_features = self._accepted
            else:
                self.last_error = refusal
                value &= ~FEATURES_OK  # the driver reads Status back and gives up
        if not (value | before) & FEATURES_OK:
            value &= ~DRIVER_OK  # no virtqueue is used before features are settled
        self.status = before | value  # bits are only cleared by a reset
        if self.status & ~before & DRIVER_OK and self.backend is not None:
            self.backend.activated()

    def _refusal(self, features: int) -> str | None:
        """Why these features are not acceptable (section 2.2.2)."""
        unknown = features & ~self.device_features
        if unknown:
            return f"the driver accepts features {unknown:#x}, which are not on offer"
        if not features & VIRTIO_F_VERSION_1:
            return "the driver does not accept VIRTIO_F_VERSION_1, and this is no legacy device"
        return self.backend.missing(features) if self.backend is not None else None

    def _write_features(self, value: int) -> None:
        if self.status & FEATURES_OK or self._driver_features_sel >= _FEATURE_WORDS:
            return
        shift = 32 * self._driver_features_sel
        self._accepted = self._accepted & ~(_U32 << shift) | value << shift

    def _selected(self) -> VirtQueue | None:
        return self.queues[self._queue_sel] if self._queue_sel < len(self.queues) else None

    def _write_queue(self, offset: int, value: int) -> None:
        queue = self._selected()
        if queue is None:
            return
        if offset == QueueReady:
            self._write_ready(queue, value)
        elif offset == QueueReset:
            if value & 1 and self.driver_features & VIRTIO_F_RING_RESET:
                queue.reset()  # done at once, so that the register reads 0 again
        elif queue.ready:
            return  # size and addresses are fixed while the queue is in use
        elif offset == QueueNum:
            queue.size = value
        elif offset in _QUEUE_ADDRESSES:
            name, shift = _QUEUE_ADDRESSES[offset]
            setattr(queue, name, getattr(queue, name) & ~(_U32 << shift) | value << shift)

    def _write_ready(self, queue: VirtQueue, value: int) -> None:
        if not value & 1:
            queue.reset()
            return
        if queue.ready:
            return
        try:
            queue.check()
        except QueueError as error:
            self.fail(str(error))
            return
        features = self.driver_features
        queue.start(event_idx=bool(features & VIRTIO_F_EVENT_IDX), indirect=bool(features & VIRTIO_F_INDIRECT_DESC))


def _word(value: int, selector: int) -> int:
    return value >> 32 * selector & _U32 if selector < 2 else 0
