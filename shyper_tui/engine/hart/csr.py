"""The CSR file (Privileged ISA, "Control and Status Registers"): one row per register.

Rows read and write at machine level; `csr_access` decides whether the current mode may. A write returns 1 when
interrupts, privilege or translation may have changed, so that the hart must look again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shyper_tui.engine.core.builder import Builder
from shyper_tui.engine.isa.value import Value

from .fields import S_INTERRUPTS, VS_INTERRUPTS, Envcfg, Hstatus, Interrupt, Mstatus
from .functions import hart_function
from .interrupts import WRITABLE_MIE
from .protection import A_LOW, ENTRIES, GRAIN, L

Read = Callable[[Builder, Value], Value]
Write = Callable[[Builder, Value, Value], Value | int]
"""(builder, value, now) → effect."""

ALL = (1 << 64) - 1
COUNTERS = 0xFFFF_FFFF
SSTATUS = 1 << Mstatus.SIE | 1 << Mstatus.SPIE | 1 << Mstatus.SPP | Mstatus.FS | 1 << Mstatus.SUM | 1 << Mstatus.MXR
MSTATUS = SSTATUS | sum(
    1 << bit
    for bit in (
        Mstatus.MIE, Mstatus.MPIE, Mstatus.MPP_LOW, Mstatus.MPP_HIGH, Mstatus.MPRV,
        Mstatus.TVM, Mstatus.TW, Mstatus.TSR, Mstatus.GVA, Mstatus.MPV,
    )
)  # fmt: skip
HSTATUS = sum(
    1 << bit for bit in (Hstatus.GVA, Hstatus.SPV, Hstatus.SPVP, Hstatus.HU, Hstatus.VTVM, Hstatus.VTW, Hstatus.VTSR)
)
ENVCFG = Envcfg.FIOM | 1 << Envcfg.ADUE | 1 << Envcfg.PBMTE | 1 << Envcfg.STCE
MEDELEG = sum(1 << cause for cause in (*range(11), 12, 13, 15, 20, 21, 22, 23))
HEDELEG = 0xB1FF
MISA = 2 << 62 | sum(1 << (ord(letter) - ord("A")) for letter in "ACDFHIMSU")
SUPPORTED_MODES = (0, 8, 9, 10)
HS_TRANSLATION, VS_TRANSLATION = 1, 2
"""Arguments of `forget_contexts`: whose address space has changed."""


@dataclass(frozen=True)
class Csr:
    """A control and status register."""

    number: int
    name: str
    read: Read
    write: Write


CSRS: dict[int, Csr] = {}


def _add(number: int, name: str, read: Read, write: Write) -> None:
    CSRS[number] = Csr(number, name, read, write)


def _plain(number: int, name: str, writable: int = ALL, fixed: int = 0, effect: int = 0) -> None:
    """A register whose writable bits are stored in the field of its name."""

    def read(b: Builder, now: Value) -> Value:
        return b.get(name) | fixed if fixed else b.get(name)

    def write(b: Builder, value: Value, now: Value) -> int:
        b.set(name, value & writable)
        return effect

    _add(number, name, read, write)


def _fixed(number: int, name: str, value: int = 0) -> None:
    _add(number, name, lambda b, now: b.const(value), lambda b, v, now: 0)


def _bits(number: int, name: str, field: str, bits: Callable[[Builder], Value], shift: int = 0) -> None:
    """The bits `bits` of another field, shifted right by `shift`: sie, hie, vsie."""

    def read(b: Builder, now: Value) -> Value:
        return (b.get(field) & bits(b)) >> shift

    def write(b: Builder, value: Value, now: Value) -> int:
        visible = bits(b)
        b.set(field, (b.get(field) & ~visible) | ((value << shift) & visible))
        return 1

    _add(number, name, read, write)


# --- floating point ---


def _dirty_fs(b: Builder) -> None:
    b.s.mstatus = b.s.mstatus | Mstatus.FS
    with b.if_(b.s.virt != 0):
        b.s.vsstatus = b.s.vsstatus | Mstatus.FS


@hart_function(inline=True)
def dirty_fs(b: Builder) -> None:
    """An f register or fcsr has been written: FS := Dirty, in vsstatus as well when V=1."""
    _dirty_fs(b)


def _write_fflags(b: Builder, value: Value, now: Value) -> int:
    b.s.fflags = value & 31
    _dirty_fs(b)
    return 0


def _write_frm(b: Builder, value: Value, now: Value) -> int:
    b.s.frm = value & 7
    _dirty_fs(b)
    return 0


def _write_fcsr(b: Builder, value: Value, now: Value) -> int:
    b.s.frm = (value >> 5) & 7
    return _write_fflags(b, value, now)


_add(0x001, "fflags", lambda b, now: b.s.fflags, _write_fflags)
_add(0x002, "frm", lambda b, now: b.s.frm, _write_frm)
_add(0x003, "fcsr", lambda b, now: (b.s.frm << 5) | b.s.fflags, _write_fcsr)


# --- counters ---


def _cycles(b: Builder, now: Value) -> Value:
    return now + b.s.cycle_offset


def _retired(b: Builder, now: Value) -> Value:
    return now - b.s.skipped + b.s.instret_offset


def _read_time(b: Builder, now: Value) -> Value:
    return b.call("observed_time", b.call("ticks", now)) + (b.s.virt != 0).select(b.s.htimedelta, 0)


def _write_cycle(b: Builder, value: Value, now: Value) -> int:
    b.s.cycle_offset = value - now
    return 0


def _write_instret(b: Builder, value: Value, now: Value) -> int:
    # the instruction that writes does not count itself: the next one reads `value`
    b.s.instret_offset = value - (now - b.s.skipped) - 1
    return 0


def _read_only(b: Builder, value: Value, now: Value) -> int:
    return 0


_add(0xC00, "cycle", _cycles, _read_only)
_add(0xC01, "time", _read_time, _read_only)
_add(0xC02, "instret", _retired, _read_only)
_add(0xB00, "mcycle", _cycles, _write_cycle)
_add(0xB02, "minstret", _retired, _write_instret)
for _n in range(3, 32):
    _fixed(0xC00 + _n, f"hpmcounter{_n}")
    _fixed(0xB00 + _n, f"mhpmcounter{_n}")
    _fixed(0x320 + _n, f"mhpmevent{_n}")
_fixed(0x320, "mcountinhibit")


# --- status ---


def _with_sd(status: Value) -> Value:
    dirty = (status & Mstatus.FS) == Mstatus.FS
    return status | (dirty.zext() << Mstatus.SD)


def _status_effect(old: Value, new: Value) -> Value:
    """1 when translation changes or interrupts become enabled."""
    changed = old ^ new
    translation = changed & (1 << Mstatus.SUM | 1 << Mstatus.MXR | 1 << Mstatus.MPRV | 3 << Mstatus.MPP_LOW)
    enabled = changed & new & (1 << Mstatus.SIE | 1 << Mstatus.MIE)
    return ((translation | enabled) != 0).zext()


def _write_status(field: str, writable: int) -> Write:
    def write(b: Builder, value: Value, now: Value) -> Value:
        old = b.get(field)
        new = (old & ~b.const(writable)) | (value & writable)
        if field == "mstatus" and writable & 1 << Mstatus.MPP_LOW:
            privilege = new.bits(Mstatus.MPP_HIGH, Mstatus.MPP_LOW)
            kept = old.bits(Mstatus.MPP_HIGH, Mstatus.MPP_LOW)
            new = new.put(Mstatus.MPP_HIGH, Mstatus.MPP_LOW, (privilege == 2).select(kept, privilege))
        b.set(field, new)
        with b.if_(((old ^ new) & (1 << Mstatus.MXR)) != 0, False):
            b.call("flush_translations")
        return _status_effect(old, new)

    return write


_add(0x300, "mstatus", lambda b, now: _with_sd(b.s.mstatus) | Mstatus.UXL_SXL, _write_status("mstatus", MSTATUS))
_add(0x100, "sstatus", lambda b, now: _with_sd(b.s.mstatus & SSTATUS) | 2 << 32, _write_status("mstatus", SSTATUS))
_add(0x200, "vsstatus", lambda b, now: _with_sd(b.s.vsstatus) | 2 << 32, _write_status("vsstatus", SSTATUS))
_fixed(0x301, "misa", MISA)
_plain(0x600, "hstatus", HSTATUS, Hstatus.VSXL)

# --- trap handling ---

for _base, _prefix in ((0x300, "m"), (0x100, "s"), (0x200, "vs")):
    _plain(_base + 0x05, f"{_prefix}tvec", ALL & ~2)
    _plain(_base + 0x40, f"{_prefix}scratch")
    _plain(_base + 0x41, f"{_prefix}epc", ALL & ~1)
    _plain(_base + 0x42, f"{_prefix}cause")
    _plain(_base + 0x43, f"{_prefix}tval")
_plain(0x34A, "mtinst")
_plain(0x34B, "mtval2")
_plain(0x643, "htval")
_plain(0x64A, "htinst")
_plain(0x302, "medeleg", MEDELEG)
_plain(0x602, "hedeleg", HEDELEG)
_plain(0x603, "hideleg", VS_INTERRUPTS, effect=1)
_plain(0x306, "mcounteren", COUNTERS)
_plain(0x106, "scounteren", COUNTERS)
_plain(0x606, "hcounteren", COUNTERS)
_plain(0x10A, "senvcfg", Envcfg.FIOM)


def _write_mideleg(b: Builder, value: Value, now: Value) -> int:
    b.s.mideleg = (value & S_INTERRUPTS) | VS_INTERRUPTS
    return 1


_add(0x303, "mideleg", lambda b, now: b.s.mideleg, _write_mideleg)


def _write_menvcfg(b: Builder, value: Value, now: Value) -> int:
    b.s.menvcfg = value & ENVCFG
    # what machine level forbids reads as zero at hypervisor level
    b.s.henvcfg = b.s.henvcfg & (value | Envcfg.FIOM)
    b.call("timers_at", now)
    b.call("flush_translations")
    return 1


def _write_henvcfg(b: Builder, value: Value, now: Value) -> int:
    b.s.henvcfg = value & ENVCFG & (b.s.menvcfg | Envcfg.FIOM)
    b.call("timers_at", now)
    b.call("flush_translations")
    return 1


_add(0x30A, "menvcfg", lambda b, now: b.s.menvcfg, _write_menvcfg)
_add(0x60A, "henvcfg", lambda b, now: b.s.henvcfg, _write_henvcfg)

# --- interrupts ---


def _pending(bits: Callable[[Builder], Value], shift: int = 0) -> Read:
    return lambda b, now: (b.call("pending_interrupts", now) & bits(b)) >> shift


def _write_mip(b: Builder, value: Value, now: Value) -> int:
    s = b.s
    timer = s.menvcfg.bit(Envcfg.STCE).select(b.const(0), b.const(1 << Interrupt.STI))
    writable = timer | (1 << Interrupt.SSI | 1 << Interrupt.SEI)
    s.mip_soft = (s.mip_soft & ~writable) | (value & writable)
    return _write_vssip(b, value)


def _write_vssip(b: Builder, value: Value) -> int:
    """hip.VSSIP, and bit 2 of mip, are hvip.VSSIP."""
    bit = 1 << Interrupt.VSSI
    b.s.hvip = (b.s.hvip & (ALL ^ bit)) | (value & bit)
    return 1


def _write_sip(b: Builder, value: Value, now: Value) -> int:
    writable = b.s.mideleg & (1 << Interrupt.SSI)
    b.s.mip_soft = (b.s.mip_soft & ~writable) | (value & writable)
    return 1


def _write_vsip(b: Builder, value: Value, now: Value) -> int:
    writable = b.s.hideleg & (1 << Interrupt.VSSI)
    b.s.hvip = (b.s.hvip & ~writable) | ((value << 1) & writable)
    return 1


def _all_bits(mask: int) -> Callable[[Builder], Value]:
    return lambda b: b.const(mask)


_add(0x344, "mip", _pending(_all_bits(ALL)), _write_mip)
_add(0x144, "sip", _pending(lambda b: b.s.mideleg & S_INTERRUPTS), _write_sip)
_add(0x644, "hip", _pending(_all_bits(VS_INTERRUPTS)), lambda b, v, now: _write_vssip(b, v))
_add(0x244, "vsip", _pending(lambda b: b.s.hideleg & VS_INTERRUPTS, 1), _write_vsip)
_bits(0x304, "mie", "mie", _all_bits(WRITABLE_MIE))
_bits(0x104, "sie", "mie", lambda b: b.s.mideleg & S_INTERRUPTS)
_bits(0x604, "hie", "mie", _all_bits(VS_INTERRUPTS))
_bits(0x204, "vsie", "mie", lambda b: b.s.hideleg & VS_INTERRUPTS, 1)
_plain(0x645, "hvip", VS_INTERRUPTS, effect=1)
_fixed(0x607, "hgeie")
_fixed(0xE12, "hgeip")

# --- timers ---


def _timer(number: int, name: str) -> None:
    def write(b: Builder, value: Value, now: Value) -> int:
        b.set(name, value)
        b.call("timers_at", now)
        return 1

    _add(number, name, lambda b, now: b.get(name), write)


_timer(0x14D, "stimecmp")
_timer(0x24D, "vstimecmp")
_timer(0x605, "htimedelta")

# --- address translation ---


def _supported(mode: Value) -> Value:
    known = mode == SUPPORTED_MODES[0]
    for supported in SUPPORTED_MODES[1:]:
        known = known | (mode == supported)
    return known


def _atp(number: int, name: str, whose: int) -> None:
    def write(b: Builder, value: Value, now: Value) -> int:
        with b.if_(_supported(value >> 60)):  # an unsupported mode leaves the register as it is
            b.set(name, value)
            b.call("forget_contexts", whose)
        return 1

    _add(number, name, lambda b, now: b.get(name), write)


def _write_hgatp(b: Builder, value: Value, now: Value) -> int:
    mode = _supported(value >> 60).select(value >> 60, b.s.hgatp >> 60)
    ppn = value & ((1 << 44) - 1)
    ppn = (mode == 0).select(ppn, ppn & ~3)  # the root table has 16 KiB
    vmid = value & (0x3FFF << 44)
    b.s.hgatp = (mode << 60) | vmid | ppn
    b.call("forget_contexts", VS_TRANSLATION)
    return 1


_atp(0x180, "satp", HS_TRANSLATION)
_atp(0x280, "vsatp", VS_TRANSLATION)
_add(0x680, "hgatp", lambda b, now: b.s.hgatp, _write_hgatp)

# --- physical memory protection ---


def _pmpcfg(number: int, first: int) -> None:
    def read(b: Builder, now: Value) -> Value:
        value = b.const(0)
        for k in range(8):
            value = value | (b.get("pmpcfg", first + k) << (8 * k))
        return value

    def write(b: Builder, value: Value, now: Value) -> int:
        for k in range(8):
            with b.unless(b.get("pmpcfg", first + k).bit(L)):
                new = (value >> (8 * k)) & 0x9F
                # reserved: W without R; NA4 cannot be chosen with a grain above 4 bytes
                readable = new.bit(0).select(new, new & ~2)
                na4 = readable.bits(A_LOW + 1, A_LOW) == 2
                b.set("pmpcfg", na4.select(readable & ~(3 << A_LOW), readable), first + k)
        b.call("update_pmp")
        return 1

    _add(number, f"pmpcfg{first // 4}", read, write)


def _pmpaddr(number: int, index: int) -> None:
    def read(b: Builder, now: Value) -> Value:
        address = b.get("pmpaddr", index)
        napot = b.get("pmpcfg", index).bit(A_LOW + 1)
        return napot.select(address | ((1 << (GRAIN - 1)) - 1), address & ~((1 << GRAIN) - 1))

    def write(b: Builder, value: Value, now: Value) -> int:
        locked = b.get("pmpcfg", index).bit(L)
        if index + 1 < ENTRIES:  # a locked TOR entry locks the address below it
            above = b.get("pmpcfg", index + 1)
            locked = locked | (above.bit(L) & (above.bits(A_LOW + 1, A_LOW) == 1))
        with b.unless(locked):
            b.set("pmpaddr", value & ((1 << 54) - 1), index)
            b.call("update_pmp")
        return 1

    _add(number, f"pmpaddr{index}", read, write)


_pmpcfg(0x3A0, 0)
_pmpcfg(0x3A2, 8)
for _n in range(ENTRIES):
    _pmpaddr(0x3B0 + _n, _n)

# --- identity ---

for _n, _name in enumerate(("mvendorid", "marchid", "mimpid")):
    _fixed(0xF11 + _n, _name)
_add(0xF14, "mhartid", lambda b, now: b.s.hartid, _read_only)
_fixed(0xF15, "mconfigptr")


@hart_function("number now")
def csr_read(b: Builder, number: Value, now: Value) -> None:
    """The register's value, at machine level; 0 for a number that does not exist."""
    b.switch(number, {n: _reader(b, csr, now) for n, csr in sorted(CSRS.items())})
    b.ret(0)


@hart_function("number value now")
def csr_write(b: Builder, number: Value, value: Value, now: Value) -> None:
    """Writes a register at machine level, WARL; 1 when the hart must look at interrupts and translation again."""
    b.switch(number, {n: _writer(b, csr, value, now) for n, csr in sorted(CSRS.items())})
    b.ret(0)


def _reader(b: Builder, csr: Csr, now: Value) -> Callable[[], None]:
    return lambda: b.ret(csr.read(b, now))


def _writer(b: Builder, csr: Csr, value: Value, now: Value) -> Callable[[], None]:
    return lambda: b.ret(csr.write(b, value, now))
