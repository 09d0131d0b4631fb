"""TLB contexts and their invalidation: native code only.

A context holds the translations of one regime: privilege, SUM, V, address space. Changing privilege changes the
context pointer and flushes nothing. Kernel-mode contexts (`s`, `vs`) outlive a change of address space as long as
only global mappings were filled. Over-invalidation is always allowed (Privileged ISA, "Memory-Management Fences");
these functions do it where precision would cost more.
"""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.core import tlb_layout as tlb
from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.isa.value import Value

from . import debt
from .csr import HS_TRANSLATION
from .fields import Mstatus
from .native import native
from .state import CONTEXT_KINDS, NEVER, TABLE_PAGES, WIDE_WORDS

KIND = {name: number for number, name in enumerate(CONTEXT_KINDS)}
VIRTUAL_KINDS = (KIND["vs"], KIND["vs_sum"], KIND["vu"])


def fill_ones(b: LlvmBuilder, address: Value, size: int) -> None:
    b.emit(f"call void @llvm.memset.p0.i64(ptr align 8 {b.pointer(address)}, i8 -1, i64 {size}, i1 false)")


def _clear(b: LlvmBuilder, address: Value, size: int) -> None:
    b.emit(f"call void @llvm.memset.p0.i64(ptr align 8 {b.pointer(address)}, i8 0, i64 {size}, i1 false)")


def _region(va: Value, virtual: Value) -> tuple[Value, Value]:
    """Where the bit of a 2 MiB region is in `wide_2m`: its word, and its number there."""
    region = (va >> 21) & (64 * WIDE_WORDS - 1)
    return virtual * WIDE_WORDS + (region >> 6), region & 63


def each_context(b: LlvmBuilder, first: Value, end: Value, do: Callable[[Value], None], *, dirty: bool = True) -> None:
    """Runs `do(context)` for contexts in [first, end), by default for those with something in them."""
    cursor = b.variable(first)
    with b.loop() as contexts:
        with b.if_(cursor.value.uge(end)):
            contexts.leave()
        context = cursor.value
        cursor.value = context + tlb.CONTEXT_SIZE
        if dirty:
            with b.if_(b.host_load(context, tlb.DIRTY) == 0):
                contexts.again()
        do(context)


def _own(b: LlvmBuilder) -> tuple[Value, Value]:
    return b.s.contexts, b.s.contexts + tlb.CONTEXT_SIZE * tlb.CONTEXTS


def _is_virtual(b: LlvmBuilder, context: Value) -> Value:
    return b.host_load(context, tlb.KIND).uge(VIRTUAL_KINDS[0])


@native("context")
def flush_context(b: LlvmBuilder, context: Value) -> None:
    with b.if_(b.host_load(context, tlb.DIRTY) != 0):
        fill_ones(b, context, tlb.TABLES_SIZE)
        debt.owe(b, debt.EMPTY_CONTEXT)
        b.host_store(context, 0, tlb.DIRTY)
        b.host_store(context, 0, tlb.NON_GLOBAL)


@native("virtual")
def forget_superpages(b: LlvmBuilder, virtual: Value) -> None:
    """No context with V = `virtual` holds anything."""
    _clear(b, b.address(b.state_pointer("wide_2m", virtual * WIDE_WORDS)), 8 * WIDE_WORDS)
    b.set("wide_1g", 0, virtual)


@native()
def flush_translations(b: LlvmBuilder) -> None:
    """Everything this hart has cached."""

    def flush(context: Value) -> None:
        b.call("flush_context", context)

    each_context(b, *_own(b), flush)
    for virtual in (0, 1):
        b.call("forget_superpages", virtual)
    b.s.table_hgatp = NEVER


@native("virtual")
def flush_regime(b: LlvmBuilder, virtual: Value) -> None:
    """All contexts with V = `virtual`."""

    def flush(context: Value) -> None:
        with b.if_(_is_virtual(b, context).zext() == virtual):
            b.call("flush_context", context)

    each_context(b, *_own(b), flush)
    b.call("forget_superpages", virtual)


@native("virtual asid")
def flush_space(b: LlvmBuilder, virtual: Value, asid: Value) -> None:
    """Non-global translations of one address space."""

    def flush(context: Value) -> None:
        with b.if_(_is_virtual(b, context).zext() == virtual):
            kind = b.host_load(context, tlb.KIND)
            kernel = (kind == KIND["s"]) | (kind == KIND["vs"])
            same = (b.host_load(context, tlb.KEY_A) >> 44 & 0xFFFF) == (asid & 0xFFFF)
            with b.if_(kernel.select(b.host_load(context, tlb.NON_GLOBAL) != 0, same)):
                b.call("flush_context", context)

    each_context(b, *_own(b), flush)


@native("virtual va")
def flush_page(b: LlvmBuilder, virtual: Value, va: Value) -> None:
    """The translation of one address; the whole regime when the address may lie in a superpage."""
    word, bit = _region(va, virtual)
    wide = (b.get("wide_2m", word) >> bit) | (b.get("wide_1g", virtual) >> ((va >> 30) & 63))
    with b.if_((wide & 1) != 0):
        b.call("flush_regime", virtual)
        b.ret(0)
    page = va & ~0xFFF
    index = (va >> 8) & tlb.INDEX_MASK

    def flush(context: Value) -> None:
        for table in (tlb.READ, tlb.WRITE, tlb.EXECUTE):
            with b.if_(b.host_load(context + index, table) == page):
                b.host_store(context + index, -1, table)

    each_context(b, *_own(b), flush)


@native("virtual va asid given")
def fence(b: LlvmBuilder, virtual: Value, va: Value, asid: Value, given: Value) -> None:
    """`given`: bit 0 an address, bit 1 an address space."""
    with b.if_((given & 1) != 0):
        b.call("flush_page", virtual, va)
        b.ret(0)
    with b.if_((given & 2) != 0):
        b.call("flush_space", virtual, asid)
        b.ret(0)
    b.call("flush_regime", virtual)


@native("va asid given")
def sfence_vma(b: LlvmBuilder, va: Value, asid: Value, given: Value) -> None:
    b.call("fence", b.s.virt, va, asid, given)


@native("va asid given")
def hfence_vvma(b: LlvmBuilder, va: Value, asid: Value, given: Value) -> None:
    b.call("fence", 1, va, asid, given)


@native("gpa vmid given")
def hfence_gvma(b: LlvmBuilder, gpa: Value, vmid: Value, given: Value) -> None:
    """Contexts hold merged translations, so a guest-physical address says nothing: all of the VM's go."""

    def flush(context: Value) -> None:
        same = (b.host_load(context, tlb.KEY_B) >> 44 & 0x3FFF) == (vmid & 0x3FFF)
        with b.if_(_is_virtual(b, context) & (((given & 2) == 0) | same)):
            b.call("flush_context", context)

    each_context(b, *_own(b), flush)
    b.s.table_hgatp = NEVER


@native("gpa", inline=True)
def known_table(b: LlvmBuilder, gpa: Value) -> None:
    """The physical address of an entry of a VS-stage table in a page that was read before; 0 when it is not known.

    A walk reads one entry of each level, and finding each takes a walk of its own: the pages are soon all known.
    """
    page = gpa & ~0xFFF
    slot = (gpa >> 12) & (TABLE_PAGES - 1)
    known = (b.get("table_gpa", slot) == (page | 1)) & (b.s.table_hgatp == b.s.hgatp)
    b.ret(known.select(b.get("table_pa", slot) | (gpa & 0xFFF), b.const(0)))


@native("gpa pa")
def note_table(b: LlvmBuilder, gpa: Value, pa: Value) -> None:
    """The G stage allows reads of this page of a VS-stage table, until a fence, or another stage 2."""
    s = b.s
    with b.if_(s.table_hgatp != s.hgatp):
        for number in range(TABLE_PAGES):
            b.set("table_gpa", 0, number)
        s.table_hgatp = s.hgatp
    slot = (gpa >> 12) & (TABLE_PAGES - 1)
    b.set("table_gpa", (gpa & ~0xFFF) | 1, slot)
    b.set("table_pa", pa & ~0xFFF, slot)


@native("whose")
def forget_contexts(b: LlvmBuilder, whose: Value) -> None:
    """satp (HS_TRANSLATION) or vsatp/hgatp has been written."""
    for kernel, others, condition in (
        ("s", ("s_sum", "u"), whose == HS_TRANSLATION),
        ("vs", ("vs_sum", "vu"), whose != HS_TRANSLATION),
    ):
        with b.if_(condition):
            current = b.get("context_of", KIND[kernel])
            with b.if_(current != 0):
                with b.if_(b.host_load(current, tlb.NON_GLOBAL) != 0):
                    b.call("flush_context", current)
            for name in (kernel, *others):
                b.set("context_of", 0, KIND[name])


@native("kind")
def find_context(b: LlvmBuilder, kind: Value) -> None:
    """The context of a regime in the current address space; the oldest of the pool is recycled."""
    s = b.s
    virtual = kind.uge(VIRTUAL_KINDS[0])
    atp = virtual.select(s.vsatp, s.satp)
    kernel = (kind == KIND["s"]) | (kind == KIND["vs"])
    key_a = kernel.select(atp >> 60, kind.ult(tlb.FIXED_CONTEXTS).select(0, atp))
    key_b = virtual.select(s.hgatp, 0)
    found = b.variable(0)
    with b.if_(kind.ult(tlb.FIXED_CONTEXTS)):
        found.value = s.contexts + kind * tlb.CONTEXT_SIZE
    with b.else_():
        cursor = b.variable(s.contexts + tlb.FIXED_CONTEXTS * tlb.CONTEXT_SIZE)
        end = s.contexts + tlb.CONTEXTS * tlb.CONTEXT_SIZE
        with b.loop() as pool:
            with b.if_(cursor.value.uge(end)):
                pool.leave()
            context = cursor.value
            same = (
                (b.host_load(context, tlb.KIND) == kind)
                & (b.host_load(context, tlb.KEY_A) == key_a)
                & (b.host_load(context, tlb.KEY_B) == key_b)
            )
            with b.if_(same):
                found.value = context
                pool.leave()
            cursor.value = context + tlb.CONTEXT_SIZE
        with b.if_(found.value == 0):
            slot = s.next_context
            following = slot + 1
            s.next_context = (following == tlb.CONTEXTS).select(b.const(tlb.FIXED_CONTEXTS), following)
            found.value = s.contexts + slot * tlb.CONTEXT_SIZE
            for number in range(len(CONTEXT_KINDS)):
                with b.if_(b.get("context_of", number) == found.value):
                    b.set("context_of", 0, number)
            b.call("flush_context", found.value)
    context = found.value
    with b.if_(b.host_load(context, tlb.KEY_A) != key_a):
        b.call("flush_context", context)
    b.host_store(context, kind, tlb.KIND)
    b.host_store(context, key_a, tlb.KEY_A)
    b.host_store(context, key_b, tlb.KEY_B)
    b.set("context_of", context, kind)
    b.ret(context)


@native()
def select_context(b: LlvmBuilder) -> None:
    """The context of the current mode."""
    s = b.s
    kind = b.variable(KIND["machine"])
    with b.if_(s.prv == 3):
        privilege = s.mstatus.bits(Mstatus.MPP_HIGH, Mstatus.MPP_LOW)
        modified = s.mstatus.bit(Mstatus.MPRV) & (privilege != 3)
        kind.value = modified.select(b.const(KIND["mprv"]), b.const(KIND["machine"]))
    with b.else_():
        with b.if_(s.virt != 0):
            user = (s.prv == 0).zext()
            sum_ = s.vsstatus.bits(Mstatus.SUM, Mstatus.SUM)
            kind.value = (user != 0).select(b.const(KIND["vu"]), sum_ + KIND["vs"])
        with b.else_():
            sum_ = s.mstatus.bits(Mstatus.SUM, Mstatus.SUM)
            paged = (s.prv == 0).select(b.const(KIND["u"]), sum_ + KIND["s"])
            kind.value = ((s.satp >> 60) == 0).select(b.const(KIND["bare"]), paged)
    known = b.get("context_of", kind.value)
    with b.if_(known != 0, True):
        b.ret(known)
    b.ret(b.call("find_context", kind.value))


@native("context va pa table addend")
def fill(b: LlvmBuilder, context: Value, va: Value, pa: Value, table: Value, addend: Value) -> None:
    """Enters a translation that `translate` has just found."""
    s = b.s
    entry = context + ((va >> 8) & tlb.INDEX_MASK) + table
    b.host_store(entry, va & ~0xFFF)
    b.host_store(entry, addend, 8)
    b.host_store(context, 1, tlb.DIRTY)
    with b.if_(s.walk_global == 0):
        b.host_store(context, 1, tlb.NON_GLOBAL)
    with b.if_(s.walk_size != 12, False):
        virtual = _is_virtual(b, context).zext()
        with b.if_(s.walk_size.ult(30)):
            word, bit = _region(va, virtual)
            b.set("wide_2m", b.get("wide_2m", word) | (b.const(1) << bit), word)
        with b.if_(s.walk_size == 30):
            b.set("wide_1g", b.get("wide_1g", virtual) | (b.const(1) << ((va >> 30) & 63)), virtual)
        with b.if_(s.walk_size.uge(39)):
            b.set("wide_1g", (1 << 64) - 1, virtual)
