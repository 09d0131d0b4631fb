"""Split virtqueues that are used in place, the device's side, in native code (VIRTIO 1.2, section 2.7).

What a driver should not have done, and what has to be waited for, is left to the Python of the queue: these functions
say that they cannot do it, and change nothing.
"""

from __future__ import annotations

from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.hart.native import native
from shyper_tui.engine.isa.value import Value

from . import queue_layout as at

_CHAINED, _WRITE, _INDIRECT = (
    flag << at.FLAGS for flag in (at.VIRTQ_DESC_F_NEXT, at.VIRTQ_DESC_F_WRITE, at.VIRTQ_DESC_F_INDIRECT)
)


def _half(b: LlvmBuilder, address: Value, offset: int = 0) -> Value:
    return b.host_load(address, offset, 16).zext()


@native("queue")
def queue_available(b: LlvmBuilder, queue: Value) -> None:
    """How many chains the driver has made available; 0 also where only Python can tell, or take one."""
    usable = (b.host_load(queue, at.READY) != 0) & (b.host_load(queue, at.BROKEN) == 0)
    with b.if_(~usable | (b.host_load(queue, at.TABLE) == 0)):
        b.ret(0)
    code = b.host_load(b.host_load(queue, at.CODE_FIRST)) | b.host_load(b.host_load(queue, at.CODE_LAST))
    size = b.host_load(queue, at.ENTRIES)
    with b.if_((code != 0) | b.host_load(queue, at.IN_FLIGHT).uge(size)):
        b.ret(0)
    count = (_half(b, b.host_load(queue, at.AVAILABLE), at.RING_INDEX) - b.host_load(queue, at.LAST_AVAIL)) & 0xFFFF
    with b.if_(size.ult(count)):
        b.ret(0)
    b.ret(count)


@native("queue memory chain")
def queue_look(b: LlvmBuilder, queue: Value, memory: Value, chain: Value) -> None:
    """Writes the next available chain down. 1: done; 0: it is too long, or not as it must be."""
    place = b.host_load(queue, at.LAST_AVAIL) & (b.host_load(queue, at.ENTRIES) - 1)
    head = _half(b, b.host_load(queue, at.AVAILABLE) + (place << 1), at.RING)
    table, limit = b.variable(b.host_load(queue, at.TABLE)), b.variable(b.host_load(queue, at.ENTRIES))
    index, left, direct = b.variable(head), b.variable(limit.value), b.variable(b.host_load(queue, at.INDIRECT))
    count, readable = b.variable(0), b.variable(0)
    readable_size = b.variable(0)
    with b.loop() as descriptors:
        with b.if_(index.value.uge(limit.value) | count.value.uge(at.MOST_SEGMENTS)):
            b.ret(0)
        descriptor = table.value + index.value * at.DESCRIPTOR_SIZE
        address, word = b.host_load(descriptor), b.host_load(descriptor, 8)
        length = word & 0xFFFF_FFFF
        with b.if_((word & _INDIRECT) != 0):
            bad = (direct.value == 0) | ((word & _CHAINED) != 0)
            with b.if_(bad | (length == 0) | ((length & (at.DESCRIPTOR_SIZE - 1)) != 0)):
                b.ret(0)
            table.value = b.call("memory_readable", memory, address, length)
            with b.if_(table.value == 0):
                b.ret(0)
            limit.value = length.udiv(at.DESCRIPTOR_SIZE)
            left.value = limit.value
            index.value, direct.value = b.const(0), b.const(0)
            descriptors.again()
        with b.if_((word & _WRITE) == 0):
            with b.if_(count.value != readable.value):
                b.ret(0)
            readable.value = readable.value + 1
            readable_size.value = readable_size.value + length
        segment = chain + count.value * at.SEGMENT_SIZE
        b.host_store(segment, address, at.SEGMENTS)
        b.host_store(segment, length, at.SEGMENTS + 8)
        count.value = count.value + 1
        with b.if_((word & _CHAINED) == 0):
            descriptors.leave()
        left.value = left.value - 1
        with b.if_(left.value == 0):
            b.ret(0)
        index.value = word >> at.NEXT
    b.host_store(chain, head, at.HEAD)
    b.host_store(chain, count.value, at.DESCRIPTORS)
    b.host_store(chain, readable.value, at.READABLE)
    b.host_store(chain, readable_size.value, at.READABLE_SIZE)
    b.ret(1)


@native("queue chain written")
def queue_take_and_return(b: LlvmBuilder, queue: Value, chain: Value, written: Value) -> None:
    """Takes the next available chain, which was written down, and returns it with `written` bytes."""
    b.host_store(queue, (b.host_load(queue, at.LAST_AVAIL) + 1) & 0xFFFF, at.LAST_AVAIL)
    used, index = b.host_load(queue, at.USED), b.host_load(queue, at.USED_IDX)
    place = index & (b.host_load(queue, at.ENTRIES) - 1)
    element = b.host_load(chain, at.HEAD) | (written << 32)
    b.host_store(used + place * at.ELEMENT_SIZE, element, at.RING, align=4)
    following = (index + 1) & 0xFFFF
    b.host_store(queue, following, at.USED_IDX)
    b.host_store(used, following.trunc(16), at.RING_INDEX, 16)


@native("queue")
def queue_ask(b: LlvmBuilder, queue: Value) -> None:
    """Asks the driver for a notification of the next chain: all that were available have been taken."""
    with b.if_(b.host_load(queue, at.EVENT_IDX) != 0):
        after = b.host_load(queue, at.USED) + b.host_load(queue, at.ENTRIES) * at.ELEMENT_SIZE
        b.host_store(after, b.host_load(queue, at.LAST_AVAIL).trunc(16), at.RING, 16)


@native("queue")
def queue_wants_interrupt(b: LlvmBuilder, queue: Value) -> None:
    """Whether the driver wants an interrupt for one more chain than was returned so far (section 2.7.7)."""
    available = b.host_load(queue, at.AVAILABLE)
    with b.if_(b.host_load(queue, at.EVENT_IDX) == 0):
        b.ret((_half(b, available) & at.VIRTQ_AVAIL_F_NO_INTERRUPT) ^ 1)
    old, following = b.host_load(queue, at.SIGNALLED), b.host_load(queue, at.USED_IDX) + 1
    with b.if_(old == at.NOTHING):
        b.ret(1)
    event = _half(b, available + (b.host_load(queue, at.ENTRIES) << 1), at.RING)
    b.ret(((following - event - 1) & 0xFFFF).ult((following - old) & 0xFFFF).zext())


@native("queue")
def queue_signalled(b: LlvmBuilder, queue: Value) -> None:
    """The decision about an interrupt for what was returned has been made."""
    with b.if_(b.host_load(queue, at.EVENT_IDX) != 0):
        b.host_store(queue, b.host_load(queue, at.USED_IDX), at.SIGNALLED)
