"""Bit positions in CSRs, causes and interrupts, with the specification's names."""

from __future__ import annotations


class Mstatus:
    SIE, MIE, SPIE, MPIE, SPP = 1, 3, 5, 7, 8
    MPP_LOW, MPP_HIGH = 11, 12
    FS_LOW, FS_HIGH = 13, 14
    MPRV, SUM, MXR, TVM, TW, TSR = 17, 18, 19, 20, 21, 22
    GVA, MPV, SD = 38, 39, 63
    FS = 3 << FS_LOW
    UXL_SXL = 2 << 32 | 2 << 34


class Hstatus:
    GVA, SPV, SPVP, HU = 6, 7, 8, 9
    VTVM, VTW, VTSR = 20, 21, 22
    VSXL = 2 << 32


class Envcfg:
    FIOM = 1 << 0
    ADUE, PBMTE, STCE = 61, 62, 63


class Interrupt:
    """Interrupt numbers, also bit numbers in mip and mie."""

    SSI, VSSI, MSI = 1, 2, 3
    STI, VSTI, MTI = 5, 6, 7
    SEI, VSEI, MEI = 9, 10, 11
    SGEI = 12


VS_INTERRUPTS = 1 << Interrupt.VSSI | 1 << Interrupt.VSTI | 1 << Interrupt.VSEI
S_INTERRUPTS = 1 << Interrupt.SSI | 1 << Interrupt.STI | 1 << Interrupt.SEI
M_INTERRUPTS = 1 << Interrupt.MSI | 1 << Interrupt.MTI | 1 << Interrupt.MEI


class Cause:
    INSTRUCTION_MISALIGNED = 0
    INSTRUCTION_ACCESS = 1
    ILLEGAL_INSTRUCTION = 2
    BREAKPOINT = 3
    LOAD_MISALIGNED = 4
    LOAD_ACCESS = 5
    STORE_MISALIGNED = 6
    STORE_ACCESS = 7
    ECALL_U = 8
    ECALL_HS = 9
    ECALL_VS = 10
    ECALL_M = 11
    INSTRUCTION_PAGE = 12
    LOAD_PAGE = 13
    STORE_PAGE = 15
    INSTRUCTION_GUEST_PAGE = 20
    LOAD_GUEST_PAGE = 21
    VIRTUAL_INSTRUCTION = 22
    STORE_GUEST_PAGE = 23


INTERRUPT_BIT = 1 << 63
"""In xcause: an interrupt."""

LOAD, STORE, FETCH, LOAD_EXECUTABLE = 0, 1, 2, 3
"""Kinds of memory access; the last is HLVX: a load that needs execute permission."""
