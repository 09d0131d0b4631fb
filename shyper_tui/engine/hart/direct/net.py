"""A frame's way from one virtio network device to another in native code (VIRTIO 1.2, section 5.1).

The common case alone: one frame that one driver has sent to the configured address of another one which waits for it.
Everything else (several frames, or long ones, learning, floods, offloads that the receiver does not want, no buffers,
a vCPU that has to be fetched first) is left to the devices' Python, before anything has changed.
"""

from __future__ import annotations

from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.hart.native import native
from shyper_tui.engine.isa.value import Value

from . import net_layout as at
from . import pace_layout, queue_layout, switch_layout, virtio_layout
from .memory import copy

DONE, CALLED = 1, 2
"""Results of `net_send`; CALLED: another hart has been interrupted."""


@native("memory chain buffer")
def net_gather(b: LlvmBuilder, memory: Value, chain: Value, buffer: Value) -> None:
    """Copies what the device may read to the host's `buffer`. 1: done; 0: a part of it is not in memory."""
    place, segment = b.variable(buffer), b.variable(chain + queue_layout.SEGMENTS)
    end = segment.value + b.host_load(chain, queue_layout.READABLE) * queue_layout.SEGMENT_SIZE
    with b.loop() as segments:
        with b.if_(segment.value == end):
            segments.leave()
        length = b.host_load(segment.value, 8)
        with b.if_(length != 0):
            source = b.call("memory_readable", memory, b.host_load(segment.value), length)
            with b.if_(source == 0):
                b.ret(0)
            copy(b, place.value, source, length)
            place.value = place.value + length
        segment.value = segment.value + queue_layout.SEGMENT_SIZE
    b.ret(1)


@native("memory chain buffer size commit")
def net_scatter(b: LlvmBuilder, memory: Value, chain: Value, buffer: Value, size: Value, commit: Value) -> None:
    """Copies the `size` bytes of `buffer` to where the device may write, or only looks whether it can. 1: it can."""
    place, left, index = b.variable(buffer), b.variable(size), b.variable(b.host_load(chain, queue_layout.READABLE))
    with b.loop() as segments:
        with b.if_(left.value == 0):
            b.ret(1)
        with b.if_(index.value.uge(b.host_load(chain, queue_layout.DESCRIPTORS))):
            b.ret(0)
        segment = chain + index.value * queue_layout.SEGMENT_SIZE
        room = b.host_load(segment, queue_layout.SEGMENTS + 8)
        length = room.ult(left.value).select(room, left.value)
        with b.if_(length != 0):
            target = b.call("memory_writable", memory, b.host_load(segment, queue_layout.SEGMENTS), length)
            with b.if_(target == 0):
                b.ret(0)
            with b.if_(commit != 0):
                copy(b, target, place.value, length)
            place.value = place.value + length
            left.value = left.value - length
        index.value = index.value + 1
        segments.again()
    b.ret(0)


@native("switch mac")
def switch_find(b: LlvmBuilder, switch: Value, mac: Value) -> None:
    """The entry of the port that an address was configured for, or 0."""
    entry = b.variable(switch + switch_layout.ENTRIES)
    end = entry.value + b.host_load(switch, switch_layout.PORTS) * switch_layout.ENTRY_SIZE
    with b.loop() as entries:
        with b.if_(entry.value == end):
            entries.leave()
        with b.if_(b.host_load(entry.value, switch_layout.MAC) == mac):
            b.ret(entry.value)
        entry.value = entry.value + switch_layout.ENTRY_SIZE
    b.ret(0)


def _count(b: LlvmBuilder, state: Value, frames: int, size_in_bytes: int, size: Value) -> None:
    b.host_store(state, b.host_load(state, frames) + 1, frames)
    b.host_store(state, b.host_load(state, size_in_bytes) + size, size_in_bytes)


@native("net")
def net_active(b: LlvmBuilder, net: Value) -> None:
    """Whether its driver is ready and its link up."""
    with b.if_(b.host_load(net, at.TRANSPORT) == 0):
        b.ret(0)
    status = b.host_load(b.host_load(net, at.TRANSPORT), virtio_layout.STATUS)
    mask = virtio_layout.DRIVER_OK | virtio_layout.DEVICE_NEEDS_RESET | virtio_layout.FAILED
    ready = (status & mask) == virtio_layout.DRIVER_OK
    b.ret((ready & (b.host_load(net, at.LINK) != 0) & (b.host_load(net, at.MEMORY) != 0)).zext())


@native("net buffer")
def net_receives_as_it_is(b: LlvmBuilder, net: Value, buffer: Value) -> None:
    """Whether its driver takes the frame in `buffer` with what its sender has left undone."""
    needs = b.host_load(buffer, at.FLAGS, 8).zext() & at.VIRTIO_NET_HDR_F_NEEDS_CSUM
    features = b.host_load(b.host_load(net, at.TRANSPORT), virtio_layout.DRIVER_FEATURES)
    b.ret(((needs == 0) | ((features & at.VIRTIO_NET_F_GUEST_CSUM) != 0)).zext())


@native("net")
def net_fetch(b: LlvmBuilder, net: Value) -> None:
    """Brings the next frame that the driver has sent into BUFFER. Its size; 0: Python has to look at it."""
    memory, chain, buffer = b.host_load(net, at.MEMORY), net + at.SENT_CHAIN, net + at.BUFFER
    with b.if_(b.call("queue_look", b.host_load(net, at.TRANSMITQ), memory, chain) == 0):
        b.ret(0)
    size = b.host_load(chain, queue_layout.READABLE_SIZE) - at.FRAME
    with b.if_((size - at.LEAST_FRAME).uge(at.MOST_FRAME - at.LEAST_FRAME + 1)):
        b.ret(0)
    with b.if_(b.call("net_gather", memory, chain, buffer) == 0):
        b.ret(0)
    offloads = b.host_load(buffer) | b.host_load(buffer, at.CSUM_OFFSET, 16).zext()
    with b.if_(offloads != 0):
        features = b.host_load(b.host_load(net, at.TRANSPORT), virtio_layout.DRIVER_FEATURES)
        segmented = b.host_load(buffer, at.GSO_TYPE, 8) != 0
        with b.if_(segmented | ((features & at.VIRTIO_NET_F_CSUM) == 0)):
            b.ret(0)
    flags = b.host_load(buffer, at.FLAGS, 8) & at.VIRTIO_NET_HDR_F_NEEDS_CSUM
    b.host_store(buffer, flags, at.FLAGS, 8)
    b.host_store(buffer, 1, at.NUM_BUFFERS, 16)
    b.ret(size)


@native("net buffer size chain")
def net_can_receive(b: LlvmBuilder, net: Value, buffer: Value, size: Value, chain: Value) -> None:
    """Whether `net` can take the frame in `buffer` at once; `chain` becomes the place for it."""
    pace, queue = net + at.RECEIVE_PACE, b.host_load(net, at.RECEIVEQ)
    held_up = (b.host_load(net, at.WAITING) != 0) | (b.host_load(pace, pace_layout.AHEAD) != 0)
    with b.if_(held_up | (b.call("net_active", net) == 0)):
        b.ret(0)
    with b.if_((b.call("net_receives_as_it_is", net, buffer) == 0) | (b.call("queue_available", queue) == 0)):
        b.ret(0)
    memory = b.host_load(net, at.MEMORY)
    with b.if_(b.call("queue_look", queue, memory, chain) == 0):
        b.ret(0)
    with b.if_(b.call("net_scatter", memory, chain, buffer, size + at.FRAME, b.const(0)) == 0):
        b.ret(0)
    wanted = b.call("queue_wants_interrupt", queue) != 0
    with b.if_(wanted & (b.call("virtio_reaches", b.host_load(net, at.TRANSPORT)) == 0)):
        b.ret(0)
    b.ret(1)


@native("net buffer size chain now")
def net_receive(b: LlvmBuilder, net: Value, buffer: Value, size: Value, chain: Value, now: Value) -> None:
    """`net` takes the frame, which it can. Not 0: a hart has been interrupted."""
    queue = b.host_load(net, at.RECEIVEQ)
    wanted = b.call("queue_wants_interrupt", queue)
    b.call("net_scatter", b.host_load(net, at.MEMORY), chain, buffer, size + at.FRAME, b.const(1))
    b.call("queue_take_and_return", queue, chain, size + at.FRAME)
    b.call("queue_signalled", queue)
    cost = b.host_load(chain, queue_layout.DESCRIPTORS) * pace_layout.DESCRIPTOR_TICKS
    b.call("pace_spend", net + at.RECEIVE_PACE, now, cost)
    _count(b, net, at.RECEIVED_FRAMES, at.RECEIVED_BYTES, size)
    changed = b.variable(0)
    with b.if_(wanted != 0):
        changed.value = b.call("virtio_interrupt", b.host_load(net, at.TRANSPORT))
    b.ret(changed.value)


@native("net size now")
def net_sent(b: LlvmBuilder, net: Value, size: Value, now: Value) -> None:
    """Returns the chain of a frame sent; its interrupt comes later (see the device's Python)."""
    queue, chain = b.host_load(net, at.TRANSMITQ), net + at.SENT_CHAIN
    length = (b.host_load(net, at.SENT_LENGTH) != 0).select(size, size.like(0))
    b.call("queue_take_and_return", queue, chain, length)
    b.call("queue_ask", queue)
    cost = b.host_load(chain, queue_layout.DESCRIPTORS) * pace_layout.DESCRIPTOR_TICKS + size.udiv(at.COPIED_PER_TICK)
    b.call("pace_spend", net + at.TRANSMIT_PACE, now, cost + (at.FRAME_TICKS + at.COPY_TICKS))
    _count(b, net, at.SENT_FRAMES, at.SENT_BYTES, size)
    b.host_store(net, b.host_load(net, at.HELD) + 1, at.HELD)
    with b.if_(b.host_load(net, at.SIGNAL_AT) == at.NEVER):
        due, alarm = now + at.SENT_DELAY, b.host_load(net, at.ALARM)
        b.host_store(net, due, at.SIGNAL_AT)
        with b.if_(due.ult(b.host_load(alarm))):
            b.host_store(alarm, due)


@native("net cycle")
def net_send(b: LlvmBuilder, net: Value, cycle: Value) -> None:
    """The driver has notified the transmit queue, at `cycle`. 0: Python has to look at it, and nothing was done."""
    queue, switch = b.host_load(net, at.TRANSMITQ), b.host_load(net, at.SWITCH)
    ahead = b.host_load(net + at.TRANSMIT_PACE, pace_layout.AHEAD) != 0
    unconnected = (switch == 0) | (b.host_load(net, at.ALARM) == 0)
    with b.if_(ahead | unconnected | b.host_load(net, at.HELD).uge(at.MOST_HELD - 1)):
        b.ret(0)
    port = b.host_load(net, at.PORT)
    with b.if_((b.call("net_active", net) == 0) | (b.host_load(port, switch_layout.ATTACHED) == 0)):
        b.ret(0)
    with b.if_(b.call("queue_available", queue) != 1):
        b.ret(0)
    size = b.call("net_fetch", net)
    with b.if_(size == 0):
        b.ret(0)
    buffer, chain = net + at.BUFFER, net + at.RECEIVED_CHAIN
    to = b.host_load(buffer, at.DESTINATION, align=2) & (1 << 48) - 1
    source = b.host_load(buffer, at.SOURCE, align=2) & (1 << 48) - 1
    entry = b.call("switch_find", switch, to)
    with b.if_((entry == 0) | (b.call("switch_find", switch, source) == 0)):
        b.ret(0)
    receiver = b.host_load(entry, switch_layout.NET)
    with b.if_((receiver == 0) | (receiver == net)):
        b.ret(0)
    with b.if_(b.call("net_can_receive", receiver, buffer, size, chain) == 0):
        b.ret(0)
    now = b.call("observed_time", b.call("ticks", cycle))
    called = b.call("net_receive", receiver, buffer, size, chain, now) != 0
    b.call("net_sent", net, size, now)
    _count(b, port, switch_layout.IN_FRAMES, switch_layout.IN_BYTES, size)
    _count(b, b.host_load(entry, switch_layout.PORT), switch_layout.OUT_FRAMES, switch_layout.OUT_BYTES, size)
    b.ret(called.select(b.const(CALLED), b.const(DONE)))
