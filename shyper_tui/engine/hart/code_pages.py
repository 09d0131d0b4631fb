"""Pages of decoded code: native code only.

The arena has a fixed number of slots, each for the records of one page (`core.records`). A page that is executed for
the first time takes a slot; when none is left, the owner with most slots (a VM, by its VMID) gives up the pages
that it executed first. So whatever one VM executes, the others keep an equal part of the arena.

A slot may only be used again when no execute TLB leads to it and no hart executes its records. The first holds after
the execute TLBs of all harts were emptied, which is done for `BATCH` slots at a time. Only the hart in native code
holds a pointer to a record, and whoever takes a slot names the one page that it still needs (`keep`).
"""

from __future__ import annotations

from shyper_tui.engine.core import records
from shyper_tui.engine.core import tlb_layout as tlb
from shyper_tui.engine.core.interpreter import distance_of
from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.isa.value import Value

from . import debt
from .fields import FETCH
from .native import native
from .tlb import each_context, fill_ones

WRITTEN, ANYWHERE = 1 << 15, 1 << 14
"""What `page_written` holds of a page that a write TLB may have: WRITTEN and the index of its entries, or ANYWHERE
when it was entered at several indices."""


def _account(b: LlvmBuilder, owner: Value, what: int) -> Value:
    """The host address of one of an owner's words."""
    return b.s.shared + what + (owner << 3)


def reset_records(b: LlvmBuilder, base: Value, handler: str, first: Value, end: Value) -> None:
    """Puts `handler` into the records of halfwords at byte offsets [first, end) of the page."""
    distance = distance_of(b, b.address(f"@{handler}"))
    cursor = b.variable(first)
    with b.loop() as halfwords:
        with b.if_(cursor.value.uge(end)):
            halfwords.leave()
        b.host_store(base + (cursor.value << records.SCALE), distance, records.HANDLER, 32)
        cursor.value = cursor.value + 2


# --- slots ---


@native()
def current_owner(b: LlvmBuilder) -> None:
    """On whose account the hart executes."""
    b.ret((b.s.virt != 0).select(b.s.hgatp >> 44 & (records.OWNERS - 1), b.const(0)))


@native("base owner")
def enter_account(b: LlvmBuilder, base: Value, owner: Value) -> None:
    """The slot is the owner's newest."""
    newest = b.host_load(_account(b, owner, records.OWNER_NEWEST))
    b.host_store(base, owner, records.OWNER)
    b.host_store(base, newest, records.OLDER)
    b.host_store(base, 0, records.NEWER)
    with b.if_(newest != 0):
        b.host_store(newest, base, records.NEWER)
    with b.else_():
        b.host_store(_account(b, owner, records.OWNER_OLDEST), base)
    b.host_store(_account(b, owner, records.OWNER_NEWEST), base)
    count = _account(b, owner, records.OWNER_SLOTS)
    b.host_store(count, b.host_load(count) + 1)


@native("base")
def leave_account(b: LlvmBuilder, base: Value) -> None:
    """The slot holds no page any more."""
    owner = b.host_load(base, records.OWNER)
    older, newer = b.host_load(base, records.OLDER), b.host_load(base, records.NEWER)
    with b.if_(older != 0):
        b.host_store(older, newer, records.NEWER)
    with b.else_():
        b.host_store(_account(b, owner, records.OWNER_OLDEST), newer)
    with b.if_(newer != 0):
        b.host_store(newer, older, records.OLDER)
    with b.else_():
        b.host_store(_account(b, owner, records.OWNER_NEWEST), older)
    count = _account(b, owner, records.OWNER_SLOTS)
    b.host_store(count, b.host_load(count) - 1)
    b.host_store(b.s.page_records + (b.host_load(base, records.PAGE) << 3), 0)


@native("base")
def free_slot(b: LlvmBuilder, base: Value) -> None:
    """Nothing refers to the slot any more."""
    b.host_store(base, b.host_load(b.s.shared, records.SHARED_FREE), records.LINK)
    b.host_store(b.s.shared, base, records.SHARED_FREE)


@native("base")
def retire_slot(b: LlvmBuilder, base: Value) -> None:
    """The slot has no page any more; execute TLBs may still lead to it."""
    b.host_store(base, b.host_load(b.s.shared, records.SHARED_RETIRED), records.LINK)
    b.host_store(b.s.shared, base, records.SHARED_RETIRED)
    b.host_store(b.s.shared, b.host_load(b.s.shared, records.SHARED_RETIRED_COUNT) + 1, records.SHARED_RETIRED_COUNT)


@native()
def largest_owner(b: LlvmBuilder) -> None:
    """The owner with most slots."""
    most, owner, number = b.variable(0), b.variable(0), b.variable(0)
    with b.loop() as owners:
        with b.if_(number.value == records.OWNERS):
            owners.leave()
        count = b.host_load(_account(b, number.value, records.OWNER_SLOTS))
        with b.if_(most.value.ult(count)):
            most.value = count
            owner.value = number.value
        number.value = number.value + 1
    b.ret(owner.value)


@native("keep wanted")
def evict_pages(b: LlvmBuilder, keep: Value, wanted: Value) -> None:
    """Retires up to `wanted` pages, the oldest of whoever has most at that time, but not `keep`."""
    left = b.variable(wanted)
    with b.loop() as pages:
        with b.if_(left.value == 0):
            pages.leave()
        owner = b.call("largest_owner")
        victim = b.variable(b.host_load(_account(b, owner, records.OWNER_OLDEST)))
        with b.if_((victim.value == keep) & (keep != 0)):
            victim.value = b.host_load(keep, records.NEWER)
        with b.if_(victim.value == 0):
            pages.leave()
        b.call("leave_account", victim.value)
        b.call("retire_slot", victim.value)
        left.value = left.value - 1


@native("keep")
def reclaim_slots(b: LlvmBuilder, keep: Value) -> None:
    """Frees the retired slots: the execute TLBs of all harts are emptied, so that none leads to them. `keep` stays
    retired when it is one of them."""

    def forget(context: Value) -> None:
        fill_ones(b, context + tlb.EXECUTE, tlb.TABLE_SIZE)
        debt.owe(b, debt.SCAN_TABLE)

    each_context(b, b.s.all_contexts, b.s.all_contexts_end, forget)
    cursor = b.variable(b.host_load(b.s.shared, records.SHARED_RETIRED))
    b.host_store(b.s.shared, 0, records.SHARED_RETIRED)
    b.host_store(b.s.shared, 0, records.SHARED_RETIRED_COUNT)
    kept = b.variable(0)
    with b.loop() as retired:
        base = cursor.value
        with b.if_(base == 0):
            retired.leave()
        cursor.value = b.host_load(base, records.LINK)
        with b.if_(base == keep):
            kept.value = 1
            retired.again()
        b.call("free_slot", base)
    with b.if_(kept.value != 0):
        b.call("retire_slot", keep)


@native("keep")
def take_slot(b: LlvmBuilder, keep: Value) -> None:
    """A slot that nothing refers to. Never 0: an arena has more than `BATCH` slots for each page that may be kept."""
    shared = b.s.shared
    with b.if_(b.host_load(shared, records.SHARED_FREE) == 0):
        unused = b.host_load(shared, records.SHARED_NEXT)
        retired = b.host_load(shared, records.SHARED_RETIRED_COUNT)
        with b.if_(retired.ult(records.BATCH)):
            with b.if_(b.host_load(shared, records.SHARED_END).uge(unused + records.STRIDE)):
                b.host_store(shared, unused + records.STRIDE, records.SHARED_NEXT)
                b.ret(unused)
            b.call("evict_pages", keep, b.const(records.BATCH) - retired)
        b.call("reclaim_slots", keep)
    base = b.host_load(shared, records.SHARED_FREE)
    with b.if_(base != 0):
        b.host_store(shared, b.host_load(base, records.LINK), records.SHARED_FREE)
    b.ret(base)


# --- pages ---


@native("page va")
def note_written(b: LlvmBuilder, page: Value, va: Value) -> None:
    """A write TLB gets an entry for the page at `va`."""
    place = b.s.page_written + (page << 1)
    index = ((va >> 12) & (tlb.ENTRIES - 1)) | WRITTEN
    known = b.host_load(place, 0, 16).zext()
    several = (known != 0) & (known != index)
    b.host_store(place, several.select(b.const(ANYWHERE), index).trunc(16), 0, 16)


@native("page host")
def protect_page(b: LlvmBuilder, page: Value, host: Value) -> None:
    """No write TLB of any hart has the page, which lies at `host`."""
    place = b.s.page_written + (page << 1)
    written = b.host_load(place, 0, 16).zext()
    with b.if_(written == 0, True):
        b.ret(0)
    b.host_store(place, 0, 0, 16)

    def drop(entry: Value) -> None:
        with b.if_((b.host_load(entry, tlb.WRITE) + b.host_load(entry, tlb.WRITE + 8)) == host):
            b.host_store(entry, -1, tlb.WRITE)

    def drop_one(context: Value) -> None:
        drop(context + ((written & (tlb.ENTRIES - 1)) * tlb.ENTRY_SIZE))

    def search(context: Value) -> None:
        debt.owe(b, debt.SCAN_TABLE)
        cursor = b.variable(0)
        with b.loop() as entries:
            with b.if_(cursor.value.uge(tlb.TABLE_SIZE)):
                entries.leave()
            drop(context + cursor.value)
            cursor.value = cursor.value + tlb.ENTRY_SIZE

    with b.if_((written & ANYWHERE) == 0, True):
        each_context(b, b.s.all_contexts, b.s.all_contexts_end, drop_one)
        b.ret(0)
    each_context(b, b.s.all_contexts, b.s.all_contexts_end, search)


@native("page keep")
def new_records(b: LlvmBuilder, page: Value, keep: Value) -> None:
    """Records for a page of RAM that is executed for the first time; no write TLB keeps it. `keep`: the records of
    another page that are still needed, or 0. Returns 0 when there is no slot."""
    s = b.s
    base = b.call("take_slot", keep)
    with b.if_(base == 0, False):
        b.ret(0)
    debt.owe(b, debt.NEW_PAGE)
    reset_records(b, base, "decode_record", b.const(0), b.const(4096))
    for sentinel in range(records.SENTINELS):
        offset = (records.RECORDS + sentinel) * records.RECORD_SIZE
        b.host_store(base, distance_of(b, b.address("@cross_page")), offset + records.HANDLER, 32)
    host = s.ram_addend + s.ram_base + (page << 12)
    b.host_store(base, host, records.HOST)
    b.host_store(base, page, records.PAGE)
    for word in (records.STORES, records.STRADDLE_WORD, records.STRADDLE_HANDLER):
        b.host_store(base, 0, word)
    b.call("enter_account", base, b.call("current_owner"))
    b.host_store(s.page_records + (page << 3), base)
    b.call("protect_page", page, host)
    b.ret(base)


@native("base")
def drop_records(b: LlvmBuilder, base: Value) -> None:
    """The page holds data now. A hart that still comes to its records looks for the page's new ones."""
    debt.owe(b, debt.DROP_PAGE)
    b.call("leave_account", base)
    b.call("retire_slot", base)
    reset_records(b, base, "refetch", b.const(0), b.const(4096))


@native("base pa size")
def invalidate_records(b: LlvmBuilder, base: Value, pa: Value, size: Value) -> None:
    """`size` bytes at `pa` were stored: resets every record whose instruction, or fused sequence, may contain them."""
    offset = pa & 0xFFF
    first = offset.ult(records.REACH).select(b.const(0), (offset - records.REACH) & ~1)
    stores = b.host_load(base, records.STORES) + 1
    with b.if_((stores == records.STORES_BEFORE_DROP) | (size == 4096)):
        b.call("drop_records", base)
        b.ret(0)
    debt.owe(b, debt.RESET_RECORDS)
    b.host_store(base, stores, records.STORES)
    reset_records(b, base, "decode_record", first, offset + size)


@native("pa size")
def ram_written(b: LlvmBuilder, pa: Value, size: Value) -> None:
    """Python has stored `size` bytes within one page of RAM."""
    base = b.host_load(b.s.page_records + (((pa - b.s.ram_base) >> 12) << 3))
    with b.if_(base != 0):
        b.call("invalidate_records", base, pa, size)


@native("pa size value")
def store_physical(b: LlvmBuilder, pa: Value, size: Value, value: Value) -> None:
    """Stores into RAM, within one page."""
    host = b.s.ram_addend + pa
    for bytes_ in (1, 2, 4, 8):
        with b.if_(size == bytes_):
            b.host_store(host, value.trunc(bytes_ * 8), 0, bytes_ * 8, align=1)
    b.call("ram_written", pa, size)


@native("context va keep")
def fill_execute(b: LlvmBuilder, context: Value, va: Value, keep: Value) -> None:
    """Translates a fetch and enters it; the address of the page's records, or minus the cause. `keep`: records that
    are still needed, or 0."""
    s = b.s
    pa = b.call("translate", va, FETCH, s.prv, s.virt)
    with b.if_(pa.slt(0), False):
        b.ret(pa)
    offset = pa - s.ram_base
    with b.if_(offset.uge(s.ram_size), False):
        b.ret(-1)  # code lies in RAM; elsewhere a fetch is an access fault
    base = b.variable(b.host_load(s.page_records + ((offset >> 12) << 3)))
    with b.if_(base.value == 0):
        base.value = b.call("new_records", offset >> 12, keep)
        with b.if_(base.value == 0, False):
            b.ret(-1)
    b.call("fill", context, va, pa, tlb.EXECUTE, base.value)
    b.ret(base.value)
