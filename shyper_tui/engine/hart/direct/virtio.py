"""InterruptStatus and InterruptACK of a virtio-mmio transport (VIRTIO 1.2, section 4.2.2) in native code."""

from __future__ import annotations

from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.hart.native import native
from shyper_tui.engine.isa.value import Value

from . import plic_layout
from . import virtio_layout as at
from .windows_layout import UNANSWERED


@native("transport offset")
def virtio_read(b: LlvmBuilder, transport: Value, offset: Value) -> None:
    """The register of 32 bits at `offset`, or UNANSWERED."""
    with b.if_(offset == at.InterruptStatus):
        b.ret(b.host_load(transport, at.INTERRUPT_STATUS))
    b.ret(UNANSWERED)


@native("transport offset value")
def virtio_write(b: LlvmBuilder, transport: Value, offset: Value, value: Value) -> None:
    """Stores `value` into the register of 32 bits at `offset`: 1 when it is done, 0 when the device has to do it."""
    plic = b.host_load(transport, at.PLIC)
    with b.if_((offset != at.InterruptACK) | (plic == 0)):
        b.ret(0)
    left = b.host_load(transport, at.INTERRUPT_STATUS) & ~value
    b.host_store(transport, left, at.INTERRUPT_STATUS)
    with b.if_(left == 0):
        # the line falls; what is pending at the PLIC remains so
        source = b.host_load(transport, at.SOURCE)
        word = plic + ((source >> 6) << 3)
        level = b.host_load(word, plic_layout.LEVEL)
        b.host_store(word, level & ~(b.const(1) << (source & 63)), plic_layout.LEVEL)
    b.ret(1)
