"""CSR names and numbers without the generator of `hart.csr`: what a running machine needs."""

from __future__ import annotations

from .state import CSR_FIELDS, LAYOUT

CSR_NUMBERS: dict[str, int] = {
    "fflags": 0x001, "frm": 0x002, "fcsr": 0x003,
    "sstatus": 0x100, "sie": 0x104, "stvec": 0x105, "scounteren": 0x106, "senvcfg": 0x10A,
    "sscratch": 0x140, "sepc": 0x141, "scause": 0x142, "stval": 0x143, "sip": 0x144, "stimecmp": 0x14D, "satp": 0x180,
    "vsstatus": 0x200, "vsie": 0x204, "vstvec": 0x205, "vsscratch": 0x240, "vsepc": 0x241, "vscause": 0x242,
    "vstval": 0x243, "vsip": 0x244, "vstimecmp": 0x24D, "vsatp": 0x280,
    "mstatus": 0x300, "misa": 0x301, "medeleg": 0x302, "mideleg": 0x303, "mie": 0x304, "mtvec": 0x305,
    "mcounteren": 0x306, "menvcfg": 0x30A, "mcountinhibit": 0x320,
    "mscratch": 0x340, "mepc": 0x341, "mcause": 0x342, "mtval": 0x343, "mip": 0x344, "mtinst": 0x34A, "mtval2": 0x34B,
    "hstatus": 0x600, "hedeleg": 0x602, "hideleg": 0x603, "hie": 0x604, "htimedelta": 0x605, "hcounteren": 0x606,
    "hgeie": 0x607, "henvcfg": 0x60A, "htval": 0x643, "hip": 0x644, "hvip": 0x645, "htinst": 0x64A, "hgatp": 0x680,
    "hgeip": 0xE12, "mcycle": 0xB00, "minstret": 0xB02, "cycle": 0xC00, "time": 0xC01, "instret": 0xC02,
    "mvendorid": 0xF11, "marchid": 0xF12, "mimpid": 0xF13, "mhartid": 0xF14, "mconfigptr": 0xF15,
    "pmpcfg0": 0x3A0, "pmpcfg2": 0x3A2,
    **{f"pmpaddr{n}": 0x3B0 + n for n in range(16)},
    **{f"hpmcounter{n}": 0xC00 + n for n in range(3, 32)},
    **{f"mhpmcounter{n}": 0xB00 + n for n in range(3, 32)},
    **{f"mhpmevent{n}": 0x320 + n for n in range(3, 32)},
}  # fmt: skip

_COMPUTED = {"mstatus", "hstatus", "vsstatus", "fflags", "frm"}

STORED: dict[str, int] = {name: LAYOUT.index(name) for name in CSR_FIELDS if name not in _COMPUTED}
"""CSRs that read exactly as they are stored: name → word of the state."""

_ALL = (1 << 64) - 1
PLAIN: dict[str, tuple[int, int]] = {
    name: (LAYOUT.index(name), writable)
    for name, writable in {
        **dict.fromkeys(("sscratch", "scause", "stval", "htval", "htinst", "vsscratch", "vscause", "vstval"), _ALL),
        "scounteren": 0xFFFF_FFFF, "senvcfg": 1,
        "sepc": _ALL & ~1, "vsepc": _ALL & ~1, "stvec": _ALL & ~2, "vstvec": _ALL & ~2,
    }.items()
}  # fmt: skip
"""CSRs whose writing is storing their writable bits and nothing more: name → (word of the state, writable bits)."""
