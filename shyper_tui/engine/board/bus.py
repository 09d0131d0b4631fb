"""The bus: which device answers at an address."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from shyper_tui.engine.board.device import AccessFault, Device

_PAGE_SHIFT = 12
_INDEXED = 16 << 20  # bytes; a longer window is found by search, so that no configuration makes the index huge


@dataclass(frozen=True, slots=True)
class Window:
    """A range of addresses and the device behind it. `end` is the first address after the range."""

    base: int
    end: int
    device: Device
    name: str


class Bus:
    """Address → device. Accesses that are misaligned, or that no device answers, raise `AccessFault`."""

    def __init__(self) -> None:
        self._windows: list[Window] = []  # sorted by base
        self._pages: dict[int, Window] = {}  # pages that belong to a single window, whole or in part

    def attach(self, base: int, length: int, device: Device, name: str) -> None:
        """Puts `device` at `base .. base + length`. Raises ValueError where another device is already."""
        if base < 0 or length <= 0:
            raise ValueError(f"{name}: a window needs a base and a positive length, not {base:#x} and {length:#x}")
        window = Window(base, base + length, device, name)
        for other in self._windows:
            if base < other.end and other.base < window.end:
                raise ValueError(f"{name} at {base:#x}..{window.end:#x} overlaps {other.name} at {other.base:#x}")
        self._windows.insert(bisect_right(self._windows, base, key=lambda other: other.base), window)
        self._index()

    def detach(self, base: int) -> None:
        """Takes away the device whose window starts at `base`."""
        self._windows = [window for window in self._windows if window.base != base]
        self._index()

    def _index(self) -> None:
        self._pages = {}
        shared = set()
        for window in self._windows:
            if window.end - window.base > _INDEXED:
                continue
            for page in range(window.base >> _PAGE_SHIFT, ((window.end - 1) >> _PAGE_SHIFT) + 1):
                if page in self._pages:
                    shared.add(page)
                self._pages[page] = window
        for page in shared:
            del self._pages[page]

    def __iter__(self) -> Iterator[Window]:
        """All windows in the order of their addresses."""
        return iter(self._windows)

    def find(self, address: int) -> Window | None:
        """The window that holds `address`."""
        window = self._pages.get(address >> _PAGE_SHIFT)
        if window is not None and window.base <= address < window.end:
            return window
        index = bisect_right(self._windows, address, key=lambda window: window.base) - 1
        if index >= 0 and address < self._windows[index].end:
            return self._windows[index]
        return None

    def read(self, address: int, width: int) -> int:
        """The unsigned value of `width` bytes at `address`."""
        window = self._pages.get(address >> _PAGE_SHIFT)
        if window is None or address & (width - 1) or not window.base <= address <= window.end - width:
            window = self._slow(address, width)
        return window.device.read(address - window.base, width)

    def write(self, address: int, width: int, value: int) -> None:
        """Stores the unsigned `value` of `width` bytes at `address`."""
        window = self._pages.get(address >> _PAGE_SHIFT)
        if window is None or address & (width - 1) or not window.base <= address <= window.end - width:
            window = self._slow(address, width)
        window.device.write(address - window.base, width, value)

    def _slow(self, address: int, width: int) -> Window:
        if address & (width - 1):
            raise AccessFault(address, width, "misaligned access to a device")
        window = self.find(address)
        if window is None or address + width > window.end:
            raise AccessFault(address, width, "no device answers here")
        return window
