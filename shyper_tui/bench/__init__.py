"""Measurements of speed, compared with QEMU in the same run: what `shyper-tui bench` does.

Both sides are whole processes, started as a user starts them and timed from their start: to their end for the
bare-metal programs, to the line GUEST-READY for Linux. Each is repeated, in turns with QEMU, and the best time of each
side counts.
"""

from __future__ import annotations

PROGRAMS = ("coremark_like", "sieve_sort", "memory", "recursion")
"""Bare-metal programs: in M-mode as they are, and as NAME_mmu in S-mode behind page tables of 4 KiB pages."""
MMU = "_mmu"
HYPERVISOR = "hypervisor"
"""What the hypervisor's operations cost: a table of its own."""
HEAVY = "heavy"
"""Guests that make the host work hard, beside neighbours: a table of its own, made only when it is asked for."""
GUIDE = "guide"
"""Disks and networks of the user guide's set-up: a table of its own, made only when it is asked for."""
NAMES = (
    *(name + suffix for suffix in ("", MMU) for name in PROGRAMS), "linux_boot", "linux_boot_4", "mvm_boot", HYPERVISOR
)  # fmt: skip
"""Names of the measurements that are made by default."""
