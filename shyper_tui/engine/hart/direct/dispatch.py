"""Which window an address lies in, and its registers, in native code."""

from __future__ import annotations

from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.hart.native import native
from shyper_tui.engine.isa.value import Value

from . import windows_layout as at

CLOCK_MONOTONIC = 1
DECLARATIONS = "declare i32 @clock_gettime(i32, ptr)\n"


@native("table address")
def direct_window(b: LlvmBuilder, table: Value, address: Value) -> None:
    """The entry of the window that holds the 32-bit register at `address`, or 0."""
    entry = b.variable(table + at.ENTRIES)
    end = entry.value + b.host_load(table, at.WINDOWS) * at.ENTRY_SIZE
    with b.loop() as entries:
        with b.if_(entry.value.uge(end)):
            entries.leave()
        offset = address - b.host_load(entry.value, at.BASE)
        with b.if_(offset.ult(b.host_load(entry.value, at.LENGTH) & ~3)):
            b.ret(entry.value)
        entry.value = entry.value + at.ENTRY_SIZE
    b.ret(0)


@native()
def host_nanoseconds(b: LlvmBuilder) -> None:
    """The host's monotonic clock."""
    time = b.name("alloca { i64, i64 }")
    b.name(f"call i32 @clock_gettime(i32 {CLOCK_MONOTONIC}, ptr {time})")
    b.ret(b.peek(time) * 1_000_000_000 + b.peek(b.gep(time, 8)))


def _account(b: LlvmBuilder, table: Value, begin: Value, count: int, time: int) -> None:
    """One more access was answered, which began at `begin`."""
    b.host_store(table, b.host_load(table, count) + 1, count)
    b.host_store(table, b.host_load(table, time) + (b.call("host_nanoseconds") - begin), time)


@native("table address")
def direct_read(b: LlvmBuilder, table: Value, address: Value) -> None:
    """The register of 32 bits at `address`, or UNANSWERED."""
    entry = b.call("direct_window", table, address)
    with b.if_(entry == 0):
        b.ret(at.UNANSWERED)
    begin = b.call("host_nanoseconds")
    offset, state = address - b.host_load(entry, at.BASE), b.host_load(entry, at.STATE)
    value = b.variable(at.UNANSWERED)
    with b.if_(b.host_load(entry, at.KIND) == at.PLIC):
        value.value = b.call("plic_read", state, offset)
    with b.else_():
        value.value = b.call("virtio_read", state, offset)
    with b.if_(value.value != at.UNANSWERED):
        _account(b, table, begin, at.LOADS, at.LOAD_TIME)
    b.ret(value.value)


@native("table address value cycle")
def direct_write(b: LlvmBuilder, table: Value, address: Value, value: Value, cycle: Value) -> None:
    """Stores `value` into the register of 32 bits at `address`, at `cycle`. How many cycles that takes, with CALLED; 0
    when the device has to do it."""
    entry = b.call("direct_window", table, address)
    with b.if_(entry == 0):
        b.ret(0)
    begin = b.call("host_nanoseconds")
    offset, state = address - b.host_load(entry, at.BASE), b.host_load(entry, at.STATE)
    done = b.variable(0)
    with b.if_(b.host_load(entry, at.KIND) == at.PLIC):
        done.value = b.call("plic_write", state, offset, value & 0xFFFF_FFFF)
    with b.else_():
        done.value = b.call("virtio_write", state, offset, value & 0xFFFF_FFFF, cycle)
    with b.if_(done.value != 0):
        _account(b, table, begin, at.STORES, at.STORE_TIME)
    b.ret(done.value)
