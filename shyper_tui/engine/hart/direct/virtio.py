"""Registers of a virtio-mmio transport (VIRTIO 1.2, section 4.2.2) in native code: InterruptStatus, InterruptACK, and
QueueNotify of a network device's transmit queue."""

from __future__ import annotations

from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.hart.native import native
from shyper_tui.engine.isa.value import Value

from . import plic_layout
from . import virtio_layout as at
from .net import CALLED as RECEIVER_CALLED
from .windows_layout import CALLED, CYCLES, UNANSWERED

TRANSMITQ = 1
"""Number of a network device's queue (section 5.1.2)."""
NET_CYCLES = 500
"""What a frame's way takes."""


@native("transport")
def virtio_reaches(b: LlvmBuilder, transport: Value) -> None:
    """Whether native code may raise its interrupt: another hart, and nobody else, gets to know."""
    plic = b.host_load(transport, at.PLIC)
    with b.if_(plic == 0):
        b.ret(0)
    b.ret(b.call("plic_reaches", plic, b.host_load(transport, at.SOURCE)))


@native("transport")
def virtio_interrupt(b: LlvmBuilder, transport: Value) -> None:
    """Interrupts for used buffers. Not 0: a hart has been interrupted."""
    b.host_store(transport, b.host_load(transport, at.INTERRUPT_STATUS) | at.USED_BUFFER, at.INTERRUPT_STATUS)
    b.ret(b.call("plic_raise", b.host_load(transport, at.PLIC), b.host_load(transport, at.SOURCE)))


@native("transport offset")
def virtio_read(b: LlvmBuilder, transport: Value, offset: Value) -> None:
    """The register of 32 bits at `offset`, or UNANSWERED."""
    with b.if_(offset == at.InterruptStatus):
        b.ret(b.host_load(transport, at.INTERRUPT_STATUS))
    b.ret(UNANSWERED)


@native("transport value")
def virtio_acknowledge(b: LlvmBuilder, transport: Value, value: Value) -> None:
    """InterruptACK."""
    left = b.host_load(transport, at.INTERRUPT_STATUS) & ~value
    b.host_store(transport, left, at.INTERRUPT_STATUS)
    with b.if_(left == 0):
        # the line falls; what is pending at the PLIC remains so
        source = b.host_load(transport, at.SOURCE)
        word = b.host_load(transport, at.PLIC) + ((source >> 6) << 3)
        level = b.host_load(word, plic_layout.LEVEL)
        b.host_store(word, level & ~(b.const(1) << (source & 63)), plic_layout.LEVEL)


@native("transport offset value cycle")
def virtio_write(b: LlvmBuilder, transport: Value, offset: Value, value: Value, cycle: Value) -> None:
    """Stores `value` into the register of 32 bits at `offset`: see `direct_write`."""
    with b.if_((offset == at.InterruptACK) & (b.host_load(transport, at.PLIC) != 0)):
        b.call("virtio_acknowledge", transport, value)
        b.ret(CYCLES)
    net = b.host_load(transport, at.NET)
    with b.if_((offset == at.QueueNotify) & (value == TRANSMITQ) & (net != 0)):
        result = b.call("net_send", net, cycle)
        with b.if_(result != 0):
            b.ret((result == RECEIVER_CALLED).select(b.const(NET_CYCLES | CALLED), b.const(NET_CYCLES)))
    b.ret(0)
