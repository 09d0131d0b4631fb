"""A VM's memory as its devices use it, in native code."""

from __future__ import annotations

from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.hart.native import native
from shyper_tui.engine.isa.value import Value

from . import memory_layout as at

DECLARATIONS = "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n"
PAGE_BITS = 12


def copy(b: LlvmBuilder, to: Value, source: Value, length: Value) -> None:
    """Copies bytes of the host's memory."""
    places = f"ptr {b.pointer(to)}, ptr {b.pointer(source)}"
    b.emit(f"call void @llvm.memcpy.p0.p0.i64({places}, i64 {b.text(length)}, i1 false)")


@native("memory address length")
def memory_region(b: LlvmBuilder, memory: Value, address: Value, length: Value) -> None:
    """The entry of the region that all of these bytes lie in, or 0."""
    entry = b.variable(memory + at.ENTRIES)
    end = entry.value + b.host_load(memory, at.REGIONS) * at.ENTRY_SIZE
    with b.loop() as regions:
        with b.if_(entry.value.uge(end)):
            regions.leave()
        offset, size = address - b.host_load(entry.value, at.IPA), b.host_load(entry.value, at.LENGTH)
        with b.if_(offset.ult(size)):
            with b.if_((size - offset).ult(length)):
                b.ret(0)
            b.ret(entry.value)
        entry.value = entry.value + at.ENTRY_SIZE
    b.ret(0)


@native("memory address length")
def memory_readable(b: LlvmBuilder, memory: Value, address: Value, length: Value) -> None:
    """The host address of these bytes, or 0."""
    region = b.call("memory_region", memory, address, length)
    with b.if_(region == 0):
        b.ret(0)
    b.ret(b.host_load(region, at.HOST) + (address - b.host_load(region, at.IPA)))


@native("memory address length")
def memory_writable(b: LlvmBuilder, memory: Value, address: Value, length: Value) -> None:
    """The same, for a store that drops no decoded code: at most a page long, and not 0 bytes."""
    region = b.call("memory_region", memory, address, length)
    with b.if_((region == 0) | (length - 1).uge(1 << PAGE_BITS)):
        b.ret(0)
    offset = address - b.host_load(region, at.IPA)
    code = b.host_load(region, at.CODE)
    first = b.host_load(code + ((offset >> PAGE_BITS) << 3))
    last = b.host_load(code + (((offset + (length - 1)) >> PAGE_BITS) << 3))
    with b.if_((first | last) != 0):
        b.ret(0)
    b.ret(b.host_load(region, at.HOST) + offset)
