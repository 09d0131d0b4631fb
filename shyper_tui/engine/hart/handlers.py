"""Non-instruction handlers: slow paths, exceptions, interrupts, and the way to Python and back."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.core import records
from shyper_tui.engine.core import tlb_layout as tlb
from shyper_tui.engine.core.interpreter import CONVENTION, FIRST_HANDLER, LOAD_RESERVED, HandlerBuilder
from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.core.operands import RD
from shyper_tui.engine.isa.value import Value

from .code_handlers import emit_code, instruction_length, place_of
from .debt import BACKING, leave_if_due, owe
from .direct import handlers as direct
from .exits import IN_PYTHON, IN_WFI, Reason
from .fields import LOAD, STORE, Cause, Mstatus
from .handler_set import Handlers
from .state import LAYOUT


def budget(b: LlvmBuilder) -> Value:
    return Value(b, "%bud")


def emit_handlers(handlers: int, *, fuse: bool) -> str:
    """IR of all of them. `handlers`: columns of the table of fused sequences. `fuse`: decoding looks for them."""
    h = Handlers()
    _exits(h)
    _exceptions(h)
    _interrupts(h)
    _memory(h)
    emit_code(h, handlers if fuse else 0)
    return "".join(h.parts) + _entry()


# --- to Python ---


def _stop(b: HandlerBuilder, reason: Reason, pc: Value) -> None:
    """Leaves native code. `deadline` becomes the current cycle."""
    s = b.s
    s.pc = pc
    s.reason = int(reason)
    s.deadline = s.deadline - budget(b)
    b.emit("ret void")


def _describe_access(b: HandlerBuilder, flags: Value) -> None:
    """exit_size: flags of the access, length and (of a load) rd of the instruction."""
    length = instruction_length(b, b.address("%rec"))
    rd = b.peek(b.gep("%rec", RD), 8).zext()
    b.s.exit_size = flags | (length << 16) | (rd << 24)


def _exits(h: Handlers) -> None:
    with h.handler("exit_slow") as (b, *_):
        _stop(b, Reason.SLOW, b.record_pc())
    with h.handler("exit_mmio") as (b, reason, pa, _):
        s = b.s
        s.exit_pa = pa
        s.pc = b.record_pc()
        s.reason = reason
        s.deadline = s.deadline - budget(b)
        b.emit("ret void")
    with h.handler("exit_pc") as (b, reason, pc, _):
        s = b.s
        s.pc = pc
        s.reason = reason
        s.deadline = s.deadline - budget(b)
        b.emit("ret void")


def _entry() -> str:
    """`enter(state)`: runs until there is a reason to stop."""
    b = HandlerBuilder(LAYOUT)
    s = b.s
    arguments = f"ptr %st, ptr null, i64 0, ptr null, ptr {FIRST_HANDLER}, i64 {s.pc.operand}, i64 0, i64 0"
    with b.if_(s.waiting != 0):
        b.emit(f"call {CONVENTION} void @wait({arguments})")
        b.ret(s.reason)
    b.emit(f"call {CONVENTION} void @resync({arguments})")
    b.ret(s.reason)
    return f"define i64 @enter(ptr %st) {{\n{b.body()}\n}}\n"


# --- exceptions ---


def _after_trap(b: HandlerBuilder, python: Value, bud: Value | str) -> None:
    """A trap entry has been made: to Python, or on at the vector."""
    with b.if_(python != 0, False):
        b.tail("@exit_pc", int(Reason.TRAP), b.s.pc, budget=bud)
    left = bud if isinstance(bud, Value) else Value(b, bud)
    with b.if_(left.slt(0), False):  # also ends a loop of faulting trap vectors
        b.tail("@resync", b.s.pc, budget=bud)
    context = b.pointer(b.call("select_context"))
    b.jump_to(b.s.pc, bud, context)


def _exceptions(h: Handlers) -> None:
    with h.handler("raise_exception") as (b, cause, tval, epc):
        _after_trap(b, b.call("exception", cause, tval, epc), b.define("sub i64 %bud, 1"))
    with h.handler("raise_instruction") as (b, cause, *_):
        # tval is the instruction itself
        base, offset, host = place_of(b, b.address("%rec"))
        low = b.host_load(host, 0, 16).zext()
        word = b.variable(low)
        with b.if_((low & 3) == 3):
            straddles = offset == 4094
            with b.if_(straddles):
                word.value = b.host_load(base, records.STRADDLE_WORD)
            with b.else_():
                word.value = b.host_load(host, 0, 32, align=2).zext()
        b.tail("@raise_exception", cause, word.value, b.record_pc())
    with h.handler("op_illegal", "") as (b, *_):
        b.tail("@raise_instruction", Cause.ILLEGAL_INSTRUCTION)


# --- interrupts, budget ---


def _interrupts(h: Handlers) -> None:
    with h.handler("resync") as (b, pc, _, _):
        s = b.s
        now = s.deadline - budget(b)
        with b.if_(now.uge(s.slice_end), False):
            b.tail("@exit_pc", int(Reason.SLICE), pc)
        leave_if_due(b, pc)
        target = b.variable(pc)
        taken = b.call("interrupt_to_take", now)
        python = b.variable(0)
        with b.if_(taken != 0, False):
            python.value = b.call("interrupt", taken, pc)
            target.value = s.pc
        timer = b.call("next_timer", now)
        end = timer.ult(s.slice_end).select(timer, s.slice_end)
        s.deadline = end
        left = end - now
        with b.if_(python.value != 0, False):
            b.tail("@exit_pc", int(Reason.TRAP), target.value, budget=left)
        context = b.pointer(b.call("select_context"))
        b.jump_to(target.value, left, context)
    with h.handler("budget_used") as (b, *_):
        b.tail("@resync", b.record_pc())
    with h.handler("wait") as (b, *_):
        # WFI: time passes to the next timer, or to the end of the slice
        s = b.s
        cycle = b.variable(s.deadline - budget(b))
        with b.loop() as waiting:
            # WFI ends with any enabled interrupt; Python software waits for one that its mode takes
            wake = b.variable(b.call("pending_interrupts", cycle.value) & s.mie)
            with b.if_(s.waiting == IN_PYTHON):
                wake.value = b.call("interrupt_to_take", cycle.value)
            with b.if_(wake.value != 0):
                s.waiting = 0
                s.deadline = cycle.value
                b.tail("@resync", s.pc, budget=b.const(0))
            with b.if_(cycle.value.uge(s.slice_end)):
                waiting.leave()
            timer = b.call("next_timer", cycle.value)
            until = timer.ult(s.slice_end).select(timer, s.slice_end)
            s.skipped = s.skipped + (until - cycle.value)
            cycle.value = until
        with b.if_(s.waiting == 0):
            s.waiting = IN_WFI
        s.deadline = cycle.value
        b.tail("@exit_pc", int(Reason.SLICE), s.pc, budget=b.const(0))


# --- memory ---


def _modified_privilege(b: HandlerBuilder) -> Value:
    """Loads and stores do not use the current mode (mstatus.MPRV): the reference does them."""
    s = b.s
    return (s.prv == 3) & s.mstatus.bit(Mstatus.MPRV) & (s.mstatus.bits(Mstatus.MPP_HIGH, Mstatus.MPP_LOW) != 3)


def _translate_data(
    b: HandlerBuilder, va: Value, size: Value, access: int, on_fault: Callable[[Value], None] = lambda result: None
) -> Value:
    """pa of an access that missed the TLB; leaves for exceptions, unless `on_fault` does something else, and for what
    the reference must do."""
    crosses = (((va + (size - 1)) ^ va) >> 12) != 0
    with b.if_(crosses | _modified_privilege(b), False):
        b.tail("@exit_slow")
    pa = b.call("translate", va, access, b.s.prv, b.s.virt)
    with b.if_(pa.slt(0), False):
        on_fault(pa)
        b.tail("@raise_exception", -pa, va, b.record_pc())
    return pa


def _outside_ram(b: HandlerBuilder, pa: Value) -> Value:
    return (pa - b.s.ram_base).uge(b.s.ram_size)


def _again(b: HandlerBuilder) -> None:
    """Executes the instruction once more: its access hits now."""
    b.dispatch("%rec", "%bud")


def _fill_write(b: HandlerBuilder, va: Value, pa: Value, page: Value) -> None:
    """Enters a page without decoded code for stores; first pays for memory that the host has yet to hand out."""
    backed = b.s.backed + ((pa - b.s.ram_base) >> 21)
    with b.if_(b.host_load(backed, 0, 8) == 0, False):
        b.host_store(backed, 1, 0, 8)
        owe(b, BACKING)
        leave_if_due(b, b.record_pc())
    b.call("fill", b.address("%tlb"), va, pa, tlb.WRITE, b.s.ram_addend + pa - va)
    b.call("note_written", page, va)


def _misaligned(b: HandlerBuilder, cause: int, va: Value) -> None:
    """Of an atomic access."""
    with b.if_(_modified_privilege(b), False):
        b.tail("@exit_slow")
    b.tail("@raise_exception", cause, va, b.record_pc())


def _memory(h: Handlers) -> None:
    with h.handler("slow_load") as (b, va, flags, _):
        size = flags & 0xFF
        reserved = (flags & LOAD_RESERVED) != 0
        with b.if_(reserved & ((va & (size - 1)) != 0), False):
            _misaligned(b, Cause.LOAD_MISALIGNED, va)

        def guest_load(result: Value) -> None:
            with b.if_(direct.guest_fault_is_direct(b, result, Cause.LOAD_GUEST_PAGE, size)):
                direct.load(b, b.s.direct_guest, b.s.fault_gpa, flags)

        pa = _translate_data(b, va, size, LOAD, guest_load)
        with b.if_(_outside_ram(b, pa), False):
            with b.if_(reserved):
                b.tail("@raise_exception", Cause.LOAD_ACCESS, va, b.record_pc())
            with b.if_((b.s.direct_physical != 0) & ((pa & 3) == 0)):
                direct.load(b, b.s.direct_physical, pa, flags)
            _describe_access(b, flags)
            b.s.exit_address = va
            b.tail("@exit_mmio", int(Reason.MMIO_LOAD), pa)
        b.call("fill", b.address("%tlb"), va, pa, tlb.READ, b.s.ram_addend + pa - va)
        _again(b)

    with h.handler("slow_store") as (b, va, size, value):
        s = b.s

        def guest_store(result: Value) -> None:
            with b.if_(direct.guest_fault_is_direct(b, result, Cause.STORE_GUEST_PAGE, size)):
                direct.store(b, s.direct_guest, s.fault_gpa, size, value)

        pa = _translate_data(b, va, size, STORE, guest_store)
        with b.if_(_outside_ram(b, pa), False):
            with b.if_((s.direct_physical != 0) & ((pa & 3) == 0)):
                direct.store(b, s.direct_physical, pa, size, value)
            _describe_access(b, size)
            s.exit_address = va
            s.exit_value = value
            b.tail("@exit_mmio", int(Reason.MMIO_STORE), pa)
        page = (pa - s.ram_base) >> 12
        with b.if_(b.host_load(s.page_records + (page << 3)) == 0, True):
            _fill_write(b, va, pa, page)
            _again(b)
        # a page with decoded code: never in a write TLB
        length = instruction_length(b, b.address("%rec"))
        b.call("store_physical", pa, size, value)
        following = b.gep("%rec", length << records.SCALE)
        left = b.define("sub i64 %bud, 1")
        leave_if_due(b, b.record_pc(following), left)
        b.dispatch(following, left)

    with h.handler("slow_amo") as (b, va, size, _):
        s = b.s
        with b.if_((va & (size - 1)) != 0, False):
            _misaligned(b, Cause.STORE_MISALIGNED, va)
        pa = _translate_data(b, va, size, STORE)
        with b.if_(_outside_ram(b, pa), False):
            b.tail("@raise_exception", Cause.STORE_ACCESS, va, b.record_pc())
        page = (pa - s.ram_base) >> 12
        with b.if_(b.host_load(s.page_records + (page << 3)) != 0, False):
            b.tail("@exit_slow")  # decoded code, perhaps this very page: never in a write TLB
        _fill_write(b, va, pa, page)
        _again(b)
