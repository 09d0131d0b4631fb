"""Address translation (Privileged ISA, "Virtual Address Translation Process", "Two-Stage Address Translation").

`translate` is the whole path of one access: VS or S stage, G stage, physical protection. It returns the physical
address, or minus the exception's cause after having recorded what a guest-page fault reports (`fault_gpa`,
`fault_inst`).
"""

from __future__ import annotations

from shyper_tui.engine.core.builder import Builder, Variable
from shyper_tui.engine.isa.value import Value

from .fields import FETCH, LOAD, LOAD_EXECUTABLE, STORE, Cause, Envcfg, Mstatus
from .functions import hart_function
from .protection import R, W, X

PSEUDO_READ, PSEUDO_WRITE = 0x3000, 0x3020
"""htinst of a G-stage fault on an implicit access to a VS-stage table."""

PPN_MASK = (1 << 44) - 1
PHYSICAL_BITS = 56
GUEST_PAGE, ACCESS = 1, 2
"""Results of the G stage: minus one of these on failure."""

V_BIT, R_BIT, W_BIT, X_BIT, U_BIT, G_BIT, A_BIT, D_BIT = range(8)
PBMT_LOW, N_BIT = 61, 63


def _page_fault(access: Value) -> Value:
    """Minus the page-fault cause of an access."""
    return -_by_access(access, Cause.LOAD_PAGE, Cause.STORE_PAGE, Cause.INSTRUCTION_PAGE)


def _access_fault(access: Value) -> Value:
    return -_by_access(access, Cause.LOAD_ACCESS, Cause.STORE_ACCESS, Cause.INSTRUCTION_ACCESS)


def _guest_page_fault(access: Value) -> Value:
    return -_by_access(access, Cause.LOAD_GUEST_PAGE, Cause.STORE_GUEST_PAGE, Cause.INSTRUCTION_GUEST_PAGE)


def _by_access(access: Value, load: int, store: int, fetch: int) -> Value:
    return (access == STORE).select(access.like(store), (access == FETCH).select(access.like(fetch), access.like(load)))


def _lacks_permission(pte: Value, access: Value, executable_readable: Value) -> Value:
    """The leaf does not allow the access; `executable_readable` is the effect of MXR."""
    readable = pte.bit(R_BIT) | (executable_readable & pte.bit(X_BIT))
    return (access == LOAD).select(~readable, (access == STORE).select(~pte.bit(W_BIT), ~pte.bit(X_BIT)))


def _malformed(b: Builder, pte: Value, leaf: Value, level_shift: Value, memory_types: Value, bad: Variable) -> None:
    """Sets `bad` for reserved bits: Svpbmt, Svnapot, reserved, and what a non-leaf entry must not have."""
    with b.if_((pte >> 54) != 0, False):
        memory_type = pte.bits(62, PBMT_LOW)
        bad.value = bad.value | (pte.bits(60, 54) != 0)
        bad.value = bad.value | ((memory_type != 0) & (~memory_types | ~leaf | (memory_type == 3)))
        contiguous_64k = leaf & (level_shift == 12) & (pte.bits(13, 10) == 8)
        bad.value = bad.value | (pte.bit(N_BIT) & ~contiguous_64k)
    non_leaf_flags = (1 << U_BIT) | (1 << A_BIT) | (1 << D_BIT)
    bad.value = bad.value | (~leaf & ((pte & non_leaf_flags) != 0))


def _leaf_address(pte: Value, address: Value, level_shift: Value) -> tuple[Value, Value]:
    """(physical address, superpage is misaligned). Svnapot's 64 KiB pages take four more bits from the address."""
    offset_mask = (level_shift.like(1) << level_shift) - 1
    ppn = ((pte >> 10) & PPN_MASK) << 12
    misaligned = (ppn & offset_mask) != 0
    offset_mask = pte.bit(N_BIT).select(offset_mask.like(0xFFFF), offset_mask)
    return (ppn & ~offset_mask) | (address & offset_mask), misaligned


def _in_ram(b: Builder, pa: Value) -> Value:
    return (pa - b.s.ram_base).ult(b.s.ram_size)


@hart_function("gpa access explicit")
def translate_guest(b: Builder, gpa: Value, access: Value, explicit: Value) -> None:
    """G stage: guest-physical to physical address, or -GUEST_PAGE, or -ACCESS.

    `explicit` is 0 for accesses to VS tables.
    """
    s = b.s
    mode = s.hgatp >> 60
    with b.if_(mode == 0):
        with b.if_((gpa >> PHYSICAL_BITS) != 0, False):
            b.ret(-ACCESS)
        b.ret(gpa)
    levels = mode - 5
    width = levels * 9 + 14
    s.fault_gpa = gpa
    s.fault_level = levels - 1
    with b.if_((gpa >> width) != 0, False):
        b.ret(-GUEST_PAGE)
    table = b.variable((s.hgatp & PPN_MASK) << 12)
    shift = b.variable(width - 11)
    index_mask = b.variable(0x7FF)  # the root table has 2048 entries
    with b.loop() as levels_left:
        pte_pa = table.value + (((gpa >> shift.value) & index_mask.value) << 3)
        index_mask.value = 0x1FF
        with b.if_(~_in_ram(b, pte_pa) | (b.call("pmp_allows", pte_pa, R, 1) == 0), False):
            b.ret(-ACCESS)
        pte = b.ram_load(pte_pa, 64)
        leaf = (pte & (1 << R_BIT | 1 << X_BIT)) != 0
        bad = b.variable(~pte.bit(V_BIT) | ((pte & (1 << R_BIT | 1 << W_BIT)) == 1 << W_BIT), 1)
        _malformed(b, pte, leaf, shift.value, s.menvcfg.bit(Envcfg.PBMTE), bad)
        with b.if_(bad.value, False):
            b.ret(-GUEST_PAGE)
        with b.if_(~leaf):
            with b.if_(shift.value == 12, False):
                b.ret(-GUEST_PAGE)
            table.value = ((pte >> 10) & PPN_MASK) << 12
            shift.value = shift.value - 9
            s.fault_level = s.fault_level - 1
            levels_left.again()
        executable_readable = s.mstatus.bit(Mstatus.MXR) & (explicit != 0)
        with b.if_(~pte.bit(U_BIT) | _lacks_permission(pte, access, executable_readable), False):
            b.ret(-GUEST_PAGE)
        pa, misaligned = _leaf_address(pte, gpa, shift.value)
        with b.if_(misaligned, False):
            b.ret(-GUEST_PAGE)
        needed = (access == STORE).select(b.const(1 << A_BIT | 1 << D_BIT), b.const(1 << A_BIT))
        with b.if_((pte & needed) != needed, False):
            with b.if_(~s.menvcfg.bit(Envcfg.ADUE)):
                b.ret(-GUEST_PAGE)
            with b.if_(b.call("pmp_allows", pte_pa, W, 1) == 0):
                b.ret(-ACCESS)
            with b.if_(b.ram_compare_exchange(pte_pa, pte, pte | needed) != pte):
                b.ret(b.call("translate_guest", gpa, access, explicit))
        b.ret(pa)


@hart_function("gpa access original")
def translate_table(b: Builder, gpa: Value, access: Value, original: Value) -> None:
    """Where a VS-stage table entry lies; `original` is the access being translated, whose cause a failure reports."""
    s = b.s
    with b.if_(access == LOAD, True):
        known = b.call("known_table", gpa)
        with b.if_(known != 0, True):
            b.ret(known)
    pa = b.call("translate_guest", gpa, access, 0)
    with b.if_(pa == -GUEST_PAGE, False):
        s.fault_gpa = gpa
        s.fault_inst = (access == STORE).select(b.const(PSEUDO_WRITE), b.const(PSEUDO_READ))
        s.fault_stage = 1
        b.ret(_guest_page_fault(original))
    with b.if_(pa == -ACCESS, False):
        b.ret(_access_fault(original))
    with b.if_(access == LOAD):
        b.call("note_table", gpa, pa)
    b.ret(pa)


@hart_function("va access prv virt")
def translate(b: Builder, va: Value, access: Value, prv: Value, virt: Value) -> None:
    """Physical address of an access with the given effective privilege and V, or minus the cause."""
    s = b.s
    right = _by_access(access, R, W, X)
    s.walk_global = 1
    s.walk_size = 12
    s.fault_inst = 0
    s.fault_stage = 0
    atp = (virt != 0).select(s.vsatp, s.satp)
    mode = atp >> 60
    with b.if_((prv == 3) | ((mode == 0) & (virt == 0)), False):
        with b.if_(((va >> PHYSICAL_BITS) != 0) | (b.call("pmp_allows", va, right, prv) == 0), False):
            b.ret(_access_fault(access))
        b.ret(va)
    gpa = b.variable(va)
    with b.if_(mode != 0, True):
        levels = mode - 5
        width = levels * 9 + 12
        unused = b.const(64) - width
        with b.if_((va << unused).sra(unused) != va, False):
            b.ret(_page_fault(access))
        table = b.variable((atp & PPN_MASK) << 12)
        shift = b.variable(width - 9)
        s.fault_level = levels - 1
        status = (virt != 0).select(s.vsstatus, s.mstatus)
        # in VS-mode, MXR of either level makes executable pages readable at this stage
        executable_readable = (status | s.mstatus).bit(Mstatus.MXR)
        envcfg = (virt != 0).select(s.henvcfg, s.menvcfg)
        with b.loop() as levels_left:
            pte_gpa = table.value + (((va >> shift.value) & 0x1FF) << 3)
            pte_pa = b.variable(pte_gpa)
            with b.if_(virt != 0):
                level = s.fault_level
                pte_pa.value = b.call("translate_table", pte_gpa, LOAD, access)
                with b.if_(pte_pa.value.slt(0), False):
                    b.ret(pte_pa.value)
                s.fault_level = level
            with b.if_(~_in_ram(b, pte_pa.value) | (b.call("pmp_allows", pte_pa.value, R, 1) == 0), False):
                b.ret(_access_fault(access))
            pte = b.ram_load(pte_pa.value, 64)
            leaf = (pte & (1 << R_BIT | 1 << X_BIT)) != 0
            bad = b.variable(~pte.bit(V_BIT) | ((pte & (1 << R_BIT | 1 << W_BIT)) == 1 << W_BIT), 1)
            _malformed(b, pte, leaf, shift.value, envcfg.bit(Envcfg.PBMTE), bad)
            with b.if_(bad.value, False):
                b.ret(_page_fault(access))
            with b.if_(~leaf):
                with b.if_(shift.value == 12, False):
                    b.ret(_page_fault(access))
                # a global mark on a non-leaf entry holds for everything below: not used, treated as
                # non-global (allowed)
                table.value = ((pte >> 10) & PPN_MASK) << 12
                shift.value = shift.value - 9
                s.fault_level = s.fault_level - 1
                levels_left.again()
            is_user_page = pte.bit(U_BIT)
            may_touch_user = status.bit(Mstatus.SUM) & (access != FETCH)  # HLVX counts as a load
            wrong_owner = (prv == 0).select(~is_user_page, is_user_page & ~may_touch_user)
            with b.if_(wrong_owner | _lacks_permission(pte, access, executable_readable), False):
                b.ret(_page_fault(access))
            target, misaligned = _leaf_address(pte, va, shift.value)
            with b.if_(misaligned, False):
                b.ret(_page_fault(access))
            needed = (access == STORE).select(b.const(1 << A_BIT | 1 << D_BIT), b.const(1 << A_BIT))
            with b.if_((pte & needed) != needed, False):
                with b.if_(~envcfg.bit(Envcfg.ADUE)):
                    b.ret(_page_fault(access))
                with b.if_(virt != 0):
                    pte_pa.value = b.call("translate_table", pte_gpa, STORE, access)
                    with b.if_(pte_pa.value.slt(0), False):
                        b.ret(pte_pa.value)
                with b.if_(b.call("pmp_allows", pte_pa.value, W, 1) == 0):
                    b.ret(_access_fault(access))
                with b.if_(b.ram_compare_exchange(pte_pa.value, pte, pte | needed) != pte):
                    levels_left.again()
            s.walk_global = (pte >> G_BIT) & 1
            s.walk_size = pte.bit(N_BIT).select(16, shift.value)
            gpa.value = target
            levels_left.leave()
    pa = b.variable(gpa.value)
    with b.if_(virt != 0):
        pa.value = b.call("translate_guest", gpa.value, access, 1)
        with b.if_(pa.value.slt(0), False):
            with b.if_(pa.value == -GUEST_PAGE):
                s.fault_gpa = gpa.value
                s.fault_stage = 1
                b.ret(_guest_page_fault(access))
            b.ret(_access_fault(access))
    with b.if_(b.call("pmp_allows", pa.value, right, 1) == 0, False):
        b.ret(_access_fault(access))
    with b.if_(access == LOAD_EXECUTABLE, False):
        with b.if_(b.call("pmp_allows", pa.value, X, 1) == 0, False):
            b.ret(_access_fault(access))
    b.ret(pa.value)


@hart_function("", inline=True)
def data_privilege(b: Builder) -> None:
    """prv | virt << 2 that loads and stores use: mstatus.MPRV makes M-mode access as MPP and MPV."""
    s = b.s
    with b.if_(s.mstatus.bit(Mstatus.MPRV) & (s.prv == 3), False):
        privilege = s.mstatus.bits(Mstatus.MPP_HIGH, Mstatus.MPP_LOW)
        virt = (privilege == 3).select(0, s.mstatus.bits(Mstatus.MPV, Mstatus.MPV))
        b.ret(privilege | (virt << 2))
    b.ret(s.prv | (s.virt << 2))
