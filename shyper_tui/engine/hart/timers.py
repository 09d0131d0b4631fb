"""Time and timers (Privileged ISA, "mtime and mtimecmp", "Sstc").

Virtual cycles are the native code's clock; `time` ticks follow from them by an offset and a divider that Python may
change between slices (wall clock) or never changes (virtual clock). Each comparator is kept as the cycle at which it
fires.
"""

from __future__ import annotations

from shyper_tui.engine.core.builder import Builder
from shyper_tui.engine.isa.value import Value

from .fields import Envcfg
from .functions import hart_function
from .state import NEVER

FAR = 1 << 50
"""A comparator this many ticks ahead (3.5 years) counts as off."""


@hart_function("now")
def ticks(b: Builder, now: Value) -> None:
    """mtime at cycle `now`."""
    b.ret(b.s.time_base + (now - b.s.time_cycle).udiv(b.s.time_divider))


@hart_function("compare delta mtime")
def firing_cycle(b: Builder, compare: Value, delta: Value, mtime: Value) -> None:
    """The first cycle at which mtime + `delta` is >= `compare`; `mtime` is the time now. The sum may have wrapped."""
    s = b.s
    clock = mtime + delta
    with b.if_(clock.uge(compare)):
        b.ret(s.time_cycle)
    ahead = compare - clock
    with b.if_(ahead.uge(FAR)):
        b.ret(NEVER)
    b.ret(s.time_cycle + (mtime - s.time_base + ahead) * s.time_divider)


@hart_function("now")
def timers_at(b: Builder, now: Value) -> None:
    """Recomputes the firing cycles at cycle `now`, after a comparator, its enable, or the time base changed."""
    s = b.s
    mtime = b.call("ticks", now)
    s.mtimer_cycle = b.call("firing_cycle", s.mtimecmp, 0, mtime)
    s.stimer_cycle = NEVER
    s.vstimer_cycle = NEVER
    with b.if_(s.menvcfg.bit(Envcfg.STCE)):
        s.stimer_cycle = b.call("firing_cycle", s.stimecmp, 0, mtime)
        with b.if_(s.henvcfg.bit(Envcfg.STCE)):
            s.vstimer_cycle = b.call("firing_cycle", s.vstimecmp, s.htimedelta, mtime)


@hart_function()
def update_timers(b: Builder) -> None:
    """`timers_at` the current cycle, for Python while the hart is stopped."""
    b.call("timers_at", b.s.deadline)


@hart_function("now", inline=True)
def next_timer(b: Builder, now: Value) -> None:
    """The next cycle after `now` at which a timer fires, or NEVER."""
    soonest = b.variable(NEVER)
    for name in ("mtimer_cycle", "stimer_cycle", "vstimer_cycle"):
        cycle = b.get(name)
        earlier = now.ult(cycle) & cycle.ult(soonest.value)
        soonest.value = earlier.select(cycle, soonest.value)
    b.ret(soonest.value)
