"""M-mode CSRs as firmware leaves them for software at S/HS-mode (Privileged ISA, machine-level CSRs)."""

from __future__ import annotations

from shyper_tui.engine.firmware.ports import HartPort

# mstatus fields.
MSTATUS_SIE = 1 << 1
MSTATUS_MIE = 1 << 3
MSTATUS_SPIE = 1 << 5
MSTATUS_MPIE = 1 << 7
MSTATUS_SPP = 1 << 8
MSTATUS_VS = 3 << 9
MSTATUS_MPP = 3 << 11
MSTATUS_MPP_S = 1 << 11
MSTATUS_FS = 3 << 13
MSTATUS_GVA = 1 << 38
MSTATUS_MPV = 1 << 39

# Interrupt bits of mip, mie, mideleg.
SSIP, VSSIP, MSIP = 1 << 1, 1 << 2, 1 << 3
STIP, VSTIP, MTIP = 1 << 5, 1 << 6, 1 << 7
SEIP, VSEIP, MEIP = 1 << 9, 1 << 10, 1 << 11

MENVCFG_STCE, MENVCFG_PBMTE, MENVCFG_ADUE = 1 << 63, 1 << 62, 1 << 61

DELEGATED_EXCEPTIONS = (
    0x1FF  # fetch, illegal instruction, breakpoint, loads and stores, ecall from U and VU
    | 1 << 10  # ecall from VS
    | 1 << 12 | 1 << 13 | 1 << 15  # page faults
    | 0xF << 20  # guest-page faults and virtual instruction
)  # fmt: skip
"""medeleg: all but the ecalls from HS and M (9, 11). What the hart cannot delegate still arrives at the firmware."""

PMP_ALL_NAPOT_RWX = 0x1F
PMP_ALL_ADDRESS = (1 << 54) - 1


def prepare(hart: HartPort) -> bool:
    """Set one hart up for S/HS-mode; returns whether it has Sstc (menvcfg.STCE could be set)."""
    csr = hart.csr
    csr.medeleg = DELEGATED_EXCEPTIONS
    csr.mideleg = SSIP | STIP | SEIP
    csr.mcounteren = 0xFFFF_FFFF
    csr.scounteren = 0x7  # cycle, time, instret: what firmware commonly leaves to user mode
    csr.menvcfg = MENVCFG_STCE | MENVCFG_PBMTE | MENVCFG_ADUE
    csr.pmpaddr0 = PMP_ALL_ADDRESS
    csr.pmpcfg0 = PMP_ALL_NAPOT_RWX
    sstc = bool(csr.menvcfg & MENVCFG_STCE)
    if sstc:
        csr.stimecmp = (1 << 64) - 1
    return sstc


def enter_supervisor(hart: HartPort, pc: int, a0: int, a1: int) -> None:
    """Leave M-mode for S/HS-mode at `pc`, interrupts and paging off, a0 and a1 as given (SBI, hart_start state)."""
    csr = hart.csr
    csr.satp = 0
    csr.sie = 0
    csr.sscratch = 0
    status = csr.mstatus & ~(MSTATUS_MPP | MSTATUS_MPV | MSTATUS_FS | MSTATUS_VS | MSTATUS_SIE | MSTATUS_MPIE)
    csr.mstatus = status | MSTATUS_MPP_S
    csr.mepc = pc
    csr.mie = csr.mie | MSIP
    hart.x[10] = a0
    hart.x[11] = a1
    hart.mret()
