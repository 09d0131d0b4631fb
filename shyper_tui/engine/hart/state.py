"""The state of a hart: the one table that generated code and Python share.

All fields are 64-bit words. CSRs carry the specification's names. `prv` is the nominal privilege (0 U, 1 S, 3 M),
`virt` is V.
"""

from __future__ import annotations

from shyper_tui.engine.core.layout import Layout

SINK = 32
"""x[32]: where results for x0 go."""

WIDE_WORDS = 64
"""Words of a set of 2 MiB regions."""
TABLE_PAGES = 64
"""Pages of VS-stage tables whose place a hart remembers."""
CONTEXT_KINDS = ("machine", "mprv", "bare", "s", "s_sum", "u", "vs", "vs_sum", "vu")
"""Translation regimes that have a TLB context of their own (see hart.tlb)."""

CSR_FIELDS = (
    "mstatus", "medeleg", "mideleg", "mie", "mtvec", "mcounteren", "menvcfg", "mscratch", "mepc", "mcause", "mtval",
    "mtval2", "mtinst", "mcountinhibit", "stvec", "scounteren", "senvcfg", "sscratch", "sepc", "scause", "stval",
    "satp", "stimecmp", "hstatus", "hedeleg", "hideleg", "hcounteren", "henvcfg", "htimedelta", "htval", "htinst",
    "hgatp", "hvip", "vsstatus", "vstvec", "vsscratch", "vsepc", "vscause", "vstval", "vsatp", "vstimecmp",
    "fflags", "frm",
)  # fmt: skip

FIELDS: list[tuple[str, int]] = [
    ("x", 33),
    ("pc", 1),
    ("bias", 1),  # pc = (record >> records.SCALE) + bias while native code runs
    ("deadline", 1),  # virtual cycle at which the budget is used up; while stopped: the current virtual cycle
    ("prv", 1),
    ("virt", 1),
    ("f", 32),
    *((name, 1) for name in CSR_FIELDS),
    ("pmpcfg", 16),  # one byte of configuration a word
    ("pmpaddr", 16),
    # physical protection as the walk uses it: ranges [low, high], and whether entry 0 allows everything
    ("pmp_low", 16),
    ("pmp_high", 16),
    ("pmp_count", 1),
    ("pmp_trivial", 1),
    # interrupts: what devices drive, and what software has written to mip
    ("lines", 1),
    ("mip_soft", 1),
    # time: now = time_base + (cycle - time_cycle) / time_divider; the timers as cycles, all ones when off
    ("time_base", 1),
    ("time_cycle", 1),
    ("time_divider", 1),
    ("mtimecmp", 1),
    ("mtimer_cycle", 1),
    ("stimer_cycle", 1),
    ("vstimer_cycle", 1),
    ("slice_end", 1),  # cycle at which Python wants the hart back
    ("debt", 1),  # cycles that it owes for the host's work (hart.debt)
    ("skipped", 1),  # cycles that passed without an instruction (WFI): instret = cycle - skipped
    ("instret_offset", 1),
    ("cycle_offset", 1),
    ("waiting", 1),  # in WFI
    ("hartid", 1),
    ("reservation", 1),  # host address of the LR reservation, 0 when none
    ("reserved_value", 1),
    # Python software: bit 0, M-mode traps are handled in Python; bit 1, HS-mode traps
    ("python_modes", 1),
    # why native code stopped
    ("reason", 1),
    ("exit_address", 1),
    ("exit_pa", 1),
    ("exit_size", 1),  # bytes | sign-extend << 8 | to f << 9 | instruction length << 16 | rd << 24
    ("exit_value", 1),
    # the last failed translation, for the trap that reports it
    ("fault_gpa", 1),
    ("fault_inst", 1),  # htinst pseudoinstruction, or 0
    ("fault_gva", 1),  # 1: a guest virtual address is reported
    ("fault_stage", 1),  # 0 VS or S stage, 1 G stage
    ("fault_level", 1),
    # tables of device registers that native code answers (hart.direct), by guest-physical and by physical address
    ("direct_guest", 1),
    ("direct_physical", 1),
    # results of a successful walk
    ("walk_global", 1),
    ("walk_size", 1),  # log2 of the leaf of the VS or S stage
    # RAM: pa - ram_base < ram_size; host address = pa + ram_addend
    ("ram_base", 1),
    ("ram_size", 1),
    ("ram_addend", 1),
    # decoded code and TLB contexts
    ("page_records", 1),
    ("page_written", 1),  # for each page of RAM, 16 bits: where write TLBs have it (hart.code_pages)
    ("backed", 1),  # for each region of 2 MiB of RAM, a byte: it has been stored into (hart.debt)
    ("arena", 1),
    ("shared", 1),  # pointer to words shared by all harts: the arena's unused part, its slots, their owners
    ("contexts", 1),  # this hart's contexts
    ("all_contexts", 1),
    ("all_contexts_end", 1),
    ("context_of", len(CONTEXT_KINDS)),
    ("next_context", 1),
    # which 2 MiB and 1 GiB regions were filled from superpages, hashed: of V = 0, then of V = 1
    ("wide_2m", 2 * WIDE_WORDS),
    ("wide_1g", 2),
    # pages of VS-stage tables: guest-physical page | 1, physical page; of the stage 2 in `table_hgatp`
    ("table_gpa", TABLE_PAGES),
    ("table_pa", TABLE_PAGES),
    ("table_hgatp", 1),
    ("decode16", 1),
    ("fused_table", 1),
    ("decoded_registers", 1),  # of the instruction decoded last: rd | rs1 << 8 | rs2 << 16
    # numbering of a sequence's operands while it is decoded: per register, generation << 8 | operand number
    ("operand_of", 33),
    ("generation", 1),
    ("executions", 1),  # only in programs that count (bench.neighbours): a count for each record
]

LAYOUT = Layout(FIELDS)

NEVER = (1 << 64) - 1
"""A timer that is off."""
