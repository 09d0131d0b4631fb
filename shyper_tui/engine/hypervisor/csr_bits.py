"""Bits of the CSRs that the hypervisor sets and reads, for HS-mode and for guests (Privileged ISA)."""

from __future__ import annotations

# sstatus and vsstatus
SSTATUS_SIE, SSTATUS_SPIE, SSTATUS_SPP, SSTATUS_FS = 1 << 1, 1 << 5, 1 << 8, 3 << 13
FS_INITIAL, FS_CLEAN, FS_DIRTY = 1 << 13, 2 << 13, 3 << 13
VSSTATUS_UXL_64 = 2 << 32
# hstatus
HSTATUS_SPV, HSTATUS_SPVP, HSTATUS_VTW = 1 << 7, 1 << 8, 1 << 21
HSTATUS_VSXL_64 = 2 << 32
# henvcfg
HENVCFG_STCE, HENVCFG_ADUE = 1 << 63, 1 << 61
# sie, sip, and vsie as VS-mode sees it
SIE_SSIE, SIE_STIE, SIE_SEIE = 1 << 1, 1 << 5, 1 << 9
SIP_SSIP = 1 << 1
# hvip
VSSIP, VSTIP, VSEIP = 1 << 2, 1 << 6, 1 << 10
