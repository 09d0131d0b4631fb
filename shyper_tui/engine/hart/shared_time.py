"""One time for all harts (Privileged ISA, "mtime and mtimecmp": they are synchronised to within a tick).

Harts take turns, so one of them may be some thousands of cycles ahead of the next. Software that goes from one to the
other, or reads what the other has written, must not see time go back.
"""

from __future__ import annotations

from shyper_tui.engine.core import records
from shyper_tui.engine.core.llvm import LlvmBuilder
from shyper_tui.engine.isa.value import Value

from .native import native


@native("mtime", inline=True)
def observed_time(b: LlvmBuilder, mtime: Value) -> None:
    """What a hart reads that has come to tick `mtime`: no less than what any hart has read before. Its timers fire by
    its own time all the same."""
    latest = b.host_load(b.s.shared, records.SHARED_TIME)
    with b.if_(mtime.ult(latest)):
        b.ret(latest)
    b.host_store(b.s.shared, mtime, records.SHARED_TIME)
    b.ret(mtime)
