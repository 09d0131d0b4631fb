"""Names for program counters, from the symbol table of an ELF kernel, read when the first is asked for."""

from __future__ import annotations

import bisect
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

LONGEST_NAME = 200
"""Characters of a symbol that are shown: it is sent with every picture of a vCPU."""
FARTHEST = 1 << 20
"""Bytes behind the start of a symbol without size that still count as it."""


class Symbols:
    """The functions and labels of one kernel that was loaded with its lowest physical address at `load_address`."""

    def __init__(self, kernel: bytes | bytearray, load_address: int = 0) -> None:
        self._unread = kernel if kernel[:4] == b"\x7fELF" else None
        self._load_address = load_address
        self._table: list[tuple[int, int, str]] = []
        self._moved = 0

    @property
    def _entries(self) -> list[tuple[int, int, str]]:
        """(start, size, name) in order."""
        if self._unread is not None:
            # reading ELF files takes longer to import than a small guest to start
            from elftools.elf.elffile import ELFFile

            kernel, self._unread = self._unread, None
            try:
                self._table = self._read(ELFFile(io.BytesIO(bytes(kernel))), self._load_address)
            except Exception:  # the library raises whatever it stumbles over; a kernel may run without a readable table
                self._table = []
        return self._table

    def _read(self, elf: ELFFile, load_address: int) -> list[tuple[int, int, str]]:
        from elftools.elf.sections import SymbolTableSection

        addresses = [part["p_paddr"] for part in elf.iter_segments() if part["p_type"] == "PT_LOAD"]
        self._moved = load_address - min(addresses, default=load_address) if load_address else 0
        found: dict[int, tuple[int, str]] = {}
        for section in elf.iter_sections():
            if not isinstance(section, SymbolTableSection):
                continue
            for symbol in section.iter_symbols():
                kind, name = symbol["st_info"]["type"], symbol.name
                defined = symbol["st_shndx"] not in ("SHN_UNDEF", "SHN_ABS")
                useful = kind == "STT_FUNC" or (kind == "STT_NOTYPE" and symbol["st_value"] not in found)
                if useful and defined and name and not name.startswith(("$", ".L")):
                    found[symbol["st_value"]] = (
                        symbol["st_size"],
                        name[:LONGEST_NAME],
                    )  # a function's name is the better one
        return sorted((start, size, name) for start, (size, name) in found.items())

    def __bool__(self) -> bool:
        return bool(self._entries)

    def name(self, pc: int) -> str:
        """`function+0x12` for an address in it, else "". Kernels that run where they were linked, or moved, both
        work."""
        entries = self._entries
        for address in (pc, pc - self._moved):
            index = bisect.bisect_right(entries, (address, 1 << 64, "")) - 1
            if index >= 0:
                start, size, name = entries[index]
                if address - start < (size or FARTHEST):
                    return f"{name}+{address - start:#x}" if address > start else name
        return ""
