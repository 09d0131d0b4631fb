"""Core-local interruptor: software interrupts and timers of the harts (SiFive CLINT register layout, the one that the
RISC-V ACLINT specification keeps as MSWI at 0x0 and MTIMER at 0x4000)."""

from __future__ import annotations

from collections.abc import Callable

from shyper_tui.engine.board.device import AccessFault, Timebase

_MTIMECMP = 0x4000
_MTIME = 0xBFF8
_U64 = (1 << 64) - 1


class Aclint:
    """`msip` at 4·hart, `mtimecmp` at 0x4000 + 8·hart, `mtime` at 0xbff8; accesses of 4 or 8 bytes.

    A hart compares its `mtimecmp` with the time by itself: the device only hands over the value. Simplified: `mtime`
    cannot be set, stores to it are ignored. `mtimecmp` starts at all ones, so no timer is due before one is set.
    """

    def __init__(
        self,
        harts: int,
        timebase: Timebase,
        set_msip: Callable[[int, bool], None],
        set_mtimecmp: Callable[[int, int], None],
    ) -> None:
        self._harts = harts
        self._timebase = timebase
        self._set_msip = set_msip
        self._set_mtimecmp = set_mtimecmp
        self.msip = [False] * harts
        self.mtimecmp = [_U64] * harts

    def reset(self) -> None:
        """No software interrupt, no timer due."""
        for hart in range(self._harts):
            self._write_msip(hart, False)
            self._write_mtimecmp(hart, 0, 8, _U64)

    def read(self, offset: int, width: int) -> int:
        if width not in (4, 8) or offset & (width - 1):
            raise AccessFault(offset, width, "ACLINT registers are 32 or 64 bits wide")
        if width == 4:
            return self._read64(offset & ~7) >> (offset & 4) * 8 & 0xFFFF_FFFF
        return self._read64(offset)

    def _read64(self, offset: int) -> int:
        if offset == _MTIME:
            return self._timebase.now() & _U64
        if offset < _MTIMECMP:
            hart = offset >> 2
            pair = self.msip[hart : hart + 2]
            return sum(level << 32 * index for index, level in enumerate(pair))
        hart = (offset - _MTIMECMP) >> 3
        return self.mtimecmp[hart] if hart < self._harts else 0

    def write(self, offset: int, width: int, value: int) -> None:
        if width not in (4, 8) or offset & (width - 1):
            raise AccessFault(offset, width, "ACLINT registers are 32 or 64 bits wide")
        if offset < _MTIMECMP:
            for hart in range(offset >> 2, (offset + width) >> 2):
                self._write_msip(hart, bool(value & 1))
                value >>= 32
        elif offset < _MTIME:
            self._write_mtimecmp((offset - _MTIMECMP) >> 3, offset & 4, width, value)

    def _write_msip(self, hart: int, level: bool) -> None:
        if hart < self._harts and level != self.msip[hart]:
            self.msip[hart] = level
            self._set_msip(hart, level)

    def _write_mtimecmp(self, hart: int, byte: int, width: int, value: int) -> None:
        if hart >= self._harts:
            return
        if width == 4:
            kept = self.mtimecmp[hart] & ~(0xFFFF_FFFF << byte * 8)
            value = kept | value << byte * 8
        self.mtimecmp[hart] = value & _U64
        self._set_mtimecmp(hart, value & _U64)
