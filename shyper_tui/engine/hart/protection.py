"""Physical memory protection (Privileged ISA, "Physical Memory Protection"): 16 entries, grain 4 KiB (G = 10).

With a grain of one page, a page's protection is one answer, so the TLB can hold it.
"""

from __future__ import annotations

from shyper_tui.engine.core.builder import Builder
from shyper_tui.engine.isa.value import Value

from .functions import hart_function

ENTRIES = 16
GRAIN = 10
R, W, X, A_LOW, A_HIGH, L = 0, 1, 2, 3, 4, 7
OFF, TOR, NA4, NAPOT = 0, 1, 2, 3
ADDRESS_MASK = (1 << 54) - 1


@hart_function()
def update_pmp(b: Builder) -> None:
    """Derives the address ranges of all entries; every cached translation goes."""
    s = b.s
    s.pmp_count = 0
    index = b.variable(0)
    previous = b.variable(0)
    with b.loop() as entries:
        i = index.value
        with b.if_(i.uge(ENTRIES)):
            entries.leave()
        config, address = b.get("pmpcfg", i), b.get("pmpaddr", i)
        kind = config.bits(A_HIGH, A_LOW)
        b.set("pmp_low", 1, i)
        b.set("pmp_high", 0, i)
        page = (address >> GRAIN) << (GRAIN + 2)
        with b.if_(kind == TOR):
            low = (previous.value >> GRAIN) << (GRAIN + 2)
            with b.if_(low.ult(page)):
                b.set("pmp_low", low, i)
                b.set("pmp_high", page - 1, i)
        with b.if_(kind == NAPOT):
            # the trailing ones of the address give the size; the grain makes at least GRAIN - 1 of them
            full = address | ((1 << (GRAIN - 1)) - 1)
            size_ones = (full + 1) ^ full
            b.set("pmp_low", (full & ~size_ones) << 2, i)
            b.set("pmp_high", ((full | size_ones) << 2) | 3, i)
        with b.if_(kind != OFF):
            s.pmp_count = i + 1
        previous.value = address
        index.value = i + 1
    everything = (b.get("pmp_low") == 0) & (b.get("pmp_high").uge((1 << 56) - 1)) & ((b.get("pmpcfg") & 7) == 7)
    s.pmp_trivial = everything.zext()
    b.call("flush_translations")


@hart_function("pa right prv")
def pmp_allows(b: Builder, pa: Value, right: Value, prv: Value) -> None:
    """1 when the page of `pa` may be accessed; `right` is the bit number R, W or X."""
    with b.if_(b.s.pmp_trivial != 0, True):
        b.ret(1)
    index = b.variable(0)
    with b.loop() as entries:
        i = index.value
        with b.if_(i.uge(b.s.pmp_count)):
            entries.leave()
        with b.if_(pa.uge(b.get("pmp_low", i)) & b.get("pmp_high", i).uge(pa)):
            config = b.get("pmpcfg", i)
            with b.if_((prv == 3) & ~config.bit(L)):
                b.ret(1)
            b.ret((config >> right) & 1)
        index.value = i + 1
    b.ret((prv == 3).zext())
